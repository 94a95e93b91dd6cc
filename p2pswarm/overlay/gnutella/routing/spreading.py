"""How the queries of others spread: to us, to our leaves, and farther as long as their TTL lasts.

In the flat network they go to every neighbour; between ultrapeers likewise, but on the last hop only where a
route table has their words, and to leaves only there. What a leaf asks is taken over by `questions`.

The one hard thing: one message becomes many. So a GUID is worked on once, and all neighbours together may
make us send only so much.
"""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Protocol

from p2pswarm.overlay.gnutella.links.agreement import Role
from p2pswarm.overlay.gnutella.links.limits import clamp
from p2pswarm.overlay.gnutella.links.link import Link
from p2pswarm.overlay.gnutella.routing.dynamic import PROBES
from p2pswarm.overlay.gnutella.routing.interests import Interests, Words
from p2pswarm.overlay.gnutella.routing.questions import Questions
from p2pswarm.overlay.gnutella.routing.replies import Visitors, Ways
from p2pswarm.overlay.limits import QueryBudget
from p2pswarm.wire.gnutella.descriptor import Descriptor, Kind, oob_address
from p2pswarm.wire.gnutella.query import Query, QueryFlags, without_oob

__all__ = ["Asked", "Spreading"]

MOST_OF_QUERY = 1024  # bytes; gtk-gnutella parts with who sends it a larger one, its own or not
WORK = 5000.0  # queries a second that all neighbours together may make us send


class Asked(Protocol):
    """Who answers from our own files. Nothing here may raise or wait."""

    def asked(self, head: Descriptor, query: Query, link: Link) -> None:
        """Somebody asks; our table has the words. `Router.answer` takes what we have."""


class Self(Protocol):
    """What the router knows of us."""

    role: Role
    dropped: Counter[str]

    @property
    def links(self) -> Collection[Link]:
        """Everybody."""

    def peers(self) -> list[Link]:
        """Ultrapeers and equals."""

    def leaves(self) -> list[Link]:
        """Those of an ultrapeer."""


class Spreading:
    """`query` for each that comes from a neighbour."""

    def __init__(
        self,
        us: Self,
        local: Asked,
        routes: Ways,
        interests: Interests,
        questions: Questions,
        clock: Callable[[], float],
    ) -> None:
        self._us, self._local, self._routes = us, local, routes
        self._interests, self._questions, self._clock = interests, questions, clock
        self._budget: QueryBudget[Link] = QueryBudget(WORK)

    def forget(self, link: Link) -> None:
        self._budget.forget(link)

    def query(self, link: Link, head: Descriptor) -> None:
        place = clamp(head.ttl, head.hops)
        from_leaf = link.theirs is Role.LEAF and self._us.role is Role.ULTRAPEER
        if place is None or (from_leaf and head.hops):
            self._us.dropped["too far"] += 1
            return
        if len(head.payload) > MOST_OF_QUERY:
            self._us.dropped["too large"] += 1
            return
        if link.outbox.in_flow_control:  # it could not take the hits
            self._us.dropped["flow control"] += 1
            return
        ttl, hops = place
        head, now = replace(head, ttl=ttl, hops=hops), self._clock()
        if not self._routes.first(head.guid, Kind.QUERY, link, now, ttl):
            self._again(link, head, now)
            return
        query = Query.read(head.payload)
        spread = PROBES if from_leaf else len(self._us.peers())
        if not self._budget.grant(link, now, 1.0 + spread):
            self._us.dropped["budget"] += 1
            return
        if from_leaf and QueryFlags.OOB in query.flags:
            head = _reachable(head, link)
        words = self._interests.words(query)
        if self._interests.ours(words):
            self._local.asked(head, query, link)
        if self._us.role is Role.ULTRAPEER:
            self.to_leaves(head, words, link)
        if from_leaf:
            self._questions.adopt(head, query, link, now)
        elif self._us.role is not Role.LEAF and ttl > 1:
            self._spread(head, words, link)

    def _again(self, link: Link, head: Descriptor, now: float) -> None:
        """A duplicate goes no further, unless it is a probe that now is to go farther."""
        farther = self._us.role is Role.ULTRAPEER and link.theirs is Role.ULTRAPEER
        if farther and self._routes.farther(head.guid, Kind.QUERY, link, now, head.ttl):
            if self._budget.grant(link, now, 1.0 + len(self._us.peers())):
                self._spread(head, self._interests.words(Query.read(head.payload)), link)
            else:
                self._us.dropped["budget"] += 1
        else:
            self._us.dropped["duplicates"] += 1

    def _spread(self, head: Descriptor, words: Words, source: Link) -> None:
        """To all peers, but on the last hop only to those who may have it."""
        if head.ttl < 2:
            return
        on = head.hopped()
        data = on.encode()
        # An equal knows no leaves, so that whoever came as one hears everything.
        others = list(self._us.links) if self._us.role is Role.PEER else self._us.peers()
        for link in others:
            last = on.ttl == 1 and self._us.role is Role.ULTRAPEER
            if link is source or (last and self._interests.wants(link, words) is False):
                continue
            if on.hops < link.hops_flow:
                link.send(Kind.QUERY, on.hops, data)

    def to_leaves(self, head: Descriptor, words: Words, source: Link | Visitors | None) -> int:
        """To our leaves that may have it, however far it came; how many that are."""
        hops = head.hops + (source is not None)
        data = Descriptor(head.guid, Kind.QUERY, max(head.ttl - 1, 1), hops, head.payload).encode()
        count = 0
        for link in self._us.leaves():
            wanted = link is not source and self._interests.wants(link, words) is not False
            if wanted and hops < link.hops_flow:
                count += link.send(Kind.QUERY, hops, data)
        return count


def _reachable(head: Descriptor, leaf: Link) -> Descriptor:
    """A leaf's query as it goes on: hits by UDP come to the leaf's own address, or over us."""
    if oob_address(head.guid).host == leaf.remote.host:
        return head
    return replace(head, payload=without_oob(head.payload))
