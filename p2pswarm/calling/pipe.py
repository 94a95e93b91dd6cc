"""Bytes of a program through a call: what it writes here comes out there, in both directions.

Ends are passed on: when the program here has written all, the one there reads its end. Whoever reads slowly
is waited for: nothing is read here that the other side has no room for.
"""

import asyncio
from typing import Protocol

from p2pswarm.calling.line import Line
from p2pswarm.errors import RemoteProtocolError
from p2pswarm.wire.calling.frames import MOST_BODY, CallFrame, CallKind

__all__ = ["Pipe", "PipeEnds"]


class PipeEnds(Protocol):
    """The program: `read` gives b"" at its end, `write` waits until it took the bytes. Raise OSError."""

    async def read(self, most: int) -> bytes: ...

    async def write(self, data: bytes) -> None: ...

    async def write_end(self) -> None: ...


class Pipe:
    """Both directions of one call."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._came: asyncio.Queue[bytes] = asyncio.Queue()
        self._waiting = 0  # bytes in it
        self._ended = False
        self._said_all = False

    @property
    def is_whole(self) -> bool:
        """Both programs had all of it."""
        return self._said_all and self._ended and not self._waiting

    def got(self, frame: CallFrame) -> None:
        """A frame of the kind DATA or DATA_END. Raises RemoteProtocolError."""
        if self._ended:
            raise RemoteProtocolError("more bytes after their end")
        self._ended = frame.kind == CallKind.DATA_END
        if frame.body and not self._ended:
            self._came.put_nowait(frame.body)
            self._waiting += len(frame.body)
            self._line.hold()  # it is heard when the program has it
        if self._ended:
            self._came.put_nowait(b"")

    async def run(self, ends: PipeEnds) -> None:
        """Until both directions are at their end, and the other program has all. Raises ExceptionGroup of
        OSError."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._out(ends))
            tasks.create_task(self._in(ends))
        await self._line.settle()

    async def _out(self, ends: PipeEnds) -> None:
        while data := await ends.read(MOST_BODY):
            await self._line.room()
            self._line.say(CallKind.DATA, data)
        await self._line.room()
        self._line.say(CallKind.DATA_END)
        self._said_all = True

    async def _in(self, ends: PipeEnds) -> None:
        while data := await self._came.get():
            await ends.write(data)
            self._waiting -= len(data)
            if not self._waiting:
                self._line.free()
        await ends.write_end()
