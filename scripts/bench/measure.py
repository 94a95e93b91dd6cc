"""Fair comparison: contestants take turns, one warm-up each does not count, medians with their spread.

What else the machine does in these minutes meets all contestants alike, so two of them are compared run by
run with their neighbour (`ratio`), never by figures of different hours.
"""

import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from scripts.bench.programs import BenchError

__all__ = [
    "Contestant", "Figures", "Goal", "Results", "Spread", "note", "ratio", "spreads", "take_turns",
]  # fmt: skip

Figures = Mapping[
    str, float
]  # what one run gave: name of the figure -> value, None of them rounded


@dataclass(frozen=True)
class Results:
    """The counted runs of every contestant, in order, and why some have fewer or none."""

    runs: dict[str, list[Figures]]
    failures: dict[str, str]


class Contestant(Protocol):
    """Somebody who can do the job; `most` bounds the runs of those who take minutes."""

    @property
    def name(self) -> str: ...

    @property
    def most(self) -> int | None: ...

    def run(self, *, check: bool) -> Figures:
        """Do it once; with `check`, compare what came out with what should (raises BenchError)."""
        ...


@dataclass(frozen=True)
class Spread:
    """The median of one figure, and between what it lay."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        values = list(values)
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True)
class Goal:
    """What is to be reached, and what was; a value of None was not measured in this run."""

    text: str
    limit: float
    value: float | None
    at_least: bool = True  # False: at most

    @property
    def met(self) -> bool | None:
        if self.value is None:
            return None
        return self.value >= self.limit if self.at_least else self.value <= self.limit


def take_turns(contestants: Sequence[Contestant], runs: int) -> Results:
    """A B C, A B C, …; whoever fails is told loudly and takes no further part."""
    results = Results({each.name: [] for each in contestants}, {})
    for each in contestants:
        _take_turn(each, "warm-up", results)
    for number in range(1, runs + 1):
        for each in contestants:
            if each.name not in results.failures and number <= (each.most or runs):
                _take_turn(each, f"run {number}", results)
    return results


def _take_turn(contestant: Contestant, what: str, results: Results) -> None:
    name, counts = contestant.name, what != "warm-up"
    try:
        figures = contestant.run(check=not counts)
    except BenchError as error:
        results.failures[name] = str(error)
        note(f"{name}, {what}: FAILED: {error}")
        return
    if counts:
        results.runs[name].append(figures)
    shown = "  ".join(f"{figure} {value:.4g}" for figure, value in figures.items())
    note(f"{name:32} {what:8} {shown}")


def spreads(runs: Sequence[Figures]) -> dict[str, Spread]:
    """Of every figure that all runs have."""
    names = [name for name in runs[0] if all(name in run for run in runs)] if runs else []
    return {name: Spread.of(run[name] for run in runs) for name in names}


def ratio(results: Results, one: str, other: str, figure: str) -> float | None:
    """The median of one / other over runs that were neighbours; None when there are none."""
    pairs = zip(results.runs.get(one, ()), results.runs.get(other, ()), strict=False)
    values = [left[figure] / right[figure] for left, right in pairs]
    return statistics.median(values) if values else None


def note(text: str) -> None:
    """Progress, for whoever waits."""
    print(text, file=sys.stderr, flush=True)
