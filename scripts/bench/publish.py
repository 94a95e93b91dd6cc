"""What a bench tells: a table for people, JSON with every single run, and a plot.

Full runs go to `docs/performance/NAME.json` and `.svg`; a trial (`--quick`) or a part (`--only`) is written
only where `--out` says, so that it never replaces the real thing. The same figures give the same files.
"""

import argparse
import json
import os
import platform
import re
import shutil
import signal
import ssl
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from scripts.bench.measure import Goal, Results, Spread, spreads
from scripts.bench.programs import ROOT, BenchError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Column", "Report", "bars", "chosen", "colour", "command", "machine", "parser", "table"]

OUT = ROOT / "docs" / "performance"
LIBRARIES = ("p2pswarm", "uvloop", "aiohttp", "bitarray", "libtorrent", "torf")
COMPARED = ("aria2c", "transmission-daemon", "mktorrent")
BEGAN = datetime.now(UTC)
LOAD = os.getloadavg()  # as the bench began


@dataclass(frozen=True)
class Column:
    """A figure as the table shows it: divided by `scale`, with so many digits."""

    figure: str
    head: str
    scale: float = 1.0
    digits: int = 2

    def show(self, value: float) -> str:
        return f"{value / self.scale:.{self.digits}f}"


@dataclass(frozen=True)
class Report:
    """Everything a bench found; `missing` says of who could not take part what would install it."""

    name: str
    question: str
    facts: Mapping[str, Any]  # what was done: sizes, counts, settings
    results: Results
    columns: Sequence[Column]
    goals: Sequence[Goal] = ()
    notes: Sequence[str] = ()
    missing: Mapping[str, str] = field(default_factory=dict)

    def publish(
        self, wanted: argparse.Namespace, draw: Callable[["Figure", "Report"], None]
    ) -> None:
        """Print it as was asked, and write JSON and plot."""
        text = self.as_json(wanted)
        print(text if wanted.json else self.as_text())
        out = wanted.out or (None if wanted.quick or wanted.only else OUT)
        if out is None:
            return
        out.mkdir(parents=True, exist_ok=True)
        (out / f"{self.name}.json").write_text(text + "\n")
        _plot(out / f"{self.name}.svg", lambda figure: draw(figure, self))

    def as_text(self) -> str:
        parts = [self.question, "", table(self.results, self.columns), ""]
        parts += [f"{name}: MISSING, apt-get install {how}" for name, how in self.missing.items()]
        parts += [f"{name}: FAILED, {why}" for name, why in self.results.failures.items()]
        parts += [_judged(goal) for goal in self.goals]
        return "\n".join([*parts, *self.notes]).rstrip()

    def as_json(self, wanted: argparse.Namespace) -> str:
        runs = self.results.runs
        medians = {
            name: {figure: asdict(spread) for figure, spread in spreads(each).items()}
            for name, each in runs.items()
        }
        told = {
            "question": self.question,
            "command": " ".join([f"scripts/bench/{self.name}", *sys.argv[1:]]),
            "quick": wanted.quick,
            "date": BEGAN.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "load_average_at_start": [round(load, 2) for load in LOAD],
            "machine": machine(),
            "facts": dict(self.facts),
            "goals": [{**asdict(goal), "met": goal.met} for goal in self.goals],
            "missing": dict(self.missing),
            "failed": dict(self.results.failures),
            "notes": list(self.notes),
            "medians": medians,
            "runs": {name: [dict(run) for run in each] for name, each in runs.items()},
        }
        return json.dumps(told, indent=1)


def table(results: Results, columns: Sequence[Column]) -> str:
    """A line a contestant: medians, and in brackets the least and the most where runs differ."""
    lines = [["", *(column.head for column in columns), "runs"]]
    for name, runs in results.runs.items():
        found = spreads(runs)
        cells = [_cell(found.get(column.figure), column) for column in columns]
        lines.append([name, *cells, str(len(runs))])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _cell(spread: Spread | None, column: Column) -> str:
    if spread is None:
        return "-"
    if spread.low == spread.high:
        return column.show(spread.median)
    return f"{column.show(spread.median)} ({column.show(spread.low)}-{column.show(spread.high)})"


def _judged(goal: Goal) -> str:
    sign = ">=" if goal.at_least else "<="
    if goal.value is None:
        return f"not measured   {goal.text} {sign} {goal.limit:g}"
    return (
        f"{'met' if goal.met else 'NOT MET':14} {goal.text} {sign} {goal.limit:g}: {goal.value:.3g}"
    )


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": cpu[1] if cpu else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory": memory,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION,
        "commit": _said("git", "-C", str(ROOT), "describe", "--always", "--dirty"),
        "libraries": {name: metadata.version(name) for name in LIBRARIES},
        "programs": {name: _said(name, "--version") for name in COMPARED if shutil.which(name)},
    }


def _said(*told: str) -> str:
    """The first line of a program's answer that has a number in it, as versions have."""
    try:
        answer = subprocess.run(told, capture_output=True, text=True, check=False)  # noqa: S603
    except FileNotFoundError:
        return ""
    lines = (answer.stdout + answer.stderr).splitlines()
    return next((line.strip() for line in lines if re.search(r"\d", line)), "")


def parser(description: str | None, runs: int = 5) -> argparse.ArgumentParser:
    """With the options that all benches have."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=runs, help=f"that count ({runs})")
    parser.add_argument("--quick", action="store_true", help="once and small: does it work here?")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="WORDS",
        help="contestants with all these words",
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="for JSON and plot (docs/performance)"
    )
    parser.add_argument("--json", action="store_true", help="print the JSON instead of the table")
    return parser


def chosen(name: str, wanted: argparse.Namespace) -> bool:
    """Whether `--only` lets this contestant take part."""
    return not wanted.only or any(fnmatchcase(name, f"*{part}*") for part in wanted.only)


def command(main: Callable[[], None]) -> NoReturn:
    """Run a bench as a program: SIGTERM ends it as Ctrl-C does, so that nothing is left behind."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        main()
    except BenchError as error:
        sys.exit(f"bench: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0)


def _plot(path: Path, draw: Callable[["Figure"], None]) -> None:
    """The plotting library comes last: it is large, and `programs` says why that matters."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams.update({"svg.hashsalt": "p2pswarm", "svg.fonttype": "none", "font.size": 9})
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 3.6), layout="constrained")
    draw(figure)
    figure.savefig(path, metadata={"Date": None, "Creator": None})


def colour(name: str) -> str:
    """Ours stand out."""
    return "#2a78b8" if "p2pswarm" in name else "#a0a0a0"


def bars(axes: "Axes", results: Results, column: Column) -> None:
    """One bar a contestant, with a whisker from the least to the most."""
    found = {name: spreads(runs) for name, runs in results.runs.items() if runs}
    names = [name for name, figures in found.items() if column.figure in figures]
    each = [found[name][column.figure] for name in names]
    middle = [spread.median / column.scale for spread in each]
    below = [(spread.median - spread.low) / column.scale for spread in each]
    above = [(spread.high - spread.median) / column.scale for spread in each]
    colours = [colour(name) for name in names]
    axes.barh(names, middle, xerr=[below, above], color=colours, ecolor="#404040")
    axes.set_ylim(len(names) - 0.4, -0.6)  # the first on top
    axes.set_title(column.head, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
