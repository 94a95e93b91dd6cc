"""How queries spread among super nodes, and hits come back.

What a child asks is answered from our index and sent to all links, which do the same as long as its TTL
lasts; a super node that has seen it drops it. Hits go back the way of their GUID. Who visits us is answered
from the index alone, and told whom to visit next. Sans-IO: links are whatever can be sent bytes.

The one hard thing: one message becomes many. So a GUID is worked on once, children and links each have a fair
share of what all together may make us send, and a link that cannot keep up gets no queries. In a network of
n super nodes and m links a query that reaches them all costs 2m - n + 1 messages: each super node sends it to
all of its links but the one it came from, and the first to all. It costs less when much is found: who has all
that is wanted in its own index does not send it on, since it would relay nothing more.
"""

from dataclasses import replace
from typing import Generic, Protocol, TypeVar

from p2pswarm.formats.ids import Address
from p2pswarm.overlay.limits import QueryBudget, Tokens
from p2pswarm.overlay.supernode.asking import (
    OF_HOST,
    OURS,
    Asker,
    Heard,
    Neighbour,
    Ours,
    Question,
    Role,
)
from p2pswarm.overlay.supernode.index import CANDIDATES, Index
from p2pswarm.overlay.supernode.relaying import TTL, Counts, Relay
from p2pswarm.wire.supernode.frames import Frame, FrameKind
from p2pswarm.wire.supernode.hits import Found, Hits
from p2pswarm.wire.supernode.hosts import Entry
from p2pswarm.wire.supernode.queries import End, Query, Stop
from p2pswarm.wire.supernode.shares import SharedFile

__all__ = ["WORK", "Around", "Flood"]

WORK = 5000.0  # messages a second that all who ask may make us send together
# Looks into the index for all of them, a second and saved up: a quarter of a CPU, then a little for each.
LOOKS = (500_000.0, 2_000_000.0)
FEW_LOOKS = 1000
_ABSURD_TTL = 15  # beyond it a message is a lie and is dropped

L = TypeVar("L", bound=Neighbour)
L_contra = TypeVar("L_contra", bound=Neighbour, contravariant=True)


class Around(Protocol[L_contra]):
    """What we must be told of ourselves."""

    def tell(self, owner: L_contra | Ours, files: tuple[SharedFile, ...]) -> Found | None:
        """How a hit names this child or ourselves, with these files; None when it is not to be found."""

    def is_ours(self, address: Address) -> bool:
        """Whether it is our own."""

    def hosts(self) -> tuple[Entry, ...]:
        """Whom a visitor may ask next."""


