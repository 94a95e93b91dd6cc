"""What becomes of a meeting: better paths, dead relays, refusals, and its end."""

import asyncio

import pytest

from p2pswarm.errors import LocalProtocolError, NetworkError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone, zone_of
from p2pswarm.lab.nats import Kind
from p2pswarm.net.udp import Endpoint
from p2pswarm.reach import meeting as room, stun
from p2pswarm.reach.meeting import Meeting
from p2pswarm.reach.offers import (
    Candidate,
    CandidateKind,
    Candidates,
    Offer,
    RelayAt,
    new_session,
)
from p2pswarm.wire.sniff import DatagramGuest
from tests.reach.worlds import Lines, Talk, User, World, in_a_world, talk

PORT, SYMMETRIC, BLOCKED = Kind.PORT, Kind.SYMMETRIC, Kind.BLOCKED


async def pair(
    world: World, caller: Kind | None, callee: Kind | None, relays: int = 2
) -> tuple[tuple[User, User], tuple[Meeting, Meeting]]:
    a, b = await world.user(1, caller), await world.user(2, callee)
    return (a, b), await world.meet(a, b, relays)


def paths(meetings: tuple[Meeting, Meeting]) -> list[bool | None]:
    """For each: whether it is direct; None without one."""
    return [None if m.path is None else m.path.direct for m in meetings]


def test_without_a_relay_nothing_leads_through_two_symmetric_nats(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "STREAM_TIME", 20.0)

    async def story(world: World) -> None:
        _, meetings = await pair(world, SYMMETRIC, SYMMETRIC, relays=0)
        with pytest.raises(NetworkError):
            await meetings[0].stream(Lines(), Talk())
        assert paths(meetings) == [None, None]
        assert meetings[0].datagrams is None

    in_a_world(story)


def test_a_relay_is_used_at_once_and_left_when_a_direct_way_is_found() -> None:
    async def story(world: World) -> None:
        a, b = await world.user(1, PORT), await world.user(2, PORT)
        for user in (a, b):
            assert user.router is not None
            user.router.lets_in = lambda protocol, source: source[0].startswith("40.")
        meetings = await world.meet(a, b)
        told = [0, 0]

        def count(side: int) -> None:
            told[side] += 1

        for n, each in enumerate(meetings):
            each.changed = lambda n=n: count(n)  # type: ignore[misc]
        begun = world.loop.time()
        await talk(world, meetings)
        assert world.loop.time() - begun < 1.0
        assert paths(meetings) == [False, False]
        assert meetings[0].streams.used is not None
        assert meetings[0].streams.used.relay is not None
        for user in (a, b):
            assert user.router is not None
            user.router.lets_in = lambda protocol, source: True
        await world.until(lambda: paths(meetings) == [True, True], 10.0)
        await asyncio.sleep(5.0)
        assert max(told) >= 1  # of who leads; the other hears of it when it is chosen
        await talk(world, meetings)  # as whoever is told does
        for each in meetings:
            assert each.streams.direct
        relayed = world.relays.bytes
        sends = meetings[0].datagrams
        assert sends is not None
        sends.send(bytes(10_000))
        assert world.relays.bytes - relayed < 10_000

    in_a_world(story)


@pytest.mark.parametrize("how", ["killed", "silent"])
def test_a_relay_dies_and_within_five_seconds_another_one_carries(how: str) -> None:
    async def story(world: World) -> None:
        _, meetings = await pair(world, SYMMETRIC, SYMMETRIC)
        await talk(world, meetings)
        await world.until(lambda: paths(meetings) == [False, False])
        await asyncio.sleep(3.0)
        path, heard = meetings[0].path, list[bytes]()
        assert path is not None
        assert path.relay is not None
        dead = path.relay.address.host
        if how == "killed":
            world.relays.kill(dead)
        else:
            world.relays.silent.add(dead)

        def speak() -> bool:
            sends, hears = (each.datagrams for each in meetings)
            if sends is not None and hears is not None:
                hears.on_datagram = heard.append
                sends.send(b"P2PM" + bytes(40))
            return bool(heard)

        heard.clear()
        assert await world.until(speak, 5.0) < 5.0
        await asyncio.sleep(1.0)
        for each in meetings:
            assert each.path is not None
            assert each.path.relay is not None
            assert each.path.relay.address.host != dead
        begun = world.loop.time()
        await talk(world, meetings)  # a stream, too, by the relay that is known to work
        assert world.loop.time() - begun < 1.0

    in_a_world(story)


