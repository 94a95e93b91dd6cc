"""One neighbour in the supernode network: frames in, frames out, and an end that is told.

What is sent during one turn of the event loop leaves in one write. A neighbour that does not read, or says
nothing for long though it was asked, is cut; what it may say and how often is up to whoever hears it.

The one hard thing: a word before the end (why we refuse, where else to go) is worth nothing when the
connection is torn down over it. So a link that says goodbye gives nothing more, and closes when that has
left, or a moment later.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Protocol

from typing_extensions import override

from p2pswarm.errors import NetworkError, RemoteError, RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.net.stream import Conversation, Stream
from p2pswarm.overlay.limits import Tokens
from p2pswarm.overlay.supernode.asking import Role
from p2pswarm.wire.framer import Scratch
from p2pswarm.wire.supernode.frames import Frame, FrameFramer
from p2pswarm.wire.supernode.keeping import Ping

__all__ = ["CONGESTED", "Hearer", "Link"]


SILENCE = 30.0  # seconds without a word after which a neighbour is asked whether it is there
PATIENCE = 15.0  # seconds it then has
CONGESTED = 64 << 10  # bytes that wait: who has so many is sent no queries
BATCH = 32 << 10  # bytes given to the kernel at a time, so that a slow line shows that it moves
MOST_WAITING = 1 << 20  # bytes; a full list of files is as long, in frames of 32 KiB
STUCK = 30.0  # seconds in which not one byte of what waits could be sent
LINGER = 2.0  # seconds for the last words to leave
FRAMES = (200.0, 2000.0)  # a second, and saved up, of any kind; finer limits are up to the hearer
UNKNOWN = 1 << 10  # bytes of a kind that we do not know which count as a frame more
NAMES = (0.2, 100.0)  # lists of hosts; a child is told of each new link of its parent


class Hearer(Protocol):
    """Whoever answers for a link."""

    def got(self, link: "Link", frame: Frame) -> None:
        """Raises RemoteError to have it cut."""

    def left(self, link: "Link", reason: Exception) -> None:
        """It is no more; called once, and last."""


class Link:
    """A conversation. `tick` now and then; `part` or `close` at the end."""

    def __init__(
        self,
        stream: Stream,
        hearer: Hearer | None = None,
        heard: Iterable[Frame] = (),
        framer: type[FrameFramer] = FrameFramer,
    ) -> None:
        """`heard` came already, and waits for whoever listens; `framer` is of the protocol that is spoken,
        where PING is the same in all."""
        self.stream = stream
        self._framer = framer
        self.role = Role.STRANGER
        self.node = b""
        """Who it is, once it was greeted."""
        self.address: Address | None = None
        """Where it listens, as far as that was told or dialed."""
        self.reason: Exception | None = None
        """Why it is over; None while it is not."""
        self._hearer = hearer
        self._unheard = deque(heard)
        self._loop = asyncio.get_running_loop()
        self.since = self._heard = self._moved = self._loop.time()
        self._frames = Tokens(*FRAMES, self.since)
        self._names = Tokens(*NAMES, self.since)
        self._asked: float | None = None  # whether it is there, and when that left
        self._ended = False  # the stream is closed
        self._told = False  # that to the hearer
        self._waiting: deque[bytes] = deque()
        self._size = 0  # of what waits
        self._room = True  # the kernel has all that was given to it
        self._rung = False  # what was put leaves at the end of this turn
        self._relaxed = asyncio.Event()
        self._relaxed.set()

    # Who it is

    @property
    def hearer(self) -> Hearer | None:
        """Whoever listens now."""
        return self._hearer

    def listen(self, hearer: Hearer) -> None:
        """From now on this one hears it, also what came meanwhile, and its end if that came, too."""
        self._hearer = hearer
        try:
            while self._unheard and not self.over:
                hearer.got(self, self._unheard.popleft())
        except RemoteError as error:  # as the stream does with what comes later
            self.close(error)
        if self._ended:
            self._tell_end()

    @property
    def remote(self) -> Address:
        """The other end of the connection."""
        return self.stream.remote

    @property
    def over(self) -> bool:
        return self.reason is not None

    @property
    def heard(self) -> float:
        """When it last said something."""
        return self._heard

    @property
    def congested(self) -> bool:
        """Whether it reads more slowly than it is written to."""
        return self._size > CONGESTED

    # What a hearer may do

    def send(self, *data: bytes) -> bool:
        """Whether these encoded frames will leave, if it goes on reading."""
        if self.over:
            return False
        if self._room and not self._waiting:
            self._moved = self._loop.time()
        self._waiting.extend(data)
        self._size += sum(map(len, data))
        if self._size > MOST_WAITING:
            self.close(NetworkError(f"{self.remote} does not read what it is sent"))
            return False
        if self.congested:
            self._relaxed.clear()
        if not self._rung:
            self._rung = True
            self._loop.call_soon(self._pump)
        return True

    def may_name(self) -> bool:
        """Whether hosts that it names now are heard."""
        return self._names.take(self._loop.time())

    def hand_over(self, conversation: Conversation, scratch: Scratch) -> None:
        """Somebody else talks from here on, and we hear nothing more of it."""
        self.reason = NetworkError("handed over")
        self.stream.switch(self._framer(scratch, opened=True), conversation)

    async def relaxed(self) -> None:
        """Until it is not congested, or over: for who has much to say."""
        await self._relaxed.wait()

    def part(self, last_word: bytes, why: str) -> None:
        """Say this, and close."""
        if self.send(last_word):
            self.reason = NetworkError(why)
            self.stream.pause()
            self._loop.call_later(LINGER, self.close)

    def close(self, reason: Exception | None = None) -> None:
        """At once."""
        if self.reason is None:
            self.reason = reason or NetworkError("closed")
        self._waiting.clear()
        self.stream.close(self.reason)

    def tick(self, now: float) -> None:
        """Ask a silent neighbour whether it is there; leave one that is not, or does not read."""
        if not self._room and now - self._moved > STUCK:
            self.close(NetworkError(f"{self.remote} reads nothing"))
        elif self._asked is None:
            if now - self._heard > SILENCE:
                self.ask(now)
        elif not self._room:  # the question stands behind all that we say on a slow line
            self._asked = now
        elif now - self._asked > PATIENCE:
            self.close(NetworkError(f"{self.remote} says nothing"))

    def ask(self, now: float) -> None:
        """Is it there? Once, until it has said something."""
        if self._asked is None:
            self._asked = now
            self.send(Ping().encode().encode())

    # What the stream tells

    def got(self, message: object) -> None:
        """Raises RemoteError."""
        if self.over:
            return
        assert isinstance(message, Frame)
        assert self._hearer is not None
        self._heard, self._asked = self._loop.time(), None
        if not self._frames.take(self._heard, _cost(message)):
            raise RemoteProtocolError("it says too much")
        self._hearer.got(self, message)

    def caught_up(self) -> None:
        if self._rung:
            self._pump()

    def drained(self) -> None:
        self._room, self._moved = True, self._loop.time()
        self._pump()

    def closed(self, reason: Exception | None) -> None:
        if self.reason is None:
            self.reason = reason or NetworkError("hung up")
        self._ended = True
        self._waiting.clear()
        self._relaxed.set()
        self._tell_end()

    def _tell_end(self) -> None:
        if self._hearer is not None and not self._told:
            assert self.reason is not None
            self._told = True
            self._hearer.left(self, self.reason)

    def _pump(self) -> None:
        self._rung = False
        while self._room and self._waiting and not self.stream.over:
            self._room = self.stream.send(*self._batch())
        if self.over and self._room and not self._waiting:
            self.close()

    def _batch(self) -> list[bytes]:
        batch: list[bytes] = []
        left = BATCH
        while self._waiting and left > 0:
            batch.append(self._waiting.popleft())
            left -= len(batch[-1])
        self._size -= sum(map(len, batch))
        if not self.congested:
            self._relaxed.set()
        return batch

    @override
    def __repr__(self) -> str:
        return f"<Link {self.remote} {self.role.value}, {self._size} bytes wait>"


def _cost(frame: Frame) -> float:
    """Of what is passed over nothing else says how much may come."""
    return 1.0 if frame.kind in frame.most else 1.0 + len(frame.body) / UNKNOWN
