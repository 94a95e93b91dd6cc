"""What becomes of each message: neighbours that follow the rules, and neighbours that do not."""

import asyncio
from random import Random

import pytest

from p2pswarm.formats.ids import Address
from p2pswarm.overlay.gnutella.links.agreement import Role
from p2pswarm.overlay.gnutella.place.slots import Wish
from p2pswarm.overlay.gnutella.routing.interests import Words
from p2pswarm.overlay.gnutella.routing.replies import Visitors
from p2pswarm.overlay.routes import MOST_SEEN
from p2pswarm.wire.gnutella.descriptor import Descriptor, Kind, new_guid, oob_guid
from p2pswarm.wire.gnutella.hit import QueryHit
from p2pswarm.wire.gnutella.pings import Pong
from p2pswarm.wire.gnutella.push import Push
from p2pswarm.wire.gnutella.qrp import QueryTable, patches
from p2pswarm.wire.gnutella.query import Query, QueryFlags
from p2pswarm.wire.gnutella.results import Result
from p2pswarm.wire.gnutella.routes import Reset
from p2pswarm.wire.gnutella.vendor import (
    STOP_QUERY,
    HopsFlow,
    MessagesSupported,
    QueryStatusRequest,
    QueryStatusResponse,
    Vendor,
    read_vendor,
)
from tests.support.gnutella import PORT, Mesh, Servent, Stranger, play

LEAF, ULTRAPEER, PEER = Role.LEAF, Role.ULTRAPEER, Role.PEER


async def around(
    mesh: Mesh, *roles: Role, wish: Wish = Wish.FLAT, name: str = "blue moon.ogg"
) -> tuple[Servent, list[Stranger]]:
    """A servent with strangers of these roles as neighbours."""
    servent = mesh.servent(name)
    await servent.open(wish, goal=0)
    return servent, [await mesh.stranger().dial(servent, role) for role in roles]


# How far


@pytest.mark.parametrize(
    ("ttl", "hops", "on"),
    [
        (7, 0, (6, 1)),
        (10, 0, (6, 1)),  # a query of ten hops is legal and too much
        (15, 2, (4, 3)),
        (16, 0, None),
        (255, 0, None),
        (4, 3, (3, 4)),
        (7, 6, None),
        (1, 0, None),
        (0, 0, None),
        (1, 200, None),
        (2, 255, None),
    ],
)
def test_ttl_and_hops_are_clamped(ttl: int, hops: int, on: tuple[int, int] | None) -> None:
    async def story(mesh: Mesh) -> None:
        _, (one, other) = await around(mesh, PEER, PEER)
        one.ask("blue", ttl=ttl, hops=hops)
        await asyncio.sleep(1)
        heard = [(head.ttl, head.hops) for head in other.heard(Kind.QUERY)]
        assert heard == ([] if on is None else [on])
        assert not one.heard(Kind.QUERY)

    play(story)


def test_a_query_is_answered_where_it_came_from() -> None:
    async def story(mesh: Mesh) -> None:
        servent, (one, other) = await around(mesh, PEER, PEER)
        guid = one.ask("blue moon", hops=2)
        await asyncio.sleep(1)
        (head,) = one.heard(Kind.HIT)
        assert (head.guid, head.ttl, head.hops) == (guid, 4, 0)
        hit = QueryHit.read(head.payload)
        assert (hit.address, hit.servent) == (servent.address, servent.guid)
        assert not other.heard(Kind.HIT)

    play(story)


def test_of_two_with_one_guid_the_first_counts() -> None:
    async def story(mesh: Mesh) -> None:
        servent, (one, other, third) = await around(mesh, PEER, PEER, PEER)
        guid = one.ask("moon")
        await asyncio.sleep(1)
        other.ask("sun", guid=guid)
        one.ask("moon", guid=guid, ttl=7)
        await asyncio.sleep(1)
        assert len(servent.queries) == len(third.heard(Kind.QUERY)) == 1
        third.hit(guid)
        await asyncio.sleep(1)
        assert [len(each.heard(Kind.HIT)) for each in (one, other)] == [2, 0]
        assert servent.router.dropped["duplicates"] == 2

    play(story)


