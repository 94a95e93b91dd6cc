"""Dialing somebody in the supernode network, and what is said before it is clear what he is to us.

We say HELLO and what we want; the other side says WELCOME, or REFUSE and where else to go. Who visits, for a
question or a test, then says and awaits frames as a coroutine, and goes again. Who wants to stay goes on as a
link, which answers in the socket's callback. How long a greeting may take and how many bytes may come is said
at its beginning.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeVar

from p2pswarm.errors import NetworkError, RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.net.port import Port
from p2pswarm.net.stream import Stream
from p2pswarm.overlay.supernode.link import Link
from p2pswarm.wire.framer import Scratch
from p2pswarm.wire.supernode.frames import HEAD_SIZE, Frame, FrameFramer, FrameKind
from p2pswarm.wire.supernode.hello import Hello, Refuse, Welcome

__all__ = ["Meeting", "TurnedDownError", "greet"]

GREETING_TIME = 8.0  # seconds; one that is busy answers late, and is better than none
MOST_AT_FIRST = 128 << 10  # bytes before who was dialed stays: a welcome, a list of hosts, and more
MOST_UNHEARD = 32  # frames after which no more is read until somebody hears them

_Welcomed = TypeVar("_Welcomed")


class TurnedDownError(NetworkError):
    """It is there and does not want us."""

    def __init__(self, address: Address, refusal: Refuse) -> None:
        super().__init__(f"{address} says: {refusal.text or refusal.reason}")
        self.refusal = refusal


async def greet(
    port: Port,
    address: Address,
    hello: Hello,
    *,
    patience: float = GREETING_TIME,
    most: int = MOST_AT_FIRST,
) -> tuple["Meeting", Welcome]:
    """Dial it and be welcomed within `patience` seconds; it may bring `most` bytes.

    Raises TurnedDownError, NetworkError, RemoteProtocolError.
    """
    meeting = Meeting(address, port.scratch, most)
    return meeting, await meeting.begin(port, hello, partial(_welcome, address), patience)


def _welcome(address: Address, frame: Frame) -> Welcome:
    """Raises TurnedDownError, RemoteProtocolError."""
    if frame.kind == FrameKind.REFUSE:
        raise TurnedDownError(address, Refuse.read(frame.body))
    return Welcome.read(frame.body)


class _Message(Protocol):
    def encode(self) -> Frame: ...


class Meeting:
    """`say` and `hear`; `close` at the end, or `stay`. Whatever waits raises NetworkError."""

    def __init__(
        self,
        address: Address,
        scratch: Scratch,
        most: int,
        framer: type[FrameFramer] = FrameFramer,
    ) -> None:
        self._address, self._scratch = address, scratch
        self._framer = framer  # of the protocol that is spoken
        self._stream: Stream | None = None
        self._left = most  # bytes that may still come
        self._heard: deque[Frame] = deque()
        self._bell = asyncio.Event()
        self._over = False
        self._reason: Exception | None = None

    async def begin(
        self, port: Port, hello: _Message, read: Callable[[Frame], _Welcomed], patience: float
    ) -> _Welcomed:
        """Dial, say hello, and `read` what WELCOME or REFUSE says; it is closed when that fails.

        Raises NetworkError, and what `read` raises. The two kinds are the same in both networks.
        """
        try:
            async with asyncio.timeout(patience):
                self.opened(await port.dial(self._address, self._framer(self._scratch), self))
                self.say(hello)
                frame = await self.next(FrameKind.WELCOME, FrameKind.REFUSE)
            return read(frame)
        except (OSError, TimeoutError) as error:
            self.close()
            reason = getattr(error, "strerror", None) or "it does not answer"
            raise NetworkError(f"cannot reach {self._address}: {reason}") from error
        except BaseException:
            self.close()
            raise

    def opened(self, stream: Stream) -> None:
        """It is there."""
        self._stream = stream
        stream.send(self._framer.frame.opening)

    @property
    def stream(self) -> Stream:
        assert self._stream is not None
        return self._stream

    def say(self, *messages: _Message) -> None:
        self.stream.send(b"".join(message.encode().encode() for message in messages))

    async def hear(self, *kinds: int, patience: float) -> Frame:
        """The next frame of one of these kinds; others are passed over."""
        try:
            async with asyncio.timeout(patience):
                return await self.next(*kinds)
        except TimeoutError as error:
            self.close()
            raise NetworkError(f"{self._address} said nothing for {patience:.0f} s") from error

    async def next(self, *kinds: int) -> Frame:
        """The same, however long that takes."""
        while (frame := await self._next()).kind not in kinds:
            pass
        return frame

    async def _next(self) -> Frame:
        while not self._heard:
            if self._over:
                why = f": {self._reason}" if self._reason else ""
                raise NetworkError(f"{self._address} hung up{why}")
            self.stream.resume()
            self._bell.clear()
            await self._bell.wait()
        return self._heard.popleft()

    def stay(self) -> Link:
        """It goes on as a link; `listen` to that at once, as what came meanwhile waits in it."""
        link = Link(self.stream, heard=self._heard, framer=self._framer)
        link.address = self._address
        if self._over:
            link.closed(self._reason)
        else:
            self.stream.resume()
            self.stream.switch(self._framer(self._scratch, opened=True), link)
        return link

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()

    # What the stream tells

    def got(self, message: object) -> None:
        """Raises RemoteProtocolError."""
        assert isinstance(message, Frame)
        if self._stream is None:
            raise RemoteProtocolError("it speaks before it was spoken to")
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
