"""How many blocks a peer may owe us at one time. Sans-IO.

The one hard thing: a pipeline that runs dry wastes the line, and one that is too deep has blocks promised to
a peer that others would send sooner. So it grows with each block for as long as the rate does, as TCP does at
its slow start, and holds from then on what comes in a second and a round trip.
"""

from p2pswarm.formats.ids import BLOCK

__all__ = ["Pipeline"]

START_DEPTH = 8  # requests in flight at first; one more for each block while the rate still grows
MOST_IN_ROW = 16  # requests that wait for each other, a quarter of a megabyte
LEAST_DEPTH = 32  # Transmission's floor
# 8 MiB on their way from one peer; what libtorrent assumes of peers without `reqq`
MOST_DEPTH = 500
BUFFER_TIME = 1.0  # seconds of the peer's rate kept in flight, plus its round trip (decision 63)
STILL_GROWING = 5 << 10  # bytes per second; libtorrent's end of slow start


class Pipeline:
    """Of one peer; `depth` is never more than the peer takes, nor than `MOST_DEPTH`."""

    __slots__ = ("_rate_before", "_slow_start", "depth", "reqq", "rtt")

    def __init__(self) -> None:
        self.depth = START_DEPTH
        self.reqq = 250  # half of what libtorrent assumes of a peer that does not say
        self.rtt = 0.0  # seconds from a request on an empty pipeline to its block
        self._slow_start = True
        self._rate_before = 0.0

    @property
    def _most(self) -> int:
        return min(self.reqq, MOST_DEPTH)

    def room(self, owed: int) -> int:
        """How many blocks to ask for now. Requests travel in rows: a pipeline that is nearly full waits
        until one is worth a message."""
        room = self.depth - owed
        return room if room >= min(max(1, self.depth // 8), MOST_IN_ROW) else 0

    def takes(self, reqq: int) -> None:
        """The peer says how many requests it keeps (BEP 10)."""
        self.reqq = reqq
        self.depth = min(self.depth, self._most)

    def unchoked(self) -> None:
        """It begins anew."""
        self._slow_start = True
        self.depth = min(START_DEPTH, self._most)

    def stalled(self) -> None:
        """The peer owes blocks and sends none: one more, to see whether it ever goes on."""
        self._slow_start = True
        self.depth = 1

    def landed(self, blocks: int) -> None:
        """So many came in one go."""
        if self._slow_start:
            self.depth = min(self.depth + blocks, self._most)

    def tick(self, latest: float, average: float) -> None:
        """Once a second, with the rate of the last one and of a while."""
        grew, self._rate_before = latest - self._rate_before, latest
        if latest and grew < STILL_GROWING:
            self._slow_start = False
        if not self._slow_start:
            # While it speeds up, the average is late, and the other way round the last second may be a gap.
            wanted = int(max(latest, average) * (BUFFER_TIME + self.rtt) / BLOCK)
            self.depth = min(max(wanted, LEAST_DEPTH), self._most)