# Hits


def test_hits_go_back_and_no_further_than_they_may() -> None:
    async def story(mesh: Mesh) -> None:
        servent, (one, other) = await around(mesh, PEER, PEER)
        guid = one.ask("nothing of ours")
        await asyncio.sleep(1)
        other.hit(guid)
        other.hit(guid, hops=3, address=Address("10.9.9.9", 1))
        await asyncio.sleep(1)
        assert {(head.ttl, head.hops) for head in one.heard(Kind.HIT)} == {(3, 1), (3, 4)}
        other.hit(bytes(16))  # nobody asked
        one.hit(guid)  # who asks does not answer
        await asyncio.sleep(1)
        assert servent.router.dropped["no way"] == 2
        assert len(one.heard(Kind.HIT)) == 2
        assert not other.heard(Kind.HIT)

    play(story)


def test_who_answers_for_itself_is_where_it_says() -> None:
    async def story(mesh: Mesh) -> None:
        servent, (one, other) = await around(mesh, PEER, PEER)
        guid = one.ask("nothing of ours")
        await asyncio.sleep(1)
        other.hit(guid, address=Address("10.9.9.9", 80))
        other.hit(guid, servent=servent.guid)
        await asyncio.sleep(1)
        assert not one.heard(Kind.HIT)
        assert servent.router.dropped["lies"] == 2
        other.hit(guid, address=Address("192.168.0.1", 80), push=True)  # nobody is to dial that
        await asyncio.sleep(1)
        assert len(one.heard(Kind.HIT)) == 1

    play(story)


def test_who_is_on_this_machine_may_have_another_address() -> None:
    async def story(mesh: Mesh) -> None:
        servent, (one,) = await around(mesh, PEER)
        other = await mesh.stranger("127.0.0.9").dial(servent)
        guid = one.ask("nothing of ours")
        await asyncio.sleep(1)
        other.hit(guid, address=Address("172.17.0.2", 6346))
        await asyncio.sleep(1)
        assert len(one.heard(Kind.HIT)) == 1

    play(story)


def test_a_leaf_answers_for_nobody_else() -> None:
    async def story(mesh: Mesh) -> None:
        servent, (one, leaf) = await around(mesh, ULTRAPEER, LEAF, wish=Wish.ULTRAPEER)
        guid = one.ask("nothing of ours")
        await asyncio.sleep(1)
        leaf.hit(guid, hops=1)
        leaf.hit(guid, hops=1, address=Address("10.9.9.9", 1))
        await asyncio.sleep(1)
        assert servent.router.dropped["lies"] == 2
        leaf.hit(guid)
        await asyncio.sleep(1)
        assert len(one.heard(Kind.HIT)) == 1

    play(story)


# Pushes


def test_a_push_goes_the_way_of_the_hit() -> None:
    async def story(mesh: Mesh) -> None:
        servents = [mesh.servent("blue moon.ogg"), mesh.servent(), mesh.servent()]
        for number, servent in enumerate(servents):
            await servent.open(connect=[servents[number - 1].address] if number else [], goal=0)
        await mesh.until(lambda: len(servents[1].router.links) == 2)
        asker, owner = servents[2], servents[0]
        wish = Push(owner.guid, 0, asker.address)
        assert not asker.router.send_push(wish)
        asker.ask("blue")
        await asyncio.sleep(1)
        assert asker.router.send_push(wish)
        await asyncio.sleep(1)
        assert owner.pushes == [wish]
        assert not servents[1].pushes

    play(story)


def test_a_push_reaches_a_neighbour_that_has_not_answered_anything() -> None:
    async def story(mesh: Mesh) -> None:
        servent, (one, other) = await around(mesh, PEER, PEER)
        push = Push(other.guid, 0, Address("10.9.9.9", 80))
        one.say(Kind.PUSH, push.encode(), hops=1)
        await asyncio.sleep(1)
        (head,) = other.heard(Kind.PUSH)
        assert Push.read(head.payload) == push
        assert servent.router.send_push(Push(one.guid, 0, Address("10.9.9.8", 80)))

    play(story)


