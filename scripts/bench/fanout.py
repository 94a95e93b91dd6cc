"""One seed, eight peers on one machine, nothing limited: how long until all have it, and at what cost.

Every peer is a process with an address of its own; they find each other through our tracker, wait, and the
clock starts when the seed listens (`swarm` says how). On few cores this measures the sum of what all do.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from p2pswarm.config import parse_size
from scripts.bench import publish
from scripts.bench.files import TMPFS
from scripts.bench.measure import Figures, Goal, Results, ratio, take_turns
from scripts.bench.swarm import MAKES, Contest, Limits, Outcome, tracked_job

if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUESTION = "One seed to eight peers at once, unlimited: how long until all have it?"
COLUMNS = (
    publish.Column("seconds", "all have it, s"),
    publish.Column("first", "the first has it, s"),
    publish.Column("cpu", "CPU of all, s", 1, 1),
    publish.Column("peak", "largest peak MB", 1e6, 0),
    publish.Column("peaks", "all peaks MB", 1e6, 0),
)


def figures(outcome: Outcome) -> Figures:
    return {
        "seconds": max(outcome.completed),
        "first": min(outcome.completed),
        "cpu": sum(used.cpu for used in outcome.used),
        "peak": max(used.memory for used in outcome.used),
        "peaks": sum(used.memory for used in outcome.used),
    }


def goals(results: Results) -> list[Goal]:
    faster = ratio(results, "libtorrent", "p2pswarm", "seconds")
    return [Goal("libtorrent's time over ours", 1.5, faster)]


def draw(figure: "Figure", report: publish.Report) -> None:
    figure.set_size_inches(7.2, 1.8)
    for axes, column in zip(figure.subplots(1, 2, sharey=True), COLUMNS[::2], strict=False):
        publish.bars(axes, report.results, column)


def arguments() -> argparse.Namespace:
    parser = publish.parser(__doc__)
    parser.add_argument("--size", type=parse_size, help="of the file (500MB)")
    parser.add_argument("--peers", type=int, default=8, help="beside the seed (8)")
    parser.add_argument("--dir", type=Path, default=TMPFS, help=f"where ({TMPFS})")
    parser.add_argument("--patience", type=float, default=180, help="seconds for one run (180)")
    wanted = parser.parse_args()
    wanted.size = wanted.size or parse_size("20MB" if wanted.quick else "500MB")
    wanted.runs = 1 if wanted.quick else wanted.runs
    return wanted


def main() -> None:
    wanted = arguments()
    with tracked_job(wanted.dir, wanted.size, wanted.peers, wanted.patience) as job:
        free = Limits()
        contests = [
            Contest(make, job, wanted.peers, free, free, figures)
            for make in MAKES
            if publish.chosen(make.name, wanted)
        ]
        results = take_turns(contests, wanted.runs)
    facts = {"size": wanted.size, "peers": wanted.peers}
    report = publish.Report("fanout", QUESTION, facts, results, COLUMNS, goals(results))
    report.publish(wanted, draw)


if __name__ == "__main__":
    publish.command(main)
