"""The Napster index server, filled and searched over real sockets: searches a second, latency, memory a file.

Every contestant is a `p2pswarm-tracker --napster` of its own. One process shares files with it, as two
hundred members with five thousand files each (a tenth of that for 100 000 files), and stays; another, in
each run, is eight members who search, each with the next search as soon as the last is answered, and before
that one member alone. Words and names follow Zipf's law, and searches take one to three words from a name.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.bench import publish
from scripts.bench.measure import Figures, Results, note, take_turns
from scripts.bench.programs import PYTHON, Program, program

if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUESTION = "How fast does the Napster index server answer, and what does a file cost?"
STORES = ("memory", "sqlite")
SIZES = (100_000, 1_000_000)
SEARCHERS = 8
EACH = 5_000  # files of one member
COLUMNS = (
    publish.Column("rate", "searches/s", 1, 0),
    publish.Column("p50", "p50 ms", 1e-3),
    publish.Column("p99", "p99 ms", 1e-3),
    publish.Column("alone", "p99 alone, ms", 1e-3),
    publish.Column("hits", "hits each", 1, 1),
    publish.Column("memory", "bytes a file", 1, 0),
    publish.Column("disk", "on disk", 1, 0),
    publish.Column("filling", "files/s in", 1, 0),
)
LIMITS = ("--napster-query-rate=1e9", "--napster-max-per-address=1000")


@dataclass
class Server:
    """A contestant: a server that is full already."""

    name: str
    port: str
    seconds: float
    filled: Figures
    most: int | None = None

    def run(self, *, check: bool) -> Figures:
        command = (PYTHON, "-m", "scripts.bench.napster_load", "search", self.port)
        with program(*command, SEARCHERS, self.seconds) as searching:
            told = searching.wait_for("searched")
            searching.wait()
        figures = {name: float(told[name]) for name in ("rate", "p50", "p99", "alone", "hits")}
        return {**figures, **self.filled}


@contextmanager
def full(store: str, files: int, folder: Path, seconds: float) -> Iterator[Server]:
    """A server with so many files, and those who share them."""
    index = folder / f"{store}-{files}"
    where = "memory" if store == "memory" else f"sqlite:{index}"
    options = ("--host=127.0.0.1", "--port=0", "--napster=0", f"--napster-index={where}", *LIMITS)
    with program(PYTHON, "-m", "tracker", *options, patience=1200) as tracker:
        port = _port(tracker)
        before = tracker.usage().memory
        fill = (PYTHON, "-m", "scripts.bench.napster_load", "share", port, files, EACH)
        began = time.monotonic()
        with program(*fill, patience=1200) as sharing:
            sharing.wait_for("shared", files=files)
            filled = {
                "filling": files / (time.monotonic() - began),
                "memory": (tracker.usage().memory - before) / files,
            }
            if store == "sqlite":
                filled["disk"] = index.stat().st_size / files
            note(f"{store} {files}: {filled}")
            yield Server(f"{store}, {files:_} files".replace("_", " "), port, seconds, filled)


def _port(tracker: Program) -> str:
    while not (line := tracker.wait_for_line()).startswith("napster:"):
        time.sleep(0.01)
    return line.rpartition(":")[2]


def draw(figure: "Figure", report: publish.Report) -> None:
    figure.set_size_inches(7.2, 1.8)
    chosen = (COLUMNS[0], COLUMNS[2], COLUMNS[5])
    for axes, column in zip(figure.subplots(1, 3, sharey=True), chosen, strict=True):
        publish.bars(axes, report.results, column)


def arguments() -> argparse.Namespace:
    parser = publish.parser(__doc__, runs=3)
    parser.add_argument("--seconds", type=float, default=4, help="of searching in one run (4)")
    wanted = parser.parse_args()
    wanted.runs = 1 if wanted.quick else wanted.runs
    wanted.seconds = 1.0 if wanted.quick else wanted.seconds
    return wanted


def main() -> None:
    wanted = arguments()
    sizes = (10_000,) if wanted.quick else SIZES
    every = [(f"{store}, {files}", store, files) for files in sizes for store in STORES]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as servers:
        contestants = [
            servers.enter_context(full(store, files, Path(folder), wanted.seconds))
            for name, store, files in every
            if publish.chosen(name, wanted)
        ]
        results: Results = take_turns(contestants, wanted.runs)
    facts = {"searchers": SEARCHERS, "seconds": wanted.seconds, "files of one member": EACH}
    publish.Report("napster", QUESTION, facts, results, COLUMNS).publish(wanted, draw)


if __name__ == "__main__":
    publish.command(main)
