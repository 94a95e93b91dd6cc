"""Vendor messages: what one vendor invented and others took over.

`read_vendor` makes those we know a class of their own, and all others a `Vendor`, which nobody may forward.
Those about connecting live in `vendor_reach`, what is common to all in `vendor_base`.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

from typing_extensions import override

from p2pswarm.errors import LocalProtocolError
from p2pswarm.wire.gnutella.ggep import MAGIC, ggep_at, write_ggep
from p2pswarm.wire.gnutella.vendor_base import (
    NAME,
    MessageName,
    Vendor,
    VendorMessage,
    pack_field,
    read_field,
)
from p2pswarm.wire.gnutella.vendor_reach import (
    PushProxyAck,
    PushProxyRequest,
    TcpConnectBack,
    UdpConnectBack,
)

__all__ = [
    "STOP_QUERY",
    "SUPPORTED",
    "HopsFlow",
    "MessageName",
    "MessagesSupported",
    "OobAck",
    "OobHits",
    "PushProxyAck",
    "PushProxyRequest",
    "QueryStatusRequest",
    "QueryStatusResponse",
    "TcpConnectBack",
    "UdpConnectBack",
    "Vendor",
    "VendorMessage",
    "read_vendor",
]

STOP_QUERY = 0xFFFF  # the count of a status response that ends the query

_MAX_NAMES = 256  # of a list we look at; gtk-gnutella lists about 30


@dataclass(slots=True)
class MessagesSupported(VendorMessage):
    """Said at once after the handshake: the vendor messages the sender understands."""

    vendor = bytes(4)
    selector = 0
    versions: ClassVar[tuple[int, ...]] = (0,)

    names: tuple[MessageName, ...]

    @override
    def _said(self) -> tuple[int, bytes]:
        if len(self.names) > _MAX_NAMES:
            raise LocalProtocolError(f"{len(self.names)} vendor messages")
        count = len(self.names).to_bytes(2, "little")
        return 0, count + b"".join(NAME.pack(*name) for name in self.names)

    @classmethod
    @override
    def _heard(cls, version: int, data: bytes) -> Self:
        """A list that is shorter than it counts is read as far as it goes."""
        count = read_field(data, 2)
        whole = min(count, (len(data) - 2) // NAME.size, _MAX_NAMES) * NAME.size
        return cls(tuple(map(MessageName._make, NAME.iter_unpack(data[2 : 2 + whole]))))


@dataclass(slots=True)
class HopsFlow(VendorMessage):
    """Send me no queries that have made this many hops or more; 0 stops them all (vendor_msg, 5)."""

    vendor = b"BEAR"
    selector = 4

    hops: int

    @override
    def _said(self) -> tuple[int, bytes]:
        return 1, pack_field(self.hops, 1)

    @classmethod
    @override
    def _heard(cls, version: int, data: bytes) -> Self:
        return cls(read_field(data, 1))


@dataclass(slots=True)
class QueryStatusRequest(VendorMessage):
    """An ultrapeer to its leaf, with the GUID of the query: how many hits have you kept?"""

    vendor = b"BEAR"
    selector = 11

    @override
    def _said(self) -> tuple[int, bytes]:
        return 1, b""

    @classmethod
    @override
    def _heard(cls, version: int, data: bytes) -> Self:
        return cls()


@dataclass(slots=True)
class QueryStatusResponse(VendorMessage):
    """A leaf to its ultrapeer: so many; `STOP_QUERY` when it wants no more."""

    vendor = b"BEAR"
    selector = 12

    hits: int

    @override
    def _said(self) -> tuple[int, bytes]:
        return 1, pack_field(self.hits, 2)

    @classmethod
    @override
    def _heard(cls, version: int, data: bytes) -> Self:
        return cls(read_field(data, 2))


@dataclass(slots=True)
class OobHits(VendorMessage):
    """By UDP, with the GUID of the query: I have this many results (255: or more) for you.

    `reachable` says that datagrams reach the sender unasked. Version 3 wants a token in the answer.
    """

    vendor = b"LIME"
    selector = 12
    versions: ClassVar[tuple[int, ...]] = (2, 3)

    count: int
    reachable: bool = True
    version: int = 3

    @override
    def _said(self) -> tuple[int, bytes]:
        if self.version not in self.versions:
            raise LocalProtocolError(f"LIME/12v{self.version} is no message we know")
        return self.version, pack_field(self.count, 1) + bytes([self.reachable])

    @classmethod
    @override
    def _heard(cls, version: int, data: bytes) -> Self:
        return cls(read_field(data, 1), bool(data[1:2] and data[1] & 1), version)


@dataclass(slots=True)
class OobAck(VendorMessage):
    """By UDP, answering `OobHits`: send me this many (255: all). With a `token` it is version 3.

    The token comes back in the hits (GGEP SO). The document puts it behind the two bytes of version 2; but
    version 2 has one, and gtk-gnutella writes it there. We write that and read both.
    """

    vendor = b"LIME"
    selector = 11
    versions: ClassVar[tuple[int, ...]] = (2, 3)

    wanted: int
    token: bytes | None = None

    @override
    def _said(self) -> tuple[int, bytes]:
        wanted = pack_field(self.wanted, 1)
        if self.token is None:
            return 2, wanted
        if not self.token:
            raise LocalProtocolError("a token has one byte at least")
        return 3, wanted + write_ggep({"SO": self.token})

    @classmethod
    @override
    def _heard(cls, version: int, data: bytes) -> Self:
        block = data[1:] if data[1:2] == bytes([MAGIC]) else data[2:]
        return cls(read_field(data, 1), ggep_at(block).get("SO") or None if version == 3 else None)


_KNOWN: tuple[type[VendorMessage], ...] = (
    MessagesSupported,
    HopsFlow,
    TcpConnectBack,
    UdpConnectBack,
    QueryStatusRequest,
    QueryStatusResponse,
    OobHits,
    OobAck,
    PushProxyRequest,
    PushProxyAck,
)
_BY_NAME = {
    MessageName(kind.vendor, kind.selector, version): kind
    for kind in _KNOWN
    for version in kind.versions
}
SUPPORTED = tuple(name for name in _BY_NAME if any(name.vendor))
"""What we tell others that we understand."""


def read_vendor(payload: bytes) -> VendorMessage | Vendor:
    """Raises RemoteProtocolError when the message is shorter than it should be."""
    told = Vendor.read(payload)
    kind = _BY_NAME.get(MessageName(told.vendor, told.selector, told.version))
    return told if kind is None else kind.read(payload)
