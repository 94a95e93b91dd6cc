"""Our place at a server: login, questions, keep-alive, loss and return; against a scripted server."""

import asyncio
import re

import pytest

from p2pswarm.errors import NetworkError
from p2pswarm.formats.ids import Address
from p2pswarm.overlay.napster import connection, session
from p2pswarm.overlay.napster.client import Napster
from p2pswarm.overlay.network import Cost
from p2pswarm.overlay.query import Hit, Query
from p2pswarm.wire.napster import WhoisReply, WhowasReply
from tests.support.scripted_napster import Guest, Server, client

BLUE = Query.parse("blue")
RESULT = '"music\\blue {}.mp3" {} 100 128 44100 60 bob 17107762 4'


async def all_hits(network: Napster, query: Query = BLUE, cost: Cost | None = None) -> list[Hit]:
    return [hit async for hit in network.search(query, cost or Cost())]


def result(number: int) -> str:
    return RESULT.format(number, f"{number:032x}")


async def joined(network: Napster, server: Server) -> Guest:
    joining = asyncio.ensure_future(network.join())
    guest = await server.member()
    await joining
    return guest


# Login


async def test_a_guest_comes_in_under_a_name_of_its_own() -> None:
    async with Server() as server, client(server.address) as network:
        guest = await joined(network, server)
        (login,) = guest.log
        port = network._tools.port.number
        found = re.fullmatch(r'(swarm[0-9a-f]{8}) ([0-9a-f]{16}) (\d+) "p2pswarm/0\.1" 0', login[1])
        assert found
        assert (login[0], found[1], int(found[3])) == (2, network.nick, port)


async def test_who_is_behind_a_firewall_names_port_0() -> None:
    async with (
        Server() as server,
        client(server.address, nick="alice", password="secret", firewalled=True) as network,
    ):
        guest = await joined(network, server)
        assert guest.log == [(2, 'alice secret 0 "p2pswarm/0.1" 0')]


async def test_who_has_no_account_registers() -> None:
    async with Server() as server, client(server.address, nick="alice", password="pw") as network:
        joining = asyncio.ensure_future(network.join())
        first = await server.guest()
        await first.hear(2)
        first.say(0, "no such account")
        second = await server.guest()
        assert (await second.hear(6)).startswith("alice pw ")
        second.let_in()
        await joining
        assert await first.gone()


async def test_a_guest_whose_name_is_taken_takes_another() -> None:
    async with Server() as server, client(server.address) as network:
        joining = asyncio.ensure_future(network.join())
        names = set()
        for _ in range(2):
            guest = await server.guest()
            names.add((await guest.hear(2, 6)).split()[0])
            guest.say(0, "nick is in use")
        guest = await server.guest()
        names.add((await guest.hear(2)).split()[0])
        guest.let_in()
        await joining
        assert len(names) == 2
        assert network.nick in names


async def test_a_name_that_was_wished_for_and_is_taken_is_an_error_in_the_servers_words() -> None:
    async with Server() as server, client(server.address, nick="alice", password="x") as network:
        joining = asyncio.ensure_future(network.join())
        for number, why in ((2, "Invalid Password"), (6, "Nick registered to another user")):
            guest = await server.guest()
            await guest.hear(number)
            guest.say(0, why)
        with pytest.raises(NetworkError, match="the server refuses alice: Invalid Password"):
            await joining


