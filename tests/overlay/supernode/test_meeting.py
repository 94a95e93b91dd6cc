"""A greeting and what follows it, without a network."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from p2pswarm.errors import NetworkError, RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.overlay.supernode.link import Link
from p2pswarm.overlay.supernode.meeting import MOST_UNHEARD, TurnedDownError, greet
from p2pswarm.wire.framer import Scratch
from p2pswarm.wire.supernode.frames import OPENING, Frame, FrameKind
from p2pswarm.wire.supernode.hello import Hello, Reason, Refuse, Want, Welcome
from p2pswarm.wire.supernode.keeping import Ping
from tests.support.world import virtual_loop

THERE = Address("10.0.0.2", 46881)
HELLO = Hello(b"a" * 16, 46881, Want.LINK, "test", True, False)
WELCOME = Welcome(b"b" * 16, 46881, "test", Address("10.0.0.1", 46881), True, 0, 0, 1).encode()
PING = Ping().encode()


class Line:
    """A port and the stream that it dials; the other side says these frames when it was greeted."""

    remote = THERE
    scratch = Scratch()

    def __init__(self, *answers: Frame) -> None:
        self.answers = answers
        self.conversation: Any = None
        self.sent = b""
        self.paused = self.over = False

    async def dial(self, address: Address, framer: object, conversation: object) -> "Line":
        self.conversation = conversation
        return self

    def send(self, *data: bytes) -> bool:
        self.sent += b"".join(data)
        if self.sent == OPENING + HELLO.encode().encode():
            asyncio.get_running_loop().call_soon(self.say, *self.answers)
        return True

    def say(self, *frames: Frame) -> None:
        for frame in frames:
            self.conversation.got(frame)
        self.conversation.caught_up()

    def switch(self, framer: object, conversation: object) -> None:
        self.conversation = conversation

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def close(self, reason: Exception | None = None) -> None:
        if not self.over:
            self.over = True
            self.conversation.closed(reason)


class Hearer:
    def __init__(self) -> None:
        self.heard: list[int] = []
        self.ends: list[str] = []

    def got(self, link: Link, frame: Frame) -> None:
        self.heard.append(frame.kind)

    def left(self, link: Link, reason: Exception) -> None:
        self.ends.append(str(reason))


def play(story: Callable[[], Awaitable[None]]) -> None:
    async def told() -> None:
        await story()

    with virtual_loop() as loop:
        loop.run_until_complete(told())
        assert not loop.complaints


def test_who_stays_hears_what_came_with_the_welcome_and_after_it() -> None:
    async def story() -> None:
        line: Any = Line(WELCOME, PING)
        meeting, welcome = await greet(line, THERE, HELLO)
        assert welcome.node == b"b" * 16
        link, hearer = meeting.stay(), Hearer()
        assert link.address == THERE
        link.listen(hearer)
        line.say(PING)
        assert hearer.heard == [FrameKind.PING] * 2
        assert not line.over

    play(story)


def test_who_hung_up_meanwhile_is_told_to_who_listens() -> None:
    async def story() -> None:
        line: Any = Line(WELCOME)
        meeting, _ = await greet(line, THERE, HELLO)
        line.close(NetworkError("the line is cut"))
        hearer = Hearer()
        meeting.stay().listen(hearer)
        assert hearer.ends == ["the line is cut"]

    play(story)


def test_who_is_turned_down_hears_why_and_the_line_is_closed() -> None:
    async def story() -> None:
        line: Any = Line(Refuse(Reason.FULL, "no place").encode())
        with pytest.raises(TurnedDownError, match="no place") as turned_down:
            await greet(line, THERE, HELLO)
        assert turned_down.value.refusal.reason is Reason.FULL
        assert line.over

    play(story)


def test_who_answers_no_greeting_is_left_in_time() -> None:
    async def story() -> None:
        line: Any = Line(PING)
        clock = asyncio.get_running_loop().time
        with pytest.raises(NetworkError, match="does not answer"):
            await greet(line, THERE, HELLO, patience=3.0)
        assert line.over
        assert clock() == 3.0

    play(story)


def test_what_nobody_hears_is_not_read_and_is_bounded() -> None:
    async def story() -> None:
        line: Any = Line(WELCOME)
        meeting, _ = await greet(line, THERE, HELLO, most=1000)
        line.say(*[PING] * MOST_UNHEARD)
        assert line.paused
        assert (await meeting.hear(FrameKind.PING, patience=1)).kind == FrameKind.PING
        with pytest.raises(RemoteProtocolError, match="more than was asked for"):
            line.say(*[Frame(0x7F, bytes(100))] * 10)

    play(story)
