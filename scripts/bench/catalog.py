"""How a catalog stands a million files: first scan, start, rescan, searches, hashing, memory, size on disk.

Each step is a process of its own that works with the same folder and the same index. The first scan makes the
index, so it has one run and no warm-up. A start counts from the start of the process to the answer to a first
question, with the files of last time; a rescan finds that nothing has changed. Searches are asked one after
the other. A million small files take a minute to make; `--folder` keeps them.
"""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.bench import publish
from scripts.bench.files import DISK, scratch
from scripts.bench.measure import Figures, Goal, Results, note, spreads, take_turns
from scripts.bench.programs import PYTHON, BenchError, program

if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUESTION = "How does a catalog stand a million files?"
FILES = 1_000_000
BYTES_A_FILE = 5_000  # of disk: a block, a name, a row in the index
FIRST, START, RESCAN, SEARCH, HASH = "first scan", "start", "rescan", "search", "hash"
SECONDS = 2.0  # "starts in seconds"
COLUMNS = (
    publish.Column("seconds", "s", 1, 2),
    publish.Column("rate", "searches/s", 1, 0),
    publish.Column("p50", "p50 ms", 1e-3),
    publish.Column("p99", "p99 ms", 1e-3),
    publish.Column("hits", "hits each", 1, 1),
    publish.Column("md5s", "MD5 files/s", 1, 0),
    publish.Column("digests", "SHA-1 files/s", 1, 0),
    publish.Column("memory", "peak MB", 1e6, 1),
    publish.Column("disk", "on disk, bytes a file", 1, 0),
)
_FIGURES = frozenset(column.figure for column in COLUMNS)


@dataclass(frozen=True)
class Step:
    """A contestant: one step of a catalog's life."""

    name: str
    step: str
    folder: Path
    database: Path
    files: int
    most: int | None = None

    def run(self, *, check: bool) -> Figures:
        if self.name == FIRST and check:
            return {}
        command = (PYTHON, "-m", "scripts.bench.catalog_load")
        with program(*command, self.step, self.folder, self.database) as running:
            told = running.wait_for("measured")
            used = running.wait()
            took = told["heard"] - running.started
        if told["files"] != self.files:
            raise BenchError(f"{self.name}: {told['files']} files, not {self.files}")
        figures = {name: value for name, value in told.items() if name in _FIGURES}
        if self.name == START:
            figures["seconds"] = took
        if self.name == FIRST:
            kept = self.database.parent.glob(f"{self.database.name}*")
            figures["disk"] = sum(path.stat().st_size for path in kept) / self.files
        return {**figures, "memory": used.memory}


@contextmanager
def shared(wanted: argparse.Namespace) -> Iterator[Path]:
    """A folder with so many files; one that was named is made if needed, and stays."""
    if wanted.folder is None:
        with scratch(DISK, wanted.files * BYTES_A_FILE) as home:
            yield filled(home / "share", wanted.files)
    else:
        yield wanted.folder if wanted.folder.exists() else filled(wanted.folder, wanted.files)


def filled(folder: Path, files: int) -> Path:
    note(f"making {files} files in {folder}")
    command = (PYTHON, "-m", "scripts.bench.catalog_load", "make", folder, files)
    with program(*command, patience=1200) as making:
        making.wait()
    return folder


def steps(folder: Path, database: Path, wanted: argparse.Namespace) -> Iterator[Step]:
    """The first scan takes part always: what would the others work with?"""
    place = folder, database, wanted.files
    yield Step(FIRST, "scan", *place, most=1)
    for name, step, most in (
        (START, "start", None),
        (SEARCH, "search", None),
        (RESCAN, "scan", 1),
        (HASH, "hash", None),
    ):
        if publish.chosen(name, wanted):
            yield Step(name, step, *place, most=most)


def goals(results: Results, files: int) -> list[Goal]:
    found = spreads(results.runs.get(START, ()))
    value = found["seconds"].median if found else None
    text = f"seconds from the start of the process to the first answer, {files} files"
    return [Goal(text, SECONDS, value, at_least=False)]


def draw(figure: "Figure", report: publish.Report) -> None:
    figure.set_size_inches(7.2, 1.8)
    left, right = figure.subplots(1, 2, sharey=True)
    publish.bars(left, report.results, COLUMNS[0])
    publish.bars(right, report.results, COLUMNS[7])


def arguments() -> argparse.Namespace:
    parser = publish.parser(__doc__, runs=3)
    parser.add_argument("--files", type=int, default=FILES, help=f"to share ({FILES})")
    parser.add_argument(
        "--folder", type=Path, metavar="DIR", help="with so many files; made if needed, and kept"
    )
    wanted = parser.parse_args()
    wanted.runs = 1 if wanted.quick else wanted.runs
    wanted.files = 10_000 if wanted.quick else wanted.files
    return wanted


def main() -> None:
    wanted = arguments()
    with shared(wanted) as folder, tempfile.TemporaryDirectory(prefix="p2pswarm-bench-") as home:
        results = _with_index(folder, Path(home) / "catalog.db", wanted)
    facts = {"files": wanted.files}
    judged = goals(results, wanted.files)
    publish.Report("catalog", QUESTION, facts, results, COLUMNS, judged).publish(wanted, draw)


def _with_index(folder: Path, database: Path, wanted: argparse.Namespace) -> Results:
    first, *others = steps(folder, database, wanted)
    made = take_turns([first], 1)
    results = take_turns(others, wanted.runs) if not made.failures else Results({}, {})
    return Results({**made.runs, **results.runs}, {**made.failures, **results.failures})


if __name__ == "__main__":
    publish.command(main)
