"""One short conversation with a super node, as a coroutine sees it: frames said, frames awaited.

For whoever comes and goes again: a visit with a question, a test. Links and children, which stay, answer in
the socket's callback instead. How long it may take and how many bytes it may bring is said at its beginning.
"""

import asyncio
from collections import deque
from typing import Protocol, Self

from p2pswarm.errors import NetworkError, RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.net.port import Port
from p2pswarm.net.stream import Stream
from p2pswarm.wire.supernode.frames import HEAD_SIZE, OPENING, Frame, FrameFramer, FrameKind
from p2pswarm.wire.supernode.hello import Hello, Refuse, Welcome

__all__ = ["Meeting"]

MOST_UNHEARD = 32  # frames after which no more is read until somebody hears them


class _Message(Protocol):
    def encode(self) -> Frame: ...


class Meeting:
    """`dial`, `greet`, then `say` and `hear`; `close` at the end. Whatever waits raises NetworkError."""

    def __init__(self, most: int) -> None:
        self._stream: Stream | None = None
        self._left = most  # bytes that may still come
        self._heard: deque[Frame] = deque()
        self._bell = asyncio.Event()
        self._over = False
        self._reason: Exception | None = None

    @classmethod
    async def dial(cls, port: Port, address: Address, *, patience: float, most: int) -> Self:
        """Connect within `patience` seconds; it may bring `most` bytes. Raises NetworkError."""
        meeting = cls(most)
        try:
            async with asyncio.timeout(patience):
                framer = FrameFramer(port.scratch)
                meeting._stream = await port.dial(address, framer, meeting)
        except (OSError, TimeoutError) as error:
            reason = getattr(error, "strerror", None) or "it does not answer"
            raise NetworkError(f"cannot reach {address}: {reason}") from error
        meeting.stream.send(OPENING)
        return meeting

    @property
    def stream(self) -> Stream:
        assert self._stream is not None
        return self._stream

    async def greet(self, hello: Hello, patience: float) -> Welcome | Refuse:
        """Say what we come for; whether we may stay. Raises RemoteProtocolError, NetworkError."""
        self.say(hello)
        frame = await self.hear(FrameKind.WELCOME, FrameKind.REFUSE, patience=patience)
        if frame.kind == FrameKind.WELCOME:
            return Welcome.read(frame.body)
        return Refuse.read(frame.body)

    def say(self, *messages: _Message) -> None:
        self.stream.send(b"".join(message.encode().encode() for message in messages))

    async def hear(self, *kinds: FrameKind, patience: float) -> Frame:
        """The next frame of one of these kinds; others are passed over."""
        try:
            async with asyncio.timeout(patience):
                while (frame := await self._next()).kind not in kinds:
                    pass
        except TimeoutError as error:
            self.close()
            raise NetworkError(f"{self.stream.remote} said nothing for {patience:.0f} s") from error
        return frame

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()

    async def _next(self) -> Frame:
        while not self._heard:
            if self._over:
                why = f": {self._reason}" if self._reason else ""
                raise NetworkError(f"{self.stream.remote} hung up{why}")
            self.stream.resume()
            self._bell.clear()
            await self._bell.wait()
        return self._heard.popleft()

    # What the stream tells

    def got(self, message: object) -> None:
        """Raises RemoteProtocolError."""
        assert isinstance(message, Frame)
        self._left -= HEAD_SIZE + len(message.body)
        if self._left < 0:
            raise RemoteProtocolError("it says more than was asked for")
        self._heard.append(message)
        if len(self._heard) >= MOST_UNHEARD:
            self.stream.pause()

    def caught_up(self) -> None:
        self._bell.set()

    def drained(self) -> None:
        """Questions are short: nobody waits until they are sent."""

    def closed(self, reason: Exception | None) -> None:
        self._over, self._reason = True, reason
        self._bell.set()
