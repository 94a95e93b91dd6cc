"""What a node knows of the DHT, for its next start: its ids and up to 300 nodes of each network.

With nobody to ask, the first lookup takes a minute; with this file, a second. Whoever writes it is not
trusted: nodes in it count as named by a stranger. Sans-IO.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from p2pswarm.errors import FormatError
from p2pswarm.formats import bencode
from p2pswarm.wire.krpc import Contact, Family, NodeId, read_contacts, write_contacts

__all__ = ["MOST_SAVED", "SavedTable"]

MOST_SAVED = 300  # nodes of a network; Transmission's figure


@dataclass(frozen=True, slots=True)
class SavedTable:
    """`ids` are ours."""

    ids: Mapping[Family, NodeId] = field(default_factory=dict)
    nodes: Mapping[Family, tuple[Contact, ...]] = field(default_factory=dict)

    def encode(self) -> bytes:
        table: dict[bytes, bytes] = {}
        for family, own in self.ids.items():
            table[b"id%d" % family] = own
        for family, nodes in self.nodes.items():
            table[b"nodes%d" % family] = write_contacts(nodes[:MOST_SAVED])
        return bencode.encode(table)

    @classmethod
    def decode(cls, data: bytes) -> "SavedTable":
        """Raises FormatError."""
        table = bencode.decode(data, max_depth=2, max_size=1 << 17, max_tokens=100)
        if not isinstance(table, dict):
            raise FormatError("the saved DHT table is no dictionary")
        ids, nodes = {}, {}
        for family in Family:
            own = _bytes(table, b"id%d" % family)
            if own:
                ids[family] = NodeId(own)
            nodes[family] = read_contacts(_bytes(table, b"nodes%d" % family), family)[:MOST_SAVED]
        return cls(ids, nodes)


def _bytes(table: dict[bytes, Any], key: bytes) -> bytes:
    value = table.get(key, b"")
    if not isinstance(value, bytes):
        raise FormatError(f"{key.decode()} in the saved DHT table is not bytes")
    return value
