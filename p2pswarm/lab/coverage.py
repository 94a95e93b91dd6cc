"""How far a flood comes, and what it costs: coverage and messages by TTL, on published crawls.

Every host is equally far from every other, so that a query comes to everybody on a shortest way. One flood of
TTL 7 therefore tells what every smaller TTL does: its messages that had made fewer hops, and the nodes that
those reached (tests/lab/gnutella compare it with separate floods).

All nodes may have what is asked for, by their tables, and none has it: each first copy is seen, and no hit
goes back.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from statistics import fmean

from p2pswarm.lab.against import error
from p2pswarm.lab.gnutella.network import Network
from p2pswarm.lab.gnutella.servents import table_of
from p2pswarm.lab.graphs import named
from p2pswarm.lab.loop import VirtualLoop, play
from p2pswarm.lab.progress import Progress, quietly
from p2pswarm.lab.results import Chart, Line, Result, Table
from p2pswarm.lab.topologies import CRAWLS, Graph
from p2pswarm.overlay.gnutella.links.agreement import FLAT_TTL
from p2pswarm.overlay.routes import AGE

__all__ = ["REFERENCE", "Reach", "coverage", "flood_from", "floods", "saturation"]

WORDS = "amber river"

# What an exact count on the same graphs gave: coverage in percent and messages by TTL 1 to 7; means over all
# origins of Gnutella08, and over 400 random ones of Gnutella31.
REFERENCE = {
    "p2p-Gnutella08": (
        (0.1, 7), (1.4, 116), (10.5, 1290), (43.2, 8036), (82.1, 23934), (98.3, 33877), (99.9, 35208)
    ),
    "p2p-Gnutella31": (
        (0.0, 5), (0.1, 55), (0.8, 542), (6.5, 5103), (31.0, 37796), (73.0, 136640), (96.9, 220244)
    ),
}  # fmt: skip
_TTLS = range(1, FLAT_TTL + 1)


@dataclass(frozen=True, slots=True)
class Reach:
    """What one flood did: messages, and nodes reached besides the asker, by TTL 1 to 7."""

    origin: int
    messages: tuple[int, ...]
    nodes: tuple[int, ...]


def floods(graph: Graph, origins: Iterable[int], dice: Random) -> list[Reach]:
    """From each of these nodes."""

    async def story(loop: VirtualLoop) -> list[Reach]:
        network = Network(loop, graph, dice, routing=False)
        await network.build([()] * graph.nodes, table_of([WORDS]))
        return [await flood_from(network, origin) for origin in origins]

    return play(story)


async def flood_from(network: Network, origin: int) -> Reach:
    """With a TTL of 7, when all have forgotten the one before: else memory would grow with each."""
    await asyncio.sleep(AGE)
    network.watch.begin()
    await network.flood(origin, WORDS, FLAT_TTL)
    messages = network.watch.queries()
    messages += [0] * (FLAT_TTL - len(messages))
    nodes = [network.watch.reach[hops] for hops in range(FLAT_TTL)]
    return Reach(origin, tuple(accumulate(messages)), tuple(accumulate(nodes)))


def saturation(graph: Graph) -> int:
    """Queries of a flood that reaches all of a connected graph: one for each way of each edge, but none
    back to who brought the first one: 2|E| - |V| + 1."""
    return 2 * len(graph.edges) - graph.nodes + 1


def coverage(
    topologies: Sequence[str] = CRAWLS,
    origins: int = 20,
    seed: int = 1,
    progress: Progress = quietly,
    nodes: int | None = None,
) -> Result:
    """`origins` nodes of each topology flood, drawn evenly, and one from where TTL 7 reaches everybody."""
    facts: dict[str, object] = {"seed": seed, "origins of each": origins}
    tables, lines = [], []
    for name in topologies:
        dice = Random(seed)
        graph = named(name, nodes, dice)
        drawn = [dice.randrange(graph.nodes) for _ in range(origins)]
        progress(f"coverage: {name}, {graph.nodes} nodes")
        found = floods(graph, _telling(drawn, name, progress), dice)
        tables.append(_table(name, graph, found))
        lines.append(_line(name, graph, found))
        facts[f"{name}: nodes, edges"] = f"{graph.nodes}, {len(graph.edges)}"
        facts[f"{name}: saturating flood"] = _saturated(graph, dice)
    chart = Chart(
        "Coverage against cost",
        "queries of one flood",
        "nodes reached (%)",
        tuple(lines),
        log_x=True,
    )
    return Result(
        "coverage",
        "How many nodes does a flood reach, and how many queries does it take?",
        facts,
        tuple(tables),
        (chart,),
    )


def _telling(origins: Sequence[int], name: str, progress: Progress) -> Iterator[int]:
    for number, origin in enumerate(origins, 1):
        progress(f"coverage: {name}, flood {number} of {len(origins)}")
        yield origin


def _saturated(graph: Graph, dice: Random) -> str:
    """A TTL of 7 is the most that routers let through; from somebody in the middle it may be enough."""
    whole = graph.largest()
    expected = saturation(whole)
    middle = _middle(whole)
    if middle is None:
        return f"{expected} expected; TTL {FLAT_TTL} is too little from everywhere that was tried"
    (reach,) = floods(whole, [middle], dice)
    return f"{reach.messages[-1]} queries from a node in the middle, 2|E|-|V|+1 = {expected}"


def _middle(graph: Graph, tries: int = 200) -> int | None:
    """Of the nodes with most neighbours one whose flood of TTL 7 leaves nobody with something to send on."""
    hubs = sorted(range(graph.nodes), key=lambda node: len(graph.neighbours[node]), reverse=True)
    return next((hub for hub in hubs[:tries] if _is_enough(graph, hub)), None)


def _is_enough(graph: Graph, origin: int) -> bool:
    """Whoever is seven hops away would send to all but one: there is nobody else to send to."""
    far = graph.distances(origin)
    edge = [node for node, hops in far.items() if hops >= FLAT_TTL]
    return all(len(graph.neighbours[node]) == 1 for node in edge)


def _table(name: str, graph: Graph, found: Sequence[Reach]) -> Table:
    """With the reference where there is one."""
    reference = REFERENCE.get(name, ((),) * FLAT_TTL)
    rows = []
    for ttl in _TTLS:
        covered = [100 * (reach.nodes[ttl - 1] + 1) / graph.nodes for reach in found]
        messages = [reach.messages[ttl - 1] for reach in found]
        rows.append((ttl, *_mean(covered), *_mean(messages), *reference[ttl - 1]))
    columns = ["TTL", "coverage %", "± s.e.", "queries", "± s.e."]
    note = (
        f"Means over origins drawn evenly, {len(found)} in all, with the standard error of the mean; the "
        "asker counts as reached."
    )
    if name in REFERENCE:
        columns += "reference coverage %", "reference queries"
        note += " Reference: an exact count on the same graph, over more origins."
    return Table(f"Floods on {name}", tuple(columns), tuple(rows), note)


def _mean(values: Sequence[float]) -> tuple[float, float | None]:
    """And its standard error, of which one value tells nothing."""
    return round(fmean(values), 2), round(error(values), 2) if len(values) > 1 else None


def _line(name: str, graph: Graph, found: Sequence[Reach]) -> Line:
    points = [
        (
            fmean(reach.messages[ttl - 1] for reach in found),
            100 * fmean(reach.nodes[ttl - 1] + 1 for reach in found) / graph.nodes,
        )
        for ttl in _TTLS
    ]
    return Line(name, tuple(points))
