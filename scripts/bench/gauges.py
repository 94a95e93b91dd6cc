"""Two ways to measure the same work: how long it took, and how much Python it was.

A piece of work hands every part that counts to its gauge, and prepares the rest outside. The `Stopwatch` is
what users feel and differs from run to run; the `Counter` gives the same numbers every time, so that a
guard in the tests can hold them: functions that were entered, and instructions of the interpreter. Loops and
messages show in the one, tasks and objects in the other.
"""

import sys
import time
from collections import defaultdict
from collections.abc import Callable
from types import FrameType
from typing import Any, Protocol

__all__ = ["Counter", "Gauge", "Stopwatch"]


class Gauge(Protocol):
    """`gauge("block", 32, job)` does the job, which is worth 32 blocks."""

    def __call__(self, what: str, worth: int, job: Callable[[], Any]) -> None: ...


class Stopwatch:
    """Seconds."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._worth: defaultdict[str, int] = defaultdict(int)

    def __call__(self, what: str, worth: int, job: Callable[[], Any]) -> None:
        start = time.perf_counter()
        job()
        self._seconds[what] += time.perf_counter() - start
        self._worth[what] += worth

    def each(self) -> dict[str, float]:
        """Seconds for one of each kind."""
        return {what: seconds / self._worth[what] for what, seconds in self._seconds.items()}


class Counter:
    """Python functions entered, and the interpreter's instructions in them; those in C count nothing."""

    def __init__(self) -> None:
        self._calls: defaultdict[str, int] = defaultdict(int)
        self._steps: defaultdict[str, int] = defaultdict(int)
        self._worth: defaultdict[str, int] = defaultdict(int)
        self._now = ""

    def __call__(self, what: str, worth: int, job: Callable[[], Any]) -> None:
        before, self._now = sys.gettrace(), what
        sys.settrace(self._enter)
        try:
            job()
        finally:
            sys.settrace(before)
        self._worth[what] += worth

    def calls(self, what: str = "block") -> float:
        return self._calls[what] / self._worth[what]

    def steps(self, what: str = "block") -> float:
        return self._steps[what] / self._worth[what]

    def _enter(self, frame: FrameType, event: str, arg: object) -> Callable[..., Any]:
        self._calls[self._now] += 1
        frame.f_trace_lines = False
        frame.f_trace_opcodes = True
        return self._step

    def _step(self, frame: FrameType, event: str, arg: object) -> Callable[..., Any]:
        self._steps[self._now] += event == "opcode"
        return self._step
