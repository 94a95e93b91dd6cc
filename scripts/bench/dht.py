"""The distributed hash table in virtual time: is found what was announced, and over how many hops?

Once among nodes that come and go: each lives for some minutes in the mean and leaves without a word, another
one comes and knows one that is there. A peer is announced, and a minute later somebody else looks for it.
Everything is real but the network: joining, refreshing, tokens, timeouts.

And once for hops: N nodes that know their neighbours and sixty others each, as an hour after the start.
Kademlia says that hops grow as log N; a line on a logarithmic axis is what the plot must show.
"""

import argparse
import asyncio
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from p2pswarm.lab.dht.network import DhtNet, Member
from p2pswarm.lab.dht.trials import Lookups, ask, grow, replace
from p2pswarm.lab.loop import play
from scripts.bench import publish
from scripts.bench.measure import Figures, Goal, Results, spreads

if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUESTION = (
    "A DHT of our nodes that come and go: is found what was announced, and over how many hops?"
)
COLUMNS = (
    publish.Column("share", "found, %", 0.01, 1),
    publish.Column("hops", "hops"),
    publish.Column("asked", "nodes asked", 1, 1),
    publish.Column("seconds", "seconds"),
)
KNOWN = 60  # nodes beside its neighbours, that each knows
BETWEEN = 60.0  # seconds between an announce and the lookup


def churn(nodes: int, minutes: float, life: float, seed: int) -> Lookups:
    """Among so many nodes, for so many minutes."""

    async def story(_: object) -> Lookups:
        net = DhtNet(seed)
        members: list[Member] = []
        await grow(net, members, nodes, 0.2)
        async with asyncio.TaskGroup() as tasks:
            leaving = tasks.create_task(replace(net, members, life * 60))
            one_a_second = [
                tasks.create_task(_after(second, net, members))
                for second in range(int(minutes * 60))
            ]
            await asyncio.wait(one_a_second)
            leaving.cancel()
        await net.close()
        return _together([task.result() for task in one_a_second])

    return play(story)


async def _after(second: float, net: DhtNet, members: list[Member]) -> Lookups:
    await asyncio.sleep(second)
    return await ask(net, members, 1, BETWEEN)


def _together(each: Sequence[Lookups]) -> Lookups:
    def mean(figure: str) -> float:
        return sum(getattr(one, figure) for one in each) / len(each)

    tried, found = sum(one.tried for one in each), sum(one.found for one in each)
    return Lookups(tried, found, mean("hops"), mean("asked"), mean("seconds"))


def still(nodes: int, seed: int) -> Lookups:
    """Among nodes that stay."""

    async def story(_: object) -> Lookups:
        net = DhtNet(seed)
        told = await ask(net, net.settled(nodes, KNOWN), 100)
        await net.close()
        return told

    return play(story)


def figures(told: Lookups) -> Figures:
    return {**asdict(told), "share": told.found / told.tried}


def goals(results: Results, coming: str, sizes: Sequence[int]) -> list[Goal]:
    share = spreads(results.runs[coming]).get("share")
    return [
        Goal("found while nodes come and go", 0.99, share and share.median, True),
        Goal("correlation of hops with log N", 0.97, correlation(results, sizes), True),
    ]


def correlation(results: Results, sizes: Sequence[int]) -> float | None:
    """Of hops with log N: 1 is a line."""
    points = [(math.log2(size), _median(results, size)) for size in sizes]
    x, y = (sum(each) / len(points) for each in zip(*points, strict=True))
    spread = math.sqrt(sum((a - x) ** 2 for a, _ in points) * sum((b - y) ** 2 for _, b in points))
    return sum((a - x) * (b - y) for a, b in points) / spread if spread else None


def _median(results: Results, size: int, figure: str = "hops") -> float:
    return spreads(results.runs[f"{size} nodes"])[figure].median


def draw(figure: "Figure", report: publish.Report) -> None:
    sizes = report.facts["sizes"]
    left, right = figure.subplots(1, 2)
    colour = publish.colour("p2pswarm")
    for axes, what, label in ((left, "hops", "hops"), (right, "asked", "nodes asked")):
        axes.plot(sizes, [_median(report.results, n, what) for n in sizes], "o-", color=colour)
        axes.set_xscale("log", base=2)
        axes.set_xlabel("nodes")
        axes.set_ylabel(label)
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)


def arguments() -> argparse.Namespace:
    parser = publish.parser(__doc__)
    parser.add_argument("--nodes", type=int, help="that come and go (500)")
    parser.add_argument("--minutes", type=float, help="of looking up, one a second (20)")
    parser.add_argument("--life", type=float, default=20.0, help="of a node, minutes (20)")
    parser.add_argument("--sizes", help="of networks for hops (64,128,256,512,1024,2048,4096)")
    wanted = parser.parse_args()
    wanted.nodes = wanted.nodes or (50 if wanted.quick else 500)
    wanted.minutes = wanted.minutes or (2.0 if wanted.quick else 20.0)
    wanted.sizes = wanted.sizes or ("64,256" if wanted.quick else "64,128,256,512,1024,2048,4096")
    wanted.runs = 1 if wanted.quick else wanted.runs
    return wanted


def main() -> None:
    wanted = arguments()
    sizes = [int(size) for size in wanted.sizes.split(",")]
    coming = f"{wanted.nodes} coming and going"
    results = Results({coming: [figures(churn(wanted.nodes, wanted.minutes, wanted.life, 1))]}, {})
    for size in sizes:
        results.runs[f"{size} nodes"] = [figures(still(size, seed)) for seed in range(wanted.runs)]
    facts = {
        "nodes": wanted.nodes, "minutes": wanted.minutes, "life_minutes": wanted.life,
        "between_seconds": BETWEEN, "sizes": sizes, "known": KNOWN,
    }  # fmt: skip
    report = publish.Report("dht", QUESTION, facts, results, COLUMNS, goals(results, coming, sizes))
    report.publish(wanted, draw)


if __name__ == "__main__":
    main()