def test_a_push_for_nobody_goes_nowhere() -> None:
    async def story(mesh: Mesh) -> None:
        servent, (one, other) = await around(mesh, PEER, PEER)
        push = Push(bytes(16), 0, Address("10.9.9.9", 80)).encode()
        guid = one.say(Kind.PUSH, push, hops=1)
        one.say(Kind.PUSH, push, guid=guid, hops=1)
        await asyncio.sleep(1)
        assert not other.heard(Kind.PUSH)
        assert servent.router.dropped == {"no way": 1, "duplicates": 1}

    play(story)


# Pings and pongs


def test_a_ping_is_answered_by_us_and_from_the_cache() -> None:
    async def story(mesh: Mesh) -> None:
        servent, (one,) = await around(mesh, PEER)
        other = await mesh.stranger().dial(servent, port=PORT)
        there = Address(other.host.name, PORT)
        far = Address("10.7.7.7", 1234)
        other.say(Kind.PONG, Pong(there, 3, 4).encode())
        other.say(Kind.PONG, Pong(far, 3, 4).encode(), hops=2)
        other.say(Kind.PONG, Pong(Address("10.6.6.6", 1), 3, 4).encode())  # it is not there
        other.say(Kind.PONG, Pong(Address("127.0.0.1", 1), 3, 4).encode(), hops=1)
        await asyncio.sleep(1)
        guid = one.say(Kind.PING, b"", ttl=7)
        await asyncio.sleep(1)
        pongs = [Pong.read(head.payload) for head in one.heard(Kind.PONG)]
        assert {pong.address for pong in pongs} == {servent.address, there, far}
        assert {head.guid for head in one.heard(Kind.PONG)} == {guid}
        known = servent.hosts.candidates(mesh.loop.time(), mesh.dice, 9)
        assert set(known) == {there, far}
        await asyncio.sleep(2)
        one.heads.clear()
        one.say(Kind.PING, b"", ttl=1)
        one.say(Kind.PING, b"", ttl=1)  # one a second is enough
        await asyncio.sleep(1)
        (head,) = one.heard(Kind.PONG)
        assert Pong.read(head.payload).address == servent.address

    play(story)


@pytest.mark.parametrize(("ttl", "answers"), [(1, 1), (2, 0), (7, 0)])
def test_who_is_behind_a_firewall_only_says_that_it_lives(ttl: int, answers: int) -> None:
    async def story(mesh: Mesh) -> None:
        servent = mesh.servent()
        await servent.open(firewalled=True)
        other = mesh.servent()
        await other.open()
        top = await mesh.stranger().dial(servent)
        top.say(Kind.PING, b"", ttl=ttl)
        await asyncio.sleep(1)
        assert len(top.heard(Kind.PONG)) == answers
        await servent.close()
        servent = mesh.servent()
        await servent.open(connect=[other.address], firewalled=True)
        await asyncio.sleep(10)
        assert len(other.router.links) == 1
        assert len(other.hosts) == 0

    play(story)


def test_an_ultrapeer_says_so_in_its_pong() -> None:
    async def story(mesh: Mesh) -> None:
        servent, (one,) = await around(mesh, ULTRAPEER, wish=Wish.ULTRAPEER)
        servent.router.guess = True
        await asyncio.sleep(1)
        one.say(Kind.PING, b"", ttl=1)
        await asyncio.sleep(1)
        (head,) = one.heard(Kind.PONG)
        pong = Pong.read(head.payload)
        assert pong.ultrapeer
        assert pong.kib == 8
        assert pong.ggep["UP"] == bytes([1, 100, 31])
        assert pong.guess == 2

    play(story)


@pytest.mark.parametrize(("files", "kib"), [(0, 0), (1, 7), (2, 15), (3, 24)])
def test_a_leaf_does_not_look_like_an_ultrapeer(files: int, kib: int) -> None:
    async def story(mesh: Mesh) -> None:
        servent = mesh.servent()
        servent.shares = lambda: (files, files << 13)  # type: ignore[method-assign]
        await servent.open(Wish.LEAF)
        pong = servent.router.pong("10.0.0.1")
        assert pong.kib == kib
        assert not pong.ultrapeer

    play(story)


