"""A swarm under rate limits: how near its last and its median peer come to what any protocol could do.

The bound is that of a fluid: with N peers, a file of F bytes, the seed's uplink u_s, the peers' uplinks u_i
and the slowest downlink d_min, nobody can have everybody served before

    max(F / u_s, F / d_min, N F / (u_s + sum of u_i))

(Kumar and Ross, "Peer-assisted file distribution: the minimum distribution time", 2006). Each member limits
itself, ours and libtorrent alike, blocks counted without what the protocols add. libtorrent would not count
local peers, so `libtorrent_peer` puts them into its limited class. How the clock starts is told in `swarm`.
"""

import argparse
import bisect
import statistics
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from p2pswarm.config import parse_rate, parse_size
from scripts.bench import publish
from scripts.bench.files import TMPFS
from scripts.bench.measure import Figures, Goal, Results, ratio, spreads, take_turns
from scripts.bench.swarm import MAKES, Contest, Limits, Outcome, Sample, tracked_job

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

QUESTION = "A seed and 16 peers with limited lines: how near to the best that is possible?"
COLUMNS = (
    publish.Column("last", "last peer, s"),
    publish.Column("median", "median peer, s"),
    publish.Column("over_bound", "last / bound", 1, 3),
    publish.Column("copies", "copies sent by the seed"),
    publish.Column("copies_before_first", "before the first was complete"),
    publish.Column("cpu", "CPU of all, s", 1, 1),
    publish.Column("peak", "largest peak MB", 1e6, 0),
)


def fluid_bound(size: int, peers: int, seed: Limits, each: Limits) -> float:
    """Seconds; peers are all alike."""
    together = peers * size / (seed.up + peers * each.up)
    return max(size / seed.up, size / each.down, together)


def sent_until(samples: Sequence[Sample], at: float) -> float:
    """Bytes sent up to that second, on a straight line between two samples."""
    after = bisect.bisect_left(samples, at, key=lambda sample: sample.at)
    if after in (0, len(samples)):
        return samples[min(after, len(samples) - 1)].up
    left, right = samples[after - 1], samples[after]
    return left.up + (right.up - left.up) * (at - left.at) / (right.at - left.at)


def figures(outcome: Outcome, *, size: int, bound: float) -> Figures:
    first, last = min(outcome.completed), max(outcome.completed)
    received = sum(samples[-1].down for samples in outcome.peers)
    return {
        "last": last,
        "median": statistics.median(outcome.completed),
        "first": first,
        "over_bound": last / bound,
        "copies": outcome.seed[-1].up / size,
        "copies_before_first": sent_until(outcome.seed, first) / size,
        "received_twice": received / (size * len(outcome.peers)) - 1,
        "cpu": sum(used.cpu for used in outcome.used),
        "peak": max(used.memory for used in outcome.used),
    }


def goals(results: Results) -> list[Goal]:
    over = spreads(results.runs.get("p2pswarm", ())).get("over_bound")
    behind = ratio(results, "p2pswarm", "libtorrent", "last")
    return [
        Goal("last peer over the bound", 1.15, over and over.median, False),
        Goal("last peer over libtorrent's", 1.0, behind, False),
    ]


def draw(
    figure: "Figure", report: publish.Report, *, contests: Sequence[Contest], bound: float
) -> None:
    """Of the last run of each: how many are complete, and how much of all uplinks is in use."""
    above, below = figure.subplots(2, 1, sharex=True)
    for contest in contests:
        if contest.outcomes:
            colour = publish.colour(contest.name)
            _draw_one(above, below, contest, contest.outcomes[-1], colour)
    for axes in (above, below):
        axes.axvline(bound, color="#c03030", linestyle=":", label="fluid bound")
        axes.spines[["top", "right"]].set_visible(False)
    above.set_ylabel("peers complete")
    below.set_ylabel("uplinks in use")
    below.set_xlabel("seconds since the seed listens")
    above.legend(frameon=False)


def _draw_one(
    above: "Axes", below: "Axes", contest: Contest, outcome: Outcome, colour: str
) -> None:
    done = sorted(outcome.completed)
    above.step([0, *done], range(len(done) + 1), where="post", color=colour, label=contest.name)
    capacity = contest.seed.up + contest.peers * contest.each.up
    seconds = [float(second) for second in range(int(done[-1]) + 2)]
    members = (outcome.seed, *outcome.peers)
    sent = [sum(sent_until(samples, at) for samples in members) for at in seconds]
    below.plot(seconds[1:], [(b - a) / capacity for a, b in pairwise(sent)], color=colour)


def arguments() -> argparse.Namespace:
    parser = publish.parser(__doc__)
    parser.add_argument("--size", type=parse_size, help="of the file (200MB)")
    parser.add_argument("--peers", type=int, help="beside the seed (16)")
    parser.add_argument("--seed-up", type=parse_rate, default="8MB/s", help="(8MB/s)")
    parser.add_argument("--up", type=parse_rate, default="4MB/s", help="of each peer (4MB/s)")
    parser.add_argument("--down", type=parse_rate, default="16MB/s", help="(16MB/s)")
    parser.add_argument("--dir", type=Path, default=TMPFS, help=f"where ({TMPFS})")
    parser.add_argument("--patience", type=float, default=180, help="seconds for one run (180)")
    wanted = parser.parse_args()
    wanted.size = wanted.size or parse_size("8MB" if wanted.quick else "200MB")
    wanted.peers = wanted.peers or (4 if wanted.quick else 16)
    wanted.runs = 1 if wanted.quick else wanted.runs
    return wanted


def main() -> None:
    wanted = arguments()
    size, peers = wanted.size, wanted.peers
    seed, each = Limits(wanted.seed_up), Limits(wanted.up, wanted.down)
    bound = fluid_bound(size, peers, seed, each)
    told = partial(figures, size=size, bound=bound)
    with tracked_job(wanted.dir, size, peers, wanted.patience) as job:
        contests = [
            Contest(make, job, peers, seed, each, told)
            for make in MAKES
            if publish.chosen(make.name, wanted)
        ]
        results = take_turns(contests, wanted.runs)
    facts = {
        "size": size, "peers": peers, "seed_up": seed.up, "up": each.up, "down": each.down,
        "fluid_bound": bound,
    }  # fmt: skip
    notes = [f"the fluid bound is {bound:.2f} s"]
    report = publish.Report("limited", QUESTION, facts, results, COLUMNS, goals(results), notes)
    report.publish(wanted, partial(draw, contests=contests, bound=bound))


if __name__ == "__main__":
    publish.command(main)
