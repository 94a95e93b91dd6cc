"""Where the next job of a disk runs: on the loop while the disk is quick, in a thread otherwise.

Seconds alone do not tell a slow disk from a machine with more to do than processors. But who waits for a disk
lets go of the processor himself, and who is put aside for somebody else does not, and the kernel counts the
two apart. So of what took long without letting go only the work counts, which may be a compressing disk's.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

__all__ = ["FAST", "PENALTY", "SLOW", "SMALL", "Pace", "Watch"]

SMALL = 1 << 20  # bytes; hashing these takes 0.7 ms of the loop's time
FAST = 0.001  # seconds a small write may take on average to stay on the loop
SLOW = 0.005  # seconds; one of these on the loop is one too many
PENALTY = 2.0  # seconds in threads after it, for a disk that has to catch its breath


if sys.platform == "linux":
    from resource import RUSAGE_THREAD, getrusage

    def _effort() -> tuple[int, float]:
        """How often this thread has waited for something, and how many seconds it worked."""
        usage = getrusage(RUSAGE_THREAD)
        return usage.ru_nvcsw, usage.ru_utime + usage.ru_stime
else:

    def _effort() -> tuple[int, float]:
        """Nobody counts for each thread: as if it had waited since the last call."""
        return time.perf_counter_ns(), 0.0


@dataclass(frozen=True)
class Watch:
    """Measures one job. The readings are those of the thread that calls."""

    clock: Callable[[], float] = time.perf_counter
    effort: Callable[[], tuple[int, float]] = _effort

    def start(self) -> tuple[float, int, float]:
        return self.clock(), *self.effort()

    def seconds(self, started: tuple[float, int, float]) -> float:
        """How long the disk took since then, in the same thread."""
        began, waits_before, worked_before = started
        passed = self.clock() - began
        if passed > FAST:
            waits, worked = self.effort()
            if waits == waits_before:
                return worked - worked_before
        return passed


class Pace:
    """Whether the next job runs here on the loop: it does while recent ones were quick.

    Nothing runs here until one was measured in a thread.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._average = inf  # seconds
        self._not_before = -inf

    def here(self, size: int) -> bool:
        return size <= SMALL and self._average < FAST and self._clock() >= self._not_before

    def took(self, seconds: float, *, here: bool) -> None:
        if self._average == inf:
            self._average = seconds
        self._average += (seconds - self._average) / 8
        if here and seconds > SLOW:
            self._not_before = self._clock() + PENALTY
