"""Random walkers: instead of a flood, `k` copies of a query that each go to one neighbour after the other.

Lab-only nodes on the product's links, with its messages: a query's TTL is the steps that its walker may still
go (Lv, Cao, Cohen, Li, Shenker: Search and Replication in Unstructured Peer-to-Peer Networks, ICS 2002). With
state keeping, as there: a node sends a query to another neighbour each time it comes by. Hits go back by
whoever brought the query first, which ends at the asker, as each of them had it earlier.

With `check` a walker asks the asker every so many steps, directly, whether to go on. Such a check-back counts
as one message, and nothing is waited for.
"""

import asyncio
from collections.abc import Mapping, Sequence
from random import Random

from p2pswarm.formats.ids import Address
from p2pswarm.lab.architecture import Outcome, Question
from p2pswarm.lab.gnutella.servents import ASKED, PORT, answer_of
from p2pswarm.lab.gnutella.watching import Watch
from p2pswarm.lab.gnutella.wiring import Wiring, agreement, hosts
from p2pswarm.lab.loop import VirtualLoop
from p2pswarm.lab.topologies import Graph
from p2pswarm.overlay.gnutella.links.agreement import Role
from p2pswarm.overlay.gnutella.links.link import Link
from p2pswarm.wire.gnutella.descriptor import Descriptor, Kind, new_guid
from p2pswarm.wire.gnutella.hit import QueryHit
from p2pswarm.wire.gnutella.query import Query

__all__ = ["MOST_STEPS", "Walkers"]

MOST_STEPS = 255  # which a TTL can say


class Walker:
    """A `Hearer`: a node that lets queries walk."""

    def __init__(self, number: int, host: str, names: Sequence[str], walks: "Walkers") -> None:
        self.number, self.names = number, names
        self.links: dict[Link, None] = {}
        self._here, self._guid = Address(host, PORT), number.to_bytes(16, "big")
        self._walks = walks
        # Who brought the query first; None: nobody yet, or it is ours
        self._back: Link | None = None
        self._tried: set[Link] = set()

    def joined(self, link: Link) -> None:
        self.links[link] = None

    @property
    def handled(self) -> int:
        """Messages for questions that it sent or received."""
        return sum(
            link.sent.messages[kind] + link.received.messages[kind]
            for link in self.links
            for kind in ASKED
        )

    def forget(self) -> None:
        """The next question is another."""
        self._back = None
        self._tried.clear()

    def start(self, head: Descriptor) -> None:
        """One more walker of ours."""
        self._step(head, None)

    def got(self, link: Link, head: Descriptor) -> None:
        self._walks.watch.heard(self.number, link, head)
        if head.kind == Kind.QUERY:
            self._walked(link, head)
        elif self._walks.asker is self:
            self._walks.watch.found(self.number, head, QueryHit.read(head.payload))
        elif self._back is not None:
            self._back.tell(
                Descriptor(head.guid, Kind.HIT, MOST_STEPS, head.hops + 1, head.payload)
            )

    def left(self, link: Link, reason: Exception | None) -> None:
        self.links.pop(link, None)

    def ping(self, link: Link) -> None:
        """Nobody leaves."""

    def _walked(self, link: Link, head: Descriptor) -> None:
        if self._back is None and self._walks.asker is not self:
            self._back = link
            self._answer(head)
        if head.ttl > 1 and self._walks.goes_on(head.hops + 1):
            self._step(
                Descriptor(head.guid, Kind.QUERY, head.ttl - 1, head.hops + 1, head.payload), link
            )

    def _answer(self, head: Descriptor) -> None:
        hit = answer_of(self.names, Query.read(head.payload), self._here, self._guid)
        if hit is not None and self._back is not None:
            self._back.tell(Descriptor(head.guid, Kind.HIT, MOST_STEPS, 0, hit.encode()))

    def _step(self, head: Descriptor, source: Link | None) -> None:
        """To one it was not sent to yet; when it was sent to all, to anybody but back, if there is one."""
        others = [link for link in self.links if link is not source] or list(self.links)
        fresh = [link for link in others if link not in self._tried] or others
        link = self._walks.dice.choice(fresh)
        self._tried.add(link)
        link.tell(head)


class Walkers:
    """`k` walkers of at most `steps` steps each. `check`: they end when the asker has a hit."""

    asker: Walker

    def __init__(
        self, loop: VirtualLoop, graph: Graph, k: int, steps: int, dice: Random, *, check: int = 0
    ) -> None:
        if not 0 < steps <= MOST_STEPS:
            raise ValueError(f"a walk of {steps} steps")
        self.dice, self._graph = dice, graph
        self._hosts = hosts(loop, graph.nodes)
        self.watch = Watch(loop.time, self._hosts)
        self._wiring = Wiring(loop, self._hosts)
        self._k, self._steps, self._check = k, steps, check
        self._checks = 0
        self._walkers: list[Walker] = []

    @property
    def name(self) -> str:
        ending = f", asking back every {self._check}" if self._check else ""
        return f"{self._k} walkers x {self._steps} steps{ending}"

    async def build(self, shelves: Sequence[Sequence[str]]) -> None:
        agreed = agreement(Role.PEER, Role.PEER, 0)
        self._walkers = [
            Walker(number, host.name, names, self)
            for number, (host, names) in enumerate(zip(self._hosts, shelves, strict=True))
        ]
        for edge in self._graph.edges:
            one, other = (self._walkers[end] for end in edge)
            self._wiring.connect(edge, (one, other), (agreed, agreed), (one.joined, other.joined))

    async def ask(self, question: Question) -> Outcome:
        self.watch.begin()
        self._checks = 0
        for walker in self._walkers:
            walker.forget()
        self.asker = self._walkers[question.origin]
        query, guid = Query(question.thing.words), new_guid(self.dice)
        for _ in range(self._k):
            self.asker.start(Descriptor(guid, Kind.QUERY, self._steps, 0, query.encode()))
        await asyncio.sleep((2 * self._steps + 1) * self._hosts[0].delay)
        return self.watch.outcome(question, check=self._checks)

    def goes_on(self, steps: int) -> bool:
        """A walker has gone so many: whether it goes on."""
        if not self._check or steps % self._check:
            return True
        self._checks += 1
        return not self.watch.hits

    async def close(self) -> None:
        """Nothing goes on by itself."""

    def loads(self) -> Mapping[str, Sequence[int]]:
        return {"peer": [walker.handled for walker in self._walkers]}
