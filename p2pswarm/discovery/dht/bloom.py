"""How many peers a swarm has, counted over many nodes that each know some of them: Bloom filters (BEP 33).

A node answers a scrape with two filters of 256 bytes, one for seeds and one for the others, in which each
address has set two bits. United, the filters of all nodes count an address once, however many know it.
"""

import math
from collections.abc import Iterable
from hashlib import sha1
from ipaddress import IPv4Address, IPv6Address
from typing import Self

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.ids import Address

__all__ = ["SIZE", "BloomFilter", "scraped"]

SIZE = 256  # bytes: m in BEP 33 is 2048 bits
_BITS = SIZE * 8
_HASHES = 2  # k


class BloomFilter:
    """A set of IP addresses that can be united and counted, but not listed."""

    __slots__ = ("_bits",)

    def __init__(self, ips: Iterable[IPv4Address | IPv6Address] = ()) -> None:
        self._bits = 0  # the bit i of BEP 33 is the bit i of this number
        for ip in ips:
            self.add(ip)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """What somebody sent. Raises RemoteProtocolError."""
        if len(data) != SIZE:
            raise RemoteProtocolError(f"a Bloom filter of {len(data)} bytes, not {SIZE}")
        read = cls()
        read._bits = int.from_bytes(data, "little")
        return read

    def encode(self) -> bytes:
        return self._bits.to_bytes(SIZE, "little")

    def add(self, ip: IPv4Address | IPv6Address) -> None:
        digest = sha1(ip.packed, usedforsecurity=False).digest()
        for at in range(0, 2 * _HASHES, 2):
            self._bits |= 1 << int.from_bytes(digest[at : at + 2], "little") % _BITS

    def unite(self, other: "BloomFilter") -> None:
        """From now on with everybody in `other`, too."""
        self._bits |= other._bits  # noqa: SLF001 - of the same class

    @property
    def count(self) -> float:
        """About how many addresses are in it; a full filter cannot tell beyond 7800."""
        zeros = max(_BITS - self._bits.bit_count(), 1)
        return math.log(zeros / _BITS) / (_HASHES * math.log1p(-1 / _BITS))


def scraped(peers: Iterable[tuple[Address, bool]]) -> tuple[bytes, bytes]:
    """The filters of the seeds among these and of the others, for a reply. True stands beside a seed."""
    seeds, others = BloomFilter(), BloomFilter()
    for peer, seed in peers:
        assert peer.ip is not None, "names announce nothing"
        (seeds if seed else others).add(peer.ip)
    return seeds.encode(), others.encode()
