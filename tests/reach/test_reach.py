"""Two users meet on virtual time, behind every kind of NAT."""

import asyncio

import pytest

from p2pswarm.lab.nats import Kind
from p2pswarm.reach.offers import Nat
from tests.reach.worlds import World, in_a_world, talk

KINDS = [None, Kind.FULL, Kind.ADDRESS, Kind.PORT, Kind.SYMMETRIC, Kind.BLOCKED]
RELAYED_UDP = {
    (Kind.PORT, Kind.SYMMETRIC),
    (Kind.SYMMETRIC, Kind.PORT),
    (Kind.SYMMETRIC, Kind.SYMMETRIC),
}
NATS = dict(
    zip(
        KINDS,
        [Nat.NONE, Nat.FULL_CONE, Nat.ADDRESS, Nat.PORT, Nat.SYMMETRIC, Nat.BLOCKED],
        strict=True,
    )
)


def is_direct(kinds: tuple[Kind | None, Kind | None]) -> bool:
    if Kind.BLOCKED in kinds:
        return Kind.SYMMETRIC not in kinds
    return kinds not in RELAYED_UDP


@pytest.mark.sim
@pytest.mark.parametrize("callee", KINDS)
@pytest.mark.parametrize("caller", KINDS)
def test_the_matrix(caller: Kind | None, callee: Kind | None) -> None:
    async def story(world: World) -> None:
        a, b = await world.user(1, caller), await world.user(2, callee)
        meetings = await world.meet(a, b)
        await talk(world, meetings)
        direct = is_direct((caller, callee))
        blocked = Kind.BLOCKED in (caller, callee)

        def settled() -> bool:
            paths = [meeting.path for meeting in meetings]
            return all(path is not None and path.direct is direct for path in paths)

        await world.until(settled, 10.0)
        await asyncio.sleep(5.0)
        assert settled()
        paths = [meeting.path for meeting in meetings]
        for path in paths:
            assert path is not None
            assert path.udp is not blocked
            assert path.rtt is not None
            assert path.rtt < 0.3
        path = meetings[0].path
        assert path is not None
        assert (path.ours, path.theirs) == (NATS[caller], NATS[callee])
        if not blocked:
            heard: list[bytes] = []
            sends, hears = (meeting.datagrams for meeting in meetings)
            assert sends is not None
            assert hears is not None
            hears.on_datagram = heard.append
            sends.send(b"P2PM" + bytes(60))
            await asyncio.sleep(0.5)
            assert len(heard) == 1

    in_a_world(story)
