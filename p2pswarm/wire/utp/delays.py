"""How long packets wait on their way, from clocks that nobody has set to each other.

A sample is the sender's clock subtracted from the receiver's: it has an unknown offset, and wraps. What is
above the smallest of the last minutes is time spent in queues (RFC 6817, 4.2).

The one hard thing: clocks drift. One that runs slow makes each sample smaller, and is forgiven by the
minimum; one that runs fast makes them grow like a queue. What one side sees grow the other sees shrink, so
that each new minimum of theirs moves ours (as libutp does it).
"""

from collections import deque

__all__ = ["DelayHistory"]

_MASK = 0xFFFFFFFF
_HALF = 0x80000000
_MINUTES = 13  # as libutp
_MINUTE = 60.0
_RECENT = 3  # samples of which the smallest counts: one that was late by itself is not a queue
MOST_SHIFT = 10_000  # microseconds; more is a new route, not a drifting clock


class DelayHistory:
    """Microseconds, 32 bits of them."""

    def __init__(self) -> None:
        self.base: int | None = None
        """The smallest of the last minutes."""
        self._minutes: deque[int] = deque(maxlen=_MINUTES)
        self._since = 0.0
        self._recent: deque[int] = deque(maxlen=_RECENT)

    @property
    def queueing(self) -> float:
        """Seconds above the smallest, of late."""
        base = self.base
        if base is None or not self._recent:
            return 0.0
        return max(0, min([_signed(sample - base) for sample in self._recent])) / 1e6

    def add(self, sample: int, now: float) -> int:
        """Returns by how much the smallest became smaller."""
        before = self.base
        self._recent.append(sample)
        if before is None or now - self._since >= _MINUTE:
            self._minutes.append(sample)
            self._since = now
            self._find_base()
        elif _signed(sample - self._minutes[-1]) < 0:
            self._minutes[-1] = sample
            if _signed(sample - before) < 0:
                self.base = sample
        return 0 if before is None else max(0, _signed(before - sample))

    def shift(self, offset: int) -> None:
        """Their clock turned out to be slower by so much: what grew is not a queue."""
        if self._minutes and offset <= MOST_SHIFT:
            self._minutes = deque(((base + offset) & _MASK for base in self._minutes), _MINUTES)
            self._find_base()

    def _find_base(self) -> None:
        first = self._minutes[0]
        self.base = (first + min(_signed(each - first) for each in self._minutes)) & _MASK


def _signed(difference: int) -> int:
    return ((difference + _HALF) & _MASK) - _HALF
