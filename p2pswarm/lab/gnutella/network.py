"""A Gnutella network as a graph says, and two ways to ask in it: a flood, and as the product does.

In a graph of one tier all are equals, or, with route tables, all are ultrapeers without leaves. In one of
two tiers leaves tell their words before the ultrapeers meet, so that each table travels once.

Every host is equally far from every other, so that a query reaches everybody on a shortest way first, and
what a flood of TTL 7 does in its first hops is what a flood with so small a TTL does.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from random import Random

from p2pswarm.lab.gnutella.servents import Servent, table_of
from p2pswarm.lab.gnutella.watching import Watch
from p2pswarm.lab.gnutella.wiring import Wiring, agreement, hosts
from p2pswarm.lab.loop import VirtualLoop
from p2pswarm.lab.topologies import Edge, Graph
from p2pswarm.overlay.gnutella.links.agreement import Agreement, Role
from p2pswarm.overlay.gnutella.routing.dynamic import LIFETIME
from p2pswarm.wire.gnutella.descriptor import new_guid
from p2pswarm.wire.gnutella.qrp import QueryTable
from p2pswarm.wire.gnutella.query import Query

__all__ = ["Network"]

TABLES = 5.0  # seconds in which all route tables have come


class Network:
    """All nodes of a graph, linked. `routing`: they tell each other their words, leaves or not."""

    def __init__(self, loop: VirtualLoop, graph: Graph, dice: Random, *, routing: bool) -> None:
        self.loop, self.graph = loop, graph
        self.servents: list[Servent] = []
        self._dice, self._routing = dice, routing
        self._hosts = hosts(loop, graph.nodes)
        self.watch = Watch(loop.time, self._hosts)
        self._wiring = Wiring(loop, self._hosts)

    async def build(
        self, shelves: Sequence[Sequence[str]], everybody: QueryTable | None = None
    ) -> None:
        """`everybody`: all may have these words, whatever they share."""
        nothing = everybody or QueryTable()  # which is the same for all who share nothing
        for number, names in enumerate(shelves):
            own = table_of(names) if names and everybody is None else nothing
            self.servents.append(
                Servent(
                    number,
                    self._hosts[number].name,
                    self.role(number),
                    names,
                    own,
                    self.watch,
                    self.loop.time,
                    self._dice,
                )
            )
        await self._connect([edge for edge in self.graph.edges if max(edge) >= self.graph.supers])
        await self._connect([edge for edge in self.graph.edges if max(edge) < self.graph.supers])

    async def _connect(self, edges: Sequence[Edge]) -> None:
        for one, other in edges:
            routers = self.servents[one].router, self.servents[other].router
            agreed = self._agreement(one, other), self._agreement(other, one)
            self._wiring.connect(
                (one, other), routers, agreed, (routers[0].joined, routers[1].joined)
            )
        await asyncio.sleep(TABLES)

    def role(self, node: int) -> Role:
        if self.graph.supers == self.graph.nodes and not self._routing:
            return Role.PEER
        return Role.ULTRAPEER if node < self.graph.supers else Role.LEAF

    def _agreement(self, one: int, other: int) -> Agreement:
        """As `one` sees it."""
        supers = sum(each < self.graph.supers for each in self.graph.neighbours[other])
        return agreement(self.role(one), self.role(other), supers, routing=self._routing)

    async def flood(self, origin: int, words: str, ttl: int) -> None:
        """The watch then knows what it did. A leaf has its ultrapeer ask."""
        asker = self.above(origin)
        asker.router.flood(Query(words), new_guid(self._dice), ttl)
        await self.settle(ttl + 1)  # and to leaves

    async def settle(self, hops: int) -> None:
        """Until queries have gone so far, and hits come back."""
        await asyncio.sleep((2 * hops + 1) * self._hosts[0].delay)

    async def ask(self, origin: int, words: str, enough: int) -> None:
        """As the product does; who asks says stop when it has heard of so many files."""
        asker, carrier, guid = self.servents[origin], self.above(origin), new_guid(self._dice)
        asker.router.ask(Query(words), guid, enough)
        for _ in range(int(LIFETIME) + 1):
            await asyncio.sleep(1)
            if len(self.watch.hits) >= enough:
                asker.router.stop(guid)
            carrier.router.go_on(self.loop.time())
        asker.router.stop(guid)
        await self.settle(1)

    def above(self, node: int) -> Servent:
        """The node itself, or the ultrapeer of a leaf."""
        if node >= self.graph.supers:
            (node,) = self.graph.neighbours[node]
        return self.servents[node]

    def loads(self) -> Mapping[str, Sequence[int]]:
        found: dict[str, list[int]] = defaultdict(list)
        for servent in self.servents:
            found[self.role(servent.number).value].append(servent.handled)
        return found
