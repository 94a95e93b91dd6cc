"""Two connections become one: what comes by one leaves by the other, and nobody looks into it.

The one hard thing: no growth. One chunk is read, paid for and given on, and the next is read when the kernel
has taken it; so a slow end, or a pair at its rate, slows the other end down, as one connection would.

What one end said before it hung up still reaches the other, if that goes on reading.
"""

from collections import deque
from collections.abc import Callable, Sequence

from typing_extensions import override

from p2pswarm.errors import NetworkError, RemoteProtocolError
from p2pswarm.net.rate import Limiter
from p2pswarm.net.stream import Stream
from p2pswarm.wire.framer import CuttingFramer, Scratch

__all__ = ["CHUNK", "Splice"]

CHUNK = 16 << 10  # bytes read at a time: what cannot wait gets in between


class _ChunkFramer(CuttingFramer):
    """Whatever came is a message."""

    def __init__(self, scratch: Scratch) -> None:
        super().__init__(scratch)
        self._window = CHUNK

    @override
    def _cut(self, view: memoryview, into: list[object]) -> int:
        if len(view):
            into.append(view.tobytes())
        return len(view)


class Splice:
    """`begin`, and `close` at the end, which it may come to by itself: then `ended` is told, once.

    `spend` says of each chunk whether it may pass; `limiters` say when.
    """

    def __init__(
        self,
        one: Stream,
        other: Stream,
        spend: Callable[[int], bool],
        limiters: Sequence[Limiter],
        ended: Callable[[], None],
    ) -> None:
        self._ended = ended
        self._one = _End(one, other, self, spend, limiters)
        self._other = _End(other, one, self, spend, limiters)
        self._one.opposite, self._other.opposite = self._other, self._one
        self._over = False

    def begin(self, scratch: Scratch) -> None:
        """From here on nobody else hears the two."""
        for end in (self._one, self._other):
            end.stream.switch(_ChunkFramer(scratch), end)
            end.stream.resume()

    def close(self, reason: Exception | None = None) -> None:
        """Now; what was not given on is lost."""
        for end in (self._one, self._other):
            end.forget()
            end.stream.close(reason)
        if not self._over:
            self._over = True
            self._ended()


class _End:
    """The conversation with one of the two: what it says goes to the other."""

    opposite: "_End"

    def __init__(
        self,
        stream: Stream,
        to: Stream,
        splice: Splice,
        spend: Callable[[int], bool],
        limiters: Sequence[Limiter],
    ) -> None:
        self.stream = stream
        self._to, self._splice, self._spend, self._limiters = to, splice, spend, limiters
        self._held: deque[bytes] = deque()
        self._granted = 0  # how many of the limiters let the first of them pass
        self._free = True  # the kernel has what was given on
        self._gone = False

    def got(self, message: object) -> None:
        """Raises RemoteProtocolError."""
        if not isinstance(message, bytes):
            raise RemoteProtocolError("it went on in frames before it was joined")
        if not self._spend(len(message)):
            self._splice.close(NetworkError("the quota is used up"))
            return
        self._held.append(message)

    def caught_up(self) -> None:
        self._move()

    def drained(self) -> None:
        """What the other one said is with the kernel."""
        self.opposite.taken()

    def taken(self) -> None:
        self._free = True
        self._move()

    def _move(self) -> None:
        while self._held and self._free and self._may_pass(len(self._held[0])):
            self._free = self._to.send(self._held.popleft())
        waits = bool(self._held) or not self._free
        if self._gone and not waits:
            self._splice.close()
        elif waits:
            self.stream.pause()
        else:
            self.stream.resume()

    def _may_pass(self, size: int) -> bool:
        """Each of the limiters is asked once for each chunk; who says no calls again."""
        while self._granted < len(self._limiters):
            if not self._limiters[self._granted].take(size, size, self._move):
                return False
            self._granted += 1
        self._granted = 0
        return True

    def forget(self) -> None:
        self._held.clear()
        for limiter in self._limiters:
            limiter.forget(self._move)

    def closed(self, reason: Exception | None) -> None:
        """What it said last goes on first; then both are over."""
        self._gone = True
        self._move()
