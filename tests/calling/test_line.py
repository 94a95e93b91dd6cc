"""The stream of a call: lost, replaced and blocked in virtual time; and programs that pipe through it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest

from p2pswarm.calling.control import ROOM, Control
from p2pswarm.calling.line import Line
from p2pswarm.calling.pipe import Pipe
from p2pswarm.errors import NetworkError, RemoteProtocolError
from p2pswarm.lab.loop import VirtualLoop, play
from p2pswarm.wire.calling.frames import CallFrame, CallHello, CallKind
from tests.support.patience import PATIENCE
from tests.support.ways import Ways


class Ends:
    """Two lines and what each heard."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.ways = Ways(loop)
        self.heard: tuple[list[CallFrame], list[CallFrame]] = [], []
        self.lines = tuple(
            Line(
                Control(CallHello(bytes(16), "call", bytes([side]) * 32)),
                partial(self.ways.connect, side),
                self.heard[side].append,
            )
            for side in range(2)
        )

    def texts(self, side: int) -> list[bytes]:
        return [frame.body for frame in self.heard[side] if frame.kind == CallKind.TEXT]

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        keeping = [asyncio.create_task(line.keep()) for line in self.lines]
        await asyncio.gather(*(line.greeted.wait() for line in self.lines))
        try:
            yield
        finally:
            for task in keeping:
                task.cancel()
            await asyncio.gather(*keeping, return_exceptions=True)
            for line in self.lines:
                line.close()
                line.close()


def told(story: Callable[[Ends, VirtualLoop], Awaitable[None]]) -> None:
    async def play_it(loop: VirtualLoop) -> None:
        ends = Ends(loop)
        async with ends.kept():
            await story(ends, loop)

    play(play_it)


def test_what_is_said_arrives_though_the_stream_is_cut() -> None:
    async def story(ends: Ends, loop: VirtualLoop) -> None:
        for number in range(20):
            ends.lines[0].say(CallKind.TEXT, b"%d" % number)
            ends.lines[1].say(CallKind.TEXT, b"%d" % number)
            if number in (5, 9, 13):
                ends.ways.cut()
            await asyncio.sleep(0.03)
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*(line.settle() for line in ends.lines))
        assert ends.texts(0) == ends.texts(1) == [b"%d" % number for number in range(20)]
        assert len(ends.ways.made) == 4

    told(story)


def test_a_better_path_takes_over_without_a_gap() -> None:
    async def story(ends: Ends, loop: VirtualLoop) -> None:
        for line in ends.lines:
            line.renew()
            await asyncio.sleep(0.3)  # not both in the same moment
            ends.lines[0].say(CallKind.TEXT, b"hello")
        await asyncio.sleep(1)
        assert ends.texts(1) == [b"hello", b"hello"]
        assert len(ends.ways.made) == 2
        assert ends.ways.made[0][0].is_closing()
        assert not ends.ways.made[1][0].is_closing()

    told(story)


def test_a_call_without_a_path_is_lost_after_half_a_minute() -> None:
    async def story(ends: Ends, loop: VirtualLoop) -> None:
        ends.ways.blocked = True
        ends.ways.cut()
        began = loop.now
        with pytest.raises(NetworkError, match="the call was lost: no way"):
            await ends.lines[0].keep()
        assert 30 < loop.now - began < 40

    told(story)


def test_who_falls_silent_is_given_up_and_found_again() -> None:
    async def story(ends: Ends, loop: VirtualLoop) -> None:
        await asyncio.sleep(60)
        assert len(ends.ways.made) == 1  # nobody said anything for a minute, and all is well
        ends.ways.hosts[1].online = False
        await asyncio.sleep(5.5)
        ends.ways.hosts[1].online = True
        ends.lines[1].say(CallKind.TEXT, b"again")
        await asyncio.sleep(20)
        assert ends.texts(0) == [b"again"]
        assert len(ends.ways.made) == 2

    told(story)


def test_who_breaks_the_rules_loses_the_stream_and_no_more() -> None:
    async def story(ends: Ends, loop: VirtualLoop) -> None:
        def refuse(frame: CallFrame) -> None:
            raise RemoteProtocolError("not that")

        ends.lines[1]._heard_by = refuse
        ends.lines[0].say(CallKind.TEXT, b"?")
        await asyncio.sleep(1)
        assert ends.ways.made[0][1].is_closing()

    told(story)


class Program:
    """Writes what it is told to, and reads at its own pace."""

    def __init__(self, says: bytes, pace: float = 0.0) -> None:
        self._says, self._pace = says, pace
        self.read_so_far = bytearray()
        self.ended = False

    async def read(self, most: int) -> bytes:
        data, self._says = self._says[:most], self._says[most:]
        return data

    async def write(self, data: bytes) -> None:
        await asyncio.sleep(self._pace)
        self.read_so_far += data

    async def write_end(self) -> None:
        self.ended = True


def test_programs_pipe_through_a_call_that_changes_its_stream() -> None:
    async def story(ends: Ends, loop: VirtualLoop) -> None:
        there, back = bytes(range(256)) * 8000, b"short"
        programs = Program(there), Program(back, pace=0.01)
        pipes = [Pipe(line) for line in ends.lines]
        for line, pipe in zip(ends.lines, pipes, strict=True):
            line._heard_by = pipe.got
        most = 0

        async def watch() -> None:
            nonlocal most
            for turn in range(400):
                most = max(most, pipes[1]._waiting)
                if turn in (20, 90):
                    ends.ways.cut()
                await asyncio.sleep(0.01)

        watching = asyncio.create_task(watch())
        await asyncio.gather(*(pipe.run(each) for pipe, each in zip(pipes, programs, strict=True)))
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        assert programs[1].read_so_far == there
        assert programs[0].read_so_far == back
        assert programs[0].ended
        assert programs[1].ended
        assert len(ends.ways.made) == 3
        assert ROOM // 2 < most <= ROOM + (32 << 10)

    told(story)


def test_bytes_after_the_end_are_a_fault_of_theirs() -> None:
    async def story(ends: Ends, loop: VirtualLoop) -> None:
        pipe = Pipe(ends.lines[0])
        pipe.got(CallFrame(CallKind.DATA_END, 1))
        with pytest.raises(RemoteProtocolError, match="after their end"):
            pipe.got(CallFrame(CallKind.DATA, 2, body=b"more"))

    told(story)