# Leaves and tables


def tell_table(stranger: Stranger, *names: str) -> None:
    table = QueryTable()
    for each in names:
        table.add_name(each)
    for message in patches(None, table):
        stranger.say(Kind.ROUTES, message.encode(), ttl=1)


def test_a_leaf_hears_what_it_may_have() -> None:
    async def story(mesh: Mesh) -> None:
        _, (one, leaf) = await around(mesh, ULTRAPEER, LEAF, wish=Wish.ULTRAPEER)
        one.ask("anything at all")
        await asyncio.sleep(1)
        assert len(leaf.heard(Kind.QUERY)) == 1  # nobody knows yet what it has
        tell_table(leaf, "green cheese.txt")
        await asyncio.sleep(1)
        one.ask("green moon")
        one.ask("green cheese", ttl=1, hops=3)
        await asyncio.sleep(1)
        heard = [Query.read(head.payload).text for head in leaf.heard(Kind.QUERY)]
        assert heard == ["anything at all", "green cheese"]
        assert leaf.heard(Kind.QUERY)[1].ttl == 1
        leaf.say(Kind.VENDOR, HopsFlow(2).encode())
        await asyncio.sleep(1)
        one.ask("green", hops=2)
        one.ask("green")
        await asyncio.sleep(1)
        assert len(leaf.heard(Kind.QUERY)) == 3

    play(story)


def test_an_ultrapeer_hears_no_last_hop_that_it_has_nothing_for() -> None:
    async def story(mesh: Mesh) -> None:
        _, (one, other) = await around(mesh, ULTRAPEER, ULTRAPEER, wish=Wish.ULTRAPEER)
        tell_table(other, "green cheese.txt")
        await asyncio.sleep(1)
        one.ask("blue", ttl=2)
        one.ask("blue", ttl=3)
        one.ask("green", ttl=2)
        await asyncio.sleep(1)
        assert [head.ttl for head in other.heard(Kind.QUERY)] == [2, 1]

    play(story)


def test_a_probe_may_go_farther_later() -> None:
    async def story(mesh: Mesh) -> None:
        servent, (one, other, leaf) = await around(
            mesh, ULTRAPEER, ULTRAPEER, LEAF, wish=Wish.ULTRAPEER
        )
        guid = one.ask("blue", ttl=1)
        await asyncio.sleep(1)
        assert not other.heard(Kind.QUERY)
        one.ask("blue", ttl=3, guid=guid)
        one.ask("blue", ttl=2, guid=guid)
        await asyncio.sleep(1)
        assert [head.ttl for head in other.heard(Kind.QUERY)] == [2]
        assert len(leaf.heard(Kind.QUERY)) == len(servent.queries) == 1

    play(story)


def test_an_ultrapeer_that_tells_all_its_table_whenever_a_leaf_comes_stays() -> None:
    """GnutellaBun: a RESET and patches each time, not only once a minute."""

    async def story(mesh: Mesh) -> None:
        servent, (other,) = await around(mesh, ULTRAPEER, wish=Wish.ULTRAPEER)
        (link,) = servent.router.links
        table = QueryTable(1 << 17)
        for number in range(30):
            table.add_word(f"word{number}")
            for message in patches(None, table):
                other.say(Kind.ROUTES, message.encode())
            await asyncio.sleep(0.1)
        assert not link.over
        assert servent.interests.wants(link, Words(("word29",), ()))
        assert servent.interests.wants(link, Words(("word30",), ())) is False

    play(story)


@pytest.mark.parametrize(
    "payloads",
    [
        [b""] * 20,
        [Reset(12345, 7).encode()],
        [Reset(1 << 16, 7).encode(), b"\x01\x02\x03\x01\x04junk"],
        [Reset(1 << 16, 7).encode(), b"\x01\x01\x01\x01\x04no zlib stream"],
    ],
)
def test_who_lies_about_tables_goes(payloads: list[bytes]) -> None:
    async def story(mesh: Mesh) -> None:
        servent, (leaf,) = await around(mesh, LEAF, wish=Wish.ULTRAPEER)
        for payload in payloads:
            leaf.say(Kind.ROUTES, payload)
        await asyncio.sleep(2)
        assert not servent.router.links
        assert leaf.link.told is not None
        assert leaf.link.told.code in (400, 413)

    play(story)


