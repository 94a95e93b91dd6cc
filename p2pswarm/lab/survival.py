"""What searches still find when nodes have gone: real nodes in what is left of each graph.

Nobody repairs anything, but for super nodes in one row: there the product's members are switched off and the
others look for new neighbours. Files lie with the survivors, and survivors ask. Who lost everybody it was
linked to finds nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from statistics import fmean
from typing import TypeAlias

from p2pswarm.errors import NetworkError
from p2pswarm.lab.architecture import Architecture, Question, Thing, names_of, questions, scatter
from p2pswarm.lab.central import Central
from p2pswarm.lab.compare import super_nodes, ultrapeers
from p2pswarm.lab.gnutella.architectures import Flood
from p2pswarm.lab.gnutella.walking import Walkers
from p2pswarm.lab.loop import VirtualLoop, play
from p2pswarm.lab.progress import Progress
from p2pswarm.lab.results import Chart, Line, Table
from p2pswarm.lab.supernodes.architecture import Supernodes
from p2pswarm.lab.supernodes.healing import Healing
from p2pswarm.lab.topologies import Graph
from p2pswarm.overlay.gnutella.links.agreement import FLAT_TTL

__all__ = ["Orders", "survival"]

COPIES = 0.01  # of the survivors have what is looked for

Orders: TypeAlias = tuple[str, Sequence[float], Callable[[Graph, Random], Sequence[int]]]
"""How nodes leave, as it is told; the shares that do; and in which order."""


@dataclass(frozen=True)
class _Left:
    """What is left of a graph, whose nodes are numbered anew."""

    graph: Graph
    kept: tuple[int, ...]
    """Old numbers."""
    gone: tuple[int, ...]

    @classmethod
    def of(cls, graph: Graph, order: Sequence[int], share: float) -> "_Left":
        gone = round(share * graph.nodes)
        kept = tuple(sorted(order[gone:]))
        return cls(graph.only(kept), kept, tuple(order[:gone]))


Recall: TypeAlias = Callable[[_Left, int, Random], float]
"""Of so many questions, in what is left."""
Make: TypeAlias = Callable[[VirtualLoop, Graph, Random], Architecture]


@dataclass(frozen=True)
class _Way:
    """A way to search, and the graph that it has when all are there."""

    name: str
    graph: Graph
    recall: Recall


def survival(
    graph: Graph,
    orders: Sequence[Orders],
    things: int,
    dice: Random,
    progress: Progress,
) -> tuple[tuple[Table, ...], tuple[Chart, ...]]:
    """For each of `orders` a table and a chart of what is found."""
    ways = _ways(graph, dice)
    tables, charts = [], []
    for told, shares, order in orders:
        found: dict[str, list[float]] = {}
        seed = dice.getrandbits(64)  # one for all, so that those on one graph lose the same nodes
        for way in ways:
            progress(f"robustness: recall, {told}, {way.name}")
            gone = order(way.graph, Random(seed))
            found[way.name] = [
                way.recall(_Left.of(way.graph, gone, share), things, Random(seed))
                for share in shares
            ]
        tables.append(_table(told, shares, found, things))
        charts.append(_chart(told, shares, found))
    return tuple(tables), tuple(charts)


def _ways(graph: Graph, dice: Random) -> list[_Way]:
    """The flat ones have the edges of the graph, the others as many peers."""
    upper, supers = ultrapeers(graph.nodes, dice), super_nodes(graph.nodes, dice)
    star = Graph(graph.nodes + 1, tuple((0, peer + 1) for peer in range(graph.nodes)), 1)
    flood = _as_it_is(lambda loop, left, dice: Flood(loop, left, FLAT_TTL, dice))
    walking = _as_it_is(lambda loop, left, dice: Walkers(loop, left, 32, 64, dice))
    tables = _as_it_is(lambda loop, left, dice: Flood(loop, left, 3, dice, routing=True))
    return [
        _Way(f"flood TTL {FLAT_TTL}", graph, flood),
        _Way("32 walkers x 64 steps", graph, walking),
        _Way(f"{upper.supers} ultrapeers, flood TTL 3 + QRP", upper, tables),
        _Way(f"{supers.supers} super nodes", supers, _as_it_is(Supernodes)),
        _Way(f"{supers.supers} super nodes, healing", supers, _healed(supers)),
        _Way("central index", star, _central),
    ]


def _as_it_is(make: Make) -> Recall:
    """Nobody is linked anew, so that what is left can be built as it is, but for who is alone."""

    def recall(left: _Left, things: int, dice: Random) -> float:
        linked = [node for node in range(left.graph.nodes) if left.graph.neighbours[node]]
        if not linked:
            return 0.0
        numbers = {node: number for number, node in enumerate(linked)}
        return _asked(
            lambda loop: make(loop, left.graph.only(linked), dice),
            left.graph.nodes,
            len(linked),
            numbers,
            things,
            dice,
        )

    return recall


def _healed(graph: Graph) -> Recall:
    def recall(left: _Left, things: int, dice: Random) -> float:
        numbers = dict(enumerate(left.kept))
        return _asked(
            lambda loop: Healing(loop, graph, left.gone, dice),
            left.graph.nodes,
            graph.nodes,
            numbers,
            things,
            dice,
        )

    return recall


def _central(left: _Left, things: int, dice: Random) -> float:
    """The server is node 0."""
    if 0 in left.gone:
        return 0.0
    peers = left.graph.nodes - 1
    numbers = dict(enumerate(range(peers)))
    return _asked(lambda loop: Central(loop, peers), peers, peers, numbers, things, dice)


def _asked(
    make: Callable[[VirtualLoop], Architecture],
    peers: int,
    size: int,
    numbers: Mapping[int, int],
    things: int,
    dice: Random,
) -> float:
    """Files lie with survivors, who ask; `numbers` are those that they have among `size` nodes, if any."""
    scattered = scatter(peers, things, max(round(COPIES * peers), 1), dice)
    asked = questions(peers, scattered, dice)
    shelves: list[list[str]] = [[] for _ in range(size)]
    for node, names in enumerate(names_of(peers, scattered)):
        if node in numbers:
            shelves[numbers[node]] = names

    async def story(loop: VirtualLoop) -> float:
        network = make(loop)
        try:
            await network.build(shelves)
            return fmean([await _found(network, each, numbers) for each in asked])
        finally:
            await network.close()

    return play(story)


async def _found(network: Architecture, question: Question, numbers: Mapping[int, int]) -> float:
    """The share of the copies."""
    holders = question.thing.holders
    reached = frozenset(numbers[node] for node in holders if node in numbers)
    if question.origin not in numbers or not reached:
        return 0.0
    try:
        thing = Thing(question.thing.words, reached)
        outcome = await network.ask(Question(numbers[question.origin], thing))
    except NetworkError:  # whoever asks has no parent, and nobody to visit
        return 0.0
    return outcome.found / len(holders)


def _table(
    told: str, shares: Sequence[float], found: Mapping[str, Sequence[float]], things: int
) -> Table:
    rows = tuple(
        (name, *(round(recall, 2) for recall in recalls)) for name, recalls in found.items()
    )
    return Table(
        f"Recall, {told}",
        ("removed", *(f"{share:.0%}" for share in shares)),
        rows,
        f"one order; means over {things} questions of survivors, of whom {COPIES:.0%} have what is asked for",
    )


def _chart(told: str, shares: Sequence[float], found: Mapping[str, Sequence[float]]) -> Chart:
    lines = tuple(
        Line(
            name,
            tuple((100 * share, recall) for share, recall in zip(shares, recalls, strict=True)),
        )
        for name, recalls in found.items()
    )
    return Chart(f"Recall, {told}", "nodes removed, %", "recall", lines)
