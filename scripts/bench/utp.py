"""uTP beside TCP, from one seed to one peer over loopback on tmpfs: how fast, and what does a gigabyte cost?

What a pair is given and how it is measured is that of `transfer`. Encryption is off. Over uTP nobody listens
to TCP or dials by it.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from p2pswarm.config import parse_size
from scripts.bench import publish
from scripts.bench.clients import Job, Libtorrent, Ours
from scripts.bench.files import TMPFS, make_torrent, random_file, scratch
from scripts.bench.measure import Goal, Results, spreads, take_turns
from scripts.bench.transfer import COLUMNS, Pair, Transfer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUESTION = "What does uTP cost beside TCP?"
NETWORK = "127.0.0."
PLAIN = ("--encryption", "off", "--transport")
ALONE = {
    "enable_incoming_utp": True,
    "enable_outgoing_utp": True,
    "enable_incoming_tcp": False,
    "enable_outgoing_tcp": False,
}
TCP, UTP = Ours("p2pswarm", (*PLAIN, "tcp")), Ours("p2pswarm", (*PLAIN, "utp"))
PAIRS = {
    "TCP": [Pair(TCP, TCP), Pair(Libtorrent(), Libtorrent())],
    "uTP": [
        Pair(UTP, UTP),
        Pair(Libtorrent(settings=ALONE), Libtorrent(settings=ALONE)),
        Pair(UTP, Libtorrent(settings=ALONE)),
        Pair(Libtorrent(settings=ALONE), UTP),
    ],
}
OURS = "uTP: p2pswarm -> p2pswarm"


def measure(wanted: argparse.Namespace) -> Results:
    with scratch(wanted.tmpfs, 4 * wanted.size) as home:
        data = random_file(home / "source" / "data", wanted.size)
        job = Job(home, make_torrent(data, home / "plain.torrent"), data, "", wanted.patience)
        turns = [
            Transfer(how, pair, job, NETWORK)
            for how, pairs in PAIRS.items()
            for pair in pairs
            if publish.chosen(f"{how}: {pair.name}", wanted)
        ]
        return take_turns(turns, wanted.runs)


def goals(results: Results) -> list[Goal]:
    """A pure Python uTP that is faster than most lines."""
    rate = spreads(results.runs[OURS])["rate"].median if OURS in results.runs else None
    return [Goal(f"MB/s {OURS}", 20, rate and rate / 1e6)]


def draw(figure: "Figure", report: publish.Report) -> None:
    figure.set_size_inches(9, 1 + 0.25 * len(report.results.runs))
    for axes, column in zip(figure.subplots(1, 3, sharey=True), COLUMNS, strict=False):
        publish.bars(axes, report.results, column)


def main() -> None:
    parser = publish.parser(__doc__)
    parser.add_argument("--size", type=parse_size, help="of the file (500MB)")
    parser.add_argument("--tmpfs", type=Path, default=TMPFS, metavar="DIR", help=f"({TMPFS})")
    parser.add_argument("--patience", type=float, default=120, help="seconds for one run (120)")
    wanted = parser.parse_args()
    wanted.size = wanted.size or parse_size("64MB" if wanted.quick else "500MB")
    wanted.runs = 1 if wanted.quick else wanted.runs
    facts = {"size": wanted.size, "libtorrent_settings": ALONE}
    results = measure(wanted)
    report = publish.Report("utp", QUESTION, facts, results, COLUMNS, goals(results))
    report.publish(wanted, draw)


if __name__ == "__main__":
    publish.command(main)
