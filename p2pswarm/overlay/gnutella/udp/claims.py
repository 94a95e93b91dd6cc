"""Out-of-band hits as who asked: claim what is offered, take what was claimed (out-of-band, v2 and v3).

A query says where its hits shall come to only when datagrams reach us. An offer for no query of ours is
ignored, and so are many offers of one host, or anybody could make us write to it. The token in our claim
comes back with the hits: who has it received the claim, and is where the hits come from. Version 2 has
none; its hits count when a claim went to that address. Sans-IO.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random

from p2pswarm.errors import LocalProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.overlay.gnutella.udp.keys import Keys
from p2pswarm.wire.gnutella.descriptor import Descriptor, Guid, Kind, oob_guid
from p2pswarm.wire.gnutella.hit import QueryHit
from p2pswarm.wire.gnutella.query import Query, QueryFlags
from p2pswarm.wire.gnutella.vendor import OobAck, OobHits

__all__ = ["Claims", "asking_for_offers"]

ALL = 255
MOST_OF_ONE = 3  # ports of one host that may offer for a query
MOST_CLAIMS = 500  # for one query


def asking_for_offers(query: Query, address: Address, dice: Random) -> tuple[Query, Guid]:
    """A query of ours whose hits shall come by UDP to `address`, which is how others see us.

    Raises LocalProtocolError when that is no IPv4 address.
    """
    marked = replace(query, flags=query.flags | QueryFlags.OOB, ggep={**query.ggep, "SO": b""})
    return marked, oob_guid(address, dice)


@dataclass(slots=True)
class _Question:
    wanted: int
    claimed: dict[Address, int | None] = field(default_factory=dict)  # to whom, with which version


class Claims:
    """`watch` a query of ours, `offered` and `may_take` what comes for it, `forget` it."""

    MOST = 100

    def __init__(self, keys: Keys, send: Callable[[Descriptor, Address], object]) -> None:
        self._keys, self._send = keys, send
        self._questions: OrderedDict[Guid, _Question] = OrderedDict()

    def watch(self, guid: Guid, wanted: int) -> None:
        """Offers for this query are welcome, until there are so many results or it is forgotten."""
        if len(self._questions) >= self.MOST:
            raise LocalProtocolError(f"{self.MOST} searches wait for hits by UDP already")
        self._questions[guid] = _Question(wanted)

    def forget(self, guid: Guid) -> None:
        self._questions.pop(guid, None)

    def offered(self, guid: Guid, offer: OobHits, address: Address, now: float) -> bool:
        """Somebody has hits; whether they were claimed."""
        question = self._questions.get(guid)
        if question is None or question.wanted <= 0 or not offer.count:
            return False
        claimed = question.claimed
        ports = sum(other.host == address.host for other in claimed)
        if address in claimed or len(claimed) >= MOST_CLAIMS or ports >= MOST_OF_ONE:
            return False
        claimed[address] = offer.version
        token = self._keys.issue(address, now, guid) if offer.version >= 3 else None
        ack = OobAck(min(offer.count, question.wanted, ALL), token)
        self._send(Descriptor(guid, Kind.VENDOR, 1, 0, ack.encode()), address)
        return True

    def expects(self, guid: Guid, address: Address) -> bool:
        """Whether we claimed hits for this query there; before that nothing is read."""
        question = self._questions.get(guid)
        return question is not None and address in question.claimed

    def may_take(self, guid: Guid, hit: QueryHit, address: Address, now: float) -> bool:
        """Whether a hit that came by UDP is one we claimed, from who has it; it then counts."""
        question = self._questions.get(guid)
        version = None if question is None else question.claimed.get(address)
        if question is None or version is None:
            return False
        if version >= 3 and not self._keys.accepts(hit.token or b"", address, now, guid):
            return False
        if not hit.push and hit.address.host != address.host:
            return False
        question.wanted -= len(hit.results)
        return True
