"""Meetings over the relays of real super nodes, on virtual time: nothing is a stand-in but the door."""

import asyncio
from random import Random

import pytest

from p2pswarm.lab.nats import Kind
from p2pswarm.overlay.people.quotas import Terms
from p2pswarm.reach.offers import RelayAt
from p2pswarm.reach.reach import Reach
from p2pswarm.reach.relayed import Credential, Relays
from tests.reach.worlds import User, World, in_a_world, talk
from tests.support.relaying import SuperNode

KINDS = [Kind.PORT, Kind.SYMMETRIC, Kind.BLOCKED]


class Street(World):
    """A world whose super nodes relay themselves."""

    def __init__(self, *words: object) -> None:
        super().__init__(*words)  # type: ignore[arg-type]
        self.supers: list[SuperNode] = []

    async def super_node(self, number: int) -> None:
        made = SuperNode(self.loop.host(f"40.0.{number}.1"), 40 + number, Terms())
        self.supers.append(made)
        at = made.at.address
        reach = Reach(
            made.port,
            Random(number),
            node=made.at.node,
            super_nodes=lambda: [each for each in self.super_nodes if each != at],
            serves=lambda: True,
        )
        await made.port.open()
        await reach.open()
        self.super_nodes.append(at)
        self.reaches.append(reach)
        self.ports.append(made.port)

    def relay(self, number: int) -> RelayAt:
        return self.supers[number].at

    async def kill(self, relay: RelayAt) -> None:
        """Its connections break, and its port is nobody's."""
        [made] = [each for each in self.supers if each.at == relay]
        made.relay.close()
        await made.port.close()
        for transport in list(self.loop.transports):
            if transport.host is made.host:
                transport.abort()

    async def user(self, number: int, kind: Kind | None, address: str = "") -> User:
        user = await super().user(number, kind, address)
        who = Credential(user.key.public, user.key.sign)
        relays = Relays(user.port, bytes([number] * 16), lambda: who)
        relays.open()
        user.reach.relaying = relays
        return user

    async def close(self) -> None:
        await super().close()
        for each in self.supers:
            each.relay.close()


@pytest.mark.parametrize("callee", KINDS)
@pytest.mark.parametrize("caller", KINDS)
def test_what_cannot_be_direct_is_relayed(caller: Kind, callee: Kind) -> None:
    async def story(world: World) -> None:
        a, b = await world.user(1, caller), await world.user(2, callee)
        meetings = await world.meet(a, b)
        await talk(world, meetings)
        await asyncio.sleep(3.0)
        relayed = Kind.SYMMETRIC in (caller, callee)
        for each in meetings:
            assert each.path is not None
            assert each.path.direct is not relayed
            assert each.path.udp is (Kind.BLOCKED not in (caller, callee))

    in_a_world(story, of=Street)


def test_a_relay_that_is_killed_is_followed_by_the_other() -> None:
    async def story(world: World) -> None:
        assert isinstance(world, Street)
        a, b = await world.user(1, Kind.SYMMETRIC), await world.user(2, Kind.SYMMETRIC)
        meetings = await world.meet(a, b)
        talks = await talk(world, meetings)
        await asyncio.sleep(3.0)
        path = meetings[0].path
        assert path is not None
        assert path.relay is not None
        dead = path.relay
        await world.kill(dead)

        def moved() -> bool:
            paths = [each.path for each in meetings]
            return all(p is not None and p.relay not in (None, dead) for p in paths)

        assert await world.until(moved, 5.0) < 5.0
        used = meetings[0].streams.used
        assert used is not None
        assert all(each.over for each in talks) is (used.relay == dead)
        await talk(world, meetings)

    in_a_world(story, of=Street)