@pytest.mark.parametrize("answer", [b"", b"\xff\xff\x03\x00", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
async def test_what_is_no_server_is_an_error(answer: bytes) -> None:
    async with Server() as server, client(server.address) as network:
        joining = asyncio.ensure_future(network.join())
        guest = await server.guest()
        await guest.hear(2)
        guest.raw(answer)
        guest.close()
        with pytest.raises(NetworkError, match="is lost"):
            await joining


async def test_nobody_there_is_an_error_that_names_the_server() -> None:
    async with Server() as server:
        address = server.address
    async with client(address) as network:
        with pytest.raises(NetworkError, match=f"cannot reach {address}: "):
            await network.join()
        with pytest.raises(NetworkError, match=f"cannot reach {address}: "):
            await all_hits(network)


async def test_a_server_without_a_name_that_resolves_is_an_error() -> None:
    async with client(Address("no-such-host.invalid", 8888)) as network:
        with pytest.raises(
            NetworkError, match=r"no-such-host.invalid is no name that can be found"
        ):
            await network.join()


async def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "ANSWER_TIME", 0.05)
    async with Server() as server, client(server.address) as network:
        with pytest.raises(NetworkError, match="the server does not answer"):
            await network.join()


# Questions


async def test_hits_come_as_they_come_and_cost_is_counted() -> None:
    async with Server() as server, client(server.address) as network:
        guest = await joined(network, server)
        cost = Cost()
        hits = network.search(BLUE, cost)
        asked = asyncio.ensure_future(anext(hits))
        question = await guest.hear(200)
        assert question == 'FILENAME CONTAINS "blue" MAX_RESULTS 100 TYPE any'
        guest.say(201, result(1))
        assert (await asked).name == r"music\blue 1.mp3"
        guest.say(201, result(2))
        guest.say(202)
        assert [hit.name async for hit in hits] == [r"music\blue 2.mp3"]
        expected = 4 + len(question) + 2 * (4 + len(result(1))) + 4
        assert (cost.messages, cost.bytes, cost.hops) == (4, expected, 1)


async def test_our_own_files_are_no_hits() -> None:
    async with Server() as server, client(server.address, nick="bob") as network:
        guest = await joined(network, server)
        asked = asyncio.ensure_future(all_hits(network))
        await guest.hear(200)
        guest.say(201, result(1))
        guest.say(202)
        assert await asked == []


async def test_a_refusal_is_an_error_in_the_servers_words() -> None:
    async with Server() as server, client(server.address) as network:
        guest = await joined(network, server)
        asked = asyncio.ensure_future(all_hits(network))
        await guest.hear(200)
        guest.say(404, "search failed: too many words")
        with pytest.raises(NetworkError, match="the server says: search failed: too many words"):
            await asked


async def test_a_question_that_was_given_up_does_not_spoil_the_next() -> None:
    async with Server() as server, client(server.address) as network:
        guest = await joined(network, server)
        hits = network.search(BLUE, Cost())
        first = asyncio.ensure_future(anext(hits))
        await guest.hear(200)
        guest.say(201, result(1))
        await first
        await hits.aclose()
        second = asyncio.ensure_future(all_hits(network, Query.parse("green")))
        for number in range(2, 5):
            guest.say(201, result(number))
        guest.say(202)
        assert 'CONTAINS "green"' in await guest.hear(200)
        guest.say(201, result(9))
        guest.say(202)
        assert [hit.name for hit in await second] == [r"music\blue 9.mp3"]


async def test_questions_take_turns() -> None:
    async with Server() as server, client(server.address) as network:
        guest = await joined(network, server)
        asked = [
            asyncio.ensure_future(all_hits(network, Query.parse(f"word{n}"))) for n in range(3)
        ]
        for number in range(3):
            assert f'"word{number}"' in await guest.hear(200)
            guest.say(201, result(number))
            guest.say(202)
        assert [hits[0].name for hits in await asyncio.gather(*asked)] == [
            rf"music\blue {n}.mp3" for n in range(3)
        ]


async def test_a_flood_of_answers_is_the_end_of_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session, "MOST_WAITING", 50)
    async with Server() as server, client(server.address) as network:
        guest = await joined(network, server)
        hits = network.search(BLUE, Cost())
        first = asyncio.ensure_future(anext(hits))
        await guest.hear(200)
        for number in range(100):
            guest.say(201, result(number))
        await first
        assert await guest.gone()
        await hits.aclose()


