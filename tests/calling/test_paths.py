"""A call while its paths come and go: real meetings on virtual time, behind NATs and over relays that die."""

import asyncio

import pytest

from p2pswarm.calling.call import Call
from p2pswarm.lab.nats import Kind
from p2pswarm.net.stream import Conversation, Stream
from p2pswarm.reach.meeting import Meeting
from p2pswarm.wire.calling.frames import KEY_SIZE, CallHello
from p2pswarm.wire.framer import Framer
from tests.reach.worlds import World, in_a_world

PORT, SYMMETRIC, BLOCKED = Kind.PORT, Kind.SYMMETRIC, Kind.BLOCKED


class Side:
    def __init__(self, meeting: Meeting, *, calls: bool) -> None:
        self.meeting = meeting

        async def connect(framer: Framer, conversation: Conversation) -> Stream:
            self.connected += 1
            return await meeting.stream(framer, conversation)

        self.connected = 0
        hello = CallHello(meeting.session, "call", bytes([calls] * KEY_SIZE))
        self.call = Call("somebody", meeting, connect, hello, calls=calls)
        self.heard: list[str] = []
        self.call.listen(self.heard.append)

    @property
    def direct(self) -> bool | None:
        """Of the stream in use."""
        used = self.meeting.streams.used
        return None if used is None else used.relay is None


async def called(world: World, caller: Kind | None, callee: Kind | None) -> tuple[Side, Side]:
    a, b = await world.user(1, caller), await world.user(2, callee)
    ours, theirs = await world.meet(a, b)
    sides = Side(ours, calls=True), Side(theirs, calls=False)
    await asyncio.gather(*(side.call.open() for side in sides))
    return sides


async def say(world: World, sides: tuple[Side, Side], text: str, within: float) -> None:
    for side in sides:
        side.call.say(text)
    await world.until(lambda: all(text in side.heard for side in sides), within)


async def end(sides: tuple[Side, Side]) -> None:
    for side in sides:
        await side.call.close()


@pytest.mark.parametrize("how", ["killed", "silent"])
@pytest.mark.parametrize("callee", [SYMMETRIC, BLOCKED])
def test_a_relay_dies_and_within_five_seconds_the_call_goes_on_over_another(
    callee: Kind, how: str
) -> None:
    async def story(world: World) -> None:
        sides = await called(world, SYMMETRIC, callee)
        await say(world, sides, "before", 5.0)
        await asyncio.sleep(3.0)
        path = sides[0].meeting.path
        assert path is not None
        assert path.relay is not None
        host = path.relay.address.host
        world.relays.kill(host) if how == "killed" else world.relays.hush(host)
        await say(world, sides, "after", 5.0)
        for side in sides:
            assert side.meeting.path is not None
            assert side.meeting.path.relay is not None
            assert side.meeting.path.relay.address.host != host
        await end(sides)

    in_a_world(story)


def test_a_call_leaves_the_relay_as_soon_as_a_direct_way_is_there() -> None:
    async def story(world: World) -> None:
        kinds = (PORT, PORT)
        users = [await world.user(n, kind) for n, kind in enumerate(kinds, 1)]
        for user in users:
            assert user.router is not None
            user.router.lets_in = lambda protocol, source: source[0].startswith("40.")
        meetings = await world.meet(*users)
        sides = Side(meetings[0], calls=True), Side(meetings[1], calls=False)
        await asyncio.gather(*(side.call.open() for side in sides))
        assert [side.direct for side in sides] == [False, False]
        for user in users:
            assert user.router is not None
            user.router.lets_in = lambda protocol, source: True
        await world.until(lambda: all(side.direct for side in sides), 20.0)
        await say(world, sides, "direct", 2.0)
        connected = [side.connected for side in sides]
        await asyncio.sleep(60.0)
        assert [side.connected for side in sides] == connected  # it is not looked for any more
        assert max(connected) <= 4
        await end(sides)

    in_a_world(story)


@pytest.mark.parametrize("callee", [None, PORT, SYMMETRIC, BLOCKED])
def test_a_call_rests_on_what_it_has(callee: Kind | None) -> None:
    async def story(world: World) -> None:
        sides = await called(world, PORT, callee)
        await asyncio.sleep(60.0)
        connected = [side.connected for side in sides]
        await say(world, sides, "still here", 2.0)
        await asyncio.sleep(60.0)
        assert [side.connected for side in sides] == connected
        assert max(connected) <= 2
        await end(sides)

    in_a_world(story)
