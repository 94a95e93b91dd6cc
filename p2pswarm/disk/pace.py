"""Where the next job of a disk runs: on the loop while the disk is quick, in a thread otherwise.

Seconds alone do not tell a slow disk from a machine with more to do than processors. But who waits for a disk
lets go of the processor himself, and who is put aside for somebody else does not, and the kernel counts the
two apart. So what took long is the disk's doing only where the thread let go.
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

    def _let_go() -> int:
        """How often this thread has waited for something."""
        return getrusage(RUSAGE_THREAD).ru_nvcsw
else:

    def _let_go() -> int:
        """Nobody counts for each thread: as if it had waited since the last call."""
        return time.perf_counter_ns()


@dataclass(frozen=True)
class Watch:
    """Measures one job. The readings are those of the thread that calls."""

    clock: Callable[[], float] = time.perf_counter
    let_go: Callable[[], int] = _let_go

    def start(self) -> tuple[float, int]:
        return self.clock(), self.let_go()

    def seconds(self, started: tuple[float, int]) -> float:
        """How long the disk took since then, in the same thread; 0 where the time was somebody else's."""
        began, let_go = started
        passed = self.clock() - began
        return 0.0 if passed > FAST and self.let_go() == let_go else passed


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
