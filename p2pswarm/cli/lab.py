"""`lab`: what search costs in networks of thousands of nodes, as tables, plots and one page.

Until the end everything is in memory, so that there is nothing to tidy: Ctrl-C ends it at once.
"""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

from p2pswarm.cli.exits import Exit, UsageError, words_of
from p2pswarm.cli.options import Argument, Laboratory, Listing
from p2pswarm.cli.text import say, tell_result
from p2pswarm.errors import FormatError
from p2pswarm.lab.experiments import EXPERIMENTS, Settings
from p2pswarm.lab.results import Result, to_json

__all__ = ["ExperimentArgument", "lab"]

ALL = "all"
_PROGRESS_EVERY = 2.0  # seconds

ExperimentArgument = Annotated[
    list[str], Argument("EXPERIMENT", f"{', '.join(EXPERIMENTS)}, or {ALL}; several are one page")
]


def lab(experiments: ExperimentArgument, laboratory: Laboratory, listing: Listing) -> Exit:
    """Measure search networks of thousands of real nodes in this process, on virtual time.

    Tables go to stdout; with --out there are plots and a page, too. As it comes, each experiment ends in
    about a minute on two cores: it asks few questions. --origins and --queries make it ask more.
    """
    names = _names(experiments)
    settings = _settings(laboratory)
    if laboratory.out is not None:
        laboratory.out.mkdir(parents=True, exist_ok=True)  # said now, not after minutes
    with _ending_at_once():
        results = [_run(name, settings) for name in names]
        _tell(results, as_json=listing.json)
        if laboratory.out is not None:
            _write(results, laboratory.out)
    return Exit.OK


def _names(wanted: Sequence[str]) -> list[str]:
    """Each once, in the order of the table. Raises UsageError."""
    for name in wanted:
        if name not in EXPERIMENTS and name != ALL:
            known = ", ".join(EXPERIMENTS)
            raise UsageError(f"{name[:40]!r} is no experiment: {known}, or {ALL}")
    return [name for name in EXPERIMENTS if name in wanted or ALL in wanted]


def _settings(laboratory: Laboratory) -> Settings:
    """Raises UsageError for a topology that there is not."""
    from p2pswarm.lab.graphs import NAMES
    from p2pswarm.lab.topologies import load

    topology = laboratory.topology
    if topology is not None and topology not in NAMES:
        try:
            load(topology)
        except (FormatError, OSError) as error:
            raise UsageError(f"--topology: {words_of(error)}") from error
    return Settings(
        topology, laboratory.nodes, laboratory.origins, laboratory.queries, laboratory.seed
    )


@contextmanager
def _ending_at_once() -> Iterator[None]:
    def end(number: int, frame: FrameType | None) -> None:
        os._exit(Exit.STOPPED)

    before = {each: signal.signal(each, end) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _run(name: str, settings: Settings) -> Result:
    began = time.monotonic()
    result = EXPERIMENTS[name](settings, _Voice().say)
    say(f"{name}: done in {time.monotonic() - began:.0f} s")
    return result


class _Voice:
    """Tells how far it is, the first time at once and then now and again."""

    def __init__(self) -> None:
        self._next = 0.0

    def say(self, text: str) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _PROGRESS_EVERY
            say(text)


def _tell(results: Sequence[Result], *, as_json: bool) -> None:
    if as_json:
        tell_result(_as_json(results))
        return
    from p2pswarm.lab.tables import as_text

    for result in results:
        for table in result.tables:
            for line in (*as_text(table).split("\n"), ""):
                tell_result(line)


def _as_json(results: Sequence[Result]) -> str:
    return f'{{"results":[{",".join(map(to_json, results))}]}}'


def _write(results: Sequence[Result], folder: Path) -> None:
    """What needs no library that may be missing comes first. Raises OSError, HostError."""
    from p2pswarm.lab import plots, report

    (folder / "results.json").write_text(_as_json(results) + "\n", "utf-8")
    page = folder / "report.html"
    page.write_text(report.page(*results), "utf-8")
    say(f"open {page}")
    for result in results:
        plots.write(result, folder)
