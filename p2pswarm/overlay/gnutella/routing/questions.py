"""Questions that we carry into the network: our own, and those of our leaves.

In the flat network a question is flooded once. A leaf gives its own to all its ultrapeers. An ultrapeer asks
its leaves, and then one ultrapeer after the other as long as there are too few results (`dynamic`); what a
leaf asks is taken over in the same way, whatever TTL it came with.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from random import Random
from typing import Protocol

from p2pswarm.overlay.gnutella.links.agreement import FLAT_TTL, MAX_TTL, Role
from p2pswarm.overlay.gnutella.links.link import Link
from p2pswarm.overlay.gnutella.routing.dynamic import (
    MOST_OF_ONE_LEAF,
    WANTED_BY_LEAF,
    Candidate,
    DynamicQuery,
    Probe,
)
from p2pswarm.overlay.gnutella.routing.interests import Interests, Words
from p2pswarm.wire.gnutella.descriptor import HEADER_SIZE, Descriptor, Kind
from p2pswarm.wire.gnutella.query import Query, QueryFlags
from p2pswarm.wire.gnutella.vendor import STOP_QUERY, QueryStatusRequest, QueryStatusResponse

__all__ = ["Around", "Question", "Questions"]


class Around(Protocol):
    """What the router knows of our place."""

    @property
    def role(self) -> Role:
        """What we are."""

    @property
    def links(self) -> Collection[Link]:
        """Everybody."""

    def peers(self) -> list[Link]:
        """Ultrapeers and equals."""

    def to_leaves(self, head: Descriptor, words: Words, source: Link | None) -> int:
        """Give a query to the leaves that may have it."""


@dataclass(slots=True, eq=False)
class Question:
    """One question on its way."""

    guid: bytes
    payload: bytes
    words: Words
    asker: Link | None = None
    """Our leaf; None: ourselves."""
    dynamic: DynamicQuery[Link] | None = None
    wanted: int = 0
    results: int = 0
    messages: int = 0
    """Queries that we sent, and their bytes."""
    bytes: int = 0

    @property
    def done(self) -> bool:
        """Whether nobody more will be asked."""
        return self.dynamic is None or self.dynamic.done

    def head(self, ttl: int) -> Descriptor:
        hops = 0 if self.asker is None else 1
        return Descriptor(self.guid, Kind.QUERY, ttl, hops, self.payload)

    def send(self, link: Link, ttl: int) -> None:
        head = self.head(ttl)
        if head.hops < link.hops_flow and link.tell(head):
            self.messages += 1
            self.bytes += len(head.payload) + HEADER_SIZE


class Questions:
    """`tick` once a second."""

    def __init__(self, around: Around, interests: Interests, dice: Random) -> None:
        self._around, self._interests, self._dice = around, interests, dice
        self._questions: dict[bytes, Question] = {}

    def ask(self, query: Query, guid: bytes, wanted: int, now: float) -> Question:
        """Ours. Raises LocalProtocolError when it cannot be said."""
        role = self._around.role
        if role is Role.LEAF:
            query = replace(query, flags=query.flags | QueryFlags.LEAF_GUIDED)
        question = Question(guid, query.encode(), self._interests.words(query), wanted=wanted)
        self._questions[guid] = question
        self._start(question, now)
        return question

    def joined(self, now: float) -> None:
        """Somebody to ask: what we asked when there was nobody is asked now."""
        for question in self._questions.values():
            if question.asker is None and not question.messages:
                self._start(question, now)

    def _start(self, question: Question, now: float) -> None:
        match self._around.role:
            case Role.PEER:
                for link in list(self._around.links):
                    question.send(link, min(FLAT_TTL, link.agreement.max_ttl))
            case Role.LEAF:
                for link in self._around.peers():
                    question.send(link, min(MAX_TTL, link.agreement.max_ttl))
            case Role.ULTRAPEER:
                asked = self._around.to_leaves(question.head(1), question.words, None)
                question.messages += asked
                question.bytes += asked * (len(question.payload) + HEADER_SIZE)
                self._begin(question, DynamicQuery(max(question.wanted, 1)), now)

    def adopt(self, head: Descriptor, query: Query, leaf: Link, now: float) -> None:
        """A leaf's, which the leaves have got already."""
        asked = sum(question.asker is leaf for question in self._questions.values())
        if asked >= MOST_OF_ONE_LEAF:
            return
        question = Question(head.guid, head.payload, self._interests.words(query), leaf)
        self._questions[head.guid] = question
        guided = bool(query.flags & QueryFlags.LEAF_GUIDED)
        self._begin(question, DynamicQuery(WANTED_BY_LEAF, guided=guided), now)

    def stop(self, guid: bytes) -> None:
        """Ours has its results; whoever carries it for us is told."""
        question = self._questions.pop(guid, None)
        if question is not None and self._around.role is Role.LEAF:
            enough = QueryStatusResponse(STOP_QUERY).encode()
            for link in self._around.peers():
                if link.agreement.dynamic and link.agreement.vendor_messages:
                    link.tell(Descriptor(guid, Kind.VENDOR, 1, 0, enough))

    def forget(self, link: Link) -> None:
        """The questions of a leaf that has gone are nobody's."""
        for guid, question in list(self._questions.items()):
            if question.asker is link:
                del self._questions[guid]

    def answered(self, guid: bytes, results: int) -> None:
        """So many came, and went to who asks."""
        question = self._questions.get(guid)
        if question is not None:
            question.results += results
            if question.dynamic is not None:
                question.dynamic.add_results(results)

    def guided(self, guid: bytes, link: Link, results: int, now: float) -> None:
        """A leaf says how many it kept of what it was sent."""
        question = self._questions.get(guid)
        if question is not None and question.asker is link and question.dynamic is not None:
            question.dynamic.leaf_says(results, now)

    def kept(self, guid: bytes) -> int:
        """How many results of ours we have kept; that we want no more when nobody waits for them."""
        question = self._questions.get(guid)
        ours = question is not None and question.asker is None
        return min(question.results, STOP_QUERY - 1) if question and ours else STOP_QUERY

    def tick(self, now: float) -> None:
        for guid, question in list(self._questions.items()):
            self._go_on(question, now)
            if question.done and question.asker is not None:
                del self._questions[guid]

    def _go_on(self, question: Question, now: float) -> None:
        dynamic, leaf = question.dynamic, question.asker
        if dynamic is None:
            return
        if leaf is not None and dynamic.asks_leaf(now):
            kept = QueryStatusRequest().encode()
            leaf.tell(Descriptor(question.guid, Kind.VENDOR, 1, 0, kept))
        while not dynamic.done and dynamic.due <= now:
            probe = dynamic.step(now, self._candidates(question))
            if probe is None:
                return
            self._probe(question, probe)

    def _begin(self, question: Question, dynamic: DynamicQuery[Link], now: float) -> None:
        question.dynamic = dynamic
        for probe in dynamic.begin(self._candidates(question), now):
            self._probe(question, probe)

    def _probe(self, question: Question, probe: Probe[Link]) -> None:
        question.send(probe.link, probe.ttl)

    def _candidates(self, question: Question) -> list[Candidate[Link]]:
        """In any order, so that not the same ones are asked first by everybody."""
        found = [
            Candidate(
                link,
                link.agreement.degree,
                link.agreement.max_ttl,
                self._interests.wants(link, question.words),
                link.agreement.ext_probes and link.theirs is Role.ULTRAPEER,
            )
            for link in self._around.peers()
            if link is not question.asker
        ]
        self._dice.shuffle(found)
        return found
