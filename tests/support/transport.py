"""A connection in memory, for one stream and without a loop."""

import asyncio
from collections import deque
from collections.abc import Iterable

from typing_extensions import override

from p2pswarm.net.stream import Stream

__all__ = ["Wire"]


class Wire(asyncio.Transport):
    """A transport whose kernel takes as many bytes as it is told; keeps references, as uvloop does."""

    def __init__(
        self, room: int = 1 << 30, *, named: bool = True, host: str = "::ffff:10.0.0.2"
    ) -> None:
        names = {"peername": (host, 6881, 0, 0), "sockname": ("10.0.0.1", 1)}
        super().__init__(names if named else {})
        self.taken = bytearray()
        self.aborted = False
        self.reading = True
        self.room = room
        self.stream: Stream | None = None
        self._waiting: deque[memoryview] = deque()
        self._limits: tuple[int | None, int | None] = (None, None)
        self._paused = False

    def carry(self, stream: Stream) -> Stream:
        self.stream = stream
        stream.connection_made(self)
        return stream

    @override
    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._limits = high, low

    @override
    def get_write_buffer_size(self) -> int:
        return sum(map(len, self._waiting))

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writelines([data])

    @override
    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        assert self.stream is not None
        self._waiting += map(memoryview, list_of_data)
        self._move()
        if self.get_write_buffer_size() > (self._limits[0] or 0) and not self._paused:
            self._paused = True
            self.stream.pause_writing()

    def take(self, n: int) -> None:
        """The kernel has room for so many bytes more."""
        assert self.stream is not None
        self.room += n
        self._move()
        if self._paused and self.get_write_buffer_size() <= (self._limits[1] or 0):
            self._paused = False
            self.stream.resume_writing()

    def _move(self) -> None:
        while self._waiting and self.room:
            first = self._waiting.popleft()
            n = min(len(first), self.room)
            self.taken += first[:n]
            self.room -= n
            if n < len(first):
                self._waiting.appendleft(first[n:])

    @override
    def pause_reading(self) -> None:
        self.reading = False

    @override
    def resume_reading(self) -> None:
        self.reading = True

    @override
    def abort(self) -> None:
        self.aborted = True