# Questions of leaves


def test_a_leaf_that_has_enough_is_obeyed() -> None:
    async def story(mesh: Mesh) -> None:
        _, (leaf, *others) = await around(mesh, LEAF, *[ULTRAPEER] * 8, wish=Wish.ULTRAPEER)
        payload = Query("nothing of ours", flags=QueryFlags.LEAF_GUIDED).encode()
        guid = leaf.say(Kind.QUERY, payload, ttl=1)
        await asyncio.sleep(1)
        asked = [other for other in others if other.heard(Kind.QUERY)]
        assert len(asked) == 3
        assert all(head.hops == 1 for other in asked for head in other.heard(Kind.QUERY))
        asked[0].hit(guid)
        await asyncio.sleep(10)
        requests = [
            head
            for head in leaf.heard(Kind.VENDOR)
            if read_vendor(head.payload) == QueryStatusRequest()
        ]
        assert [head.guid for head in requests] == [guid]
        leaf.say(Kind.VENDOR, QueryStatusResponse(STOP_QUERY).encode(), guid=guid)
        await asyncio.sleep(1)
        before = mesh.sent(Kind.QUERY)
        await asyncio.sleep(60)
        assert mesh.sent(Kind.QUERY) == before

    play(story)


def test_nobody_else_says_how_many_a_leaf_has() -> None:
    async def story(mesh: Mesh) -> None:
        _, (leaf, *others) = await around(mesh, LEAF, *[ULTRAPEER] * 8, wish=Wish.ULTRAPEER)
        payload = Query("nothing of ours", flags=QueryFlags.LEAF_GUIDED).encode()
        guid = leaf.say(Kind.QUERY, payload, ttl=1)
        await asyncio.sleep(1)
        others[0].say(Kind.VENDOR, QueryStatusResponse(STOP_QUERY).encode(), guid=guid)
        await asyncio.sleep(100)
        assert all(other.heard(Kind.QUERY) for other in others)

    play(story)


def test_we_say_how_many_we_have() -> None:
    """As a leaf: of a question that is ours and open, the hits; of any other, that we want no more."""

    async def story(mesh: Mesh) -> None:
        servent = mesh.servent()
        await servent.open(Wish.LEAF, goal=0)
        top = await mesh.stranger().dial(servent, ULTRAPEER)
        guid = servent.ask("green cheese")
        await asyncio.sleep(1)
        (head,) = top.heard(Kind.QUERY)
        assert Query.read(head.payload).flags & QueryFlags.LEAF_GUIDED
        top.hit(guid, hops=2)
        await asyncio.sleep(1)
        for asked in (guid, bytes(16)):
            top.say(Kind.VENDOR, QueryStatusRequest().encode(), guid=asked)
        await asyncio.sleep(1)
        said = [read_vendor(head.payload) for head in top.heard(Kind.VENDOR)]
        assert said[1:] == [QueryStatusResponse(1), QueryStatusResponse(STOP_QUERY)]
        servent.router.stop(guid)
        top.hit(guid, hops=2)
        await asyncio.sleep(1)
        assert len(servent.hits) == 2  # who is late is still heard

    play(story)


def test_a_leaf_has_so_many_questions_at_a_time() -> None:
    async def story(mesh: Mesh) -> None:
        servent, (leaf, _) = await around(mesh, LEAF, ULTRAPEER, wish=Wish.ULTRAPEER)
        for number in range(25):
            leaf.ask(f"question number{number}")
        leaf.ask("from afar", hops=1)
        await asyncio.sleep(1)
        assert len(servent.router._questions._questions) == 10
        leaf.link.close()
        await asyncio.sleep(1)
        assert not servent.router._questions._questions

    play(story)


