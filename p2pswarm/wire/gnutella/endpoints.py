"""Addresses in messages: four bytes of IPv4 in network order, then the port, little endian.

Gnutella mixes both orders in one field, and so do the lists of GGEP (IPP, PUSH, ALT). Addresses are IPv4
here and nowhere else: what is none cannot be said.
"""

from collections.abc import Iterable
from struct import Struct

from p2pswarm.errors import LocalProtocolError
from p2pswarm.formats.ids import Address

__all__ = [
    "ENDPOINT_SIZE",
    "pack_endpoint",
    "pack_endpoints",
    "pack_ip",
    "read_endpoint",
    "read_endpoints",
    "read_ip",
]

ENDPOINT_SIZE = 6
_ENDPOINT = Struct("<4BH")


def pack_ip(host: str) -> bytes:
    """Raises LocalProtocolError when it is no IPv4 address."""
    ip = Address(host, 0).ip
    if ip is None or ip.version != 4:
        raise LocalProtocolError(f"{host!r} is no IPv4 address, and Gnutella knows no other")
    return ip.packed


def read_ip(data: bytes) -> str:
    """The four bytes of an address, as people write it."""
    return "{}.{}.{}.{}".format(*data)


def pack_endpoint(address: Address) -> bytes:
    """Six bytes. Raises LocalProtocolError for what is no IPv4 address or no port."""
    if not 0 <= address.port < 65536:
        raise LocalProtocolError(f"{address} has no port")
    return pack_ip(address.host) + address.port.to_bytes(2, "little")


def read_endpoint(data: bytes) -> Address:
    """The address at the start of `data`, which has six bytes at least."""
    *ip, port = _ENDPOINT.unpack_from(data)
    return Address(read_ip(bytes(ip)), port)


def pack_endpoints(addresses: Iterable[Address]) -> bytes:
    return b"".join(map(pack_endpoint, addresses))


def read_endpoints(data: bytes, most: int = 64) -> tuple[Address, ...]:
    """At most `most` addresses; a rest that is none is ignored."""
    whole = min(len(data) // ENDPOINT_SIZE, most) * ENDPOINT_SIZE
    return tuple(read_endpoint(data[at : at + 6]) for at in range(0, whole, ENDPOINT_SIZE))
