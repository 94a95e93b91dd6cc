"""Items of the DHT got and put (BEP 44).

Both begin with the same lookup, nearer and nearer to where the item belongs: it shows the newest that anybody
has, and gathers the tokens for a put. Nobody is believed: an item counts when its value or its signature fits
the target, and a mutable one only as long as nobody has a newer one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from p2pswarm.discovery.dht.items import (
    ImmutableItem,
    Item,
    ItemError,
    MutableItem,
    item_of,
    target_of,
)
from p2pswarm.wire.krpc import GET, PUT, Contact, NodeId, Query, Reply

if TYPE_CHECKING:
    from p2pswarm.discovery.dht.dht import Dht

__all__ = ["get", "put"]


@dataclass
class _Newest:
    """The best item that was heard."""

    target: NodeId
    salt: bytes
    item: Item | None = None

    def heard(self, contact: Contact, reply: Reply) -> None:
        if reply.value is None:
            return
        if reply.key is not None and target_of(reply.key, self.salt) != self.target:
            return  # before the signature is looked at, which takes long
        try:
            item = item_of(reply, self.salt)
        except ItemError:
            return
        if item.target == self.target and self._is_newer(item):
            self.item = item

    def _is_newer(self, item: Item) -> bool:
        known = self.item
        if isinstance(item, MutableItem) and isinstance(known, MutableItem):
            return item.sequence > known.sequence
        return known is None


async def get(dht: "Dht", target: NodeId, salt: bytes = b"") -> Item | None:
    """The newest item at this place; a mutable one with this salt. None when nobody has it."""
    newest = _Newest(target, salt)

    def heard(contact: Contact, reply: Reply) -> bool:
        newest.heard(contact, reply)
        return isinstance(newest.item, ImmutableItem)  # nobody can have another one

    await dht.lookup(Query(method=GET, target=target), heard)
    return newest.item


async def put(
    dht: "Dht", target: NodeId, make: Callable[[Item | None], Item], salt: bytes = b""
) -> tuple[Item, int]:
    """Put what `make` makes of the item that is there now. How many nodes took it, and what it is."""
    newest = _Newest(target, salt)
    found = await dht.lookup(Query(method=GET, target=target), newest.heard)
    item = make(newest.item)
    told = await dht.tell(found.holders, Query(method=PUT, salt=salt or None, **item.fields))
    return item, sum(isinstance(each, Reply) for each in told)
