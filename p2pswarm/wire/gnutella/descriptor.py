"""Descriptors: the messages of Gnutella as they travel, 23 bytes of header and a payload nobody has read.

A servent forwards far more messages than it understands, so a descriptor keeps its payload as it came and
writes it again in one copy. The classes of the other rooms read payloads, when somebody wants to know.

The one hard thing: nothing marks the start of a header. A length that cannot be true means that both sides
have lost their place in the stream, and the connection is of no more use.
"""

from dataclasses import dataclass
from enum import IntEnum
from random import Random
from struct import Struct
from typing import TypeAlias

from typing_extensions import override

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.wire.framer import CuttingFramer
from p2pswarm.wire.gnutella.endpoints import pack_endpoint, read_endpoint
from p2pswarm.wire.gnutella.inflate import inflate

__all__ = [
    "HEADER_SIZE",
    "MAX_PAYLOAD",
    "Descriptor",
    "DescriptorFramer",
    "Guid",
    "Kind",
    "new_guid",
    "oob_address",
    "oob_guid",
    "read_datagram",
]

HEADER_SIZE = 23
# The specification wants 4 KiB at most; hits of a well-filled servent are larger, and 64 KiB is where other
# servents hang up, too.
MAX_PAYLOAD = 64 << 10

_HEADER = Struct("<16sBBBI")
_MAY_DEFLATE, _DEFLATED = 0x08, 0x80

Guid: TypeAlias = bytes
"""16 bytes: the name of a message, or of a servent."""


class Kind(IntEnum):
    """What a descriptor is."""

    PING = 0x00
    PONG = 0x01
    BYE = 0x02
    ROUTES = 0x30
    VENDOR = 0x31
    STANDARD_VENDOR = 0x32
    PUSH = 0x40
    QUERY = 0x80
    HIT = 0x81


_NAMES = {kind.value: kind.name for kind in Kind}


@dataclass(slots=True, repr=False)
class Descriptor:
    """One message as it travels; `kind` may be a number that `Kind` does not know."""

    guid: Guid
    kind: int
    ttl: int
    hops: int
    payload: bytes

    def encode(self) -> bytes:
        """Raises LocalProtocolError when a field is out of range."""
        size = len(self.payload)
        if len(self.guid) != 16 or size > MAX_PAYLOAD:
            raise LocalProtocolError(f"{self!r} has a GUID of {len(self.guid)} bytes")
        if not (0 <= self.kind < 256 and 0 <= self.ttl < 256 and 0 <= self.hops < 256):
            raise LocalProtocolError(f"{self!r} has a field that is not a byte")
        return _HEADER.pack(self.guid, self.kind, self.ttl, self.hops, size) + self.payload

    def hopped(self) -> "Descriptor":
        """As it is one hop further. Raises LocalProtocolError when it may not go that far."""
        if self.ttl < 1 or self.hops >= 255:
            raise LocalProtocolError(f"{self!r} may go no further")
        return Descriptor(self.guid, self.kind, self.ttl - 1, self.hops + 1, self.payload)

    @override
    def __repr__(self) -> str:
        name = _NAMES.get(self.kind, f"kind {self.kind:#04x}")
        size = len(self.payload)
        return f"<{name} {self.guid.hex()} ttl {self.ttl} hops {self.hops} of {size} bytes>"


class DescriptorFramer(CuttingFramer):
    """Cuts descriptors, of unknown kinds as well."""

    @override
    def _cut(self, view: memoryview, into: list[object]) -> int:
        at, end = 0, len(view)
        while end - at >= HEADER_SIZE:
            guid, kind, ttl, hops, size = _HEADER.unpack_from(view, at)
            if size > MAX_PAYLOAD:
                raise RemoteProtocolError(f"a message of kind {kind:#04x} with {size} bytes")
            start = at + HEADER_SIZE
            if start + size > end:
                break
            at = start + size
            into.append(Descriptor(guid, kind, ttl, hops, view[start:at].tobytes()))
        return at


def read_datagram(data: bytes) -> Descriptor:
    """The one descriptor that a datagram holds. Raises RemoteProtocolError.

    By UDP two bits of the TTL are flags (deflated_udp): gtk-gnutella marks its requests with the first. They
    are not part of the descriptor that is returned.
    """
    if len(data) < HEADER_SIZE:
        raise RemoteProtocolError(f"a datagram of {len(data)} bytes holds no message")
    guid, kind, ttl, hops, size = _HEADER.unpack_from(data)
    if size != len(data) - HEADER_SIZE or size > MAX_PAYLOAD:
        raise RemoteProtocolError(f"a datagram of {len(data)} bytes with a message of {size}")
    payload = data[HEADER_SIZE:]
    if ttl & _DEFLATED:
        payload = inflate(payload, MAX_PAYLOAD)
    return Descriptor(guid, kind, ttl & ~(_MAY_DEFLATE | _DEFLATED), hops, payload)


def new_guid(dice: Random) -> Guid:
    """A GUID as modern servents make them: byte 8 all ones, byte 15 zero (specification, 2.2.1)."""
    return dice.randbytes(8) + b"\xff" + dice.randbytes(6) + b"\x00"


def oob_guid(address: Address, dice: Random) -> Guid:
    """The GUID of a query whose hits shall come to `address` by UDP (out-of-band, B).

    The address is bytes 0 to 3, its port bytes 13 and 14. Raises LocalProtocolError for no IPv4 address.
    """
    packed = pack_endpoint(address)
    return packed[:4] + dice.randbytes(4) + b"\xff" + dice.randbytes(4) + packed[4:] + b"\x00"


def oob_address(guid: Guid) -> Address:
    """Where a query with this GUID wants its hits, if it wants them by UDP at all."""
    return read_endpoint(guid[:4] + guid[13:15])
