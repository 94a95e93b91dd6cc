"""Topologies by name, for whoever types one: crawls, and graphs made in the sizes of `OVERLAYS.md` §5.3."""

from random import Random

from p2pswarm.lab.topologies import CRAWLS, Graph, load, random_graph, two_tier

__all__ = ["NAMES", "named"]

NAMES = (*CRAWLS, "random", "two-tier", "supernodes")
"""What `named` knows besides files."""

PEERS = 6301  # as many as the first crawl has
_DEGREE = 6  # the crawl has 6.6; this is even, so that any number of nodes will do
_ULTRAPEER = 31, 32  # leaves of one, and its links to others
_SUPER_NODE = 100, 40


def named(name: str, nodes: int | None, dice: Random) -> Graph:
    """One of `NAMES`, or a file; a graph that is made has so many nodes.

    Raises FormatError, OSError, and ValueError when that is too few.
    """
    nodes = nodes or PEERS
    match name:
        case "random":
            return random_graph(nodes, _DEGREE, dice)
        case "two-tier":
            return _tiers(nodes, *_ULTRAPEER, dice)
        case "supernodes":
            return _tiers(nodes, *_SUPER_NODE, dice)
        case _:
            return load(name)


def _tiers(nodes: int, children: int, links: int, dice: Random) -> Graph:
    """In a small network all at the top are linked to each other, but for one where parity wants it."""
    supers = round(nodes / (1 + children))
    top = random_graph(supers, min(links, (supers - 1) // 2 * 2), dice)
    return two_tier(top, nodes - supers)
