"""When our record is written into the directory again: when it has changed, when half of its time is over,
and after a while when that failed.

Homes come and go by twos and threes, so a change waits a moment for the next one. Sans-IO.
"""

from random import Random

__all__ = ["TTL", "Publishing"]

TTL = 72 * 3600.0  # seconds: who was here in the last three days is found, at home or not
RENEW = 3600.0  # seconds at most: a record that all its keepers lost is missed no longer
AT_FIRST = (0.2, 0.6)  # seconds from the first home on: who has just come wants to be found
SETTLE = (1.0, 3.0)  # from a change on
APART = 2.5  # seconds between two writes: super nodes take a new record of one name once in two
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 300.0  # after a write that failed, doubled each time


class Publishing:
    """`begin` when `due`, and then tell `stored` or `failed`."""

    def __init__(self, dice: Random) -> None:
        self._dice = dice
        self._told: object = None
        self._wanted: object = None
        self._writing: object = None
        self._failures = 0
        self._wrote = float("-inf")
        self.due = float("inf")
        """When the record is to be written; `inf` for never."""

    @property
    def stored_as_is(self) -> bool:
        """Whether what the directory holds is what we are."""
        return self._told is not None and self._told == self._wanted

    def changed(self, content: object, now: float) -> None:
        """What the record should say from now on; the same again is no change."""
        if content != self._wanted:
            pause = AT_FIRST if self._wanted is None else SETTLE
            self._wanted, self._failures = content, 0
            self._soon(now, pause)

    def begin(self) -> None:
        """It is being written, as it is now; one write at a time."""
        self._writing = self._wanted
        self.due = float("inf")

    def stored(self, now: float) -> None:
        """A majority of its slot has it."""
        self._told, self._failures, self._wrote = self._writing, 0, now
        self.due = now + min(RENEW, TTL / 2) * self._dice.uniform(0.8, 1.0)
        self._again(now)

    def failed(self, now: float) -> None:
        """Nobody took it, or not enough."""
        self._failures += 1
        longest = min(FIRST_PAUSE * 2.0 ** min(self._failures - 1, 10), LONGEST_PAUSE)
        self.due = now + self._dice.uniform(longest / 2, longest)
        self._again(now)

    def _again(self, now: float) -> None:
        if self._wanted != self._writing:  # it changed meanwhile
            self._soon(now, SETTLE)

    def _soon(self, now: float, pause: tuple[float, float]) -> None:
        soon = max(now + self._dice.uniform(*pause), self._wrote + APART)
        self.due = min(self.due, soon)
