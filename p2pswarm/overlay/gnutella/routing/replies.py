"""What travels back: hits the way of their query, pushes the way of a hit.

The one hard thing: who answers or pushes tells others whom to dial. A hit that has not travelled must come
from where it says, a leaf names itself, nobody far away names something near, and all together may have
others dial one host only so often.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, TypeAlias

from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone, zone_of
from p2pswarm.overlay.gnutella.links.agreement import Role
from p2pswarm.overlay.gnutella.links.limits import clamp
from p2pswarm.overlay.gnutella.links.link import NOWHERE, Link
from p2pswarm.overlay.limits import Aims
from p2pswarm.overlay.routes import Routes
from p2pswarm.wire.gnutella.descriptor import Descriptor, Guid, Kind
from p2pswarm.wire.gnutella.hit import Glance, QueryHit
from p2pswarm.wire.gnutella.push import Push

__all__ = ["OURS", "Asker", "Ends", "Ours", "Replies", "Visitors", "Ways"]


class Asker(Protocol):
    """Somebody who asks and is no neighbour: by UDP."""

    def tell(self, message: Descriptor) -> bool:
        """Give it a hit."""


class Visitors:
    """All who ask by UDP. They are one link to the table of routes, so that many flush nobody else."""

    MOST = 6000  # a hundred a second are let in, and answers come within a minute

    def __init__(self) -> None:
        self._askers: OrderedDict[Guid, Asker] = OrderedDict()

    def add(self, guid: Guid, asker: Asker) -> None:
        """Answers to this query are for him."""
        self._askers[guid] = asker
        if len(self._askers) > self.MOST:
            self._askers.popitem(last=False)

    def tell(self, message: Descriptor) -> bool:
        """A hit, to whoever asked for it."""
        asker = self._askers.get(message.guid)
        return asker is not None and asker.tell(message)


class Ours:
    """Who asks when we do."""


OURS = Ours()

Ways: TypeAlias = Routes[Link | Visitors | Ours]
"""Who asked, by GUID, and where servents are."""


class Ends(Protocol):
    """Whom replies are for, when they are for us. Nothing here may raise or wait."""

    def found(self, head: Descriptor, hit: QueryHit, link: Link) -> None:
        """A hit for a question of ours."""

    def pushed(self, push: Push, link: Link) -> None:
        """Somebody wants us to connect."""


class Self(Protocol):
    """What the router knows of us."""

    role: Role
    guid: bytes
    dropped: Counter[str]


class Replies:
    """`hit` and `push` for each that comes. `answered` hears of results that have found their way."""

    def __init__(
        self,
        us: Self,
        ends: Ends,
        routes: Ways,
        answered: Callable[[bytes, int], None],
        clock: Callable[[], float],
    ) -> None:
        self._us, self._ends, self._routes = us, ends, routes
        self._answered, self._clock = answered, clock
        self._aims = Aims()

    def hit(self, link: Link, head: Descriptor) -> None:
        """Only at the end of its way a hit is read: what is in it may be much."""
        place, back = clamp(head.ttl, head.hops), self._routes.back(head.guid, Kind.QUERY)
        passes = isinstance(back, Link) and self._us.role is Role.LEAF  # which a leaf never does
        if back is None or back is link or passes:
            self._us.dropped["no way"] += 1
            return
        hit = Glance.at(head.payload)
        aims = not hit.push and isinstance(back, Link) and _aims(link, hit.address, back)
        if place is None or aims or not self._believable(link, head, hit):
            self._us.dropped["lies"] += 1
            return
        self._routes.learn(hit.servent, link, self._clock(), direct=head.hops == 0)
        self._answered(head.guid, hit.results)
        if isinstance(back, Ours):
            self._ends.found(head, QueryHit.read(head.payload), link)
        elif isinstance(back, Link):
            self._send_on(back, replace(head, ttl=place[0]))
        else:
            back.tell(replace(head, ttl=1, hops=head.hops + 1))

    def _believable(self, link: Link, head: Descriptor, hit: Glance) -> bool:
        """Who answers for itself is where it says; from far away there is no telling.

        A program on this machine may know itself by another of our addresses than we do.
        """
        near = head.hops == 0 or link.theirs is Role.LEAF
        elsewhere = hit.address.host not in (link.remote.host, NOWHERE)
        if near and elsewhere and not hit.push and zone_of(link.remote.host) < Zone.THIS_MACHINE:
            return False
        return hit.servent != self._us.guid and not (link.theirs is Role.LEAF and head.hops)

    def _send_on(self, link: Link, head: Descriptor) -> None:
        """One hop further; a leaf is the end of the way, however the TTL was counted."""
        if head.ttl < 2 and link.theirs is not Role.LEAF:
            self._us.dropped["too far"] += 1
            return
        hops = head.hops + 1
        link.tell(Descriptor(head.guid, head.kind, max(head.ttl - 1, 1), hops, head.payload))

    def push(self, link: Link, head: Descriptor) -> None:
        place, push = clamp(head.ttl, head.hops), Push.read(head.payload)
        if place is None or not self._routes.first(head.guid, Kind.PUSH, link, self._clock()):
            self._us.dropped["duplicates"] += 1
        elif not self._is_askers(link, push.address):
            self._us.dropped["lies"] += 1
        elif push.servent == self._us.guid:
            self._ends.pushed(push, link)
        else:
            self._pass_push(link, replace(head, ttl=place[0]), push)

    def _is_askers(self, link: Link, address: Address) -> bool:
        """A leaf asks for itself: it names where it is, or its address on the other side of a router.

        Others bring pushes as proxies, which have not travelled either.
        """
        here, zone = link.remote.host, zone_of(link.remote.host)
        elsewhere = zone is Zone.THIS_MACHINE or zone_of(address.host) < zone
        return link.theirs is not Role.LEAF or elsewhere or address.host == here

    def _pass_push(self, link: Link, head: Descriptor, push: Push) -> None:
        to = self._routes.to(push.servent)
        if not isinstance(to, Link) or to is link or self._us.role is Role.LEAF:
            self._us.dropped["no way"] += 1
        elif _aims(link, push.address, to):
            self._us.dropped["lies"] += 1
        elif not self._aims.may_name(push.address.host, self._clock()):
            self._us.dropped["budget"] += 1
        else:
            self._send_on(to, head)


def _aims(teller: Link, address: Address, hearer: Link) -> bool:
    """Whether somebody far away names something near, to somebody near who would take that from us."""
    zone = zone_of(teller.remote.host)
    return zone_of(address.host) > zone and zone_of(hearer.remote.host) > zone
