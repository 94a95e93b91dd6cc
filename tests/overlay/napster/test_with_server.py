"""Our clients and our index server, over real sockets."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from p2pswarm.errors import BusyError, NetworkError
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.overlay.napster import connection
from p2pswarm.overlay.napster.client import Napster
from p2pswarm.overlay.network import Cost
from p2pswarm.overlay.query import Digest, Hit, Query
from p2pswarm.overlay.search import Search
from p2pswarm.wire.napster import WhoisReply
from tests.support.scripted_napster import PATIENCE, client
from tracker.napster.server import NapsterServer, NapsterSettings

SONG = os.urandom(600_000)


@asynccontextmanager
async def serving(port: int = 0, **more: object) -> AsyncIterator[Address]:
    server = NapsterServer(NapsterSettings(host="127.0.0.1", port=port, **more))  # type: ignore[arg-type]
    await server.start()
    try:
        yield Address("127.0.0.1", server.port)
    finally:
        await server.aclose()


@pytest.fixture
def share(tmp_path: Path) -> Path:
    folder = tmp_path / "Music"
    (folder / "live").mkdir(parents=True)
    (folder / "live" / "Blue Moon.mp3").write_bytes(SONG)
    (folder / "Red Sun.txt").write_bytes(b"red sun")
    return folder


async def searched(
    network: Napster, query: Query, expect: int, cost: Cost | None = None
) -> list[Hit]:
    """What is found, once the server has indexed as much as is expected."""
    async with asyncio.timeout(PATIENCE):
        while True:
            hits = [hit async for hit in network.search(query, cost or Cost())]
            if len(hits) >= expect:
                return hits
            await asyncio.sleep(0)


async def noted(network: Napster, query: Query, expect: int = 1) -> list[Hit]:
    """Likewise, with every hash."""
    async with asyncio.timeout(PATIENCE):
        while True:
            hits = await searched(network, query, expect)
            if all(hit.info_hash for hit in hits):
                return hits


async def fetched(network: Napster, hit: Hit, offset: int = 0) -> bytes:
    data = bytearray()

    def sink(more: bytes) -> bool:
        data.extend(more)
        return True

    await network.fetch(hit, offset, sink)
    return bytes(data)


BLUE = Query.parse("blue moon")


async def test_share_search_and_fetch(share: Path) -> None:
    async with (
        serving() as server,
        client(server, host="127.0.0.2", share=share, join=True, nick="alice"),
        client(server, host="127.0.0.3", join=True, nick="bob") as bob,
    ):
        cost = Cost()
        (hit,) = await noted(bob, BLUE)
        assert (hit.name, hit.size, hit.nick) == (r"Music\live\Blue Moon.mp3", len(SONG), "alice")
        assert hit.host == Address("127.0.0.2", 0)
        (hit,) = await searched(bob, BLUE, 1, cost)
        assert (cost.messages, cost.hops) == (4, 1)  # query, note, result, end
        assert await fetched(bob, hit) == SONG
        assert await fetched(bob, hit, 599_000) == SONG[599_000:]


async def test_a_hit_is_found_again_by_every_hash(share: Path) -> None:
    async with (
        serving() as server,
        client(server, host="127.0.0.2", share=share, join=True),
        client(server, host="127.0.0.3", join=True) as bob,
    ):
        (hit,) = await noted(bob, BLUE)
        for digest in hit.digests():
            query = Query(digest=digest, min_size=hit.size, max_size=hit.size)
            (again,) = await searched(bob, query, 1)
            assert (again.name, again.size, again.nick) == (hit.name, hit.size, hit.nick)
        nothing = Query(digest=Digest("sha1", b"\x01" * 20))
        assert [each async for each in bob.search(nothing, Cost())] == []


@pytest.mark.parametrize(("up", "down"), [(False, False), (True, False), (False, True)])
async def test_every_firewall_that_leaves_a_way(share: Path, up: bool, down: bool) -> None:
    async with (
        serving() as server,
        client(server, host="127.0.0.2", share=share, join=True, firewalled=up),
        client(server, host="127.0.0.3", join=True, firewalled=down) as bob,
    ):
        (hit,) = await searched(bob, BLUE, 1)
        assert await fetched(bob, hit, 1000) == SONG[1000:]


async def test_two_firewalls_leave_none(share: Path) -> None:
    async with (
        serving() as server,
        client(server, host="127.0.0.2", share=share, join=True, firewalled=True),
        client(server, host="127.0.0.3", join=True, firewalled=True) as bob,
    ):
        (hit,) = await searched(bob, BLUE, 1)
        with pytest.raises(NetworkError, match="both behind firewalls"):
            await fetched(bob, hit)


@pytest.mark.parametrize("firewalled", [False, True])
async def test_the_torrent_of_a_hit_comes_from_its_host(share: Path, firewalled: bool) -> None:
    seeded: list[InfoHash] = []

    async def seed(info_hash: InfoHash, asker: str) -> None:
        assert asker == bob.nick
        seeded.append(info_hash)

    async with (
        serving() as server,
        client(server, host="127.0.0.2", share=share, join=True, seed=seed, firewalled=firewalled),
        client(server, host="127.0.0.3", join=True) as bob,
    ):
        (hit,) = await noted(bob, BLUE)
        metainfo = Metainfo.from_bytes(await bob.torrent(hit))
        assert metainfo.info_hash == hit.info_hash
        assert seeded == [hit.info_hash]
        assert hit.info_hash is not None


async def test_a_host_without_place_is_busy(share: Path) -> None:
    async with (
        serving() as server,
        client(server, host="127.0.0.2", share=share, join=True, slots=1, up=200_000),
        client(server, host="127.0.0.3", join=True) as bob,
        client(server, host="127.0.0.4", join=True) as eve,
    ):
        (hit,) = await searched(bob, BLUE, 1)
        first = asyncio.Event()

        def sink(data: bytes) -> bool:
            first.set()
            return True

        slow = asyncio.ensure_future(bob.fetch(hit, 0, sink))
        await first.wait()
        with pytest.raises(BusyError, match="has no place for us now"):
            await fetched(eve, hit)
        slow.cancel()
        await asyncio.wait([slow])


async def test_hosts_of_one_file_are_folded(tmp_path: Path) -> None:
    async with serving() as server, AsyncExitStack() as stack:
        for number in (2, 3):
            folder = tmp_path / f"share{number}"
            folder.mkdir()
            (folder / f"blue moon {number}.mp3").write_bytes(SONG)
            host = f"127.0.0.{number}"
            await stack.enter_async_context(client(server, host=host, share=folder, join=True))
        eve = await stack.enter_async_context(client(server, host="127.0.0.4", join=True))
        await noted(eve, BLUE, 2)
        async with Search([eve], BLUE) as search:
            (find,) = [find async for find in search]
        assert len(find.hits) == 2
        assert {hit.info_hash for hit in find.hits} == {find.hits[0].info_hash}


async def test_what_is_gone_is_not_found(share: Path) -> None:
    async with (
        serving() as server,
        client(server, host="127.0.0.2", share=share, join=True) as alice,
        client(server, host="127.0.0.3", join=True) as bob,
    ):
        (hit,) = await searched(bob, BLUE, 1)
        (share / "live" / "Blue Moon.mp3").rename(share / "Blue Train.mp3")
        alice._catalog.result().rescan()
        await searched(bob, Query.parse("blue train"), 1)
        assert [each async for each in bob.search(BLUE, Cost())] == []
        with pytest.raises(NetworkError, match=r"does not have .* any more"):
            await fetched(bob, hit)


async def test_browse_and_whois(share: Path) -> None:
    async with (
        serving() as server,
        client(server, host="127.0.0.2", share=share, join=True, nick="alice"),
        client(server, host="127.0.0.3", join=True) as bob,
    ):
        await searched(bob, BLUE, 1)
        assert names([hit async for hit in bob.browse("alice")]) == [
            r"Music\Red Sun.txt",
            r"Music\live\Blue Moon.mp3",
        ]
        reply = await bob.whois("Alice")
        assert isinstance(reply, WhoisReply)
        assert (reply.nick, reply.shared, reply.client) == ("alice", 2, "p2pswarm/0.1")
        with pytest.raises(NetworkError):
            await bob.whois("nobody")


def names(hits: Sequence[Hit]) -> list[str]:
    return sorted(hit.name for hit in hits)


async def test_accounts_are_made_and_kept(tmp_path: Path) -> None:
    async with serving(accounts=tmp_path / "accounts.db") as server:
        for _ in range(2):
            async with client(server, join=True, nick="alice", password="secret"):
                pass
        async with client(server, nick="alice", password="wrong") as thief:
            with pytest.raises(NetworkError, match="the server refuses alice: Invalid Password"):
                await thief.join()


async def test_a_nick_that_is_online_is_not_given_twice() -> None:
    async with (
        serving() as server,
        client(server, host="127.0.0.2", join=True, nick="alice"),
        client(server, host="127.0.0.3", nick="alice") as other,
    ):
        with pytest.raises(NetworkError, match="the server refuses alice: "):
            await other.join()


async def test_the_server_dies_and_comes_back(share: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "FIRST_PAUSE", 0.05)
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(AsyncExitStack())
        server = await first.enter_async_context(serving())
        alice = client(server, host="127.0.0.2", share=share, join=True, up=400_000)
        await stack.enter_async_context(alice)
        bob = await stack.enter_async_context(client(server, host="127.0.0.3", join=True))
        (hit,) = await searched(bob, BLUE, 1)
        got = bytearray()
        begun = asyncio.Event()

        def sink(data: bytes) -> bool:
            got.extend(data)
            begun.set()
            return True

        running = asyncio.ensure_future(bob.fetch(hit, 0, sink))
        await begun.wait()
        await first.aclose()
        with pytest.raises(NetworkError, match="is lost"):
            async for _ in bob.search(BLUE, Cost()):
                pass
        await running
        assert got == SONG
        async with serving(server.port):
            async with asyncio.timeout(PATIENCE):
                while True:
                    try:
                        assert len(await searched(bob, BLUE, 1)) == 1
                        break
                    except NetworkError:
                        await asyncio.sleep(0)
