"""How fast bytes flow and how fast they may: `Meter`, `Bucket`, `Limiter`. Times are arguments."""

from collections import OrderedDict, deque
from collections.abc import Callable

__all__ = ["Bucket", "Limiter", "Meter"]


class Meter:
    """Counts bytes; tells the rate over the last `span` seconds.

    The hot path only does `meter.total += n`; whoever ticks once a second calls `tick(now)`.
    """

    __slots__ = ("_before", "_first", "_marks", "_span", "_ticked", "latest", "rate", "total")

    def __init__(self, span: float = 5.0) -> None:
        self.total = 0
        self.rate = 0.0  # bytes per second, as of the last tick
        self.latest = 0.0  # the same between the last two ticks: jumpy, but never late
        self._span = span
        self._first: float | None = None  # the first tick
        self._ticked = 0.0  # the last one, and the total then
        self._before = 0
        # When something flowed: most never need it
        self._marks: deque[tuple[float, int]] | None = None

    def tick(self, now: float) -> None:
        if self._first is None:
            self._first = self._ticked = now
            self._before = self.total
        if now > self._ticked:
            self.latest = (self.total - self._before) / (now - self._ticked)
            self._ticked, self._before = now, self.total
        marks = self._marks
        if marks is None:
            if not self.total:
                return
            marks = self._marks = deque()
            if self._first < now:
                marks.append((max(self._first, now - self._span), 0))
        marks.append((now, self.total))
        while len(marks) > 2 and marks[1][0] <= now - self._span:
            marks.popleft()
        then, before = marks[0]
        self.rate = (self.total - before) / (now - then) if now > then else 0.0


class Bucket:
    """A token bucket: `rate` bytes per second, at most a quarter of a second saved up.

    It may go into debt by one grant, so that a block that is larger than the savings still passes.
    """

    __slots__ = ("_filled", "_level", "_most", "rate")

    def __init__(self, rate: float, now: float) -> None:
        self.rate = rate
        self._most = max(rate / 4, 1.0)
        self._level = self._most
        self._filled = now

    def take(self, want: int, least: int, now: float) -> int:
        """How many of `want` bytes may flow now: 0, or between `least` and `want`."""
        if self.level(now) < 1:
            return 0
        granted = min(want, max(int(self._level), least))
        self._level -= granted
        return granted

    def level(self, now: float) -> float:
        """Bytes saved up; negative is debt. Below one byte nothing flows."""
        self._level = min(self._level + (now - self._filled) * self.rate, self._most)
        self._filled = now
        return self._level

    def refund(self, n: int) -> None:
        """Granted, but not used."""
        self._level += n

    def wait(self) -> float:
        """Seconds after the last `take` until something may flow again."""
        return max(0.0, (1 - self._level) / self.rate)


class Limiter:
    """One rate that many share in turn. A rate of 0 is no limit.

    `take` grants now or promises to call `again` later; those who wait are served first come, first
    served, and whoever was served goes to the end of the line. Invariant: while somebody waits, a wake-up
    is due.
    """

    # Sleeping less than this only costs wake-ups; at 20 ms a limit of 8 MB/s grants 160 kB at a time.
    _PAUSE = 0.02

    def __init__(
        self,
        rate: float,
        clock: Callable[[], float],
        call_later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self._clock = clock
        self._call_later = call_later
        self._bucket = Bucket(rate, clock()) if rate else None
        self._line: OrderedDict[Callable[[], None], None] = OrderedDict()
        self._asleep = False
        self._serving = False

    @property
    def rate(self) -> float:
        return self._bucket.rate if self._bucket else 0.0

    def take(self, want: int, least: int, again: Callable[[], None]) -> int:
        """Bytes granted now (0, or `least` to `want`); with 0, `again()` is called when it is worth a try."""
        bucket = self._bucket
        if bucket is None:
            return want
        granted = 0
        if self._serving or not self._line:
            granted = bucket.take(want, least, self._clock())
        if not granted:
            self._line[again] = None
            self._sleep(bucket)
        return granted

    def take_now(self, n: int) -> bool:
        """All of it, or none and no promise: for what is worth nothing later.

        It goes before those who wait: what there will be in a quarter of a second is granted already.
        """
        bucket = self._bucket
        if bucket is None:
            return True
        if bucket.level(self._clock()) < 1 - bucket.rate / 4:
            return False
        bucket.refund(-n)
        return True

    def refund(self, n: int) -> None:
        """Granted, but not used."""
        if self._bucket is not None:
            self._bucket.refund(n)

    def forget(self, again: Callable[[], None]) -> None:
        """Take somebody who has gone out of the line."""
        self._line.pop(again, None)

    def _sleep(self, bucket: Bucket) -> None:
        if not self._asleep:
            self._asleep = True
            self._call_later(max(self._PAUSE, bucket.wait()), lambda: self._wake(bucket))

    def _wake(self, bucket: Bucket) -> None:
        """Let the line try in order, as long as there is something to give."""
        self._asleep, self._serving = False, True
        try:
            for again in list(self._line):
                if bucket.level(self._clock()) < 1:
                    break
                if again in self._line:  # and did not leave since
                    del self._line[again]
                    again()
        finally:
            self._serving = False
            if self._line:
                self._sleep(bucket)
