"""Thousands of small torrents in one node: time to start, resident memory, processor time at rest.

A start is a process of its own, from nothing to the moment when all torrents seed, with what the run before
it left in its folder. It announces each torrent to a tracker on this machine. When the tracker has heard of
all, nothing is left to do, and the processor time of the next half minute is what doing nothing costs: in
that time we look at the files of every seed, or of thousands at a part. The tracker wants to hear of a
torrent again in half an hour, so no announce falls into it.

The rows of a first time begin with an empty folder: every piece is read and hashed. The files lie on tmpfs,
so that no start waits for a disk.
"""

import argparse
import json
import shutil
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from hashlib import sha1
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from p2pswarm.formats.building import build
from scripts.bench import publish
from scripts.bench.clients import Job, Ours, tracker
from scripts.bench.files import TMPFS, same, scratch
from scripts.bench.measure import Figures, Goal, Results, spreads, take_turns
from scripts.bench.programs import PYTHON, Program, program, until

if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUESTION = "Thousands of small torrents in one node: what do the start, memory and rest cost?"
COLUMNS = (
    publish.Column("seconds", "all seed after s"),
    publish.Column("start_cpu", "CPU until then, s"),
    publish.Column("announced", "all announced after s"),
    publish.Column("memory", "resident MB", 1e6, 0),
    publish.Column("peak", "peak MB", 1e6, 0),
    publish.Column("idle", "CPU at rest, % of a core", 0.01),
)
PROGRAMS = {
    name: Path(__file__).with_name(f"many_{name}.py") for name in ("p2pswarm", "libtorrent")
}
FIRST = ", the first time"
MOST_FIRST = 2  # counted runs of those
SIZE, PIECE = 48 << 10, 16 << 10  # bytes of a torrent: three pieces
TRACKER, NODE, TAKER = "127.0.0.1", "127.0.0.2", "127.0.0.3"
FETCHED = 3  # torrents that a client gets from a node, to see that it does seed