@pytest.mark.parametrize(("host", "kept"), [("10.0.0.2", True), ("10.0.0.99", False)])
def test_a_leaf_has_hits_by_udp_at_its_own_address_only(host: str, kept: bool) -> None:
    """Otherwise all who have something would write to whomever it names."""

    async def story(mesh: Mesh) -> None:
        _, (leaf, other) = await around(mesh, LEAF, ULTRAPEER, wish=Wish.ULTRAPEER)
        assert leaf.host.name == "10.0.0.2"
        guid = oob_guid(Address(host, PORT), Random(1))
        wish = Query("cheese", ggep={"SO": b""}, flags=QueryFlags.OOB | QueryFlags.LEAF_GUIDED)
        leaf.say(Kind.QUERY, wish.encode(), guid=guid)
        await asyncio.sleep(1)
        (heard,) = other.heard(Kind.QUERY)
        flags = QueryFlags.LEAF_GUIDED | (QueryFlags.OOB if kept else QueryFlags.NONE)
        assert Query.read(heard.payload) == Query("cheese", ggep={"SO": b""}, flags=flags)

    play(story)


def test_results_that_come_another_way_end_a_question_too() -> None:
    async def story(mesh: Mesh) -> None:
        servent, others = await around(mesh, *[ULTRAPEER] * 12, wish=Wish.ULTRAPEER)
        guid = new_guid(Random(1))
        question = servent.router.ask(Query("cheese"), guid, 10)
        await asyncio.sleep(1)
        asked = sum(len(other.heard(Kind.QUERY)) for other in others)
        assert 0 < asked < 12
        servent.router.counts(guid, 10)
        await asyncio.sleep(60)
        assert sum(len(other.heard(Kind.QUERY)) for other in others) == asked
        assert question.done

    play(story)


def test_a_leaf_carries_nothing() -> None:
    async def story(mesh: Mesh) -> None:
        servent = mesh.servent("blue moon.ogg")
        await servent.open(Wish.LEAF)
        one = await mesh.stranger().dial(servent, ULTRAPEER)
        other = await mesh.stranger().dial(servent, ULTRAPEER)
        one.ask("blue")
        one.say(Kind.PUSH, Push(bytes(16), 0, Address("10.9.9.9", 1)).encode())
        await asyncio.sleep(1)
        assert len(servent.queries) == len(one.heard(Kind.HIT)) == 1
        assert not other.heard(Kind.QUERY)
        assert not other.heard(Kind.PUSH)
        other.hit(one.ask("green"))
        there = Pong(Address("10.7.7.7", 1234), 3, 4)
        other.say(Kind.PONG, there.encode(), hops=1)
        await asyncio.sleep(1)
        one.say(Kind.PING, b"", ttl=7)
        await asyncio.sleep(1)
        (pong,) = one.heard(Kind.PONG)
        assert Pong.read(pong.payload).address == servent.address
        assert len(one.heard(Kind.HIT)) == 1
        assert {head.hops for head in [*one.heads, *other.heads]} == {0}

    play(story)


# Whatever else


@pytest.mark.parametrize(("size", "heard"), [(1024, 1), (1025, 0)])
def test_a_query_may_be_so_large(size: int, heard: int) -> None:
    async def story(mesh: Mesh) -> None:
        _, (one, other) = await around(mesh, PEER, PEER)
        payload = Query("blue").encode()
        one.say(Kind.QUERY, payload + b"?" * (size - len(payload)))
        await asyncio.sleep(1)
        assert len(other.heard(Kind.QUERY)) == len(one.heard(Kind.HIT)) == heard

    play(story)


def test_vendor_messages_are_told_of_at_once_and_handed_on() -> None:
    async def story(mesh: Mesh) -> None:
        servent, (one,) = await around(mesh, PEER)
        await asyncio.sleep(0.5)
        (head,) = one.heard(Kind.VENDOR)
        assert isinstance(read_vendor(head.payload), MessagesSupported)
        strange = Vendor(b"ABCD", 7, 1, b"data")
        one.say(Kind.VENDOR, strange.encode())
        one.say(Kind.STANDARD_VENDOR, strange.encode())
        one.say(0x10, b"ibcm")
        one.say(0x99, b"later")
        await asyncio.sleep(1)
        assert servent.vendors == [strange, strange]
        assert servent.router.dropped == {"unknown": 2}
        assert servent.router.links

    play(story)


