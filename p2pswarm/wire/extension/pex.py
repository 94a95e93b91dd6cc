"""ut_pex (BEP 11): which peers the sender is connected to, and which it is no longer.

The one hard thing: libtorrent ignores all of `added` when `added.f` has not one byte for each address.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntFlag
from typing import Any

from p2pswarm.formats import bencode
from p2pswarm.formats.ids import Address, compact, read_compact
from p2pswarm.wire.extension.body import read_body

__all__ = ["MAX_PEX", "Pex", "PexFlag"]

MAX_PEX = 500 << 10  # bytes of a message; libtorrent drops whoever sends more
_MAX_TOKENS = 100  # values
_MOST_READ = 200  # addresses of each list: what one of our own first messages may have


class PexFlag(IntFlag):
    """What the sender knows of a peer."""

    ENCRYPTION = 0x01  # it prefers encrypted connections
    SEED = 0x02  # it only uploads
    UTP = 0x04
    HOLEPUNCH = 0x08
    REACHABLE = 0x10  # an outgoing connection: somebody could dial it


@dataclass(slots=True)
class Pex:
    """One message; which family an address is of says in which of the lists it travels."""

    added: Sequence[tuple[Address, PexFlag]] = ()
    dropped: Sequence[Address] = field(default=())

    def encode(self) -> bytes:
        """All six keys, empty or not: some clients expect them."""
        body: dict[bytes, Any] = {}
        for suffix, size in ((b"", 6), (b"6", 18)):
            added = [(packed, flags) for packed, flags in self._packed() if len(packed) == size]
            body[b"added" + suffix] = b"".join(packed for packed, _ in added)
            body[b"added" + suffix + b".f"] = bytes(flags for _, flags in added)
            gone = [packed for packed in map(compact, self.dropped) if len(packed) == size]
            body[b"dropped" + suffix] = b"".join(gone)
        return bencode.encode(body)

    def _packed(self) -> Iterable[tuple[bytes, PexFlag]]:
        return ((compact(address), flags) for address, flags in self.added)

    @classmethod
    def decode(cls, payload: bytes) -> "Pex":
        """What can be read of it, at most 200 addresses of each list. Raises RemoteProtocolError."""
        body, _ = read_body("ut_pex", payload, most=MAX_PEX, tokens=_MAX_TOKENS)
        added = _added(body, b"added", 6) + _added(body, b"added6", 18)
        dropped = [
            *_addresses(body.get(b"dropped"), 6)[0],
            *_addresses(body.get(b"dropped6"), 18)[0],
        ]
        return cls(added, [address for address in dropped if address.dialable])


def _added(body: dict[bytes, Any], key: bytes, stride: int) -> list[tuple[Address, PexFlag]]:
    """Flags that do not fit the addresses say that something is wrong with both; none at all are no flags."""
    addresses, count = _addresses(body.get(key), stride)
    flags = body.get(key + b".f") or bytes(count)
    if not isinstance(flags, bytes) or len(flags) != count:
        return []
    pairs = zip(addresses, flags[: len(addresses)], strict=True)
    return [(address, PexFlag(flag & 0x1F)) for address, flag in pairs if address.dialable]


def _addresses(value: object, stride: int) -> tuple[list[Address], int]:
    """The first of them, and how many there are."""
    if not isinstance(value, bytes):
        return [], 0
    return list(read_compact(value[: _MOST_READ * stride], stride)), len(value) // stride
