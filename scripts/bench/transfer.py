"""One seed, one peer: how fast, with how much processor time and memory, beside other clients.

One file of random bytes goes over loopback from a seed to a downloader, both processes of their own, on
tmpfs and on a disk. Before every run a file of the same size is written and removed there, and everything
written out, so that every run finds warm pages and an idle disk (`files` says why).

The rate is the size over the time from the start of the download to its last verified piece; for
Transmission and aria2, which idle for seconds before they ask, from the first byte. Processor time and peak
resident memory are those of the whole process.
"""

import argparse
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from p2pswarm.config import parse_size
from scripts.bench import publish
from scripts.bench.clients import BEST_SETTINGS, Giver, Job, Libtorrent, Ours, Taker, tracker
from scripts.bench.files import (
    DISK,
    TMPFS,
    make_torrent,
    random_file,
    same,
    scratch,
    settle,
    warm,
)
from scripts.bench.foreign import Aria2, Transmission
from scripts.bench.measure import Figures, Goal, Results, ratio, take_turns
from scripts.bench.programs import missing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUESTION = "One seed to one peer over loopback: how fast, and what does it cost?"
COLUMNS = (
    publish.Column("rate", "MB/s", 1e6, 0),
    publish.Column("seed_cpu_per_gb", "seed CPU s/GB"),
    publish.Column("get_cpu_per_gb", "get CPU s/GB"),
    publish.Column("seed_memory", "seed peak MB", 1e6, 0),
    publish.Column("get_memory", "get peak MB", 1e6, 0),
)
NETWORKS = ("10.77.0.", "127.0.0.")  # the first where the command could make a network namespace
OURS, REFERENCE = "p2pswarm -> p2pswarm", "libtorrent -> libtorrent"
SLOW = 2  # counted runs at most, of those who take minutes


@dataclass(frozen=True)
class Pair:
    """Who gives to whom; `tracked` when one can find the other by a tracker only.

    `part`: it gets that part of the size only, because it takes minutes all the same.
    """

    giver: Giver
    taker: Taker
    tracked: bool = False
    part: int = 1
    most: int | None = None

    @property
    def name(self) -> str:
        return f"{self.giver.name} -> {self.taker.name}"

    def lacks(self, net: str) -> str:
        """What must be installed before it can be measured; "" for nothing."""
        if self.giver.name == "transmission" and net != NETWORKS[0]:
            return missing("ip", "unshare") or "nothing, but be root or allow user namespaces"
        return missing(*self.giver.needs, *self.taker.needs)


PAIRS = (
    Pair(Ours(), Ours()),
    Pair(Libtorrent(), Libtorrent()),
    Pair(Ours(), Libtorrent()),
    Pair(Libtorrent(), Ours()),
    Pair(Ours(), Aria2(), tracked=True, most=SLOW),
    Pair(Libtorrent(), Aria2(), tracked=True, most=SLOW),
    Pair(Transmission(), Transmission(), tracked=True, part=8, most=SLOW),
)


@dataclass(frozen=True)
class Transfer:
    """A contestant: a pair in a place."""

    where: str
    pair: Pair
    job: Job
    network: str

    @property
    def name(self) -> str:
        return f"{self.where}: {self.pair.name}"

    @property
    def most(self) -> int | None:
        return self.pair.most

    def run(self, *, check: bool) -> Figures:
        job = self.job
        shutil.rmtree(job.saved, ignore_errors=True)
        warm(job.home, job.size)
        settle()
        with self.pair.giver.seed(job, f"{self.network}2") as seed:
            with self.pair.taker.get(job, f"{self.network}3", seed.address) as get:
                seconds, got = get.finish()
            gave = seed.stop()
        if check:
            same(job.data, job.saved / job.data.name)
        shutil.rmtree(job.saved)
        gigabytes = job.size / 1e9
        return {
            "rate": job.size / seconds,
            "seconds": seconds,
            "seed_cpu_per_gb": gave.cpu / gigabytes,
            "get_cpu_per_gb": got.cpu / gigabytes,
            "seed_memory": gave.memory,
            "get_memory": got.memory,
        }


def network() -> str:
    """Where peers live: outside of 127.0.0.0/8 if the command could make such addresses."""
    with socket.socket() as probe:
        try:
            probe.bind((f"{NETWORKS[0]}2", 0))
        except OSError:
            return NETWORKS[1]
    return NETWORKS[0]


