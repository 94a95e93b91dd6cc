"""Super nodes as they are told: who, where, and in which slot; and lists of addresses.

A slot is named by the bits that the hashes of its names begin with: a prefix of at most 32 bits.
"""

from collections.abc import Iterable, Iterator
from struct import Struct
from typing import NamedTuple

from typing_extensions import override

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.wire.supernode.packing import (
    ADDRESS_4,
    ADDRESS_6,
    NODE_SIZE,
    pack_address,
    read_address,
)

__all__ = [
    "MAX_DEPTH",
    "WHOLE",
    "Prefix",
    "SuperNode",
    "pack_addresses",
    "pack_nodes",
    "pack_prefix",
    "read_addresses",
    "read_nodes",
    "read_prefix",
]

MAX_DEPTH = 32
PREFIX_SIZE = 5
_PREFIX = Struct(">BI")


class Prefix(NamedTuple):
    """The first `length` bits of a hash, as a number."""

    length: int
    bits: int

    @classmethod
    def of(cls, hash_: bytes, length: int = MAX_DEPTH) -> "Prefix":
        """The first bits of a hash."""
        return cls(length, int.from_bytes(hash_[:4], "big") >> (MAX_DEPTH - length))

    def covers(self, other: "Prefix") -> bool:
        """Whether everything under the other is under this one."""
        return self.length <= other.length and (
            other.bits >> (other.length - self.length) == self.bits
        )

    def common(self, other: "Prefix") -> int:
        """How many bits both begin with."""
        length = min(self.length, other.length)
        apart = self.bits >> (self.length - length) ^ other.bits >> (other.length - length)
        return length - apart.bit_length()

    def bit(self, place: int) -> int:
        """The one after so many."""
        return self.bits >> (self.length - place - 1) & 1

    def up(self, levels: int = 1) -> "Prefix":
        """What is above; the whole has nothing above it."""
        levels = min(levels, self.length)
        return Prefix(self.length - levels, self.bits >> levels)

    def down(self, bit: int) -> "Prefix":
        """One of its halves."""
        return Prefix(self.length + 1, self.bits << 1 | bit)

    @property
    def sibling(self) -> "Prefix":
        """The other half of what is above."""
        return Prefix(self.length, self.bits ^ 1) if self.length else self

    @override
    def __str__(self) -> str:
        return format(self.bits, f"0{self.length}b") if self.length else "all"


WHOLE = Prefix(0, 0)


class SuperNode(NamedTuple):
    """One that holds a part of the directory."""

    node: bytes
    address: Address
    slot: Prefix


def pack_prefix(prefix: Prefix) -> bytes:
    """Five bytes. Raises LocalProtocolError."""
    if not 0 <= prefix.length <= MAX_DEPTH or prefix.bits >> prefix.length:
        raise LocalProtocolError(f"{tuple(prefix)} is no prefix")
    return _PREFIX.pack(*prefix)


def read_prefix(data: bytes) -> Prefix:
    """Of five bytes. Raises RemoteProtocolError."""
    if len(data) != PREFIX_SIZE:
        raise RemoteProtocolError(f"a prefix of {len(data)} bytes")
    prefix = Prefix(*_PREFIX.unpack(data))
    if prefix.length > MAX_DEPTH or prefix.bits >> prefix.length:
        raise RemoteProtocolError(f"{tuple(prefix)} is no prefix")
    return prefix


def pack_nodes(nodes: Iterable[SuperNode]) -> bytes:
    """Each with 16 bytes of its name, 5 of its slot, and its address with its length before it."""
    return b"".join(
        _node(each.node) + pack_prefix(each.slot) + pack_addresses((each.address,))
        for each in nodes
    )


def read_nodes(data: bytes, most: int) -> tuple[SuperNode, ...]:
    """Raises RemoteProtocolError."""
    nodes: list[SuperNode] = []
    at = 0
    while at < len(data):
        middle = at + NODE_SIZE + PREFIX_SIZE
        address, end = _address(data, middle)
        nodes.append(
            SuperNode(
                data[at : at + NODE_SIZE], address, read_prefix(data[at + NODE_SIZE : middle])
            )
        )
        at = end
    if len(nodes) > most:
        raise RemoteProtocolError(f"{len(nodes)} super nodes in one list, at most {most}")
    return tuple(nodes)


def pack_addresses(addresses: Iterable[Address]) -> bytes:
    """Each with its length before it. Raises LocalProtocolError for a name."""
    packed = map(pack_address, addresses)
    return b"".join(bytes((len(data),)) + data for data in packed)


def read_addresses(data: bytes, most: int) -> tuple[Address, ...]:
    """Raises RemoteProtocolError."""
    addresses = tuple(_addresses(data))
    if len(addresses) > most:
        raise RemoteProtocolError(f"{len(addresses)} addresses in one list, at most {most}")
    return addresses


def _addresses(data: bytes) -> Iterator[Address]:
    at = 0
    while at < len(data):
        address, at = _address(data, at)
        yield address


def _address(data: bytes, at: int) -> tuple[Address, int]:
    size = data[at] if at < len(data) else 0
    end = at + 1 + size
    if size not in (ADDRESS_4, ADDRESS_6) or end > len(data):
        raise RemoteProtocolError("an address that is cut off")
    return read_address(data[at + 1 : end]), end


def _node(node: bytes) -> bytes:
    if len(node) != NODE_SIZE:
        raise LocalProtocolError(f"a super node's name of {len(node)} bytes")
    return node
