"""What is said in a call arrives once and in order, though connections come and go under it.

Sans-IO: frames go in, bytes come out. What is counted is kept until the other side tells that it heard it;
on a new connection both greet each other first, which tells what each heard, and the rest is said again.

The one hard thing: whoever says more than the other takes must wait. `has_room` tells when; who does not ask
is stopped, for nothing here grows without end. Whoever cannot take more holds: what came since then he has
heard, but does not tell so.
"""

from collections import deque

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.wire.calling.frames import HEAD_SIZE, CallFrame, CallHello, CallKind

__all__ = ["Control"]

# Bytes that were said and not heard: 10 MB/s where the way there and back takes 100 ms.
ROOM = 1 << 20
MOST = 2 * ROOM  # who goes on then does not ask for room


class Control:
    """One side of a call. Invariant: `_kept` is what was said and not heard, in order, without gaps."""

    def __init__(self, hello: CallHello) -> None:
        self.hello = hello
        self.theirs: CallHello | None = None
        """How the other side greeted us."""
        self._greeted = False  # on this connection
        self._said = 0  # the last number
        self._heard = 0
        self._told = 0  # what the other side knows that we heard
        self._held: int | None = None  # what we had heard when we began to hold
        self._held_bytes = 0  # what came since then
        self._kept: deque[CallFrame] = deque()
        self._bytes = 0
        self._out: list[bytes] = []

    @property
    def has_room(self) -> bool:
        return self._bytes < ROOM

    @property
    def settled(self) -> bool:
        """Everything that was said was heard."""
        return not self._kept

    @property
    def greeted(self) -> bool:
        """Whether this connection is used by both."""
        return self._greeted

    def begin(self) -> None:
        """There is a new connection; what the old one had to send is not sent there."""
        self._greeted = False
        self._out = [self._encoded(CallFrame(CallKind.HELLO, body=self.hello.encode()))]

    def end(self) -> None:
        """There is no connection now."""
        self._greeted = False
        self._out = []

    def say(self, kind: int, body: bytes = b"") -> None:
        """It will be heard, once, after all that was said before. Raises LocalProtocolError."""
        if self._bytes > MOST:
            raise LocalProtocolError("more was said than the other side hears")
        self._said += 1
        frame = CallFrame(kind, self._said, 0, body)
        self._kept.append(frame)
        self._bytes += len(body) + HEAD_SIZE
        if self._greeted:
            self._out.append(self._encoded(frame))

    def mention(self, kind: int, body: bytes) -> None:
        """It is heard now or never."""
        if self._greeted:
            self._out.append(self._encoded(CallFrame(kind, body=body)))

    def hold(self) -> None:
        """From the frame that came last on nothing is told to be heard, until `free`."""
        if self._held is None:
            self._held, self._held_bytes = max(self._heard - 1, 0), 0

    def free(self) -> None:
        """What came is taken, and more may come."""
        self._held = None

    def got(self, frame: CallFrame) -> CallFrame | None:
        """The frame, if it is new and of interest to others. Raises RemoteProtocolError."""
        if frame.kind == CallKind.HELLO:
            self._got_hello(frame)
            return None
        if not self._greeted:
            raise RemoteProtocolError("a call that begins without a greeting")
        self._was_heard(frame.heard)
        if frame.kind == CallKind.HEARD:
            return None
        if frame.number and not self._is_next(frame.number):
            return None
        self._held_bytes += len(frame.body) + HEAD_SIZE if frame.number else 0
        if self._held is not None and self._held_bytes > 2 * MOST:
            raise RemoteProtocolError("more was said than there is room for")
        return frame

    def caught_up(self) -> None:
        """All that came in one go was heard: tell it."""
        if self._greeted and self._told != self._tellable:
            self._out.append(self._encoded(CallFrame(CallKind.HEARD)))

    def take(self) -> bytes:
        """What is to be sent now."""
        out, self._out = self._out, []
        return b"".join(out)

    @property
    def _tellable(self) -> int:
        return self._heard if self._held is None else self._held

    def _got_hello(self, frame: CallFrame) -> None:
        if self._greeted:
            raise RemoteProtocolError("a second greeting on one connection")
        hello = CallHello.read(frame.body)
        if hello.session != self.hello.session:
            raise RemoteProtocolError("a greeting of another call")
        if self.theirs is not None and hello != self.theirs:
            raise RemoteProtocolError("another greeting than before")
        self.theirs = hello
        self._was_heard(frame.heard)
        self._greeted = True
        self._out += map(self._encoded, self._kept)

    def _is_next(self, number: int) -> bool:
        """False for what we heard already."""
        if number > self._heard + 1:
            raise RemoteProtocolError(f"after {self._heard} comes {number}")
        if number <= self._heard:
            return False
        self._heard = number
        return True

    def _was_heard(self, number: int) -> None:
        if number > self._said:
            raise RemoteProtocolError(f"{number} was heard, which was never said")
        while self._kept and self._kept[0].number <= number:
            self._bytes -= len(self._kept.popleft().body) + HEAD_SIZE

    def _encoded(self, frame: CallFrame) -> bytes:
        frame.heard = self._told = self._tellable
        return frame.encode()

    def check(self) -> None:
        """The invariant."""
        assert [frame.number for frame in self._kept] == [
            *range(self._said - len(self._kept) + 1, self._said + 1)
        ]
        assert self._bytes == sum(len(frame.body) + HEAD_SIZE for frame in self._kept)
