"""The small values everybody passes around: info-hashes, peer ids, addresses, piece numbers."""

import ipaddress
import re
from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha1
from random import Random
from typing import NamedTuple, NewType, Self

from typing_extensions import override

from p2pswarm.errors import FormatError

__all__ = [
    "BLOCK",
    "Address",
    "InfoHash",
    "PeerId",
    "PieceIndex",
    "compact",
    "read_compact",
]

PieceIndex = NewType("PieceIndex", int)
"""The number of a piece: what is hashed."""

BLOCK = 1 << 14
"""Bytes in a block, what is asked for: 16 KiB, which every client serves (BEP 3)."""

_CLIENT = b"-PS0100-"  # BEP 20, Azureus style: two letters, four digits
_CLIENTS = {
    b"PS": "p2pswarm",
    b"LT": "libtorrent",
    b"lt": "libTorrent (rTorrent)",  # it says the version of its library
    b"qB": "qBittorrent",
    b"TR": "Transmission",
    b"A2": "aria2",
    b"DE": "Deluge",
    b"UT": "uTorrent",
    b"WW": "WebTorrent",
    b"rQ": "rqbit",
    b"AZ": "Vuze",
    b"BT": "BitTorrent",
}


_LONGEST_IP = 100  # letters; a zone may stand behind an IPv6 address
_HOST = re.compile(r"[^\s/@\\\[\]\x00-\x1f\x7f]+")


class InfoHash(bytes):
    """The name of a swarm: SHA-1 of the raw `info` dictionary (BEP 3), 20 bytes."""

    __slots__ = ()

    def __new__(cls, value: bytes) -> Self:
        if len(value) != 20:
            raise FormatError(f"an info-hash has 20 bytes, this has {len(value)}")
        return super().__new__(cls, value)

    @property
    def obfuscated(self) -> bytes:
        """What an encrypted handshake says instead of it (MSE), 20 bytes."""
        return sha1(b"req2" + self, usedforsecurity=False).digest()

    @override
    def __repr__(self) -> str:
        return f"InfoHash({self.hex()})"

    __str__ = bytes.hex


class PeerId(bytes):
    """Who a peer says it is: 20 bytes, the first eight name its program (BEP 20)."""

    __slots__ = ()

    def __new__(cls, value: bytes) -> Self:
        if len(value) != 20:
            raise FormatError(f"a peer id has 20 bytes, this has {len(value)}")
        return super().__new__(cls, value)

    @classmethod
    def new(cls, dice: Random) -> Self:
        return cls(_CLIENT + dice.randbytes(12))

    @property
    def client(self) -> str:
        """The program's name and version as far as the id tells, else 'unknown'; printable ASCII."""
        if self[:1] == b"-" and self[7:8] == b"-" and self[1:7].isalnum():
            name = _CLIENTS.get(self[1:3], self[1:3].decode("ascii"))
            # Beyond nine programs count with letters: rTorrent's 0.13.8 is 0D80.
            return f"{name} {'.'.join(str(int(chr(digit), 36)) for digit in self[3:7])}"
        return "unknown"

    @override
    def __repr__(self) -> str:
        return f"PeerId({self.client}, {self[8:].hex()})"


class Address(NamedTuple):
    """Where somebody listens: an IP address (or, before it is resolved, a host name) and a port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `host:port` or `[v6]:port`. Raises FormatError."""
        host, colon, digits = text.strip().rpartition(":")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise FormatError(f"write the IPv6 address in {text!r} as [address]:port")
        number = digits if digits.isascii() and digits.isdigit() and len(digits) <= 5 else ""
        if not colon or not _HOST.fullmatch(host) or not number or not 0 < int(number) < 65536:
            raise FormatError(f"{text!r} is not HOST:PORT")
        return cls(host, int(number))

    @property
    def ip(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
        """The parsed IP address; None while `host` is still a name."""
        return _parsed(self.host)[0] if len(self.host) <= _LONGEST_IP else None

    @property
    def dialable(self) -> bool:
        """Whether a peer can be there: no port 0, no multicast, no broadcast, no 'any' address."""
        ip = self.ip
        if ip is None or not 0 < self.port < 65536:
            return False
        return not (ip.is_multicast or ip.is_unspecified or ip.packed == b"\xff\xff\xff\xff")

    @property
    def normal(self) -> "Address":
        """The same place in its one spelling (lower case, IPv4-mapped IPv6 as IPv4)."""
        if self.ip is None:
            return self
        _, host = _parsed(self.host)
        return self if host == self.host else Address(host, self.port)

    @override
    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@lru_cache(maxsize=10_000)  # as many as a node deals with; each is asked for again and again
def _parsed(host: str) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address | None, str]:
    """The IP address and its one spelling."""
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return None, host
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return mapped or ip, str(mapped or ip)


def compact(address: Address) -> bytes:
    """BEP 23 and BEP 7: 4 or 16 bytes of address, 2 of port. Raises FormatError for a host name."""
    ip = address.ip
    if ip is None:
        raise FormatError(f"{address} has no compact form: it is a name")
    return ip.packed + address.port.to_bytes(2, "big")


def read_compact(data: bytes, stride: int) -> Iterator[Address]:
    """Addresses of `stride` 6 (IPv4) or 18 (IPv6) bytes each; an odd rest at the end is ignored."""
    for at in range(0, len(data) - len(data) % stride, stride):
        ip = ipaddress.ip_address(data[at : at + stride - 2])
        yield Address(str(ip), int.from_bytes(data[at + stride - 2 : at + stride], "big")).normal
