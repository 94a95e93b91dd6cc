"""What came, put in order: bytes for the reader, and for the sender what is missing.

The one hard thing: the sender decides how much is kept here. Packets that are early count against the window
as those do that nobody has read; a stranger's window is small and grows by what it really delivered.
"""

from p2pswarm.wire.utp.packet import ahead

__all__ = ["Receiver"]

FIRST_WINDOW = 256 << 10
MOST_WINDOW = 1 << 20
MOST_AHEAD = 1024  # packets; as many as libutp keeps


class Receiver:
    """`last` is the number up to which nothing is missing."""

    def __init__(self, last: int) -> None:
        self.last = last
        self.early = 0
        """A bit for each packet that is here already, the lowest for `last` + 2."""
        self.must_ack = False
        self.ready: list[bytes] = []
        """In order, for the reader to `take`."""
        self._waiting = 0  # bytes in it
        self._kept: dict[int, bytes] = {}
        self._held = 0  # bytes in both
        self._limit = FIRST_WINDOW
        self._end: int | None = None

    @property
    def window(self) -> int:
        """Bytes there is room for."""
        return max(0, self._limit - self._held)

    @property
    def ended(self) -> bool:
        """Everything is here that the other side will ever say."""
        return self.last == self._end

    def got(self, seq: int, payload: bytes) -> None:
        """One packet of data."""
        self.must_ack = True
        place = (seq - self.last - 1) & 0xFFFF
        size = len(payload)
        if place >= MOST_AHEAD or size > self._limit - self._held:
            return
        if self._end is not None and 0 < ahead(seq, self._end) < MOST_AHEAD:
            return
        if place == 0:
            self.last = seq
            self._held += size
            self._deliver(payload)
            if self._kept or self.early:
                self._close_gap()
        elif seq not in self._kept:
            self._kept[seq] = payload
            self._held += size
            self.early |= 1 << place - 1

    def got_end(self, seq: int, payload: bytes) -> None:
        """The last packet there will be; what would come behind it is not wanted."""
        place = ahead(seq, self.last) - 1
        if self._end is None and 0 <= place < MOST_AHEAD:
            self._end = seq
            for other in [each for each in self._kept if 0 < ahead(each, seq) < MOST_AHEAD]:
                self._held -= len(self._kept.pop(other))
            self.early &= (1 << place) - 1
        self.got(seq, payload)

    def take(self) -> list[bytes]:
        """What is in order, for good."""
        ready, self.ready = self.ready, []
        if self.window < self._limit // 2:
            self.must_ack = True  # the sender may be waiting for room
        self._held -= self._waiting
        self._limit = min(MOST_WINDOW, self._limit + self._waiting)
        self._waiting = 0
        return ready

    def _deliver(self, payload: bytes) -> None:
        if payload:
            self.ready.append(payload)
            self._waiting += len(payload)

    def _close_gap(self) -> None:
        while self.early & 1:
            self.early >>= 1
            self.last = (self.last + 1) & 0xFFFF
            self._deliver(self._kept.pop(self.last))
        self.early >>= 1
