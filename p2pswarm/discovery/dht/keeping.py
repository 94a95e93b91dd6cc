"""What this node answers to `get`, `put` and `sample_infohashes` (BEP 44 and 51).

The one hard thing: a reply with an item in it is many times its question. So it never grows beyond what one
packet carries, nodes that do not fit are left out, and how often anybody is answered is up to the `Dht`.
"""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

from p2pswarm.discovery.dht.answers import MAX_REPLY
from p2pswarm.discovery.dht.ids import place_of
from p2pswarm.discovery.dht.items import Item, ItemError, MutableItem, item_of
from p2pswarm.discovery.dht.samples import Samples
from p2pswarm.discovery.dht.shelves import Shelves
from p2pswarm.formats.ids import Address
from p2pswarm.wire.krpc import (
    GET,
    PUT,
    SAMPLE_INFOHASHES,
    Error,
    ErrorCode,
    Family,
    Query,
    Reply,
    family_of,
)

if TYPE_CHECKING:
    from p2pswarm.discovery.dht.dht import Dht

__all__ = ["Keeping"]

_ADDED = 64  # bytes: transaction and external address, which are put in later
_SIZES = {"nodes": 26, "nodes6": 38}  # bytes of a contact


class Keeping:
    """Items and samples for others; takes its part of the queries that come to a `Dht`."""

    def __init__(self, dht: "Dht", *, clock: Callable[[], float], dice: Random) -> None:
        self._dht = dht
        self._clock = clock
        self.shelves = Shelves(lambda: [each.id for each in dht.networks.values()])
        self._samples = {family: Samples(dice) for family in Family}
        dht.route(GET, self.got_get)
        dht.route(PUT, self.got_put)
        dht.route(SAMPLE_INFOHASHES, self.got_sample)

    def got_get(self, query: Query, address: Address) -> Reply | Error:
        """The nodes that are nearer, a token for a put, and the item where it is newer than they have."""
        if query.target is None:
            return Error(code=ErrorCode.PROTOCOL, text="get without a target")
        reply = self._dht.nearest(query, address)
        item = self.shelves.get(query.target, self._clock())
        if item is None:
            return reply
        return _in_one_packet(replace(reply, **_told(item, query.sequence)), address)

    def got_put(self, query: Query, address: Address) -> Reply | Error:
        """Stored, or why not."""
        now = self._clock()
        if query.token is None or not self._dht.tokens.valid(query.token, address, now):
            return Error(code=ErrorCode.PROTOCOL, text="put without a token of ours")
        try:
            item = item_of(query, query.salt or b"")
            self.shelves.put(item, place_of(address), now, query.cas)
        except ItemError as error:
            return Error(code=error.code, text=str(error))
        return Reply()

    def got_sample(self, query: Query, address: Address) -> Reply | Error:
        """Some info-hashes, how many there are, and when to ask for others."""
        if query.target is None:
            return Error(code=ErrorCode.PROTOCOL, text="sample_infohashes without a target")
        family, now = family_of(address), self._clock()
        known, samples = self._dht.store.info_hashes(family, now), self._samples[family]
        reply = replace(
            self._dht.nearest(query, address),
            samples=samples.draw(known, now),
            interval=samples.wait(now),
            count=len(known),
            token=None,
        )
        return _in_one_packet(reply, address)


def _told(item: Item, known: int | None) -> dict[str, Any]:
    """The fields of a reply; whoever has this number already only hears it again."""
    if isinstance(item, MutableItem) and known is not None and item.sequence <= known:
        return {"sequence": item.sequence}
    return item.fields


def _in_one_packet(reply: Reply, address: Address) -> Reply:
    """With fewer nodes where it would be too long; those of the other network go first."""
    excess = len(reply.encode()) + _ADDED - MAX_REPLY
    order = ("nodes6", "nodes") if family_of(address) is Family.IPV4 else ("nodes", "nodes6")
    for name in order:
        contacts = getattr(reply, name)
        if excess > 0 and contacts:
            size = _SIZES[name]
            gone = min(len(contacts), -(-excess // size))
            reply = replace(reply, **{name: contacts[: len(contacts) - gone]})
            excess -= gone * size
    return reply