def test_a_direct_way_that_is_lost_is_followed_by_a_relay_within_five_seconds() -> None:
    async def story(world: World) -> None:
        (a, _), meetings = await pair(world, PORT, PORT)
        await talk(world, meetings)
        await world.until(lambda: paths(meetings) == [True, True])
        await asyncio.sleep(3.0)
        told = list[Meeting]()
        for each in meetings:
            each.changed = lambda each=each: told.append(each)  # type: ignore[misc]
        assert a.router is not None
        a.router.lets_in = lambda protocol, source: False
        assert await world.until(lambda: paths(meetings) == [False, False], 5.0) < 5.0
        assert set(told) == set(meetings)
        await talk(world, meetings)

    in_a_world(story)


def test_where_udp_is_blocked_a_dead_relay_is_followed_by_another() -> None:
    async def story(world: World) -> None:
        _, meetings = await pair(world, BLOCKED, SYMMETRIC)
        talks = await talk(world, meetings)
        path = meetings[0].path
        assert path is not None
        assert path.relay is not None
        world.relays.kill(path.relay.address.host)
        await world.until(lambda: all(each.over for each in talks), 5.0)
        begun = world.loop.time()
        await talk(world, meetings)
        assert world.loop.time() - begun < 5.0

    in_a_world(story)


def test_several_streams_are_paired_one_by_one() -> None:
    async def story(world: World) -> None:
        _, meetings = await pair(world, None, PORT)
        for _ in range(3):
            await talk(world, meetings)

    in_a_world(story)


def test_a_router_that_forgets_is_no_end() -> None:
    async def story(world: World) -> None:
        (a, _), meetings = await pair(world, PORT, None, relays=0)
        await talk(world, meetings)
        await world.until(lambda: paths(meetings) == [True, True])
        assert a.router is not None
        a.router.forget()
        await asyncio.sleep(8.0)
        assert paths(meetings) == [True, True]

    in_a_world(story)


def test_nothing_goes_on_after_the_end() -> None:
    async def story(world: World) -> None:
        users, meetings = await pair(world, PORT, SYMMETRIC)
        waiting = asyncio.ensure_future(meetings[0].stream(Lines(), Talk()))
        await asyncio.sleep(0)
        for each in meetings:
            each.close()
            each.close()
        with pytest.raises(NetworkError):
            await waiting
        await asyncio.sleep(1.0)
        sent = [user.host.sent for user in users]
        await asyncio.sleep(30.0)
        assert [user.host.sent for user in users] == sent
        assert all(channel.other is None for channel in world.relays.channels)

    in_a_world(story)


def test_an_answer_belongs_to_its_offer() -> None:
    async def story(world: World) -> None:
        a, b = await world.user(1, None), await world.user(2, None)
        relays: list[RelayAt] = []
        ours, theirs = (
            await a.offer(b, new_session(), relays),
            await b.offer(a, new_session(), relays),
        )
        with pytest.raises(LocalProtocolError):
            a.reach.begin(ours, theirs)

    in_a_world(story)


def test_who_dials_without_the_secret_is_sent_away() -> None:
    async def story(world: World) -> None:
        (_, b), meetings = await pair(world, None, None)
        stranger = await world.user(3, None)
        over = Talk()
        forged = meetings[1].streams.says  # what b says to a, said to b
        stream = await stranger.port.dial(b.port_address, Lines(), over)
        stream.send(forged.encode())
        await world.until(lambda: over.over, 5.0)
        assert over.heard == b""
        await talk(world, meetings)

    in_a_world(story)


