"""What is left of a network when nodes leave: how many of the survivors still reach each other.

Nodes go by chance, or the best connected first. Their order is fixed before the first one goes: the attacker
of `OVERLAYS.md` §5.3 has one crawl and does not count again. Among equals the node that the crawl saw first
goes first. Nobody looks for new neighbours: it is the moment after the blow, before any repair. What real
nodes find then, `survival` asks them.

The one hard thing is to get a whole curve in one pass. A union-find can join but not cut, so the nodes come
back in the reverse order, and the largest component only grows.
"""

from collections.abc import Iterator, Sequence
from random import Random
from typing import NamedTuple

from p2pswarm.lab.graphs import NAMES, named
from p2pswarm.lab.progress import Progress, quietly
from p2pswarm.lab.results import Chart, Line, Result, Table
from p2pswarm.lab.survival import Orders, survival
from p2pswarm.lab.topologies import Graph, random_graph

__all__ = ["SHARES", "by_chance", "by_degree", "largest", "robustness"]

SHARES = (0.0, 0.01, 0.02, 0.03, 0.04, *(step / 20 for step in range(1, 15)))
"""Of all nodes, removed: 0 to 70 %, finer where a few nodes carry all others."""
_TOLD = {0.0, 0.01, 0.02, 0.03, 0.05, *(step / 10 for step in range(1, 8))}  # in tables
AT_CHANCE = (0.0, 0.1, 0.3, 0.5, 0.7)  # of the nodes, before things are looked for
AT_BEST = (0.0, 0.01, 0.03, 0.1, 0.3, 0.5)  # two tiers have all they need in one of thirty
PEERS, NEIGHBOURS, THINGS = 404, 6, 10  # where things are looked for, by default
_MOST_ORDERS, _MOST_NODES = 100, 1_000_000  # by chance, of each graph; and in all of them together

# OVERLAYS.md §5.3: shares of the survivors in the largest component, by graph and share removed.
_BY_CHANCE = {
    "p2p-Gnutella08": {0.3: 0.90, 0.5: 0.81, 0.7: 0.67},
    "p2p-Gnutella31": {0.5: 0.72},
}
_BY_DEGREE = {
    "p2p-Gnutella08": {0.05: 0.94, 0.1: 0.88, 0.2: 0.72, 0.3: 0.23, 0.4: 0.002},
    "p2p-Gnutella31": {0.1: 0.72, 0.2: 0.25, 0.3: 0.000},
}


class _Curve(NamedTuple):
    """Share of the survivors in the largest component, for each of `SHARES`."""

    graph: str
    orders: int
    mean: list[float]
    least: list[float]
    most: list[float]
    attacked: list[float]


def largest(graph: Graph, order: Sequence[int], shares: Sequence[float]) -> list[float]:
    """The largest component as a share of the survivors, after so many nodes of `order` have gone."""
    sizes = list(_growing(graph, order[::-1]))
    left = [graph.nodes - round(share * graph.nodes) for share in shares]
    return [sizes[n - 1] / n if n else 0.0 for n in left]


def _growing(graph: Graph, order: Sequence[int]) -> Iterator[int]:
    """The size of the largest component after each node of `order` has come."""
    root, size = list(range(graph.nodes)), [1] * graph.nodes
    here = bytearray(graph.nodes)
    best = 1
    for node in order:
        here[node] = 1
        for other in graph.neighbours[node]:
            if here[other]:
                best = max(best, _join(root, size, node, other))
        yield best


def _join(root: list[int], size: list[int], one: int, other: int) -> int:
    """Both are in one component from now on; how large it is."""
    small, large = sorted((_find(root, one), _find(root, other)), key=size.__getitem__)
    if small != large:
        root[small] = large
        size[large] += size[small]
    return size[large]


def _find(root: list[int], node: int) -> int:
    while root[node] != node:
        root[node] = root[root[node]]  # half of the way is saved for the next one
        node = root[node]
    return node


def by_chance(graph: Graph, dice: Random) -> list[int]:
    return dice.sample(range(graph.nodes), graph.nodes)


def by_degree(graph: Graph) -> list[int]:
    """The best connected first; a stable sort, so equals stay as the graph has them."""
    return sorted(range(graph.nodes), key=lambda node: -len(graph.neighbours[node]))


def robustness(
    topology: str | None = None,
    nodes: int | None = None,
    seed: int = 1,
    progress: Progress = quietly,
    *,
    things: int = THINGS,
    searched: Graph | None = None,
) -> Result:
    """Of one topology, or of all that have a name; in `searched`, things are looked for."""
    dice = Random(seed)
    curves = []
    for name in NAMES if topology is None else (topology,):
        progress(f"robustness: {name}")
        curves.append(_curve(name, named(name, nodes, dice), dice))
    searched = searched or random_graph(PEERS, NEIGHBOURS, dice)
    tables, charts = survival(searched, _orders(), things, dice, progress)
    return Result(
        name="robustness",
        question="When nodes leave, how many others still reach each other, and what is found?",
        facts={
            "seed": seed,
            "graphs": ", ".join(curve.graph for curve in curves),
            "peers searched": searched.nodes,
        },
        tables=(*map(_table, curves), *tables),
        charts=(
            _chart("Nodes leave by chance", [(each.graph, each.mean) for each in curves]),
            _chart(
                "The best connected leave first", [(each.graph, each.attacked) for each in curves]
            ),
            *charts,
        ),
    )


def _orders() -> tuple[Orders, ...]:
    return (
        ("nodes leave by chance", AT_CHANCE, by_chance),
        ("the best connected leave first", AT_BEST, lambda graph, _: by_degree(graph)),
    )


def _curve(name: str, graph: Graph, dice: Random) -> _Curve:
    orders = min(_MOST_ORDERS, 1 + _MOST_NODES // graph.nodes)
    runs = [largest(graph, by_chance(graph, dice), SHARES) for _ in range(orders)]
    columns = list(zip(*runs, strict=True))
    mean = [sum(column) / orders for column in columns]
    attacked = largest(graph, by_degree(graph), SHARES)
    return _Curve(name, orders, mean, list(map(min, columns)), list(map(max, columns)), attacked)


def _table(curve: _Curve) -> Table:
    known = [_BY_CHANCE.get(curve.graph, {}), _BY_DEGREE.get(curve.graph, {})]
    rows = zip(SHARES, curve.mean, curve.least, curve.most, curve.attacked, strict=True)
    references = ("§5.3, by chance", "§5.3, by degree") if any(known) else ()
    return Table(
        f"Survivors in the largest component: {curve.graph}",
        ("removed", "by chance", "least", "most", "by degree", *references),
        tuple(
            (
                f"{share:.0%}",
                *(round(value, 3) for value in found),
                *(each.get(share) for each in known if references),
            )
            for share, *found in rows
            if share in _TOLD
        ),
        f"by chance: mean, least and most of {curve.orders} orders",
    )


def _chart(title: str, curves: Sequence[tuple[str, Sequence[float]]]) -> Chart:
    lines = tuple(
        Line(name, tuple((100 * share, value) for share, value in zip(SHARES, values, strict=True)))
        for name, values in curves
    )
    return Chart(title, "nodes removed, %", "share of survivors in the largest component", lines)
