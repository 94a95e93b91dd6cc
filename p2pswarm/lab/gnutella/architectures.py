"""Gnutella's ways to search, behind the laboratory's door."""

from collections.abc import Mapping, Sequence
from random import Random

from p2pswarm.lab.architecture import Outcome, Question
from p2pswarm.lab.gnutella.network import Network
from p2pswarm.lab.loop import VirtualLoop
from p2pswarm.lab.topologies import Graph

__all__ = ["Dynamic", "Flood"]


class Flood:
    """Everybody within `ttl` is asked. With `routing`, on the last hop only who may have it."""

    def __init__(
        self, loop: VirtualLoop, graph: Graph, ttl: int, dice: Random, *, routing: bool = False
    ) -> None:
        self._network = Network(loop, graph, dice, routing=routing)
        self._ttl, self._routing = ttl, routing

    @property
    def name(self) -> str:
        graph = self._network.graph
        tiers = (
            f"{graph.supers} ultrapeers, {graph.links:.0f} links, "
            if graph.supers < graph.nodes
            else ""
        )
        return f"{tiers}flood TTL {self._ttl}{' + QRP' if self._routing else ''}"

    async def build(self, shelves: Sequence[Sequence[str]]) -> None:
        await self._network.build(shelves)

    async def ask(self, question: Question) -> Outcome:
        """A leaf's question is its ultrapeer's: the flood begins there."""
        self._network.watch.begin()
        await self._network.flood(question.origin, question.thing.words, self._ttl)
        return self._network.watch.outcome(question)

    async def close(self) -> None:
        """Nothing goes on by itself."""

    def loads(self) -> Mapping[str, Sequence[int]]:
        return self._network.loads()


class Dynamic:
    """Dynamic querying, as the product does it: leaf, ultrapeer, one neighbour after the other.

    Who asks says stop when it has `enough`; its ultrapeer looks for 50, however few there are.
    """

    def __init__(self, loop: VirtualLoop, graph: Graph, enough: int, dice: Random) -> None:
        self._network = Network(loop, graph, dice, routing=True)
        self._enough = enough

    @property
    def name(self) -> str:
        graph = self._network.graph
        return f"{graph.supers} ultrapeers, {graph.links:.0f} links, dynamic, {self._enough} wanted"

    async def build(self, shelves: Sequence[Sequence[str]]) -> None:
        await self._network.build(shelves)

    async def ask(self, question: Question) -> Outcome:
        self._network.watch.begin()
        await self._network.ask(question.origin, question.thing.words, self._enough)
        return self._network.watch.outcome(question)

    async def close(self) -> None:
        """Nothing goes on by itself."""

    def loads(self) -> Mapping[str, Sequence[int]]:
        return self._network.loads()
