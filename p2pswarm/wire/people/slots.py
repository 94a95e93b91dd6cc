"""What super nodes say to each other: who is there, which slot has room, what each has, who is revoked.

Records are compared as in a Merkle tree: two sides tell sums of what they have under a prefix, and look
closer only where these differ.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from struct import Struct
from typing import ClassVar, NamedTuple, Self

from typing_extensions import override

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.wire.people.dictionary import TokenMessage
from p2pswarm.wire.people.finding import MAX_SEQ, NODES_MOST
from p2pswarm.wire.people.frames import PeopleKind
from p2pswarm.wire.people.nodes import (
    MAX_DEPTH,
    Prefix,
    SuperNode,
    pack_nodes,
    pack_prefix,
    read_nodes,
    read_prefix,
)
from p2pswarm.wire.supernode.dictionary import Fields, Value
from p2pswarm.wire.supernode.packing import pack_address

__all__ = [
    "BRANCHES",
    "HELD_MOST",
    "MAX_LIST",
    "MAX_PART",
    "Differs",
    "Digest",
    "Gossip",
    "Gossiped",
    "Held",
    "Part",
    "Revoked",
    "Seat",
    "Slot",
]

BRANCHES = 16  # sums told at a time: four more bits of the prefix
HELD_MOST = 26  # records that are told one by one
MAX_SIZE = 255  # members of one slot that can be told
MAX_LIST = 64 << 10  # bytes of a revocation list
MAX_PART = 1000  # bytes of it in one datagram
_SUM = 8
_HELD = Struct(">32sQ")


@dataclass(frozen=True, slots=True)
class Seat(TokenMessage):
    """Which slot is at this place, and how many are in it? Whoever is not there names who is nearer."""

    kind: ClassVar[int] = PeopleKind.SEAT

    at: Prefix

    @override
    def _written(self) -> dict[str, Value]:
        return {"at": pack_prefix(self.at)}

    @override
    @classmethod
    def _read(cls, token: bytes, fields: Fields) -> Self:
        at = read_prefix(fields.raw("at"))
        if at.length != MAX_DEPTH:
            raise RemoteProtocolError(f"{at} is no place")
        return cls(token, at)


@dataclass(frozen=True, slots=True)
class Slot(TokenMessage):
    """This one; with nobody in it, it waits for somebody."""

    kind: ClassVar[int] = PeopleKind.SLOT

    slot: Prefix
    size: int
    you: Address
    """Where the asker is seen."""
    nodes: tuple[SuperNode, ...] = ()

    @override
    def _written(self) -> dict[str, Value]:
        return {
            "slot": pack_prefix(self.slot),
            "size": self.size,
            "you": pack_address(self.you),
            "nodes": pack_nodes(self.nodes),
        }

    @override
    @classmethod
    def _read(cls, token: bytes, fields: Fields) -> Self:
        return cls(
            token,
            read_prefix(fields.raw("slot")),
            fields.number("size", 0, MAX_SIZE),
            fields.address("you"),
            read_nodes(fields.raw("nodes"), NODES_MOST),
        )


@dataclass(frozen=True, slots=True)
class Gossip(TokenMessage):
    """I am here, in this slot, and these are there, too; who are you?"""

    kind: ClassVar[int] = PeopleKind.GOSSIP

    node: bytes
    slot: Prefix
    size: int
    """Members of its slot, itself among them."""
    you: Address
    """Where the other is seen."""
    nodes: tuple[SuperNode, ...] = ()
    revoked: int = 0
    """The number of the newest revocation list that it has."""
    leaving: bool = False

    @override
    def _written(self) -> dict[str, Value]:
        return {
            "node": self.node,
            "slot": pack_prefix(self.slot),
            "size": self.size,
            "you": pack_address(self.you),
            "nodes": pack_nodes(self.nodes),
            "revoked": self.revoked,
            "leaving": self.leaving,
        }

    @override
    @classmethod
    def _read(cls, token: bytes, fields: Fields) -> Self:
        return cls(
            token,
            fields.node(),
            read_prefix(fields.raw("slot")),
            fields.number("size", 0, MAX_SIZE),
            fields.address("you"),
            read_nodes(fields.raw("nodes"), NODES_MOST),
            fields.number("revoked", 0, MAX_SEQ),
            fields.flag("leaving"),
        )


@dataclass(frozen=True, slots=True)
class Gossiped(Gossip):
    """The same of the one who was told."""

    kind: ClassVar[int] = PeopleKind.GOSSIPED


class Held(NamedTuple):
    """A record that somebody has: of which name, and how new."""

    hash: bytes
    seq: int


@dataclass(frozen=True, slots=True)
class Digest(TokenMessage):
    """Of what is under this prefix I have so much, and this is its sum; what have you?"""

    kind: ClassVar[int] = PeopleKind.DIGEST

    under: Prefix
    count: int
    sum: bytes

    @override
    def _written(self) -> dict[str, Value]:
        return {"under": pack_prefix(self.under), "count": self.count, "sum": self.sum}

    @override
    @classmethod
    def _read(cls, token: bytes, fields: Fields) -> Self:
        return cls(
            token,
            read_prefix(fields.raw("under")),
            fields.number("count", 0, MAX_SEQ),
            fields.raw("sum", _SUM),
        )


@dataclass(frozen=True, slots=True)
class Differs(TokenMessage):
    """The same (neither sums nor records), or the sums one branch deeper, or few records one by one."""

    kind: ClassVar[int] = PeopleKind.DIFFERS

    same: bool
    sums: tuple[bytes, ...] = ()
    """All `BRANCHES`, or none."""
    held: tuple[Held, ...] = ()

    @override
    def _written(self) -> dict[str, Value]:
        return {
            "same": self.same,
            "sums": b"".join(self.sums),
            "held": b"".join(_HELD.pack(*each) for each in self.held),
        }

    @override
    @classmethod
    def _read(cls, token: bytes, fields: Fields) -> Self:
        sums = fields.raw("sums", 0, BRANCHES * _SUM)
        return cls(
            token,
            fields.flag("same"),
            tuple(sums[at : at + _SUM] for at in range(0, len(sums), _SUM)),
            tuple(_held(fields.within("held", 0, HELD_MOST * _HELD.size))),
        )


def _held(data: bytes) -> Iterable[Held]:
    if len(data) % _HELD.size:
        raise RemoteProtocolError(f"{len(data)} bytes are no list of records")
    for hash_, seq in _HELD.iter_unpack(data):
        if seq > MAX_SEQ:
            raise RemoteProtocolError(f"a record of number {seq}")
        yield Held(hash_, seq)


@dataclass(frozen=True, slots=True)
class Revoked(TokenMessage):
    """Give me your newest revocation list from this byte on."""

    kind: ClassVar[int] = PeopleKind.REVOKED

    start: int

    @override
    def _written(self) -> dict[str, Value]:
        return {"start": self.start}

    @override
    @classmethod
    def _read(cls, token: bytes, fields: Fields) -> Self:
        return cls(token, fields.number("start", 0, MAX_LIST))


@dataclass(frozen=True, slots=True)
class Part(TokenMessage):
    """A part of the list of this number, which is so long in all."""

    kind: ClassVar[int] = PeopleKind.PART

    number: int
    start: int
    size: int
    data: bytes

    @override
    def _written(self) -> dict[str, Value]:
        return {
            "number": self.number,
            "start": self.start,
            "size": self.size,
            "data": self.data,
        }

    @override
    @classmethod
    def _read(cls, token: bytes, fields: Fields) -> Self:
        return cls(
            token,
            fields.number("number", 0, MAX_SEQ),
            fields.number("start", 0, MAX_LIST),
            fields.number("size", 0, MAX_LIST),
            fields.within("data", 0, MAX_PART),
        )
