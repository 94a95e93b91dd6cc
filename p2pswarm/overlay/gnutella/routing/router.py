"""What becomes of each message that a neighbour sends: here it is handed to the room that knows.

The queries of others spread by `spreading`, what a leaf or we ourselves want to know by `questions`; hits and
pushes go back by `replies`, and `pinging` tells who is there.

The one hard thing: nothing in a header is proved. TTL and hops are clamped, a GUID belongs to who named it
first, and every table has a bound.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from random import Random
from typing import Protocol

from p2pswarm.overlay.gnutella.links.agreement import FLAT_TTL, Role
from p2pswarm.overlay.gnutella.links.link import Link
from p2pswarm.overlay.gnutella.routing.interests import Interests, Words
from p2pswarm.overlay.gnutella.routing.pinging import Pinging
from p2pswarm.overlay.gnutella.routing.questions import Question, Questions
from p2pswarm.overlay.gnutella.routing.replies import (
    OURS,
    Asker,
    Ends,
    Ours,
    Replies,
    Visitors,
    Ways,
)
from p2pswarm.overlay.gnutella.routing.spreading import Asked, Spreading
from p2pswarm.overlay.routes import Routes
from p2pswarm.wire.gnutella.descriptor import Descriptor, Kind, new_guid
from p2pswarm.wire.gnutella.hit import QueryHit
from p2pswarm.wire.gnutella.pings import Pong
from p2pswarm.wire.gnutella.push import Push
from p2pswarm.wire.gnutella.query import Query
from p2pswarm.wire.gnutella.vendor import (
    SUPPORTED,
    HopsFlow,
    MessagesSupported,
    QueryStatusRequest,
    QueryStatusResponse,
    Vendor,
    VendorMessage,
    read_vendor,
)

__all__ = ["Ourselves", "Router"]


class Ourselves(Asked, Ends, Protocol):
    """What is for us and not for the next one. Nothing here may raise or wait."""

    def vendor(self, head: Descriptor, message: VendorMessage | Vendor, link: Link) -> None:
        """A vendor message that the router does not know what to do with."""

    def shares(self) -> tuple[int, int]:
        """How many files we share, and how many bytes they have."""


class Router:
    """A `Hearer` for all links. `tick` once a second. `role` is what we are to our neighbours now."""

    def __init__(
        self,
        guid: bytes,
        role: Role,
        local: Ourselves,
        interests: Interests,
        clock: Callable[[], float],
        dice: Random,
    ) -> None:
        self.guid, self.role = guid, role
        self.links: dict[Link, None] = {}
        self.dropped: Counter[str] = Counter()
        """Messages that went no further, by reason."""
        self.sent: Counter[int] = Counter()
        """Messages of links that have ended, by kind; those of the others they count themselves."""
        self.received: Counter[int] = Counter()
        self.port = 0
        """Where we listen."""
        self.firewalled = False
        """Nobody can dial us, however."""
        self.guess = False
        """As an ultrapeer we answer queries by UDP."""
        self.slots: tuple[int, int] | None = None
        """An ultrapeer's free places for leaves and ultrapeers."""
        self.changed: list[Callable[[], None]] = []
        """Called when a link comes or goes,"""
        self.came: list[Callable[[Link], None]] = []
        """with the link when it comes,"""
        self.went: list[Callable[[Link], None]] = []
        """and when it goes."""
        self.located: list[Callable[[Pong, Link], None]] = []
        """Called when a neighbour tells of somebody."""
        self._local, self._interests = local, interests
        self._clock, self._dice = clock, dice
        self._routes: Ways = Routes()
        self._visitors = Visitors()
        self._questions = Questions(self, interests, dice)
        self._pinging = Pinging(self, local.shares, clock, dice)
        self._spreading = Spreading(self, local, self._routes, interests, self._questions, clock)
        self._replies = Replies(self, local, self._routes, self._questions.answered, clock)
        self._hearers: dict[int, Callable[[Link, Descriptor], None]] = {
            Kind.PING: self._pinging.heard_ping,
            Kind.PONG: self._pinging.heard_pong,
            Kind.QUERY: self._spreading.query,
            Kind.HIT: self._replies.hit,
            Kind.PUSH: self._replies.push,
            Kind.ROUTES: self._table,
            Kind.VENDOR: self._vendor,
            Kind.STANDARD_VENDOR: self._vendor,
        }

    # Links

    def joined(self, link: Link) -> None:
        """The greeting is over; speak."""
        self.links[link] = None
        if link.agreement.guid is not None:  # the same as in its hits
            self._routes.learn(link.agreement.guid, link, self._clock(), direct=True)
        if link.agreement.vendor_messages:
            known = MessagesSupported(SUPPORTED).encode()
            link.tell(Descriptor(new_guid(self._dice), Kind.VENDOR, 1, 0, known))
        self._interests.joined(link, self._clock())
        self._questions.joined(self._clock())
        self._tell_all(self.came, link)

    def left(self, link: Link, reason: Exception | None) -> None:
        if link in self.links:
            del self.links[link]
            self.sent.update(link.sent.messages)
            self.received.update(link.received.messages)
        rooms = self._routes, self._pinging, self._spreading, self._questions, self._interests
        for room in rooms:
            room.forget(link)
        self._tell_all(self.went, link)

    def got(self, link: Link, head: Descriptor) -> None:
        """Raises RemoteError."""
        hearer = self._hearers.get(head.kind)
        if hearer is None:
            self.dropped["unknown"] += 1  # IBCM, and what came after us
        else:
            hearer(link, head)

    def tick(self, now: float) -> None:
        for link in list(self.links):
            self._pinging.tick(link, now)
            link.tick(now)
        self._interests.tick(now)
        self._questions.tick(now)

    def ping(self, link: Link) -> None:
        """It is silent: is it there?"""
        self._pinging.ping(link, 1)

    def peers(self) -> list[Link]:
        """Ultrapeers and equals."""
        return [link for link in self.links if link.theirs is not Role.LEAF and not link.over]

    def leaves(self) -> list[Link]:
        return [link for link in self.links if link.theirs is Role.LEAF and not link.over]

    # Our own

    def ask(self, query: Query, guid: bytes, wanted: int) -> Question:
        """Spread a question of ours; `stop` it when there is enough."""
        self._routes.first(guid, Kind.QUERY, OURS, self._clock(), FLAT_TTL)
        return self._questions.ask(query, guid, wanted, self._clock())

    def stop(self, guid: bytes) -> None:
        """Nobody waits for its hits any more."""
        self._questions.stop(guid)

    def counts(self, guid: bytes, results: int) -> None:
        """So many for a question of ours came another way: by UDP."""
        self._questions.answered(guid, results)

    def answer(self, head: Descriptor, hit: QueryHit) -> bool:
        """Send our hit back to who asked; False when the way is gone. Raises LocalProtocolError."""
        asker = self._routes.back(head.guid, Kind.QUERY)
        if asker is None or isinstance(asker, Ours):
            return False
        self._questions.answered(head.guid, len(hit.results))
        ttl = min(head.hops + 2, FLAT_TTL)
        return asker.tell(Descriptor(head.guid, Kind.HIT, ttl, 0, hit.encode()))

    def visit(self, head: Descriptor, query: Query, asker: Asker) -> bool:
        """Somebody asks us and our leaves, and nobody beyond (GUESS); False when it did so before.

        Hits of leaves go to the asker, and ours if they are given to `answer`.
        """
        if not self._routes.first(head.guid, Kind.QUERY, self._visitors, self._clock(), 1):
            return False
        self._visitors.add(head.guid, asker)
        if self.role is Role.ULTRAPEER:
            near = replace(head, ttl=1, hops=min(head.hops, FLAT_TTL))
            self._spreading.to_leaves(near, self._interests.words(query), self._visitors)
        return True

    def leaf_of(self, servent: bytes) -> Link | None:
        """Our leaf whose hits name this servent."""
        link = self._routes.to(servent)
        return link if isinstance(link, Link) and link.theirs is Role.LEAF else None

    def send_push(self, push: Push) -> bool:
        """Along the way of that servent's hits; False when there is none. Raises LocalProtocolError."""
        link = self._routes.to(push.servent)
        if not isinstance(link, Link):
            return False
        guid = new_guid(self._dice)
        self._routes.first(guid, Kind.PUSH, OURS, self._clock())
        return link.tell(Descriptor(guid, Kind.PUSH, FLAT_TTL, 0, push.encode()))

    def pong(self, host: str) -> Pong:
        """We ourselves, as we are told to somebody who sees us at `host`."""
        return self._pinging.pong(host)

    def to_leaves(self, head: Descriptor, words: Words, source: Link | None) -> int:
        """Give a query to the leaves that may have it."""
        return self._spreading.to_leaves(head, words, source)

    # The rest

    def _table(self, link: Link, head: Descriptor) -> None:
        self._interests.heard(link, head.payload, self._clock())

    def _vendor(self, link: Link, head: Descriptor) -> None:
        message = read_vendor(head.payload)
        match message:
            case HopsFlow():
                link.hops_flow = message.hops
            case QueryStatusResponse():
                self._questions.guided(head.guid, link, message.hits, self._clock())
            case QueryStatusRequest():
                kept = QueryStatusResponse(self._questions.kept(head.guid))
                link.tell(Descriptor(head.guid, Kind.VENDOR, 1, 0, kept.encode()))
            case MessagesSupported():
                """What they know, they also say that they want."""
            case _:
                self._local.vendor(head, message, link)

    def _tell_all(self, hearers: Iterable[Callable[[Link], None]], link: Link) -> None:
        for hear in hearers:
            hear(link)
        for look in self.changed:
            look()
