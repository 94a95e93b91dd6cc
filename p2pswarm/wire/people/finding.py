"""Asking for a name and its answers, and putting a record where it will be asked for.

The asked one gives the record (FOUND), or names super nodes that are nearer (REFERRAL), or says that nobody
has it (UNKNOWN): as in an iterative DNS query (RFC 1034, 5.3.3), with its flags and its ttl.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Self

from typing_extensions import override

from p2pswarm.wire.people.dictionary import TokenMessage
from p2pswarm.wire.people.frames import PeopleKind
from p2pswarm.wire.people.nodes import (
    Prefix,
    SuperNode,
    pack_nodes,
    pack_prefix,
    read_nodes,
    read_prefix,
)
from p2pswarm.wire.supernode.dictionary import Fields, Value, read_word

__all__ = [
    "HASH_SIZE",
    "MAX_HOPS",
    "MAX_NEGATIVE_TTL",
    "MAX_RECORD",
    "MAX_TTL",
    "NODES_MOST",
    "Fault",
    "Find",
    "Found",
    "Put",
    "Referral",
    "Rejected",
    "Stored",
    "Unknown",
]

HASH_SIZE = 32
MAX_RECORD = 900  # bytes
MAX_TTL = 72 * 3600  # seconds
MAX_NEGATIVE_TTL = 60  # seconds
MAX_HOPS = 8
MAX_MESSAGES = 1000  # more than any lookup needs
MAX_SEQ = (1 << 63) - 1
MAX_COPIES = 64
NODES_MOST = 24  # with IPv6, what fits into a datagram


class Fault(StrEnum):
    """Why a record was not taken."""

    BAD = "bad"  # is none, or its signature or certificate is not good
    STALE = "stale"  # a newer one is here
    REVOKED = "revoked"
    FULL = "full"
    TOO_OFTEN = "too-often"
    NOT_SUPER = "not-super"


@dataclass(frozen=True, slots=True)
class Find(TokenMessage):
    """Who has the record of this name?"""

    kind: ClassVar[int] = PeopleKind.FIND

    hash: bytes
    recursive: bool = False
    """Ask on for me. Done for guests on a stream and for other super nodes, for nobody else."""
    hops: int = MAX_HOPS
    """How many may still ask on."""

    @override
    def _written(self) -> dict[str, Value]:
        return {"hash": self.hash, "rd": self.recursive, "hops": self.hops}

    @override
    @classmethod
    def _read(cls, token: bytes, fields: Fields) -> Self:
        return cls(
            token,
            fields.raw("hash", HASH_SIZE),
            fields.flag("rd"),
            fields.number("hops", 0, MAX_HOPS),
        )


@dataclass(frozen=True, slots=True)
class Found(TokenMessage):
    """This one."""

    kind: ClassVar[int] = PeopleKind.FOUND

    record: bytes
    ttl: int
    """Seconds that the teller would still keep it."""
    authoritative: bool = True
    """Whether it was told by its slot, and not out of a cache."""
    hops: int = 0
    """Super nodes that were asked behind this one."""
    messages: int = 0
    """Sent and received for it by those who asked on."""

    @override
    def _written(self) -> dict[str, Value]:
        return {
            "record": self.record,
            "ttl": self.ttl,
            "aa": self.authoritative,
            "hops": self.hops,
            "messages": self.messages,
        }

    @override
    @classmethod
    def _read(cls, token: bytes, fields: Fields) -> Self:
        return cls(
            token,
            fields.within("record", 1, MAX_RECORD),
            fields.number("ttl", 0, MAX_TTL),
            fields.flag("aa"),
            fields.number("hops", 0, MAX_HOPS),
            fields.number("messages", 0, MAX_MESSAGES),
        )


@dataclass(frozen=True, slots=True)
class Referral(TokenMessage):
    """Ask these instead: each has more bits in common with the hash than the slot of whoever tells it."""

    kind: ClassVar[int] = PeopleKind.REFERRAL

    nodes: tuple[SuperNode, ...]
    slot: Prefix
    """The teller's own."""

    @override
    def _written(self) -> dict[str, Value]:
        return {"nodes": pack_nodes(self.nodes), "slot": pack_prefix(self.slot)}

    @override
    @classmethod
    def _read(cls, token: bytes, fields: Fields) -> Self:
        return cls(
            token,
            read_nodes(fields.raw("nodes"), NODES_MOST),
            read_prefix(fields.raw("slot")),
        )