def test_a_stranger_is_not_heard_and_hears_nothing() -> None:
    async def story(world: World) -> None:
        (a, b), meetings = await pair(world, None, None)
        stranger = await world.user(3, None)
        await talk(world, meetings)
        await world.until(lambda: all(each.datagrams for each in meetings))
        heard, answers = list[bytes](), list[bytes]()
        hears = meetings[1].datagrams
        assert hears is not None
        hears.on_datagram = heard.append
        media = b"P2PM" + bytes(12) + b"M" + bytes(40)
        check = stun.check(bytes(12), (meetings[1].ufrag, meetings[0].ufrag), "x" * 24)
        for kind in (DatagramGuest.STUN, DatagramGuest.MEDIA):
            stranger.port.route_datagrams(kind, lambda data, source: answers.append(data))
        for data in (media, check, stun.ask(bytes(12)), stun.check(bytes(12), ("no", "body"), "")):
            stranger.port.send_datagram(data, b.port_address)
        await asyncio.sleep(1.0)
        assert heard == []
        assert answers == []
        a.port.send_datagram(media, b.port_address)
        await asyncio.sleep(1.0)
        assert heard == [media]

    in_a_world(story)


def test_by_ipv6_as_well() -> None:
    async def story(world: World) -> None:
        users = [await world.user(n, None, f"2001:db8:{n}::1") for n in (1, 2)]
        meetings = await world.meet(*users)
        await talk(world, meetings)
        await world.until(lambda: paths(meetings) == [True, True])
        assert meetings[0].datagrams is not None

    in_a_world(story)


def test_calls_again_and_again_do_not_send_us_to_a_victim_again_and_again() -> None:
    async def story(world: World) -> None:
        a, b = await world.user(1, None), await world.user(2, None)
        victim = Address(world.loop.host("20.9.9.1").name, 46881)
        knocks: list[object] = []
        world.loop.listeners[tuple(victim)] = lambda: knocks.append("tcp")  # type: ignore[assignment,func-returns-value]
        endpoint = Endpoint(lambda data, source: knocks.append(data))
        await world.loop.create_datagram_endpoint(lambda: endpoint, local_addr=tuple(victim))
        came, asked = list[int](), set[int]()
        world.relays.asked = lambda relay: asked.add(len(came))
        for _ in range(5):
            session = new_session()
            ours = await a.offer(b, session, [])
            named = Candidates(*((Candidate(CandidateKind.HOST, victim),),) * 2)
            relay = RelayAt(bytes(16), victim)
            theirs = Offer.new(
                b.key, b"", a.key.public, named, [relay], session=session, now=1_800_000_000
            )
            meeting, before = a.reach.begin(ours, theirs), len(knocks)
            await asyncio.sleep(10.0)
            came.append(len(knocks) - before)
            meeting.close()
        assert [count > 0 for count in came] == [True, True, True, False, False]
        assert len(asked) == 3
        assert "tcp" in knocks
        for _ in range(5):  # who is there is reached each time
            meetings = await world.meet(a, b)
            await talk(world, meetings)
            await world.until(lambda pair=meetings: paths(pair) == [True, True])
            for meeting in meetings:
                meeting.close()
        await endpoint.close()

    in_a_world(story)


def test_nobody_makes_us_knock_at_our_neighbours() -> None:
    async def story(world: World) -> None:
        a, b = await world.user(1, None), await world.user(2, None)
        for user in (a, b):  # as seen from each other they are on the Internet
            assert zone_of(user.host.name) is Zone.INTERNET
        victim = Address(world.loop.host("10.99.0.1").name, 46881)
        knocks: list[object] = []
        world.loop.listeners[tuple(victim)] = lambda: knocks.append("tcp")  # type: ignore[assignment,func-returns-value]
        endpoint = Endpoint(lambda data, source: knocks.append(data))
        await world.loop.create_datagram_endpoint(lambda: endpoint, local_addr=tuple(victim))
        session, named = new_session(), Candidate(CandidateKind.HOST, victim)
        seen = Candidate(CandidateKind.REFLEXIVE, victim)
        ours = await a.offer(b, session, [])
        true = (await b.offer(a, session, [])).candidates
        relay = RelayAt(bytes(16), victim)
        forged = Candidates((named, *true.udp), (named, seen, *true.tcp), true.nat)
        theirs = Offer.new(
            b.key, b"", a.key.public, forged, [relay], session=session, now=1_800_000_000
        )
        asked = list[RelayAt]()
        world.relays.asked = asked.append
        meeting = a.reach.begin(ours, theirs)
        await asyncio.sleep(60.0)
        assert knocks == []
        assert asked == []
        meeting.close()
        await endpoint.close()

    in_a_world(story)
