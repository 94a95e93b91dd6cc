"""How much may be on its way: LEDBAT (RFC 6817), which wants a queue of 100 ms and yields to who wants more.

Below the target the window grows by up to 3000 bytes in a round trip, above it shrinks in proportion. It
starts as TCP does, doubling until the queue is felt or something is lost.

The one hard thing: a lost packet is seen many times. The window is halved once for all that was lost in one
round trip, and in 100 ms.
"""

__all__ = ["Ledbat"]

TARGET = 0.1  # seconds of queueing
GAIN = 3000.0  # bytes in a round trip
_FIRST = 3000.0  # two packets
_PER_LOSS = 0.5
_BETWEEN_CUTS = 0.1
_FULL = 0.5  # of the target: where doubling ends, half a round trip before it would be too late
_MOST = 4 << 20


class Ledbat:
    """Invariant: `window` has room for one packet at least."""

    def __init__(self) -> None:
        self.window = _FIRST
        self._doubles = True
        self._threshold = float(_MOST)
        self._cut = -1.0

    def acked(self, size: int, queueing: float, *, limited: bool) -> None:
        """So many bytes arrived. A window that nobody fills says nothing about the path and does not grow."""
        if self._doubles and queueing > TARGET * _FULL:
            self._doubles = False
        if self._doubles:
            change = float(size)
        else:
            share = min(size / self.window, 1.0)
            change = max(GAIN * share * (TARGET - queueing) / TARGET, -self.window / 2 * share)
        if change < 0 or limited:
            self.window = min(self.window + change, _MOST)
        if self.window > self._threshold:
            self._doubles = False

    def lost(self, now: float, round_trip: float) -> None:
        """The path is full."""
        if now >= self._cut:
            self.window *= _PER_LOSS
            self._doubles = False
            self._cut = now + max(_BETWEEN_CUTS, round_trip)

    def timed_out(self, packet: int) -> None:
        """Nothing comes back any more: begin anew, and double up to half of what was."""
        self._threshold = max(self.window * _PER_LOSS, 2.0 * packet)
        self.window = float(packet)
        self._doubles = True

    def at_least(self, packet: int) -> None:
        """One packet always fits."""
        self.window = max(self.window, float(packet))