@dataclass(frozen=True, slots=True)
class Unknown(TokenMessage):
    """Nobody of that name is known here."""

    kind: ClassVar[int] = PeopleKind.UNKNOWN

    ttl: int
    """Seconds for which it may be believed."""
    authoritative: bool
    """Whether the slot itself says so."""
    slot: Prefix
    nodes: tuple[SuperNode, ...] = ()
    """Others of that slot: it is believed when the majority says so."""
    hops: int = 0
    messages: int = 0

    @override
    def _written(self) -> dict[str, Value]:
        return {
            "ttl": self.ttl,
            "aa": self.authoritative,
            "slot": pack_prefix(self.slot),
            "nodes": pack_nodes(self.nodes),
            "hops": self.hops,
            "messages": self.messages,
        }

    @override
    @classmethod
    def _read(cls, token: bytes, fields: Fields) -> Self:
        return cls(
            token,
            fields.number("ttl", 0, MAX_NEGATIVE_TTL),
            fields.flag("aa"),
            read_prefix(fields.raw("slot")),
            read_nodes(fields.raw("nodes"), NODES_MOST),
            fields.number("hops", 0, MAX_HOPS),
            fields.number("messages", 0, MAX_MESSAGES),
        )


@dataclass(frozen=True, slots=True)
class Put(TokenMessage):
    """Keep this record. A super node of another slot answers with a REFERRAL, or asks on for a guest."""

    kind: ClassVar[int] = PeopleKind.PUT

    record: bytes
    ttl: int
    """Seconds that it is still good for: its own, or less when one who has kept it hands it on."""
    copy: bool = False
    """From one of the slot to another: keep it, and tell nobody."""
    recursive: bool = False

    @override
    def _written(self) -> dict[str, Value]:
        return {
            "record": self.record,
            "ttl": self.ttl,
            "copy": self.copy,
            "rd": self.recursive,
        }

    @override
    @classmethod
    def _read(cls, token: bytes, fields: Fields) -> Self:
        return cls(
            token,
            fields.within("record", 1, MAX_RECORD),
            fields.number("ttl", 0, MAX_TTL),
            fields.flag("copy"),
            fields.flag("rd"),
        )


@dataclass(frozen=True, slots=True)
class Stored(TokenMessage):
    """So many of its slot have it."""

    kind: ClassVar[int] = PeopleKind.STORED

    copies: int
    of: int

    @property
    def majority(self) -> bool:
        """Whether that is enough to rely on."""
        return 2 * self.copies > self.of

    @override
    def _written(self) -> dict[str, Value]:
        return {"copies": self.copies, "of": self.of}

    @override
    @classmethod
    def _read(cls, token: bytes, fields: Fields) -> Self:
        return cls(
            token, fields.number("copies", 0, MAX_COPIES), fields.number("of", 1, MAX_COPIES)
        )


@dataclass(frozen=True, slots=True)
class Rejected(TokenMessage):
    """That was not done, and why."""

    kind: ClassVar[int] = PeopleKind.REJECTED

    fault: Fault
    seq: int = 0
    """With `stale`: that of the newer record, above which the next must be."""

    @override
    def _written(self) -> dict[str, Value]:
        return {"fault": self.fault, "seq": self.seq}

    @override
    @classmethod
    def _read(cls, token: bytes, fields: Fields) -> Self:
        return cls(
            token,
            read_word(Fault, fields.text("fault")),
            fields.number("seq", 0, MAX_SEQ),
        )
