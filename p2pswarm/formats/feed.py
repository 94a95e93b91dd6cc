"""A publisher's feed: all its releases in one log, each entry signed and chained to the one before.

BEP 46 tells the newest torrent of a publisher and forgets the others. The log remembers: nobody but the
holder of the key can add to it, and not even the holder can change what was said. It is described in
`docs/protocols/feed.md`. Sans-IO.

The one hard thing: an entry must have one form, because it is named by its hash and kept by many. What is not
canonical, or says more than it has to, is no entry. How entries become a log is in `feed_log`.
"""

from dataclasses import dataclass
from hashlib import sha1, sha256
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from p2pswarm.errors import FormatError
from p2pswarm.formats import bencode
from p2pswarm.formats.ids import InfoHash

if TYPE_CHECKING:
    from p2pswarm.formats.signing import SigningKey

__all__ = ["FIRST", "MAX_ENTRIES", "MAX_ENTRY", "Entry", "FeedName"]

MAX_ENTRY = 1000  # bytes, as of an item of the DHT (BEP 44); real ones have about 350
MAX_ENTRIES = 10_000  # of a feed: ten megabytes at most. A new salt begins a new feed
_MAX_SALT = 64  # bytes; BEP 44
_MAX_NAME = 255  # bytes
_MAX_NUMBER = 1 << 53  # of times and sizes: what JSON can hold
FIRST = bytes(32)
"""What the first entry comes after."""
_KEYS = {b"feed", b"name", b"prev", b"salt", b"seq", b"size", b"time"}


class FeedName(NamedTuple):
    """Whose feed it is, and which of that key's: with its salt, as items of the DHT have one."""

    key: bytes
    salt: bytes = b""

    @property
    def info_hash(self) -> InfoHash:
        """Under which its followers find each other. No torrent can have it: its info would begin so."""
        return InfoHash(sha1(b"p2pswarm feed\0" + self.key + self.salt).digest())  # noqa: S324


@dataclass(frozen=True, slots=True)
class Entry:
    """One release. `raw` is the entry as it travels, `text` the part of it that is signed."""

    raw: bytes
    text: bytes
    signature: bytes
    feed: FeedName
    sequence: int
    previous: bytes
    time: int  # seconds since 1970, as the publisher says
    name: str
    size: int  # bytes of all its files
    info_hash: InfoHash | None  # at least one of the two
    v2: bytes | None

    @property
    def digest(self) -> bytes:
        """By which the next entry names this one. Not of the signature, which may have a second form."""
        return sha256(self.text).digest()

    @property
    def short(self) -> InfoHash:
        """The info-hash in 20 bytes, as BEP 46 has it."""
        return self.info_hash or InfoHash((self.v2 or b"")[:20])

    @property
    def genuine(self) -> bool:
        """Whether the holder of the key signed it."""
        from p2pswarm.formats.signing import is_signed  # late: see there

        return is_signed(self.text, self.signature, self.feed.key)

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """In canonical bencode, or not at all: one entry has one form. Raises FormatError.

        Whether the signature is right, `genuine` says.
        """
        outer = bencode.decode(raw, max_depth=3, max_size=MAX_ENTRY, max_tokens=100)
        body = outer.get(b"body") if isinstance(outer, dict) else None
        signature = outer.get(b"sig") if isinstance(outer, dict) else None
        where = bencode.span(raw, b"body") if isinstance(outer, dict) else None
        if not isinstance(body, dict) or where is None or len(outer) != 2:
            raise FormatError("not an entry of a feed")
        if bencode.encode(outer) != raw:
            raise FormatError("an entry of a feed that is not in canonical form")
        return cls(raw, raw[slice(*where)], _bytes(signature, 64), **_fields(body))

    @classmethod
    def signed(
        cls,
        key: "SigningKey",
        salt: bytes,
        before: "Entry | None",
        *,
        info_hash: InfoHash | None,
        v2: bytes | None = None,
        name: str,
        size: int,
        time: int,
    ) -> Self:
        """The next one after `before`. Raises FormatError when it cannot be one."""
        body: dict[bytes, Any] = {
            b"feed": key.public,
            b"salt": salt,
            b"seq": before.sequence + 1 if before else 1,
            b"prev": before.digest if before else FIRST,
            b"time": time,
            b"name": _printable(name),
            b"size": size,
        }
        body |= {b"v1": bytes(info_hash)} if info_hash else {}
        body |= {b"v2": v2} if v2 else {}
        text = bencode.encode(body)
        return cls.decode(bencode.encode({b"body": body, b"sig": key.sign(text)}))


def _fields(body: dict[bytes, Any]) -> dict[str, Any]:
    if not _KEYS <= body.keys() <= _KEYS | {b"v1", b"v2"} or not body.keys() & {b"v1", b"v2"}:
        raise FormatError("an entry of a feed that says too little, or too much")
    sequence, previous = _number(body[b"seq"]), _bytes(body[b"prev"], 32)
    if not 0 < sequence <= MAX_ENTRIES or (previous == FIRST) != (sequence == 1):
        raise FormatError(f"entry {sequence} of a feed")
    return {
        "feed": FeedName(_bytes(body[b"feed"], 32), _bytes(body[b"salt"], most=_MAX_SALT)),
        "sequence": sequence,
        "previous": previous,
        "time": _number(body[b"time"]),
        "name": _text(body[b"name"]),
        "size": _number(body[b"size"]),
        "info_hash": InfoHash(_bytes(body[b"v1"], 20)) if b"v1" in body else None,
        "v2": _bytes(body[b"v2"], 32) if b"v2" in body else None,
    }


def _number(value: object) -> int:
    if not isinstance(value, int) or not 0 <= value < _MAX_NUMBER:
        raise FormatError("a number in an entry of a feed that is none, or too large")
    return value


def _bytes(value: object, size: int | None = None, most: int = MAX_ENTRY) -> bytes:
    if not isinstance(value, bytes) or len(value) > most or size not in (None, len(value)):
        raise FormatError("a part of an entry of a feed that is missing, or has the wrong size")
    return value


def _text(value: object) -> str:
    """Shown to people as it is, so what is no text is refused."""
    try:
        text = _bytes(value, most=_MAX_NAME).decode()
    except UnicodeDecodeError:
        text = ""
    if not text or not text.isprintable():
        raise FormatError("the name in an entry of a feed is no text")
    return text


def _printable(name: str) -> bytes:
    """Of a name what can be shown, cut at a character."""
    clean = "".join(char if char.isprintable() else " " for char in name)
    cut = clean.encode(errors="replace")[:_MAX_NAME].decode(errors="ignore")
    return (cut.strip() or "?").encode()
