"""Questions that are flooded, and the two words that end them.

Most super nodes only pass a question on: its first 18 bytes are the GUID, the TTL and the hops, which are
read and changed without a look at the rest.
"""

import re
from dataclasses import dataclass
from struct import Struct, error as StructError  # noqa: N812  its name in the library
from typing import ClassVar, NamedTuple, Self

from typing_extensions import override

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.formats.words import MAX_WORD, MAX_WORDS, Kind
from p2pswarm.wire.supernode.dictionary import DictionaryMessage, Fields, Value
from p2pswarm.wire.supernode.frames import Frame, FrameKind
from p2pswarm.wire.supernode.hosts import Entry, pack_entries, read_entries
from p2pswarm.wire.supernode.packing import MAX_SIZE, check_node, pack_text, read_text

__all__ = ["MAX_WANT", "End", "Head", "Query", "Stop"]

MAX_WANT = 200
MAX_TEXT = 1 << 10  # bytes of the words, with those that must not be there
MAX_HITS = 0xFFFF_FFFF
_ENDLESS = (1 << 64) - 1
_HEAD = Struct(">16sBB")
_REST = Struct(">BBBQQH")
_START = _HEAD.size + _REST.size
_KINDS = (Kind.ANY, Kind.AUDIO, Kind.VIDEO, Kind.IMAGE, Kind.DOCUMENT, Kind.ARCHIVE, Kind.SOFTWARE)
_DIGESTS = (("", 0), ("sha1", 20), ("tth", 24), ("btih", 20))
_WORDS = re.compile(rf"(?:\S{{1,{MAX_WORD}}}+(?: \S{{1,{MAX_WORD}}}+){{0,{MAX_WORDS - 1}}}+)?")


class Head(NamedTuple):
    """What has to be known to pass a question on."""

    guid: bytes
    ttl: int
    hops: int


@dataclass(frozen=True, slots=True)
class Query:
    """What somebody looks for; one without words and without a digest asks for anything."""

    guid: bytes
    ttl: int
    hops: int
    words: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    kind: Kind = Kind.ANY
    min_size: int = 0
    max_size: int | None = None
    digest: tuple[str, bytes] | None = None
    """`sha1`, `tth` or `btih`, and the hash."""
    want: int = MAX_WANT

    def encode(self) -> Frame:
        """Raises LocalProtocolError."""
        words, without = _pack_words(self.words), _pack_words(self.without)
        most = MAX_SIZE if self.max_size is None else self.max_size
        if not (0 <= self.min_size <= MAX_SIZE and 0 <= most <= MAX_SIZE):
            raise LocalProtocolError(f"{self} has sizes that no file has")
        if len(words) + len(without) > MAX_TEXT or not 0 < self.want <= MAX_WANT:
            raise LocalProtocolError(f"{self} asks too much")
        algorithm, digest = _pack_digest(self.digest)
        end = _ENDLESS if self.max_size is None else most
        kind = _KINDS.index(self.kind)
        rest = _REST.pack(kind, algorithm, self.want, self.min_size, end, len(words))
        head = _pack_head(self.guid, self.ttl, self.hops)
        return Frame(FrameKind.QUERY, b"".join((head, rest, digest, words, without)))

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Raises RemoteProtocolError."""
        if len(body) < _START:
            raise RemoteProtocolError(f"a query of {len(body)} bytes")
        guid, ttl, hops = _HEAD.unpack_from(body)
        kind, algorithm, want, least, most, length = _REST.unpack_from(body, _HEAD.size)
        if kind >= len(_KINDS) or algorithm >= len(_DIGESTS) or not 0 < want <= MAX_WANT:
            raise RemoteProtocolError(
                f"a query of kind {kind} for {want} files by hash {algorithm}"
            )
        if least > MAX_SIZE or MAX_SIZE < most < _ENDLESS:
            raise RemoteProtocolError(f"a query for files of {least} to {most} bytes")
        name, size = _DIGESTS[algorithm]
        start = _START + size
        middle = start + length
        if middle > len(body) or len(body) - start > MAX_TEXT:
            raise RemoteProtocolError(f"a query of {len(body)} bytes with {length} of words")
        return cls(
            guid,
            ttl,
            hops,
            _read_words(body[start:middle]),
            _read_words(body[middle:]),
            _KINDS[kind],
            least,
            None if most == _ENDLESS else most,
            (name, body[_START:start]) if algorithm else None,
            want,
        )

    @staticmethod
    def head(body: bytes) -> Head:
        """The start of a body, without a look at the rest. Raises RemoteProtocolError."""
        try:
            return Head._make(_HEAD.unpack_from(body))
        except StructError as error:
            raise RemoteProtocolError(f"a query of {len(body)} bytes") from error

    @staticmethod
    def hopped(body: bytes, ttl: int | None = None) -> Frame:
        """As it is one hop further, with what is left of its TTL, or of `ttl`, where it said too much.

        Raises LocalProtocolError when it may not go that far, RemoteProtocolError when it is none.
        """
        guid, told, hops = Query.head(body)
        left = (told if ttl is None else ttl) - 1
        return Frame(FrameKind.QUERY, _pack_head(guid, left, hops + 1) + body[_HEAD.size :])


@dataclass(frozen=True, slots=True)
class End(DictionaryMessage):
    """Of a visitor's question: that was all, and whom to ask next."""

    kind: ClassVar[int] = FrameKind.END

    guid: bytes
    hits: int
    hosts: tuple[Entry, ...] = ()

    @override
    def _written(self) -> dict[str, Value]:
        return {"guid": self.guid, "hits": self.hits, "hosts": pack_entries(self.hosts)}

    @override
    @classmethod
    def read(cls, body: bytes) -> Self:
        fields = Fields(body)
        hits = fields.number("hits", 0, MAX_HITS)
        return cls(fields.node("guid"), hits, read_entries(fields.raw("hosts")))


@dataclass(frozen=True, slots=True)
class Stop(DictionaryMessage):
    """Whoever asked has enough."""

    kind: ClassVar[int] = FrameKind.STOP

    guid: bytes

    @override
    def _written(self) -> dict[str, Value]:
        return {"guid": self.guid}

    @override
    @classmethod
    def read(cls, body: bytes) -> Self:
        return cls(Fields(body).node("guid"))


def _pack_head(guid: bytes, ttl: int, hops: int) -> bytes:
    if not (0 <= ttl < 256 and 0 <= hops < 256):
        raise LocalProtocolError(f"a query with TTL {ttl} and {hops} hops")
    return _HEAD.pack(check_node(guid), ttl, hops)


def _pack_words(words: tuple[str, ...]) -> bytes:
    text = " ".join(words)
    if not _WORDS.fullmatch(text) or not all(words) or " " in "".join(words):
        raise LocalProtocolError(f"{words} are no words")
    return pack_text(text, MAX_TEXT)


def _read_words(data: bytes) -> tuple[str, ...]:
    text = read_text(data)
    if not _WORDS.fullmatch(text):
        raise RemoteProtocolError(f"{text[:40]!r} are no words")
    return tuple(text.split(" ")) if text else ()


def _pack_digest(digest: tuple[str, bytes] | None) -> tuple[int, bytes]:
    """Its number and its bytes. Raises LocalProtocolError for a hash that nobody here knows."""
    name, value = digest or ("", b"")
    try:
        return _DIGESTS.index((name, len(value))), value
    except ValueError as error:
        raise LocalProtocolError(
            f"{name} of {len(value)} bytes is no hash that can be asked for"
        ) from error
