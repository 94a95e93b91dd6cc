"""How much of a CPU our process leaves free, as a super node needs some.

Only our own share counts: what others on this machine do may have ended when somebody needs us, and a node
must not be promoted or demoted by them.
"""

import time
from collections.abc import Callable

__all__ = ["Spare"]

SPAN = 10.0  # seconds over which it is measured


class Spare:
    """`percent` of one CPU, over the last ten seconds or so; everything before they have passed."""

    def __init__(
        self, clock: Callable[[], float], used: Callable[[], float] = time.process_time
    ) -> None:
        self._clock, self._used = clock, used
        self._since, self._before = clock(), used()
        self._percent = 100

    def percent(self) -> int:
        passed = self._clock() - self._since
        if passed >= SPAN:
            busy = (self._used() - self._before) / passed
            self._percent = max(0, min(100, round(100 * (1 - busy))))
            self._since, self._before = self._clock(), self._used()
        return self._percent
