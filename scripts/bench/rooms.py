"""What one block costs in each room that it passes: framer, peer, picker, upload, disk; no network.

Every room is measured alone in this one process, with real blocks, real pieces and a file in the page
cache; the rooms take turns. Times are microseconds for each block of 16 KiB (a `join` is one peer with half
of all pieces who comes, a `leave` the same who goes, a `have` one message). The calls and steps beside them
are Python's own functions and instructions; they are counted once, and are the same in every run with the
same Python. The lines of the plot are the picker's: they should be flat.
"""

import argparse
import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.bench import publish, talk
from scripts.bench.files import TMPFS, scratch
from scripts.bench.gauges import Counter, Gauge, Stopwatch
from scripts.bench.measure import Figures, Goal, Results, spreads, take_turns
from scripts.bench.picking import Crowd
from scripts.bench.storing import Disk, Pieces

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

QUESTION = "What does a block cost in each room that it passes?"
COLUMNS = (
    publish.Column("block", "us per block", 1e-6),
    publish.Column("calls", "calls", 1, 1),
    publish.Column("steps", "steps", 1, 0),
    publish.Column("have", "us per have", 1e-6),
    publish.Column("join", "us per join", 1e-6, 0),
    publish.Column("leave", "us per leave", 1e-6, 0),
)
BATCH = 127  # blocks that fit into the scratch buffer: what a fast peer sends in one go
PIECES = (100, 1_000, 10_000, 100_000)  # with one peer
PEERS = (1, 10, 50, 200, 500)  # with this many pieces:
MANY_PIECES = 10_000
RUNS = (32, 1)  # blocks asked for in one go
STORED = (256 << 10, 1 << 20, 4 << 20)  # bytes of a piece
FLAT = 2.0  # times the least: what still counts as flat

Work = Callable[[Gauge], None]


@dataclass(frozen=True)
class Room:
    """A contestant: one room's work. What can be counted is counted in the warm-up."""

    name: str
    work: Work
    most: int | None = None
    counted: dict[str, float] = field(default_factory=dict)

    def run(self, *, check: bool) -> Figures:
        if check:
            counter = Counter()
            self.work(counter)
            self.counted.update(calls=counter.calls(), steps=counter.steps())
        watch = Stopwatch()
        self.work(watch)
        return {**watch.each(), **self.counted}


def picker(pieces: int, peers: int, run: int) -> str:
    return f"picker: {pieces} pieces, {peers} peers, {run} a turn"


def crowds() -> Iterator[tuple[str, tuple[int, int, int]]]:
    """Names of the picker's contests, and what they are about."""
    sizes = [(pieces, 1) for pieces in PIECES] + [(MANY_PIECES, peers) for peers in PEERS[1:]]
    for run in RUNS:
        for pieces, peers in sizes:
            yield picker(pieces, peers, run), (pieces, peers, run)


def talks(disk: Disk) -> Iterator[tuple[str, Work]]:
    for batch in (BATCH, 1):
        yield f"framer: blocks, {batch} in one go", partial(talk.cut_blocks, batch=batch)
        yield f"framer: requests, {batch} in one go", partial(talk.cut_requests, batch=batch)
        yield f"peer: land, {batch} in one go", partial(talk.land, batch=batch)
        yield f"peer: ask, {batch} in one go", partial(talk.ask, batch=batch)
    yield "upload: 32 requests to one send", partial(talk.serve, read=disk.read)


def stores(disk: Disk) -> Iterator[tuple[str, Work]]:
    for size in STORED:
        pieces, what = Pieces(disk, size), f"disk, {size >> 10} KiB"
        yield f"{what}: hash", pieces.hash
        yield f"{what}: write", pieces.write
        yield f"{what}: note", pieces.note
        yield f"{what}: all, on the loop", pieces.store_here
        yield f"{what}: all, in threads", pieces.store_in_threads


@contextmanager
def rooms(wanted: argparse.Namespace) -> Iterator[list[Room]]:
    with (
        scratch(wanted.dir, 2 * talk.SIZE) as folder,
        asyncio.Runner() as runner,
        Disk.opened(folder, runner.get_loop()) as disk,
    ):
        works = dict(talks(disk))
        for name, size in crowds():
            if publish.chosen(name, wanted):
                works[name] = Crowd(*size).work
        works |= dict(stores(disk))
        yield [Room(name, work) for name, work in works.items() if publish.chosen(name, wanted)]


def lines(results: Results, run: int, *, by: str) -> tuple[list[int], list[float]]:
    """The picker's microseconds per block, over "pieces" or over "peers"."""
    names = {n: picker(n, 1, run) for n in PIECES}
    if by == "peers":
        names = {n: picker(MANY_PIECES, n, run) for n in PEERS}
    found = {n: spreads(results.runs.get(name, ())) for n, name in names.items()}
    points = [(n, figures["block"].median * 1e6) for n, figures in found.items() if figures]
    return [n for n, _ in points], [value for _, value in points]


def goals(results: Results) -> list[Goal]:
    judged: list[Goal] = []
    for by, most in (("pieces", PIECES[-1]), ("peers", PEERS[-1])):
        for run in RUNS:
            found, values = lines(results, run, by=by)
            whole = found == list(PIECES if by == "pieces" else PEERS)
            text = f"the picker's dearest block over its cheapest, to {most} {by}, {run} a turn"
            judged.append(Goal(text, FLAT, max(values) / min(values) if whole else None, False))
    return judged


def draw(figure: "Figure", report: publish.Report) -> None:
    figure.set_size_inches(9, 3)
    left, right = figure.subplots(1, 2, sharey=True)
    _draw_lines(left, report.results, "pieces", "pieces, one peer")
    _draw_lines(right, report.results, "peers", f"peers, {MANY_PIECES} pieces")
    left.set_ylabel("picker, µs per block")
    left.set_ylim(bottom=0)
    left.legend(frameon=False)


def _draw_lines(axes: "Axes", results: Results, by: str, label: str) -> None:
    for run, style in zip(RUNS, ("-", ":"), strict=True):
        colour = publish.colour("p2pswarm")
        axes.plot(
            *lines(results, run, by=by), style, marker="o", color=colour, label=f"{run} a turn"
        )
    axes.set_xscale("log")
    axes.set_xlabel(label)
    axes.spines[["top", "right"]].set_visible(False)


def arguments() -> argparse.Namespace:
    parser = publish.parser(__doc__, runs=7)
    parser.add_argument("--dir", type=Path, default=TMPFS, help=f"where the file lies ({TMPFS})")
    wanted = parser.parse_args()
    wanted.runs = 1 if wanted.quick else wanted.runs
    return wanted


def main() -> None:
    wanted = arguments()
    with rooms(wanted) as contestants:
        results = take_turns(contestants, wanted.runs)
    facts = {
        "block": 16 << 10, "piece": talk.PIECE, "torrent": talk.SIZE, "batch": BATCH,
        "stored": STORED,
    }  # fmt: skip
    publish.Report("rooms", QUESTION, facts, results, COLUMNS, goals(results)).publish(wanted, draw)


if __name__ == "__main__":
    publish.command(main)