def prepare(home: Path, part: int, announce: str, wanted: argparse.Namespace) -> tuple[Job, Job]:
    """The same file without and with a tracker."""
    data = random_file(home / "source" / "data", wanted.size // part)
    plain = make_torrent(data, home / "plain.torrent")
    tracked = make_torrent(data, home / "tracked.torrent", "--tracker", announce)
    patience = wanted.patience
    return Job(home, plain, data, "", patience), Job(home, tracked, data, announce, patience)


def measure(wanted: argparse.Namespace, where: str, folder: Path) -> tuple[Results, dict[str, str]]:
    """All chosen pairs in one place, and what those lack who could not take part."""
    net = network()
    pairs = [pair for pair in PAIRS if publish.chosen(f"{where}: {pair.name}", wanted)]
    lacks = {f"{where}: {pair.name}": pair.lacks(net) for pair in pairs if pair.lacks(net)}
    able = [pair for pair in pairs if not pair.lacks(net)]
    if not able:
        return Results({}, {}), lacks
    with scratch(folder, 4 * wanted.size) as home, tracker(f"{net}1") as announce:
        parts = {pair.part for pair in able}
        jobs = {part: prepare(home / str(part), part, announce, wanted) for part in parts}
        turns = [Transfer(where, pair, jobs[pair.part][pair.tracked], net) for pair in able]
        return take_turns(turns, wanted.runs), lacks


def goals(results: Results, where: str = "tmpfs") -> list[Goal]:
    """Those of the project, judged by neighbouring runs."""
    ours, reference = f"{where}: {OURS}", f"{where}: {REFERENCE}"

    def over(one: str, figure: str) -> float | None:
        return ratio(results, one, reference, figure)

    runs = results.runs.get(ours, ())
    peak = max((max(run["seed_memory"], run["get_memory"]) for run in runs), default=None)
    gives, takes = f"{where}: p2pswarm -> libtorrent", f"{where}: libtorrent -> p2pswarm"
    text = "of libtorrent -> libtorrent"
    return [
        Goal(f"rate {OURS}, {text}", 2.5, over(ours, "rate")),
        Goal(f"CPU per GB of the seed, {OURS}, {text}", 0.4, over(ours, "seed_cpu_per_gb"), False),
        Goal(f"CPU per GB of the get, {OURS}, {text}", 0.65, over(ours, "get_cpu_per_gb"), False),
        Goal(f"MB resident, {OURS}, the most of all runs", 100, peak and peak / 1e6, False),
        Goal(f"rate p2pswarm -> libtorrent, {text}", 1.3, over(gives, "rate")),
        Goal(f"rate libtorrent -> p2pswarm, {text}", 1.2, over(takes, "rate")),
    ]


def draw(figure: "Figure", report: publish.Report) -> None:
    figure.set_size_inches(9, 1 + 0.25 * len(report.results.runs))
    for axes, column in zip(figure.subplots(1, 3, sharey=True), COLUMNS, strict=False):
        publish.bars(axes, report.results, column)


def arguments() -> argparse.Namespace:
    parser = publish.parser(__doc__)
    parser.add_argument("--size", type=parse_size, help="of the file (2GB)")
    parser.add_argument("--tmpfs", type=Path, default=TMPFS, metavar="DIR", help=f"({TMPFS})")
    parser.add_argument("--disk", type=Path, default=DISK, metavar="DIR", help="(the project's)")
    parser.add_argument("--patience", type=float, default=180, help="seconds for one run (180)")
    wanted = parser.parse_args()
    wanted.size = wanted.size or parse_size("64MB" if wanted.quick else "2GB")
    wanted.runs = 1 if wanted.quick else wanted.runs
    return wanted


def main() -> None:
    wanted = arguments()
    results, lacks = Results({}, {}), {}
    for where, folder in (("tmpfs", wanted.tmpfs), ("disk", wanted.disk)):
        found, lack = measure(wanted, where, folder)
        results.runs.update(found.runs)
        results.failures.update(found.failures)
        lacks |= lack
    facts = {"size": wanted.size, "libtorrent_settings": BEST_SETTINGS}
    notes = [
        f"Transmission and aria2: {SLOW} runs at most, timed from their first byte, asked every 50 ms; "
        "Transmission: an eighth of the size."
    ]
    report = publish.Report(
        "transfer", QUESTION, facts, results, COLUMNS, goals(results), notes, lacks
    )
    report.publish(wanted, draw)


if __name__ == "__main__":
    publish.command(main)
