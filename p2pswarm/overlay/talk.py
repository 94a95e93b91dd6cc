"""One connection over which a file goes, as a coroutine sees it: of Napster, of Gnutella.

A few messages are awaited one by one, each with the framer that understands it; then bytes flow one way, and
are handed on in the socket's callback or given out as fast as the other side takes them. Whoever is silent,
or takes nothing, is left.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Self

from p2pswarm.errors import NetworkError, RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.net.port import Port
from p2pswarm.net.stream import Stream
from p2pswarm.wire.data import Chunk, DataFramer
from p2pswarm.wire.framer import Framer, KeepingFramer, Scratch

__all__ = ["Sink", "Talk"]

Sink = Callable[[bytes], bool]
"""Takes the next bytes of a file; False when it wants no more."""

CONNECT_TIME = 10.0  # seconds
WORD_TIME = 20.0  # seconds for the next word before the data
STALLED = 60.0  # seconds without a byte, either way


class Talk:
    """A conversation. Everything that waits raises NetworkError when the other side is gone or too slow."""

    def __init__(self, port: Port, stream: Stream | None = None) -> None:
        self._port = port
        self._stream = stream
        self._heard: deque[object] = deque()
        self._sink: Sink | None = None
        self._gate: asyncio.Event | None = None
        self._wants_more = True
        self._moved = 0  # bytes of the file
        self._bell = asyncio.Event()
        self._over = False
        self._reason: Exception | None = None

    @classmethod
    async def dial(cls, port: Port, address: Address, framer: Framer | None = None) -> Self:
        """A connection. The framer reads the first word, which `word` waits for; without one, `hear` does.

        Raises NetworkError.
        """
        talk = cls(port)
        framer = framer or KeepingFramer(port.scratch)
        try:
            async with asyncio.timeout(CONNECT_TIME):
                talk._stream = await port.dial(address, framer, talk)
        except (OSError, TimeoutError) as error:
            reason = getattr(error, "strerror", None) or "it does not answer"
            raise NetworkError(f"cannot reach {address}: {reason}") from error
        return talk

    @property
    def stream(self) -> Stream:
        assert self._stream is not None
        return self._stream

    @property
    def remote(self) -> Address:
        return self.stream.remote

    @property
    def scratch(self) -> Scratch:
        """Where the next framer may receive."""
        return self._port.scratch

    def send(self, data: bytes | memoryview) -> bool:
        """True when the kernel has it, so that the buffer may be used again."""
        return self.stream.send(data)

    async def hear(self, framer: Framer, patience: float = WORD_TIME) -> object:
        """The next word, read by this framer."""
        self.stream.resume()
        self.stream.switch(framer, self)
        return await self.word(patience)

    async def word(self, patience: float = WORD_TIME) -> object:
        """The next word, of the framer that is there."""
        while not self._heard:
            self._alive()
            await self._ring(patience)
        return self._heard.popleft()

    async def receive(self, size: int, sink: Sink, gate: asyncio.Event | None = None) -> int:
        """So many bytes into the sink, or as many as it wants; returns how many.

        While the gate is closed nothing is read. What follows is left for the next `hear`; when the sink has
        enough before that, the connection is closed.
        """
        self._sink, self._gate, self._moved, self._wants_more = sink, gate, 0, True
        self.stream.resume()
        self.stream.switch(DataFramer(size, self._port.scratch), self)
        while self._wants_more and self._moved < size:
            self._alive()
            if gate is not None and not gate.is_set():
                await gate.wait()
                self.stream.resume()
            else:
                await self._ring(STALLED)
        self._sink = self._gate = None
        if self._wants_more:
            self.stream.resume()
        else:
            self.close()
        return self._moved

    async def sent(self) -> None:
        """Until everything sent is with the kernel, for a minute at most, also when it talks meanwhile."""
        clock = asyncio.get_running_loop().time
        end = clock() + STALLED
        while not self.stream.idle:
            self._alive()
            await self._ring(end - clock())
        self._alive()

    async def hung_up(self) -> None:
        """Until the other side, which has all it wants, closes; it has a minute for that."""
        self.stream.resume()
        try:
            while not self._over:
                await self._ring(STALLED)
        except NetworkError:
            return  # closed from here

    def close(self) -> None:
        self.stream.close()

    def _alive(self) -> None:
        if self._over:
            why = f": {self._reason}" if self._reason else ""
            raise NetworkError(f"{self.remote} hung up after {self._moved} bytes{why}")

    async def _ring(self, patience: float) -> None:
        """Until something happens."""
        self._bell.clear()
        try:
            async with asyncio.timeout(patience):
                await self._bell.wait()
        except TimeoutError as error:
            self.close()
            raise NetworkError(f"{self.remote} did nothing for {patience:.0f} s") from error

    # What the stream tells

    def got(self, message: object) -> None:
        """Raises RemoteProtocolError."""
        if not isinstance(message, Chunk):
            if self._heard:
                raise RemoteProtocolError("it speaks out of turn")
            self._heard.append(message)
            self.stream.pause()  # what follows is for another framer, and may be much
        elif self._sink is not None and self._wants_more:
            self._moved += len(message.data)
            self._wants_more = self._sink(message.data)
            if self._gate is not None and not self._gate.is_set():
                self.stream.pause()

    def caught_up(self) -> None:
        self._bell.set()

    def drained(self) -> None:
        self._bell.set()

    def closed(self, reason: Exception | None) -> None:
        self._over, self._reason = True, reason
        if self._stream is not None:  # else it ended before it was dialed through
            self._port.admitted(self._stream)
        self._bell.set()
