"""One neighbour, without a network: a stream that takes as much as it is told to."""

import asyncio
from typing import Any

import pytest

from p2pswarm.errors import NetworkError, RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.overlay.supernode.link import (
    BATCH,
    CONGESTED,
    FRAMES,
    LINGER,
    MOST_WAITING,
    PATIENCE,
    SILENCE,
    STUCK,
    Link,
)
from p2pswarm.wire.supernode.frames import Frame, FrameKind
from p2pswarm.wire.supernode.keeping import Ping
from tests.support.world import virtual_loop

PING = Ping().encode().encode()


class Line:
    """A stream; `open` while it takes everything."""

    link: Link

    def __init__(self) -> None:
        self.remote = Address("10.0.0.2", 1)
        self.open, self.over = True, False
        self.sent: list[bytes] = []
        self.paused = False

    def send(self, *data: bytes) -> bool:
        self.sent.append(b"".join(data))
        return self.open

    def pause(self) -> None:
        self.paused = True

    def close(self, reason: Exception | None = None) -> None:
        if not self.over:
            self.over = True
            self.link.closed(reason)


class Hearer:
    def __init__(self, wrong: bool = False) -> None:
        self.heard: list[int] = []
        self.ends: list[str] = []
        self.wrong = wrong

    def got(self, link: Link, frame: Frame) -> None:
        self.heard.append(frame.kind)
        if self.wrong:
            raise RemoteProtocolError("nonsense")
        if frame.kind == FrameKind.BYE:
            link.close(NetworkError("bye"))
        if frame.kind == FrameKind.REFUSE:
            link.part(b"", "parted")

    def left(self, link: Link, reason: Exception) -> None:
        self.ends.append(str(reason))


def linked(hearer: Hearer | None = None, *heard: int) -> tuple[Link, Line]:
    line: Any = Line()
    link = line.link = Link(line, hearer, [frame(kind) for kind in heard])
    return link, line


def play(story: Any) -> None:
    with virtual_loop() as loop:
        loop.run_until_complete(story())
        assert not loop.complaints


def frame(kind: int, size: int = 0) -> Frame:
    return Frame(kind, bytes(size))


def test_what_is_sent_in_one_turn_leaves_in_one_write() -> None:
    async def story() -> None:
        link, line = linked()
        link.send(b"one")
        link.send(b"two", b"three")
        assert not line.sent
        await asyncio.sleep(0)
        assert line.sent == [b"onetwothree"]

    play(story)


def test_who_does_not_read_is_sent_little_and_cut_when_it_is_too_much() -> None:
    async def story() -> None:
        hearer = Hearer()
        link, line = linked(hearer)
        line.open = False
        link.send(bytes(BATCH))
        await asyncio.sleep(0)
        assert not link.congested
        link.send(bytes(CONGESTED + 1))
        assert link.congested
        assert len(line.sent) == 1
        assert not link.send(bytes(MOST_WAITING))
        assert len(hearer.ends) == 1
        assert line.over

    play(story)


def test_who_takes_nothing_for_long_is_cut() -> None:
    async def story() -> None:
        link, line = linked(Hearer())
        line.open = False
        link.send(b"x")
        await asyncio.sleep(STUCK)
        link.tick(STUCK)
        assert not line.over
        link.tick(STUCK + 1)
        assert line.over

    play(story)


def test_a_silent_neighbour_is_asked_and_then_left() -> None:
    async def story() -> None:
        link, line = linked(Hearer())
        link.tick(SILENCE)
        await asyncio.sleep(0)
        assert not line.sent
        link.tick(SILENCE + 1)
        link.tick(SILENCE + 2)
        await asyncio.sleep(0)
        assert line.sent == [PING]
        link.tick(SILENCE + 1 + PATIENCE)
        assert not line.over
        link.tick(SILENCE + 2 + PATIENCE)
        assert line.over

    play(story)


def test_who_says_something_is_there() -> None:
    async def story() -> None:
        link, line = linked(Hearer())
        link.tick(SILENCE + 1)
        link.got(frame(FrameKind.PONG))
        link.tick(SILENCE + 2 + PATIENCE)
        assert not line.over

    play(story)


def test_the_question_waits_behind_what_a_slow_line_carries() -> None:
    async def story() -> None:
        link, line = linked(Hearer())
        line.open = False
        for second in range(0, 200, 10):
            link.send(bytes(BATCH))
            link.tick(second)
            await asyncio.sleep(10)
            link.drained()
        assert not line.over
        line.open = True
        link.drained()
        link.drained()
        link.tick(201)
        link.tick(202 + PATIENCE)
        assert line.over

    play(story)


def test_whoever_listens_hears_what_came_meanwhile_once() -> None:
    async def story() -> None:
        link, _ = linked(None, FrameKind.HOSTS, FrameKind.PING)
        hearer = Hearer()
        link.listen(hearer)
        assert hearer.heard == [FrameKind.HOSTS, FrameKind.PING]
        link.got(frame(FrameKind.PONG))
        assert hearer.heard[2:] == [FrameKind.PONG]

    play(story)


@pytest.mark.parametrize("kind", [FrameKind.BYE, FrameKind.REFUSE, FrameKind.PING])
def test_an_end_among_what_came_meanwhile_is_told_once(kind: int) -> None:
    """BYE closes it, the other has it part, the last one breaks the protocol."""

    async def story() -> None:
        link, line = linked(None, kind, FrameKind.PING)
        hearer = Hearer(wrong=kind == FrameKind.PING)
        link.listen(hearer)
        await asyncio.sleep(LINGER + 1)
        assert hearer.heard == [kind]
        assert len(hearer.ends) == 1
        assert line.over

    play(story)


def test_who_hung_up_before_anybody_listened_is_told_to_who_does() -> None:
    async def story() -> None:
        link, line = linked()
        line.close()
        hearer = Hearer()
        link.listen(hearer)
        assert hearer.ends == ["hung up"]

    play(story)


def test_last_words_leave_before_the_end() -> None:
    async def story() -> None:
        hearer = Hearer()
        link, line = linked(hearer)
        link.part(b"bye", "it is over")
        assert line.paused
        assert not link.send(b"more")
        await asyncio.sleep(0)
        assert line.sent == [b"bye"]
        assert line.over
        assert hearer.ends == ["it is over"]

    play(story)


def test_last_words_that_nobody_reads_are_given_up() -> None:
    async def story() -> None:
        hearer = Hearer()
        link, line = linked(hearer)
        line.open = False
        link.send(b"x")
        await asyncio.sleep(0)
        link.part(b"bye", "it is over")
        link.got(frame(FrameKind.PING))  # heard no more
        await asyncio.sleep(LINGER + 0.1)
        assert line.over
        assert (hearer.heard, hearer.ends) == ([], ["it is over"])

    play(story)


def test_too_much_is_cut() -> None:
    async def story() -> None:
        link, _ = linked(Hearer())
        for _ in range(int(FRAMES[1])):
            link.got(frame(FrameKind.PING))
        with pytest.raises(RemoteProtocolError, match="too much"):
            link.got(frame(FrameKind.PING))

    play(story)


def test_who_has_much_to_say_waits_until_it_is_read() -> None:
    async def story() -> None:
        link, line = linked()
        line.open = False
        for _ in range(4):
            link.send(bytes(BATCH))
        waiting = asyncio.ensure_future(link.relaxed())
        await asyncio.sleep(1)
        assert not waiting.done()
        link.drained()
        await asyncio.sleep(1)
        assert waiting.done()

    play(story)