class Flood(Generic[L]):
    """`joined`, `confirmed` and `left` for whoever is connected, `got` for what they say; `ask` for us.

    Children's files are in the index under their link, ours under OURS.
    """

    def __init__(
        self, us: Around[L], index: Index[L | Ours], now: float, work: float = WORK
    ) -> None:
        self._us, self._index = us, index
        self._budget: QueryBudget[L] = QueryBudget(work)
        self._looks = Tokens(*LOOKS, now)
        self._links: dict[L, Asker] = {}  # those that are confirmed
        self._confirmed = 0  # how many there ever were
        self.counts = Counts()
        self._relay: Relay[L] = Relay(us.is_ours, self.counts, now)

    # Who is there

    def joined(self, link: L, role: Role, now: float) -> None:
        """A link is heard from now on, and gets queries once it is `confirmed`."""
        self._relay.joined(link, role, now)

    def confirmed(self, link: L) -> None:
        """It is a super node as it says."""
        asker = self._relay.asker(link)
        if asker is not None and asker.role is Role.LINK and link not in self._links:
            self._confirmed += 1
            asker.number = self._confirmed
            self._links[link] = asker

    def left(self, link: L) -> None:
        """What it asked is not answered any more; what it has seen is still known."""
        self._links.pop(link, None)
        self._budget.forget(link)
        self._relay.left(link)

    # What we ask

    def ask(self, query: Query, now: float, heard: Heard, ttl: int = TTL) -> None:
        """Ask everybody so many hops away; `heard` gets what comes, until `stop` or until it is enough.

        What our children have comes before this returns.
        """
        if self._relay.first(query.guid, OURS, now):
            question = self._relay.opened(query, OURS, heard)
            self._answer(query, OURS, question, now)
            self._start(query, OURS, question, ttl)

    def stop(self, guid: bytes) -> None:
        """Hear no more of it."""
        self._relay.closed(guid, OURS)

    # What others say

    def got(self, link: L, frame: Frame, now: float) -> None:
        """A QUERY, HITS or STOP; nothing else is for us. Raises RemoteProtocolError: it is to be cut."""
        asker = self._relay.asker(link)
        if asker is None:
            return
        match frame.kind:
            case FrameKind.QUERY:
                self.counts.received["query"] += 1
                self._got_query(link, asker, frame.body, now)
            case FrameKind.HITS:
                self.counts.received["hits"] += 1
                self._relay.got(link, asker, frame.body, now)
            case FrameKind.STOP:
                self.counts.received["stop"] += 1
                self._relay.closed(Stop.read(frame.body).guid, link)
            case _:
                pass

    def _got_query(self, link: L, asker: Asker, body: bytes, now: float) -> None:
        guid, ttl, hops = Query.head(body)
        if asker.role is Role.LINK and not (1 <= ttl <= _ABSURD_TTL and hops < TTL):
            self.counts.dropped["too far"] += 1
        elif link.congested:  # it could not take the hits
            self.counts.dropped["congested"] += 1
        elif not asker.may_ask(now):
            self.counts.dropped["too often"] += 1
        elif asker.role is Role.VISITOR:
            self._visited(link, Query.read(body), now)
        elif not self._relay.first(guid, link, now):
            self.counts.dropped["duplicate"] += 1
        elif not self._budget.grant(link, now, 1.0 + len(self._links)):
            self.counts.dropped["budget"] += 1
        else:
            self._asked(link, asker, Query.read(body), body, now)

    def _asked(self, link: L, asker: Asker, query: Query, body: bytes, now: float) -> None:
        if not query.words and query.digest is None:
            self.counts.dropped["asks for nothing"] += 1
            return
        question = self._relay.opened(query, link)
        self._answer(query, link, question, now)
        ttl = min(query.ttl, TTL - query.hops)
        if asker.role is Role.CHILD:
            self._start(query, link, question, TTL)
        elif ttl > 1:
            self._spread(Query.hopped(body, ttl), link, question)

    def _start(self, query: Query, source: L | Ours, question: Question, ttl: int) -> None:
        """It enters the network here, however far it says that it came."""
        self._spread(replace(query, ttl=ttl, hops=0).encode(), source, question)

    def _visited(self, link: L, query: Query, now: float) -> None:
        question = Question(query.want)
        self._answer(query, link, question, now)
        end = End(query.guid, query.want - question.left, self._us.hosts())
        self.counts.sent["end"] += link.send(end.encode().encode())

    def _answer(self, query: Query, asker: L | Ours, question: Question, now: float) -> None:
        """From our index, without what the asker shares."""
        work = CANDIDATES if self._looks.has(now, CANDIDATES) else FEW_LOOKS
        before = self._index.looks
        owners = self._index.search(query, question.left, OF_HOST, asker, work)
        self._looks.take(now, self._index.looks - before)
        told = (self._us.tell(owner, tuple(files)) for owner, files in owners)
        found = question.take(one for one in told if one is not None)
        self._relay.deliver(asker, Hits(query.guid, 0, found), question)

    def _spread(self, query: Frame, source: L | Ours, question: Question) -> None:
        """To all links but the one it came from, unless we have enough already."""
        if not question.left:
            return
        question.asked, data = self._confirmed, query.encode()
        question.share(len(self._links) - (source in self._links))
        passed_over: list[L] = []
        for link in list(self._links):  # one that cannot be sent to may leave
            if link == source:
                continue
            if not link.congested and link.send(data):
                self.counts.sent["query"] += 1
            else:
                passed_over.append(link)
        if passed_over:
            question.passed_over = frozenset(passed_over)
            self.counts.dropped["congested"] += len(passed_over)

    def check(self) -> None:
        self._relay.check()
        assert all(self._relay.asker(link) is asker for link, asker in self._links.items())
        numbers = [asker.number for asker in self._links.values()]
        assert numbers == sorted(set(numbers))
        assert all(0 < number <= self._confirmed for number in numbers)
