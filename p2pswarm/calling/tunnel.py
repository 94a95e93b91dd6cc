"""A stream inside a call: for whoever speaks on it, it is like any other.

What is said goes in frames of the call, once and in order, whatever path that takes just then; so a stream
outlives the connections under it. Several may be in one call, told apart by numbers.

The one hard thing: nobody may be flooded. What we say waits here until the call has room, and the stream is
told to wait; what is heard while the stream reads nothing is kept, and the call holds until it is read.
"""

import asyncio
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from p2pswarm.calling.line import Line
from p2pswarm.errors import RemoteProtocolError
from p2pswarm.net.stream import Stream
from p2pswarm.wire.calling.parcels import Bytes, Shut

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Tunnel"]

ENOUGH = 128 << 10  # bytes that wait for the stream, then the call holds
MOST = 2 << 20  # more than a line holds besides: whoever sends that does not hold


class Tunnel(asyncio.Transport):
    """The stream's transport. `run` says what the stream says, until one of the two ends it."""

    def __init__(self, line: Line, number: int, stream: Stream, host: str) -> None:
        """`host` stands for the other side where addresses are compared."""
        super().__init__()
        self.number = number
        self._line, self._stream, self._host = line, stream, host
        self._loop = asyncio.get_running_loop()
        self._out = bytearray()
        self._in = bytearray()
        self._wants = asyncio.Event()
        self._reads, self._stuffed, self._over = True, False, False
        self.held: Callable[[], None] = lambda: None
        """Told when what waits here grew or shrank."""

    @property
    def full(self) -> bool:
        """Whether the stream has to read first."""
        return len(self._in) >= ENOUGH

    def begin(self) -> None:
        self._stream.connection_made(self)

    async def run(self) -> None:
        """Until the stream is closed by either side."""
        try:
            while not self._over:
                await self._wants.wait()
                self._wants.clear()
                await self._say_all()
        finally:
            self.abort()
            self._end()

    async def _say_all(self) -> None:
        while self._out:
            await self._line.room()
            data = bytes(self._out[: Bytes.most])
            del self._out[: len(data)]
            self._line.say(Bytes.kind, Bytes(self.number, data).encode())
        if self._stuffed:
            self._stuffed = False
            self._stream.resume_writing()

    # What the call tells

    def got(self, data: bytes) -> None:
        """Raises RemoteProtocolError."""
        if self._over:
            return
        if len(self._in) + len(data) > MOST:
            raise RemoteProtocolError("more than was asked for came on a stream")
        self._in += data
        self._deliver()

    def shut(self) -> None:
        """The other side ended it."""
        self._over = True
        self._out.clear()
        self._wants.set()

    def _deliver(self) -> None:
        while self._reads and self._in and not self._over:
            buffer = self._stream.get_buffer(-1)
            n = min(len(buffer), len(self._in))
            buffer[:n] = self._in[:n]
            del self._in[:n]
            self._stream.buffer_updated(n)
        self.held()

    def _end(self) -> None:
        self._in.clear()
        self.held()
        self._stream.connection_lost(None)

    # What the stream may do

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._over or not data:
            return
        self._out += data
        self._wants.set()
        if not self._stuffed:
            self._stuffed = True
            self._stream.pause_writing()

    @override
    def get_write_buffer_size(self) -> int:
        return len(self._out)

    @override
    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """They are 0 and 0."""

    @override
    def pause_reading(self) -> None:
        self._reads = False

    @override
    def resume_reading(self) -> None:
        self._reads = True
        self._loop.call_soon(self._deliver)

    @override
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": (self._host, 1), "sockname": (self._host, 1)}.get(name, default)

    @override
    def is_closing(self) -> bool:
        return self._over

    @override
    def close(self) -> None:
        self.abort()

    @override
    def abort(self) -> None:
        """The other side hears of it after what was said before."""
        if not self._over:
            self._over = True
            self._line.say(Shut.kind, Shut(self.number).encode())
            self._out.clear()
            self._wants.set()
