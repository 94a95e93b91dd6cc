"""What is said at a rendezvous: by who gives a code, by who has one, and by the place where they meet.

One message is one binary message of a WebSocket: a byte for its kind, then a bencoded dictionary. What the
two say to each other is in `body` and none of the rendezvous' business. The table is in
docs/protocols/codes.md.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, TypeAlias

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.formats import bencode
from p2pswarm.formats.code import MOST_NUMBER
from p2pswarm.wire.supernode.dictionary import Fields

__all__ = [
    "MOST_BODY",
    "MOST_MESSAGE",
    "PATH",
    "TOKEN_SIZE",
    "Ask",
    "Claim",
    "Claimed",
    "Left",
    "Message",
    "Refused",
    "Said",
    "Why",
    "decode",
    "encode",
]

PATH = "/code"
TOKEN_SIZE = 16
MOST_BODY = 12 << 10  # bytes; a magnet link with everything that it may say has fewer
MOST_MESSAGE = MOST_BODY + 256
MOST_TTL = 7 * 86400  # seconds
MOST_RETRY = 3600  # seconds
MOST_VISIT = 1 << 32


class Why(IntEnum):
    """Why somebody is sent away."""

    UNKNOWN = 1
    """Nobody gives this number: not yet, or not any more."""
    TAKEN = 2
    """Somebody else has this number."""
    BUSY = 3
    """Too much at a time: later."""
    RUDE = 4
    """It broke the protocol."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A giver: a number for so many seconds. With `number` and `token` it is the one that it had."""

    kind: ClassVar = 1
    ttl: int
    number: int = 0
    token: bytes = b""


@dataclass(frozen=True, slots=True)
class Claimed:
    """To the giver: it has this number, and proves it with this token when it comes again."""

    kind: ClassVar = 2
    number: int
    token: bytes
    you: str = ""
    """The address that it is seen with."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A taker: for whoever gives this number."""

    kind: ClassVar = 3
    number: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Said:
    """From one to the other; the giver tells takers apart by `visit`, for a taker it is 0."""

    kind: ClassVar = 4
    visit: int
    body: bytes
    host: str = ""
    """To a giver: the address that the taker is seen with."""


@dataclass(frozen=True, slots=True)
class Left:
    """To a giver: this taker is gone. From a giver: send it away; of visit 0: the number is free again."""

    kind: ClassVar = 5
    visit: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The last word of the rendezvous; `retry`: in how many seconds it may be tried again, 0 for never."""

    kind: ClassVar = 6
    why: Why
    retry: int = 0


Message: TypeAlias = Claim | Claimed | Ask | Said | Left | Refused


def encode(message: Message) -> bytes:
    """Raises LocalProtocolError for what nobody would read."""
    names = (name for name in type(message).__slots__)
    said = {name.encode(): _plain(getattr(message, name)) for name in names}
    data = bytes([message.kind]) + bencode.encode(said)
    try:
        decode(data)
    except RemoteProtocolError as error:
        raise LocalProtocolError(f"{message!r} cannot be said: {error}") from error
    return data


def decode(data: bytes) -> Message:
    """Raises RemoteProtocolError."""
    if not data or len(data) > MOST_MESSAGE:
        raise RemoteProtocolError(f"a message of {len(data)} bytes")
    fields = Fields(data[1:])
    match data[0]:
        case Claim.kind:
            ttl = fields.number("ttl", 1, MOST_TTL)
            number = fields.number("number", 0, MOST_NUMBER)
            return Claim(ttl, number, fields.raw("token", TOKEN_SIZE if number else 0))
        case Claimed.kind:
            token = fields.raw("token", TOKEN_SIZE)
            return Claimed(fields.number("number", 1, MOST_NUMBER), token, fields.text("you", 64))
        case Ask.kind:
            return Ask(fields.number("number", 1, MOST_NUMBER), _body(fields))
        case Said.kind:
            host = fields.text("host", 64)
            return Said(fields.number("visit", 0, MOST_VISIT), _body(fields), host)
        case Left.kind:
            return Left(fields.number("visit", 0, MOST_VISIT))
        case Refused.kind:
            why = Why(fields.number("why", min(Why), max(Why)))
            return Refused(why, fields.number("retry", 0, MOST_RETRY))
        case kind:
            raise RemoteProtocolError(f"a message of the kind {kind}")


def _body(fields: Fields) -> bytes:
    body = fields.raw("body")
    if len(body) > MOST_BODY:
        raise RemoteProtocolError(f"a body of {len(body)} bytes, at most {MOST_BODY} are read")
    return body


def _plain(value: int | str | bytes) -> int | bytes:
    return value.encode() if isinstance(value, str) else value
