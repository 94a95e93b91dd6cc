"""Out-of-band hits as who has them: say how many, wait for the word, send them by UDP (out-of-band, v2 and
v3).

The one hard thing: the address is in the query's GUID, where anybody can write it, and the answer to our
offer proves little, since all who saw the query know the GUID. So one small datagram in ten minutes goes to
an address that never answered one, and to none that is nearer than the neighbour; and a target gets 16 KiB
a minute at most, whatever it seems to say. What is not offered goes back over the links, as ever. Sans-IO.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone
from p2pswarm.overlay.budget import DialBudget
from p2pswarm.overlay.gnutella.udp.parcels import parcels
from p2pswarm.overlay.limits import Tokens
from p2pswarm.wire.gnutella.descriptor import HEADER_SIZE, Descriptor, Guid, Kind, oob_address
from p2pswarm.wire.gnutella.hit import QueryHit
from p2pswarm.wire.gnutella.query import Query, QueryFlags
from p2pswarm.wire.gnutella.vendor import OobAck, OobHits

__all__ = ["Offers", "wants_offer"]

LEAST_HOPS = 2  # who asks from nearer has a link that serves better (out-of-band, G)
LIFETIME = 60.0  # seconds
ALL = 255  # in a count: this many or more
TARGET = (16384.0 / 60, 16384.0)  # bytes a second to one host, saved up
OFFERS = (20.0, 100.0)  # a second to everybody, saved up
MOST_TOKEN = 64  # bytes; it comes back in each datagram, and 4 to 8 are usual


def wants_offer(head: Descriptor, query: Query) -> bool:
    """Whether hits for it may be offered by UDP."""
    return QueryFlags.OOB in query.flags and head.hops >= LEAST_HOPS


@dataclass(slots=True)
class _Offer:
    target: Address
    hits: Sequence[QueryHit]
    made: float


class Offers:
    """`offer` hits, then `taken` by a LIME/11 gives what to send."""

    MOST = 500

    def __init__(self, send: Callable[[Descriptor, Address], object], now: float) -> None:
        self._send = send
        self._budget = DialBudget()  # of its own: a word by UDP must not keep us from connecting
        self._offers: OrderedDict[Guid, _Offer] = OrderedDict()  # the oldest first
        self._targets: OrderedDict[str, Tokens] = OrderedDict()
        self._rate = Tokens(*OFFERS, now)

    def __len__(self) -> int:
        return len(self._offers)

    def offer(
        self, head: Descriptor, query: Query, hits: Sequence[QueryHit], zone: Zone, now: float
    ) -> bool:
        """Hits for a query from a neighbour in `zone`; False: send them back over the link.

        Only for who can be reached by datagrams: the caller knows.
        """
        target, count = oob_address(head.guid), sum(len(hit.results) for hit in hits)
        if not count or not wants_offer(head, query) or head.guid in self._offers:
            return False
        self._forget(now)
        if len(self._offers) >= self.MOST or not self._rate.take(now):
            return False
        if not self._budget.may_dial(target, zone, now):
            return False
        said = OobHits(min(count, ALL), True, 3 if "SO" in query.ggep else 2).encode()
        if not self._of(target.host, now).take(now, HEADER_SIZE + len(said)):
            return False
        self._offers[head.guid] = _Offer(target, hits, now)
        self._send(Descriptor(head.guid, Kind.VENDOR, 1, 0, said), target)
        return True

    def taken(self, guid: Guid, ack: OobAck, address: Address, now: float) -> int:
        """The asker wants so many: send them; how many results went."""
        self._forget(now)
        offer = self._offers.get(guid)
        if offer is None or offer.target != address or len(ack.token or b"") > MOST_TOKEN:
            return 0
        del self._offers[guid]
        self._budget.answered(address)
        budget, sent = self._of(address.host, now), 0
        for hit in _first(offer.hits, ack.wanted):
            for piece in parcels(_with_token(hit, ack.token)):
                message = Descriptor(guid, Kind.HIT, 1, 0, piece.encode())
                if not budget.take(now, HEADER_SIZE + len(message.payload)):
                    return sent
                self._send(message, address)
                sent += len(piece.results)
        return sent

    def _of(self, host: str, now: float) -> Tokens:
        tokens = self._targets.get(host)
        if tokens is None:
            tokens = self._targets[host] = Tokens(*TARGET, now)
            if len(self._targets) > self.MOST:
                self._targets.popitem(last=False)
        self._targets.move_to_end(host)
        return tokens

    def _forget(self, now: float) -> None:
        while self._offers and next(iter(self._offers.values())).made <= now - LIFETIME:
            self._offers.popitem(last=False)


def _first(hits: Sequence[QueryHit], wanted: int) -> list[QueryHit]:
    """The first so many results."""
    left = wanted if wanted < ALL else 1 << 16
    chosen = []
    for hit in hits:
        if left > 0 and hit.results:
            chosen.append(replace(hit, results=hit.results[:left]))
            left -= len(hit.results)
    return chosen


def _with_token(hit: QueryHit, token: bytes | None) -> QueryHit:
    """With what the asker wants to see again (v3)."""
    return hit if token is None else replace(hit, ggep={**hit.ggep, "SO": token})
