"""Queries: words, hashes, and what the asker can do.

The first two bytes once were a speed. Today they are flags, and the highest bit says so; they are big endian,
alone in this protocol (min_speed, "New interpretation").
"""

from dataclasses import dataclass, field
from enum import IntFlag
from typing import Self

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.wire.gnutella.ggep import MAGIC, Ggep, ggep_at, write_ggep
from p2pswarm.wire.gnutella.hashes import hashes_of
from p2pswarm.wire.text import pack_text, read_text

__all__ = ["MAX_QUERY", "MAX_URNS", "MAX_WORDS", "Query", "QueryFlags", "without_oob"]

MAX_QUERY = 4096  # bytes; the specification drops what is larger
MAX_WORDS = 64  # no file name has more, and each costs everybody a look-up
MAX_URNS = 16

_MARKER = 0x8000
_NAMED = 0x7E00  # bits with a name
_SEPARATOR = b"\x1c"


class QueryFlags(IntFlag):
    """What the asker is and wants.

    Bits that nobody has named are not kept: Python remembers each combination that was ever seen for ever.
    """

    NONE = 0
    FW2FW = 0x0200
    OOB = 0x0400
    GGEP_H = 0x0800
    LEAF_GUIDED = 0x1000
    XML = 0x2000
    FIREWALLED = 0x4000


@dataclass(slots=True)
class Query:
    """Who has files with all these words, or with one of these contents?

    `urns` are as they were written; a bare `urn:` asks for hashes in the hits. XML is not read.
    """

    text: str
    urns: tuple[str, ...] = ()
    ggep: Ggep = field(default_factory=dict)
    flags: QueryFlags = QueryFlags.NONE

    @property
    def sha1(self) -> bytes | None:
        """The content that is asked for, when a hash is."""
        return hashes_of(self.urns, self.ggep).sha1

    def encode(self) -> bytes:
        """Raises LocalProtocolError for text and URNs that cannot be said, and for too many of them."""
        if len(self.urns) > MAX_URNS or len(self.text.split()) > MAX_WORDS:
            raise LocalProtocolError(f"a query with {len(self.urns)} hashes and {self.text!r}")
        extensions = [*map(_urn, self.urns), *filter(None, [write_ggep(self.ggep)])]
        word = (_MARKER | self.flags & _NAMED).to_bytes(2, "big")
        payload = word + pack_text(self.text) + b"\x00" + _SEPARATOR.join(extensions)
        if len(payload) > MAX_QUERY:
            raise LocalProtocolError(f"a query of {len(payload)} bytes")
        return payload

    @classmethod
    def read(cls, payload: bytes) -> Self:
        """Raises RemoteProtocolError when it is too long, has too many words or no end."""
        text, end, rest = payload[2:].partition(b"\x00")
        if len(payload) > MAX_QUERY or not end:
            raise RemoteProtocolError(f"a query of {len(payload)} bytes that has no end")
        words = read_text(text)
        if len(words.split()) > MAX_WORDS:
            raise RemoteProtocolError(f"a query of more than {MAX_WORDS} words")
        urns, ggep = _read_extensions(rest)
        return cls(words, urns, ggep, _read_flags(payload))


def _read_flags(payload: bytes) -> QueryFlags:
    word = int.from_bytes(payload[:2], "big")
    return QueryFlags(word & _NAMED) if word & _MARKER else QueryFlags.NONE


def _read_extensions(rest: bytes) -> tuple[tuple[str, ...], Ggep]:
    """GGEP is the last; nothing after it is understood."""
    urns: list[str] = []
    while rest and rest[0] != MAGIC:
        piece, _, rest = rest.partition(_SEPARATOR)
        piece = piece.rstrip(b"\x00")
        if piece[:4].lower() == b"urn:" and piece.isascii() and len(urns) < MAX_URNS:
            urns.append(piece.decode("ascii"))
    return tuple(urns), ggep_at(rest)


def _urn(urn: str) -> bytes:
    data = pack_text(urn)
    if data[:4].lower() != b"urn:" or not urn.isascii() or _SEPARATOR in data:
        raise LocalProtocolError(f"{urn!r} is no URN")
    return data


def without_oob(payload: bytes) -> bytes:
    """A query's payload without the wish for hits by UDP, and otherwise the same."""
    if payload[:1] < b"\x80":
        return payload
    return bytes([payload[0] & ~(QueryFlags.OOB >> 8)]) + payload[1:]
