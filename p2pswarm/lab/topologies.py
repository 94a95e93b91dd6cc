"""Which nodes are connected: published crawls and graphs made by dice.

The crawls are snapshots of the Gnutella network of August 2002, published by SNAP
(https://snap.stanford.edu/data/p2p-Gnutella08.html, …31.html) and taken by M. Ripeanu, I. Foster and
A. Iamnitchi, "Mapping the Gnutella Network" (IEEE Internet Computing 6(1), 2002); see also J. Leskovec,
J. Kleinberg, C. Faloutsos, "Graph Evolution" (ACM TKDD 1(1), 2007). They are two-tiered already, but the
edges do not tell who was what, so they stand for the flat network.

The format: one directed edge on a line, comments begin with `#`. Whoever is connected speaks both ways, so
that directions are dropped, and edges that are there twice or lead back to where they start.
"""

import gzip
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from random import Random

from p2pswarm.errors import FormatError

__all__ = ["CRAWLS", "Edge", "Graph", "drawn_graph", "load", "random_graph", "two_tier"]

Edge = tuple[int, int]

CRAWLS = ("p2p-Gnutella08", "p2p-Gnutella31")
_MOST_TRIES = 100


@dataclass(frozen=True)
class Graph:
    """Nodes are 0 to `nodes` - 1, each edge is there once; the first `supers` are the upper tier."""

    nodes: int
    edges: tuple[Edge, ...]
    supers: int

    @cached_property
    def neighbours(self) -> tuple[tuple[int, ...], ...]:
        """Of each node."""
        found: list[list[int]] = [[] for _ in range(self.nodes)]
        for one, other in self.edges:
            found[one].append(other)
            found[other].append(one)
        return tuple(map(tuple, found))

    @property
    def links(self) -> float:
        """How many others of the upper tier one of it is linked to, on average."""
        return 2 * sum(max(edge) < self.supers for edge in self.edges) / self.supers

    def distances(self, origin: int) -> dict[int, int]:
        """Hops from there to everybody who can be reached."""
        far = {origin: 0}
        ring = [origin]
        while ring:
            ring = [each for node in ring for each in self._first_seen(node, far)]
        return far

    def _first_seen(self, node: int, far: dict[int, int]) -> list[int]:
        new = [each for each in self.neighbours[node] if each not in far]
        far.update(dict.fromkeys(new, far[node] + 1))
        return new

    def components(self) -> Iterator[list[int]]:
        """Nodes that reach each other."""
        left = dict.fromkeys(range(self.nodes))
        while left:
            part = list(self.distances(next(iter(left))))
            for node in part:
                del left[node]
            yield part

    def largest(self) -> "Graph":
        """Its largest component, numbered anew."""
        _, part = max((len(part), part) for part in self.components())
        return self.only(sorted(part))

    def only(self, kept: Iterable[int]) -> "Graph":
        """These nodes and the edges among them, numbered anew in this order."""
        number = {node: index for index, node in enumerate(kept)}
        edges = [(number[a], number[b]) for a, b in self.edges if a in number and b in number]
        return Graph(len(number), tuple(edges), sum(node < self.supers for node in number))


def load(name: str | Path) -> Graph:
    """One of `CRAWLS`, or a file in SNAP's format, packed or not. Raises FormatError and OSError."""
    if name in CRAWLS:
        data = files("p2pswarm.lab").joinpath("topologies", f"{name}.txt.gz").read_bytes()
    else:
        data = Path(name).read_bytes()
    try:
        text = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        return _graph(text.decode("ascii").splitlines())
    except (ValueError, EOFError, gzip.BadGzipFile) as error:
        raise FormatError(f"{name} is no list of edges: {error}") from error


def _graph(lines: Iterable[str]) -> Graph:
    number: dict[str, int] = {}
    edges: dict[Edge, None] = {}
    for line in lines:
        if line.startswith("#") or not line.strip():
            continue
        one, other = (number.setdefault(name, len(number)) for name in line.split())
        if one != other:
            edges[min(one, other), max(one, other)] = None
    return Graph(len(number), tuple(edges), len(number))


def random_graph(nodes: int, degree: int, dice: Random) -> Graph:
    """Everybody has `degree` neighbours, in one component. Raises ValueError if there is no such graph."""
    if not 0 < degree < nodes or nodes * degree % 2:
        raise ValueError(f"{nodes} nodes cannot have {degree} neighbours each")
    for _ in range(_MOST_TRIES):
        graph = Graph(nodes, tuple(_mixed(_ring(nodes, degree), dice)), nodes)
        if len(graph.distances(0)) == nodes:
            return graph
    raise ValueError(f"{nodes} nodes with {degree} neighbours each fall apart")


def _ring(nodes: int, degree: int) -> list[Edge]:
    """Everybody with those next to it, and for an odd degree with the one across."""
    edges = [(a, (a + step) % nodes) for a in range(nodes) for step in range(1, degree // 2 + 1)]
    if degree % 2:
        edges += [(a, a + nodes // 2) for a in range(nodes // 2)]
    return [(min(edge), max(edge)) for edge in edges]


def _mixed(edges: list[Edge], dice: Random) -> list[Edge]:
    """Two edges at a time exchange their ends: degrees stay, and after ten times all is chance."""
    present = set(edges)
    for _ in range(10 * len(edges)):
        first, second = dice.randrange(len(edges)), dice.randrange(len(edges))
        (a, b), (c, d) = edges[first], edges[second][:: dice.choice((1, -1))]
        one, other = (min(a, c), max(a, c)), (min(b, d), max(b, d))
        if a == c or b == d or one in present or other in present or one == other:
            continue
        present -= {edges[first], edges[second]}
        present |= {one, other}
        edges[first], edges[second] = one, other
    return edges


def drawn_graph(nodes: int, links: int, dice: Random) -> Graph:
    """Pairs are drawn for `links` of each; what was drawn twice is there once. In one component.

    So the counts of `OVERLAYS.md` §5.3 had their upper tiers: of 63 with 40 links each, 29 are left on
    average. Raises ValueError when it does not hold together.
    """
    for _ in range(_MOST_TRIES):
        edges: dict[Edge, None] = {}
        for _ in range(nodes * links // 2):
            one, other = dice.sample(range(nodes), 2)
            edges[min(one, other), max(one, other)] = None
        graph = Graph(nodes, tuple(edges), nodes)
        if len(graph.distances(0)) == nodes:
            return graph
    raise ValueError(f"{nodes} nodes with {links} links drawn for each fall apart")


def two_tier(top: Graph, leaves: int) -> Graph:
    """All leaves are dealt evenly to the nodes of `top`, one parent each."""
    below = tuple((leaf % top.nodes, top.nodes + leaf) for leaf in range(leaves))
    return Graph(top.nodes + leaves, (*top.edges, *below), top.nodes)
