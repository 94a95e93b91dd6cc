"""Where a node may be reached, asked from super nodes on virtual time."""

import asyncio

import pytest

from p2pswarm.formats.ids import Address
from p2pswarm.lab.nats import Kind
from p2pswarm.reach.nat import Findings
from p2pswarm.reach.offers import CandidateKind, Nat
from tests.reach.worlds import World, in_a_world

HOST, REFLEXIVE = CandidateKind.HOST, CandidateKind.REFLEXIVE


@pytest.mark.parametrize(
    ("kind", "nat"),
    [
        (None, Nat.NONE),
        (Kind.FULL, Nat.FULL_CONE),
        (Kind.ADDRESS, Nat.ADDRESS),
        (Kind.PORT, Nat.PORT),
        (Kind.SYMMETRIC, Nat.SYMMETRIC),
        (Kind.BLOCKED, Nat.BLOCKED),
    ],
)
def test_the_kind_of_nat_is_found(kind: Kind | None, nat: Nat) -> None:
    async def story(world: World) -> None:
        user = await world.user(1, kind)
        for _ in range(2):  # the second time what is filtered is known
            begun = world.loop.time()
            found = await user.reach.gather()
            assert world.loop.time() - begun <= 2.01
            assert found.nat is nat
            await asyncio.sleep(6.0)

    in_a_world(story)


def test_who_is_behind_a_nat_knows_where_others_see_him() -> None:
    async def story(world: World) -> None:
        user = await world.user(1, Kind.PORT)
        found = await user.reach.gather()
        assert user.router is not None
        inside, outside = user.host.name, user.router.public
        assert [(kind, a.host) for kind, a in found.udp] == [(HOST, inside), (REFLEXIVE, outside)]
        assert [(kind, a.host) for kind, a in found.tcp] == [
            (HOST, inside),
            (REFLEXIVE, outside),
            (HOST, outside),
        ]
        # The numbers are those that the router gave to our port, and to the one we dial from.
        udp = user.router.enters("udp", found.udp[1].address.port, tuple(world.super_nodes[0]))
        assert udp == (inside, 46881)
        tcp = user.router.enters("tcp", found.tcp[1].address.port, tuple(world.super_nodes[0]))
        assert tcp == (inside, user.reach.number)

    in_a_world(story)


def test_one_visit_stays_open_and_ends_with_the_rest() -> None:
    async def story(world: World) -> None:
        user = await world.user(1, Kind.PORT)
        numbers = set[int]()
        for _ in range(3):
            await asyncio.gather(*(user.reach.gather() for _ in range(3)))
            numbers.add(user.reach.number)
            await asyncio.sleep(6.0)
        assert len(numbers) == 1
        visits = [t for t in world.loop.transports if t.host is user.host and not t.is_closing()]
        assert len(visits) == 1
        visits[0].other.abort()  # a super node is tired of us: the next visit has another number
        await asyncio.sleep(6.0)
        found = await user.reach.gather()
        assert user.router is not None
        seen = user.router.enters("tcp", found.tcp[1].address.port, tuple(world.super_nodes[0]))
        assert seen == (user.host.name, user.reach.number)
        assert user.reach.number not in numbers
        await user.reach.close()
        open_ = [t for t in world.loop.transports if t.host is user.host and not t.is_closing()]
        assert open_ == []

    in_a_world(story)


def test_who_stands_in_the_open_names_only_himself() -> None:
    async def story(world: World) -> None:
        user = await world.user(1, None)
        found = await user.reach.gather()
        here = Address(user.host.name, 46881)
        assert found.udp == found.tcp == ((HOST, here),)

    in_a_world(story)


def test_without_super_nodes_there_is_what_we_know_ourselves() -> None:
    async def story(world: World) -> None:
        user = await world.user(1, Kind.PORT)
        found = await user.reach.gather()
        assert [address.host for _, address in found.udp] == [user.host.name]
        assert found.nat is Nat.UNKNOWN

    in_a_world(story, super_nodes=0)


def test_dead_super_nodes_cost_two_seconds_and_no_more() -> None:
    async def story(world: World) -> None:
        user = await world.user(1, Kind.PORT)
        for each in world.super_nodes:
            world.loop.hosts[each.host].online = False
        begun = world.loop.time()
        await user.reach.gather()
        assert world.loop.time() - begun <= 2.01

    in_a_world(story)


def test_an_ordinary_node_tells_nobody_where_it_sees_him() -> None:
    async def story(world: World) -> None:
        user, other = await world.user(1, None), await world.user(2, None)
        world.super_nodes[:] = [other.port_address]
        assert (await user.reach.gather()).nat is Nat.BLOCKED

    in_a_world(story)


def test_an_answer_of_another_family_decides_nothing() -> None:
    seen = [Address("9.9.9.9", 5), Address("2001:db8::1", 46881)]
    assert Findings(2, seen).nat(["2001:db8::1"]) is Nat.UNKNOWN
    assert Findings(1, seen[1:]).nat(["2001:db8::1"]) is Nat.NONE