async def test_somebody_is_browsed_and_looked_up() -> None:
    async with Server() as server, client(server.address) as network:
        guest = await joined(network, server)

        async def browsed() -> list[str]:
            return [hit.name async for hit in network.browse("bob")]

        browsing = asyncio.ensure_future(browsed())
        assert await guest.hear(211) == "bob"
        guest.say(212, f'bob "music\\a.mp3" {1:032x} 5 128 44100 60')
        guest.say(213, "bob 17107762")
        assert await browsing == [r"music\a.mp3"]

        for answer, kind in (
            ((604, 'bob "User" 60 " " "Active" 3 0 1 4 "client"'), WhoisReply),
            ((605, 'bob "User" 1000000'), WhowasReply),
        ):
            asking = asyncio.ensure_future(network.whois("bob"))
            assert await guest.hear(603) == "bob"
            guest.say(*answer)
            assert isinstance(await asking, kind)
        asking = asyncio.ensure_future(network.whois("eve"))
        await guest.hear(603)
        guest.say(404, "eve is unknown")
        with pytest.raises(NetworkError, match="eve is unknown"):
            await asking


async def test_notes_are_understood_and_hashes_asked_for_after_the_greeting() -> None:
    async with Server() as server, client(server.address) as network:
        guest = await joined(network, server)
        guest.say(0x7000, "p2pswarm/0.1 1")
        asked = asyncio.ensure_future(all_hits(network))
        await guest.hear(200)
        guest.say(0x7002, f'bob "music\\blue 1.mp3" {"11" * 20} {"22" * 20} 46881')
        guest.say(201, result(1))
        guest.say(202)
        (hit,) = await asked
        assert (hit.sha1, hit.info_hash) == (b"\x11" * 20, b"\x22" * 20)
        assert hit.peer == Address("50.11.5.1", 46881)
        digest = next(hit.digests())
        asked = asyncio.ensure_future(all_hits(network, Query(digest=digest)))
        assert await guest.hear(0x7003) == f"btih {'22' * 20}"
        guest.say(202)
        assert await asked == []


# Staying


async def test_a_ping_is_answered() -> None:
    async with Server() as server, client(server.address) as network:
        guest = await joined(network, server)
        guest.say(751, "bob are you there")
        assert await guest.hear(752) == "bob are you there"


async def test_a_silent_server_is_asked_and_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "SILENT", 0.05)
    monkeypatch.setattr(session, "ANSWER_TIME", 0.05)
    async with Server() as server, client(server.address) as network:
        guest = await joined(network, server)
        await guest.hear(750)
        guest.say(750)
        await guest.hear(750)
        assert await guest.gone()
        with pytest.raises(NetworkError, match="is lost: the server is silent"):
            await all_hits(network)


async def test_who_lost_the_server_says_so_and_comes_back_as_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "FIRST_PAUSE", 0.02)
    async with Server() as server, client(server.address) as network:
        guest = await joined(network, server)
        first = guest.log[0]
        asked = asyncio.ensure_future(all_hits(network))
        await guest.hear(200)
        guest.close()
        with pytest.raises(NetworkError, match=r"the connection to .* is lost"):
            await asked
        again = await server.member()
        assert again.log == [first]
        asked = asyncio.ensure_future(all_hits(network))
        await again.hear(200)
        again.say(202)
        assert await asked == []


async def test_while_the_server_is_away_a_search_says_what_is_wrong() -> None:
    async with Server() as server, client(server.address) as network:
        guest = await joined(network, server)
        guest.close()
        await network._connection._session.over.wait()  # type: ignore[union-attr]
        with pytest.raises(NetworkError, match="is lost"):
            await all_hits(network)


async def test_pauses_grow_and_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two clients that lose one server, neither comes back when the other does."""
    pauses: list[float] = []
    real = asyncio.sleep

    async def short(seconds: float) -> None:
        pauses.append(seconds)
        await real(0)

    monkeypatch.setattr(connection.asyncio, "sleep", short)
    async with Server() as server:
        address = server.address
    async with client(address) as network:
        with pytest.raises(NetworkError):
            await network.join()
        while len(pauses) < 12:
            await real(0)
    for number, pause in enumerate(pauses[:12]):
        middle = min(2**number, 60)
        assert middle / 2 <= pause <= middle * 1.5
    assert len(set(pauses)) == len(pauses)


async def test_leaving_ends_everything_and_may_be_repeated() -> None:
    async with Server() as server, client(server.address) as network:
        guest = await joined(network, server)
        await network.leave()
        assert await guest.gone()
        await network.leave()
