"""Super nodes as one of the architectures: who is linked to whom is given, everything else is the product's.

The operator's mode makes a given graph: each super node is told its neighbours and believes nobody else. The
others are ordinary and dial the one that is their parent.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from random import Random

from p2pswarm.lab.architecture import Outcome, Question
from p2pswarm.lab.loop import VirtualLoop
from p2pswarm.lab.supernodes.members import Inhabitant, Town, address_of, files_of
from p2pswarm.lab.topologies import Graph
from p2pswarm.overlay.network import Cost
from p2pswarm.overlay.query import Lookup, Query
from p2pswarm.overlay.supernode.options import Options, Wish

__all__ = ["Supernodes"]

WAIT = 1.0  # seconds without a new hit after which a search ends: nobody is farther than that
BUILD = 600.0  # seconds in which everybody is linked
TOGETHER = 200  # who start in the same second


class Supernodes:
    """An `Architecture` of two tiers; `close` at the end."""

    def __init__(
        self,
        loop: VirtualLoop,
        graph: Graph,
        dice: Random,
        lookup: Lookup = Lookup.RECURSIVE,
    ) -> None:
        self.town = Town(loop, dice)
        self._graph, self._lookup = graph, lookup
        self._asked: Counter[int] = Counter()  # messages of ordinary nodes for questions

    @property
    def name(self) -> str:
        iterative = ", iterative" if self._lookup is Lookup.ITERATIVE else ""
        graph = self._graph
        return f"{graph.supers} super nodes, {graph.links:.0f} links, flood TTL 7{iterative}"

    async def build(self, shelves: Sequence[Sequence[str]]) -> None:
        """Raises RuntimeError when not everybody found a place."""
        for number, names in enumerate(shelves):
            self.town.settle(self._options(number), files_of(names))
        for first in range(0, len(shelves), TOGETHER):
            for inhabitant in self.town.all[first : first + TOGETHER]:
                await inhabitant.start()
            await asyncio.sleep(1)
        if not await self.town.until(self._is_built, BUILD):
            raise RuntimeError("not everybody is linked as the graph says")

    def _options(self, number: int) -> Options:
        graph, neighbours = self._graph, self._graph.neighbours[number]
        if number >= graph.supers:
            return Options(Wish.ORDINARY, connect=(address_of(neighbours[0]),), wait=WAIT)
        linked = [each for each in neighbours if each < graph.supers]
        children = max(len(neighbours) - len(linked), 1)
        return Options(
            Wish.SUPER,
            children=(children, children),
            links=(max(len(linked), 1),) * 2,
            supernodes=tuple(map(address_of, (number, *linked))),
            wait=WAIT,
        )

    def _is_built(self) -> bool:
        """Every edge is a connection."""
        ends = sum(len(each.member.neighbours) for each in self.town.all)
        return ends == 2 * len(self._graph.edges)

    async def ask(self, question: Question) -> Outcome:
        """Raises NetworkError."""
        asker, before, cost = self.town.all[question.origin], self._messages(), Cost()
        query = Query(tuple(question.thing.words.split()), limit=200, lookup=self._lookup)
        found: set[int] = set()
        hops = first = None
        async with aclosing(asker.member.search(query, cost)) as hits:
            async for hit in hits:
                found.add(int(hit.nick, 16))
                if first is None:
                    hops, first = cost.hops, self._since(before, asker, cost).total()
        messages = self._since(before, asker, cost)
        if not asker.member.serves:
            self._asked[question.origin] += cost.messages
        holders = question.thing.holders
        return Outcome(messages, len(found & holders), len(holders), hops, first)

    def _messages(self) -> Counter[str]:
        """What all super nodes sent for questions so far."""
        sent: Counter[str] = Counter()
        for each in self.town.all[: self._graph.supers]:
            sent.update(each.member.status().sent)
        sent["hit"] = sent.pop("hits", 0)  # as the other architectures call it
        return sent

    def _since(self, before: Counter[str], asker: Inhabitant, cost: Cost) -> Counter[str]:
        """And what an ordinary one sent itself; its visits are counted by it alone."""
        sent = self._messages() - before
        if self._lookup is Lookup.ITERATIVE:
            return Counter(query=cost.messages - sent.total(), **sent)
        return sent + Counter(query=int(not asker.member.serves))

    def loads(self) -> Mapping[str, Sequence[int]]:
        """Of those that were super nodes, and of the others."""
        supers = [each.member.status() for each in self.town.all[: self._graph.supers]]
        handled = [sum(each.sent.values()) + sum(each.received.values()) for each in supers]
        below = range(self._graph.supers, self._graph.nodes)
        return {"super node": handled, "leaf": [self._asked[number] for number in below]}

    async def close(self) -> None:
        """May be called twice."""
        await self.town.aclose()
