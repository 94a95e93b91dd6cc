"""Vendor messages about who can be connected to: tests of that, and push proxies for who cannot.

A TCP connect back is a connection that says two line feeds, a UDP one a ping (connect_back). A push proxy is
an ultrapeer that hands pushes to a servent it is connected to (push_proxy).
"""

from dataclasses import dataclass
from typing import ClassVar, Self

from typing_extensions import override

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.wire.gnutella.descriptor import Guid
from p2pswarm.wire.gnutella.endpoints import pack_endpoint, read_endpoint
from p2pswarm.wire.gnutella.vendor_base import VendorMessage, pack_field, read_field

__all__ = ["PushProxyAck", "PushProxyRequest", "TcpConnectBack", "UdpConnectBack"]


@dataclass(slots=True)
class TcpConnectBack(VendorMessage):
    """Connect to me at this port, so that I see whether strangers can (connect_back)."""

    vendor = b"BEAR"
    selector = 7

    port: int

    @override
    def _said(self) -> tuple[int, bytes]:
        return 1, pack_field(self.port, 2)

    @classmethod
    @override
    def _heard(cls, version: int, data: bytes) -> Self:
        return cls(read_field(data, 2))


@dataclass(slots=True)
class UdpConnectBack(VendorMessage):
    """Send a ping to this port, with this GUID; without one (version 2), with the GUID of this message.

    The document says version 1 is a port alone, gtk-gnutella has the GUID behind it: both are read.
    """

    vendor = b"GTKG"
    selector = 7
    versions: ClassVar[tuple[int, ...]] = (1, 2)

    port: int
    guid: Guid | None = None

    @override
    def _said(self) -> tuple[int, bytes]:
        if self.guid is None:
            return 2, pack_field(self.port, 2)
        if len(self.guid) != 16:
            raise LocalProtocolError(f"{self.guid.hex()} is no GUID")
        return 1, pack_field(self.port, 2) + self.guid

    @classmethod
    @override
    def _heard(cls, version: int, data: bytes) -> Self:
        has_guid = version == 1 and len(data) >= 18
        return cls(read_field(data, 2), data[2:18] if has_guid else None)


@dataclass(slots=True)
class PushProxyRequest(VendorMessage):
    """Will you bring pushes to me? The GUID of the message is the asker's servent GUID (push_proxy)."""

    vendor = b"LIME"
    selector = 21
    versions: ClassVar[tuple[int, ...]] = (1, 2)

    version: int = 2

    @override
    def _said(self) -> tuple[int, bytes]:
        if self.version not in self.versions:
            raise LocalProtocolError(f"LIME/21v{self.version} is no message we know")
        return self.version, b""

    @classmethod
    @override
    def _heard(cls, version: int, data: bytes) -> Self:
        return cls(version)


@dataclass(slots=True)
class PushProxyAck(VendorMessage):
    """I will; tell the others to come here. Version 1 has a port only: the host is the one who says it."""

    vendor = b"LIME"
    selector = 22
    versions: ClassVar[tuple[int, ...]] = (1, 2)

    port: int
    host: str | None = None

    @override
    def _said(self) -> tuple[int, bytes]:
        if self.host is None:
            return 1, pack_field(self.port, 2)
        return 2, pack_endpoint(Address(self.host, self.port))

    @classmethod
    @override
    def _heard(cls, version: int, data: bytes) -> Self:
        if version == 1:
            return cls(read_field(data, 2))
        if len(data) < 6:
            raise RemoteProtocolError("a push proxy without an address")
        host, port = read_endpoint(data)
        return cls(port, host)