@dataclass(frozen=True)
class Library:
    """So many torrents with their data; they name a tracker at `port`."""

    home: Path
    count: int
    port: int
    patience: float

    @property
    def torrents(self) -> Path:
        return self.home / "torrents"

    @property
    def data(self) -> Path:
        return self.home / "data"

    def fill(self) -> None:
        dice = Random(self.count)
        self.torrents.mkdir(parents=True)
        self.data.mkdir()
        for number in range(self.count):
            name, content = f"{number:06}", dice.randbytes(SIZE)
            torrent = build(
                name=name,
                piece_length=PIECE,
                pieces=b"".join(
                    sha1(content[at : at + PIECE], usedforsecurity=False).digest()
                    for at in range(0, SIZE, PIECE)
                ),
                length=SIZE,
                trackers=[[f"http://{TRACKER}:{self.port}/announce"]],
            )
            (self.data / name).write_bytes(content)
            (self.torrents / f"{name}.torrent").write_bytes(torrent.raw)

    def fetch_some(self, peer: str) -> None:
        """With a client that has nothing; raises BenchError unless it gets what is there."""
        for number in range(0, self.count, -(-self.count // FETCHED)):
            name = f"{number:06}"
            torrent, data = self.torrents / f"{name}.torrent", self.data / name
            job = Job(self.home, torrent, data, patience=self.patience)
            with Ours().get(job, TAKER, peer) as get:
                get.finish()
            same(data, job.saved / name)
            shutil.rmtree(job.saved)


@dataclass(frozen=True)
class Start:
    """A contestant: a make with a library; the `first` time nothing is left of an earlier run."""

    make: str
    library: Library
    rest: float  # seconds
    first: bool = False

    @property
    def name(self) -> str:
        return f"{self.make}, {self.library.count} torrents" + FIRST * self.first

    @property
    def most(self) -> int | None:
        return MOST_FIRST if self.first else None

    def run(self, *, check: bool) -> Figures:
        library, home = self.library, self.library.home / self.make
        if self.first:
            shutil.rmtree(home, ignore_errors=True)
        with tracker(TRACKER, library.port) as announce, self._started(home) as node:
            figures = {"seconds": node.wait_for("ready")["heard"] - node.started}
            figures["start_cpu"] = node.usage().cpu
            until(lambda: seeds(announce) == library.count, "announces", library.patience)
            figures["announced"] = time.monotonic() - node.started
            if check:
                library.fetch_some(f"{NODE}:{node.wait_for('listening')['port']}")
            if not self.first:
                figures |= at_rest(node, self.rest)
            figures["peak"] = node.stop().memory
        return figures

    def _started(self, home: Path) -> AbstractContextManager[Program]:
        library = self.library
        where = (library.torrents, library.data, home, NODE)
        return program(PYTHON, PROGRAMS[self.make], *where, patience=library.patience)


def seeds(announce: str) -> int:
    """That a tracker of ours knows, in all swarms."""
    url = announce.replace("/announce", "/stats")
    with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - our own tracker
        return int(json.load(response)["seeds"])


def at_rest(node: Program, seconds: float) -> Figures:
    before, began = node.usage(), time.monotonic()
    time.sleep(seconds)
    after, took = node.usage(), time.monotonic() - began
    return {"idle": (after.cpu - before.cpu) / took, "memory": after.memory}


@contextmanager
def libraries(wanted: argparse.Namespace) -> Iterator[list[Library]]:
    room = 2 * sum(wanted.counts) * (SIZE + (16 << 10))
    with scratch(wanted.dir, room) as home:
        with tracker(TRACKER) as announce:
            port = urlsplit(announce).port or 0
        made = [Library(home / str(n), n, port, wanted.patience) for n in wanted.counts]
        for library in made:
            library.fill()
        yield made


def goals(results: Results, counts: Sequence[int]) -> list[Goal]:
    ours = spreads(results.runs.get(f"p2pswarm, {max(counts)} torrents", ()))

    def median(figure: str, unit: float) -> float | None:
        return ours[figure].median / unit if figure in ours else None

    most = f"{max(counts)} torrents"
    return [
        Goal(f"{most}: seconds until all seed", 10, median("seconds", 1), at_least=False),
        Goal(f"{most}: MB resident", 400, median("memory", 1e6), at_least=False),
        Goal(f"{most}: % of a core at rest", 3, median("idle", 0.01), at_least=False),
    ]


def draw(figure: "Figure", report: publish.Report) -> None:
    again = {name: runs for name, runs in report.results.runs.items() if FIRST not in name}
    figure.set_size_inches(9, 1 + 0.25 * len(again))
    shown = ("seconds", "memory", "idle")
    columns = [column for column in COLUMNS if column.figure in shown]
    for axes, column in zip(figure.subplots(1, len(columns), sharey=True), columns, strict=True):
        publish.bars(axes, Results(again, {}), column)


def arguments() -> argparse.Namespace:
    parser = publish.parser(__doc__)
    parser.add_argument("--counts", type=int, nargs="+", metavar="N", help="torrents (1000 10000)")
    parser.add_argument("--rest", type=float, metavar="SECONDS", help="of doing nothing (30)")
    parser.add_argument("--dir", type=Path, default=TMPFS, help=f"where ({TMPFS})")
    parser.add_argument("--patience", type=float, default=180, help="seconds for one run (180)")
    wanted = parser.parse_args()
    wanted.counts = wanted.counts or ([200] if wanted.quick else [1000, 10_000])
    wanted.rest = wanted.rest or (2 if wanted.quick else 30)
    wanted.runs = 1 if wanted.quick else wanted.runs
    return wanted


def main() -> None:
    wanted = arguments()
    with libraries(wanted) as made:
        starts = [
            Start(make, library, wanted.rest, first)
            for library in made
            for first in (True, False)
            for make in PROGRAMS
        ]
        chosen = [start for start in starts if publish.chosen(start.name, wanted)]
        results = take_turns(chosen, wanted.runs)
    facts = {"counts": wanted.counts, "size": SIZE, "piece": PIECE, "seconds at rest": wanted.rest}
    notes = [f"The first time: {MOST_FIRST} runs at most."]
    report = publish.Report(
        "many", QUESTION, facts, results, COLUMNS, goals(results, wanted.counts), notes
    )
    report.publish(wanted, draw)


if __name__ == "__main__":
    publish.command(main)
