"""Neighbours that would have others dial somebody, or work for nothing."""

import asyncio
import zlib

import pytest

from p2pswarm.formats.ids import Address
from p2pswarm.overlay.gnutella.links.agreement import Role
from p2pswarm.overlay.gnutella.place.slots import Wish
from p2pswarm.wire.gnutella.descriptor import Kind
from p2pswarm.wire.gnutella.push import Push
from p2pswarm.wire.gnutella.routes import Patch, Reset
from tests.support.gnutella import Mesh, Servent, Stranger, play

FAR, FARTHER = "81.51.100.1", "82.51.100.1"
NEAR = Address("10.0.0.99", 22)  # in the network of the servent and of some strangers
SERVENT = bytes(range(16))


async def among(mesh: Mesh, *hosts: str) -> tuple[Servent, list[Stranger]]:
    servent = mesh.servent()
    await servent.open(Wish.ULTRAPEER, goal=0)
    return servent, [await mesh.stranger(host).dial(servent, Role.ULTRAPEER) for host in hosts]


@pytest.mark.parametrize(
    ("asker", "address", "comes"),
    [
        ("", NEAR, False),
        ("", Address(FARTHER, 6346), True),
        (FARTHER, NEAR, True),  # who is far away himself knows better than to dial that
    ],
)
def test_nobody_far_away_aims_at_somebody_near(asker: str, address: Address, comes: bool) -> None:
    async def story(mesh: Mesh) -> None:
        servent, (far, other) = await among(mesh, FAR, asker)
        guid = other.ask("blue moon")
        await asyncio.sleep(1)
        far.hit(guid, address=address, hops=2)
        await asyncio.sleep(1)
        assert len(other.heard(Kind.HIT)) == comes
        assert servent.router.dropped["lies"] == (not comes)
        far.hit(guid, address=address, hops=2, push=True)  # nobody dials that
        await asyncio.sleep(1)
        assert len(other.heard(Kind.HIT)) == comes + 1

    play(story)


async def known(asker: Stranger, giver: Stranger) -> None:
    """The servent behind the giver has answered, so a push finds its way."""
    guid = asker.ask("blue moon")
    await asyncio.sleep(1)
    giver.hit(guid, hops=1, servent=SERVENT, push=True)
    await asyncio.sleep(1)


def test_a_leaf_pushes_for_itself_alone() -> None:
    async def story(mesh: Mesh) -> None:
        servent, (asker, giver) = await among(mesh, "", "")
        await known(asker, giver)
        leaf = await mesh.stranger().dial(servent, Role.LEAF)
        leaf.say(Kind.PUSH, Push(SERVENT, 1, Address("10.9.9.9", 80)).encode())
        await asyncio.sleep(1)
        assert not giver.heard(Kind.PUSH)
        assert servent.router.dropped["lies"] == 1
        for host in (leaf.host.name, FAR):  # as it is seen from here, and from outside
            leaf.say(Kind.PUSH, Push(SERVENT, 1, Address(host, 80)).encode())
        await asyncio.sleep(1)
        assert len(giver.heard(Kind.PUSH)) == 2

    play(story)


def test_a_push_from_far_away_aims_at_nobody_near() -> None:
    async def story(mesh: Mesh) -> None:
        servent, (far, giver) = await among(mesh, FAR, "")
        await known(far, giver)
        far.say(Kind.PUSH, Push(SERVENT, 1, NEAR).encode(), hops=1)
        await asyncio.sleep(1)
        assert not giver.heard(Kind.PUSH)
        assert servent.router.dropped["lies"] == 1

    play(story)


def test_a_storm_of_pushes_for_one_victim_is_thinned_out() -> None:
    async def story(mesh: Mesh) -> None:
        _, (liar, other, giver) = await among(mesh, "", "", "")
        await known(liar, giver)
        for _ in range(60):
            for stranger in (liar, other):
                for port in range(3):
                    push = Push(SERVENT, port, Address("10.9.9.9", 80 + port))
                    stranger.say(Kind.PUSH, push.encode(), hops=1)
            await asyncio.sleep(1)
        assert 0 < len(giver.heard(Kind.PUSH)) <= 60  # 50 at once, and one in six seconds
        other.say(Kind.PUSH, Push(SERVENT, 1, Address("10.9.9.8", 80)).encode(), hops=1)
        await asyncio.sleep(1)
        assert Push.read(giver.heard(Kind.PUSH)[-1].payload).address.host == "10.9.9.8"

    play(story)


def whole(size: int, bits: int) -> bytes:
    """A patch that says nothing about many slots, in one small message."""
    return Patch(1, 1, 1, bits, zlib.compress(bytes(size * bits // 8), 9)).encode()


@pytest.mark.parametrize(("size", "bits", "most"), [(1 << 21, 8, 2), (1 << 16, 4, 100)])
def test_tables_that_are_large_and_change_without_end(size: int, bits: int, most: int) -> None:
    """A patch of the largest table costs 64 times that of a usual one, and counts as much."""

    async def story(mesh: Mesh) -> None:
        servent = mesh.servent()
        await servent.open(Wish.ULTRAPEER, goal=0)
        leaf = await mesh.stranger().dial(servent, Role.LEAF)
        read: list[object] = []
        reader = next(iter(servent.interests._readers.values()))
        feed = reader.feed
        reader.feed = lambda message: (read.append(message), feed(message))[1]  # type: ignore[method-assign]
        leaf.say(Kind.ROUTES, Reset(size, 7).encode())
        patch = whole(size, bits)
        for _ in range(60):
            for _ in range(4):
                leaf.say(Kind.ROUTES, patch)
            await asyncio.sleep(1)
        assert 1 < len(read) <= most
        assert leaf.link.told is not None
        assert leaf.link.told.code == 413

    play(story)


def test_a_probe_that_goes_farther_costs_its_sender() -> None:
    """The same question with a larger TTL is spread again, within the budget of who asks."""

    async def story(mesh: Mesh) -> None:
        servent, (liar, other) = await among(mesh, "", "")
        granted: list[float] = []

        def grant(link: object, now: float, cost: float = 1.0) -> bool:
            granted.append(cost)
            return len(granted) < 3

        servent.router._spreading._budget.grant = grant  # type: ignore[method-assign]
        guid = liar.ask("blue moon", ttl=1)
        await asyncio.sleep(1)
        for ttl in (2, 3, 4):
            liar.ask("blue moon", ttl=ttl, guid=guid)
        await asyncio.sleep(1)
        assert granted == [3.0] * 4
        assert len(other.heard(Kind.QUERY)) == 1
        assert servent.router.dropped["budget"] == 2

    play(story)


def test_hits_on_their_way_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen thousand extensions of two bytes take longer to read than to send."""
    read: list[bytes] = []

    def never(payload: bytes) -> None:
        read.append(payload)

    async def story(mesh: Mesh) -> None:
        _, (one, other) = await among(mesh, "", "")
        guid = one.ask("blue moon")
        await asyncio.sleep(1)
        other.hit(guid)
        await asyncio.sleep(1)
        assert len(one.heard(Kind.HIT)) == 1

    monkeypatch.setattr(
        "p2pswarm.overlay.gnutella.routing.router.QueryHit.read", staticmethod(never)
    )
    play(story)
    assert not read
