"""What comes by UDP unasked: offers and claims of hits, hits, pushes. What is not for us goes no further."""

from collections.abc import Callable
from typing import Protocol

from p2pswarm.formats.ids import Address
from p2pswarm.overlay.gnutella.udp.claims import Claims
from p2pswarm.overlay.gnutella.udp.datagrams import Datagrams, Heard
from p2pswarm.overlay.gnutella.udp.guessing import Found
from p2pswarm.overlay.gnutella.udp.offers import Offers
from p2pswarm.wire.gnutella.descriptor import Descriptor, Guid, Kind
from p2pswarm.wire.gnutella.hit import QueryHit
from p2pswarm.wire.gnutella.push import Push
from p2pswarm.wire.gnutella.vendor import OobAck, OobHits, read_vendor

__all__ = ["OutOfBand", "Pushed", "Teller"]


class Teller(Protocol):
    """A link, as far as this room needs it."""

    def tell(self, message: Descriptor) -> bool:
        """Put it into the link's queue; False when it was dropped."""


Pushed = Callable[[Push, Address], None]
"""Somebody at this address wants us to connect to it. May not raise."""


class OutOfBand:
    """Takes care of VENDOR, HIT and PUSH."""

    def __init__(
        self,
        datagrams: Datagrams,
        offers: Offers,
        claims: Claims,
        found: Found,
        pushed: Pushed,
        servent: Guid,
        leaf_of: Callable[[Guid], Teller | None],
    ) -> None:
        self._datagrams, self._offers, self._claims = datagrams, offers, claims
        self._found, self._pushed, self._servent, self._leaf_of = found, pushed, servent, leaf_of
        datagrams.route(Kind.VENDOR, self._vendor)
        datagrams.route(Kind.HIT, self._hit)
        datagrams.route(Kind.PUSH, self._push)

    def _vendor(self, heard: Heard) -> None:
        guid, address, now = heard.head.guid, heard.address, heard.now
        match read_vendor(heard.head.payload):
            case OobHits() as offer:
                done = self._claims.offered(guid, offer, address, now)
            case OobAck() as ack:
                done = self._offers.taken(guid, ack, address, now) > 0
            case _:  # what changes a link comes over that link
                done = False
        if not done:
            self._datagrams.dropped["not wanted"] += 1

    def _hit(self, heard: Heard) -> None:
        if self._claims.expects(heard.head.guid, heard.address):
            hit = QueryHit.read(heard.head.payload)
            if self._claims.may_take(heard.head.guid, hit, heard.address, heard.now):
                self._found(heard.head, hit, heard.address)
                return
        self._datagrams.dropped["not asked"] += 1

    def _push(self, heard: Heard) -> None:
        """For us or a leaf of ours. Who sends it wants a connection to itself, not to a third party."""
        push = Push.read(heard.head.payload)
        leaf = None if push.servent == self._servent else self._leaf_of(push.servent)
        if push.address.host != heard.address.host:
            self._datagrams.dropped["lies"] += 1
        elif push.servent == self._servent:
            self._pushed(push, heard.address)
        elif leaf is None:
            self._datagrams.dropped["no way"] += 1
        else:
            hops = min(heard.head.hops + 1, 255)
            leaf.tell(Descriptor(heard.head.guid, Kind.PUSH, 1, hops, heard.head.payload))