def test_who_reads_slowly_is_not_asked_for_more() -> None:
    """In flow control its own queries are dropped: it could not take the hits."""

    async def story(mesh: Mesh) -> None:
        servent, (slow, other) = await around(mesh, PEER, PEER)
        slow.link._stream.pause()
        for _ in range(300):
            other.say(Kind.QUERY, Query("x" * 200).encode())
        await asyncio.sleep(1)
        link = next(link for link in servent.router.links if link.remote.host == slow.host.name)
        assert link.outbox.in_flow_control
        slow.ask("blue")
        await asyncio.sleep(1)
        assert servent.router.dropped["flow control"] == 1
        assert link.outbox.size <= 64 << 10
        slow.link._stream.resume()
        await asyncio.sleep(1)
        slow.ask("blue moon")
        await asyncio.sleep(1)
        assert slow.heard(Kind.HIT)

    play(story)


def test_a_flood_of_one_does_not_silence_the_others() -> None:
    async def story(mesh: Mesh) -> None:
        servent, (flooder, other) = await around(mesh, PEER, PEER)
        for _ in range(20):
            for _ in range(500):
                flooder.ask("blue")
            await asyncio.sleep(0.1)
        other.ask("blue moon")
        await asyncio.sleep(1)
        assert other.heard(Kind.HIT)
        assert len(servent.queries) < 800
        assert len(other.heard(Kind.QUERY)) < 800
        for _ in range(40):
            for _ in range(500):
                flooder.ask("blue")
            await asyncio.sleep(0.1)
        assert flooder.link.told is not None
        assert flooder.link.told.code == 400

    play(story)


# By UDP


class Visitor:
    """Somebody who asks by UDP."""

    def __init__(self) -> None:
        self.heads: list[Descriptor] = []

    def tell(self, message: Descriptor) -> bool:
        self.heads.append(message)
        return True


def test_a_visitor_asks_us_and_our_leaves_and_nobody_else() -> None:
    async def story(mesh: Mesh) -> None:
        servent, (leaf, other) = await around(mesh, LEAF, ULTRAPEER, wish=Wish.ULTRAPEER)
        visitor, query = Visitor(), Query("green cheese")
        head = Descriptor(bytes(range(16)), Kind.QUERY, 3, 0, query.encode())
        assert servent.router.visit(head, query, visitor)
        assert not servent.router.visit(head, query, visitor)
        await asyncio.sleep(1)
        assert [(each.ttl, each.hops) for each in leaf.heard(Kind.QUERY)] == [(1, 1)]
        assert not other.heard(Kind.QUERY)
        leaf.hit(head.guid)
        await asyncio.sleep(1)
        result = Result(1, 1000, "green cheese.txt")
        ours = QueryHit(servent.address, 1000, (result,), servent.guid)
        assert servent.router.answer(head, ours)
        assert [(each.kind, each.hops) for each in visitor.heads] == [(Kind.HIT, 1), (Kind.HIT, 0)]
        assert servent.router.leaf_of(leaf.guid) is not None
        assert servent.router.leaf_of(servent.guid) is None

    play(story)


def test_many_visitors_flush_only_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Visitors, "MOST", 100)

    async def story(mesh: Mesh) -> None:
        servent, (peer,) = await around(mesh, ULTRAPEER, wish=Wish.ULTRAPEER)
        asked = [peer.ask("green cheese") for _ in range(10)]
        await asyncio.sleep(1)
        visitor, query = Visitor(), Query("green cheese")
        heads = [
            Descriptor(n.to_bytes(16, "big"), Kind.QUERY, 1, 0, query.encode())
            for n in range(MOST_SEEN + 1000)
        ]
        assert all(servent.router.visit(head, query, visitor) for head in heads)
        (link,) = servent.router.links
        assert [servent.router._routes.back(guid, Kind.QUERY) for guid in asked] == [link] * 10
        result = Result(1, 1000, "green cheese.txt")
        ours = QueryHit(servent.address, 1000, (result,), servent.guid)
        assert not servent.router.answer(heads[-101], ours)
        assert servent.router.answer(heads[-100], ours)

    play(story)
