"""Somebody walks into another network in the middle of a call: real meetings on virtual time, behind NATs."""

import asyncio

import pytest

from p2pswarm.calling.roaming import Roaming
from p2pswarm.errors import RemoteError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.signing import SigningKey
from p2pswarm.lab.loop import VirtualLoop, play
from p2pswarm.lab.nats import Kind
from p2pswarm.reach.offers import Candidate, CandidateKind, Candidates, Offer, new_session
from tests.calling.test_paths import Side, end, say
from tests.reach.worlds import User, World, in_a_world

PORT, SYMMETRIC, BLOCKED = Kind.PORT, Kind.SYMMETRIC, Kind.BLOCKED
NOW = 1_800_000_000


def roaming(side: Side, user: User, other: User, offers: tuple[Offer, Offer]) -> Roaming:
    def read(body: bytes) -> Offer:
        offer = Offer.parse(body)
        offer.check(other.key.public, user.key.public, NOW)
        return offer

    return Roaming(
        side.meeting,
        offers,
        lambda: user.reach.gather(anew=True),
        lambda offer, found: offer.renewed(user.key, found, NOW),
        read,
    )


async def called(world: World, users: list[User]) -> tuple[Side, Side]:
    """Both may walk about."""
    a, b = users
    session = new_session()
    asked = await a.offer(b, session, [world.relay(0)])
    answer = await b.offer(a, session, [world.relay(1)])
    theirs = Side(b.reach.begin(answer, asked), calls=False)
    ours = Side(a.reach.begin(asked, answer), calls=True)
    ours.call.roams(roaming(ours, a, b, (asked, answer)))
    theirs.call.roams(roaming(theirs, b, a, (answer, asked)))
    await asyncio.gather(*(side.call.open() for side in (ours, theirs)))
    return ours, theirs


def walk(world: World, user: User, kind: Kind, public: str) -> None:
    """Behind another router, with the same address of its own; what was open there hears nothing more."""
    for transport in list(world.loop.transports):
        if user.host in (transport.host, transport.other.host):
            transport.write = lambda data: None  # type: ignore[method-assign]
    assert user.router is not None
    user.router.forget()
    user.router = world.loop.behind(user.host, kind, public)


@pytest.mark.parametrize("staying", [PORT, BLOCKED])
@pytest.mark.parametrize("walking", [0, 1])
def test_who_walks_into_another_network_is_reached_directly_there(
    walking: int, staying: Kind
) -> None:
    async def story(world: World) -> None:
        kinds = [staying, staying]
        kinds[walking] = PORT
        users = [await world.user(number, kind) for number, kind in enumerate(kinds, 1)]
        sides = await called(world, users)
        await world.until(lambda: all(side.direct for side in sides), 20.0)
        walk(world, users[walking], PORT, "31.0.0.1")
        await say(world, sides, "hello again", 15.0)
        await world.until(lambda: all(side.direct for side in sides), 20.0)
        for side in sides:
            assert side.meeting.path is not None
            assert side.meeting.path.direct
        await say(world, sides, "directly", 2.0)
        await end(sides)

    in_a_world(story)


class Renewed:
    """A meeting that notes what it is told."""

    def __init__(self) -> None:
        self.offers: list[tuple[Offer, Offer]] = []

    def renew(self, ours: Offer, theirs: Offer) -> None:
        self.offers.append((ours, theirs))


US, THEM = SigningKey(bytes([1] * 32)), SigningKey(bytes([2] * 32))
HOME, AWAY = (
    Candidates((Candidate(CandidateKind.HOST, Address(host, 46881)),))
    for host in ("20.0.0.1", "20.0.0.2")
)


def offers() -> tuple[Offer, Offer]:
    session = new_session()
    ours = Offer.new(US, b"", THEM.public, HOME, [], session=session, now=NOW)
    return ours, Offer.new(THEM, b"", US.public, HOME, [], session=session, now=NOW)


async def alone(found: list[Candidates]) -> tuple[Roaming, Renewed, tuple[Offer, Offer]]:
    """`found` is where we are, the last one first."""

    async def gather() -> Candidates:
        return found.pop() if len(found) > 1 else found[0]

    meeting, both = Renewed(), offers()
    sign = lambda offer, places: offer.renewed(US, places, NOW)  # noqa: E731 - said once
    return Roaming(meeting, both, gather, sign, Offer.parse), meeting, both


def test_only_another_place_is_told_and_not_all_the_time() -> None:
    async def story(loop: VirtualLoop) -> None:
        roaming, meeting, (ours, theirs) = await alone([HOME, AWAY, HOME])
        said: list[bytes] = []

        async def say(offer: bytes) -> None:
            said.append(offer)

        running = asyncio.create_task(roaming.run(say))
        for _ in range(3):
            roaming.woke()
            await asyncio.sleep(1.0)
        assert [Offer.parse(each).candidates for each in said] == [AWAY]
        await asyncio.sleep(20.0)
        assert [Offer.parse(each).candidates for each in said] == [AWAY, HOME]
        assert all(mine.renews(ours) and other is theirs for mine, other in meeting.offers)
        running.cancel()

    play(story)


def test_few_of_their_places_are_tried_and_none_of_another_call() -> None:
    async def story(loop: VirtualLoop) -> None:
        roaming, meeting, (ours, theirs) = await alone([HOME])
        for wrong in (offers()[1].encode(), b"what is that", bytes(5000)):
            with pytest.raises(RemoteError):
                roaming.got(wrong)
        await asyncio.sleep(60.0)
        for _ in range(20):
            roaming.got(theirs.renewed(THEM, AWAY, NOW).encode())
        assert len(meeting.offers) == 3
        assert meeting.offers[-1][0] is ours

    play(story)
