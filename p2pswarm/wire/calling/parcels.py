"""What is said in a call that sends files, or words for somebody who was not there.

Frames of a call, of kinds that voice and chat do not know. Files: what is offered and which of it is taken;
the torrents of those; and the streams on which both sides are peers of these torrents.
"""

from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import Any, ClassVar, Self

from p2pswarm.errors import BencodeError, LocalProtocolError, RemoteProtocolError
from p2pswarm.formats import bencode
from p2pswarm.wire.calling.frames import MOST_BODY

__all__ = [
    "MESSAGE",
    "MOST_PARCELS",
    "MOST_TORRENT",
    "SEND",
    "Bytes",
    "Done",
    "Kept",
    "Left",
    "Message",
    "Offer",
    "Open",
    "Parcel",
    "ParcelKind",
    "Shut",
    "Take",
    "TorrentPart",
]

SEND, MESSAGE = "send", "message"
"""What a call of this kind wants (`CallHello`)."""
MOST_PARCELS = 40  # of one call: their names fit one frame
MOST_TORRENT = 10 << 20  # bytes; as of a torrent file
MOST_TEXT = 4000  # bytes of a message
_MOST_NAME = 255  # bytes
_MOST_SIZE = (1 << 63) - 1
_MOST_TIME = 1 << 53

_INDEX = Struct(">H")
_OPEN = Struct(">HH")


class ParcelKind(IntEnum):
    """Numbers of frames; those of `CallKind` are others."""

    OFFER = 0x30
    TAKE = 0x31
    TORRENT = 0x32
    DONE = 0x33
    OPEN = 0x34
    BYTES = 0x35
    SHUT = 0x36
    MESSAGE = 0x38
    KEPT = 0x39
    LEFT = 0x3A


@dataclass(frozen=True, slots=True)
class Parcel:
    """A file or folder: its name, bytes of all its files, how many those are, bytes of its torrent."""

    name: str
    size: int
    files: int
    torrent: int


@dataclass(frozen=True, slots=True)
class Offer:
    """Would you like these?"""

    kind: ClassVar[ParcelKind] = ParcelKind.OFFER

    parcels: tuple[Parcel, ...]

    def encode(self) -> bytes:
        return _said(
            self,
            [[each.name.encode(), each.size, each.files, each.torrent] for each in self.parcels],
        )

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Raises RemoteProtocolError."""
        rows = _list(body, MOST_PARCELS)
        if not rows:
            raise RemoteProtocolError("an offer of nothing")
        return cls(tuple(_parcel(row) for row in rows))


@dataclass(frozen=True, slots=True)
class Take:
    """These of them, by their place in the offer; none is no, thank you."""

    kind: ClassVar[ParcelKind] = ParcelKind.TAKE

    indexes: tuple[int, ...]

    def encode(self) -> bytes:
        return _said(self, list(self.indexes))

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Raises RemoteProtocolError."""
        indexes = tuple(_number(each, MOST_PARCELS - 1) for each in _list(body, MOST_PARCELS))
        if len(set(indexes)) < len(indexes):
            raise RemoteProtocolError("the same taken twice")
        return cls(indexes)


@dataclass(frozen=True, slots=True)
class TorrentPart:
    """More of the torrent of this one; the offer said how long it is."""

    kind: ClassVar[ParcelKind] = ParcelKind.TORRENT
    most: ClassVar[int] = MOST_BODY - _INDEX.size

    index: int
    data: bytes

    def encode(self) -> bytes:
        return _INDEX.pack(self.index) + self.data

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Raises RemoteProtocolError."""
        return cls(*_indexed(body))


@dataclass(frozen=True, slots=True)
class Done:
    """This one is here, whole and verified; or why it will not be."""

    kind: ClassVar[ParcelKind] = ParcelKind.DONE

    index: int
    why_not: str = ""

    def encode(self) -> bytes:
        return _INDEX.pack(self.index) + self.why_not.encode("utf-8", "replace")[:_MOST_NAME]

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Raises RemoteProtocolError."""
        index, text = _indexed(body)
        return cls(index, _shown(text[:_MOST_NAME]))


@dataclass(frozen=True, slots=True)
class Open:
    """A stream with a new number, about the torrent of this one. The taker speaks first."""

    kind: ClassVar[ParcelKind] = ParcelKind.OPEN

    stream: int
    index: int

    def encode(self) -> bytes:
        return _OPEN.pack(self.stream, self.index)

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Raises RemoteProtocolError."""
        if len(body) != _OPEN.size:
            raise RemoteProtocolError("a stream that is about nothing")
        return cls(*_OPEN.unpack(body))


@dataclass(frozen=True, slots=True)
class Bytes:
    """What is said on a stream."""

    kind: ClassVar[ParcelKind] = ParcelKind.BYTES
    most: ClassVar[int] = MOST_BODY - _INDEX.size

    stream: int
    data: bytes

    def encode(self) -> bytes:
        return _INDEX.pack(self.stream) + self.data

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Raises RemoteProtocolError."""
        return cls(*_indexed(body))


@dataclass(frozen=True, slots=True)
class Shut:
    """That stream is over, both ways."""

    kind: ClassVar[ParcelKind] = ParcelKind.SHUT

    stream: int

    def encode(self) -> bytes:
        return _INDEX.pack(self.stream)

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Raises RemoteProtocolError."""
        return cls(_indexed(body)[0])


@dataclass(frozen=True, slots=True)
class Message:
    """Words for somebody who was not there; `number` grows from one to the next of the same sender."""

    kind: ClassVar[ParcelKind] = ParcelKind.MESSAGE

    number: int
    time: int  # seconds since 1970 when it was written, as the sender says
    text: str

    def encode(self) -> bytes:
        return _said(self, [self.number, self.time, self.text.encode("utf-8", "replace")])

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Raises RemoteProtocolError."""
        match _list(body, 3):
            case [number, time, bytes(text)] if 0 < len(text) <= MOST_TEXT:
                words = _text(text)
                return cls(_number(number, _MOST_TIME), _number(time, _MOST_TIME), words)
            case _:
                raise RemoteProtocolError("a message that is none")


@dataclass(frozen=True, slots=True)
class Kept:
    """All messages up to this number are with us, for good."""

    kind: ClassVar[ParcelKind] = ParcelKind.KEPT

    number: int

    def encode(self) -> bytes:
        return _said(self, [self.number])

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Raises RemoteProtocolError."""
        match _list(body, 1):
            case [number]:
                return cls(_number(number, _MOST_TIME))
            case _:
                raise RemoteProtocolError("a receipt for nothing")


@dataclass(frozen=True, slots=True)
class Left:
    """There are no more messages."""

    kind: ClassVar[ParcelKind] = ParcelKind.LEFT

    def encode(self) -> bytes:
        return b""

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Raises RemoteProtocolError."""
        if body:
            raise RemoteProtocolError("an end that goes on")
        return cls()


def _said(message: Offer | Take | Message | Kept, rows: list[Any]) -> bytes:
    """Raises LocalProtocolError for what nobody would read."""
    body = bencode.encode(rows)
    try:
        message.read(body)
    except RemoteProtocolError as error:
        raise LocalProtocolError(f"{message!r:.100} cannot be said: {error}") from error
    return body


def _list(body: bytes, most: int) -> list[Any]:
    try:
        rows = bencode.decode(body, max_depth=3, max_size=MOST_BODY, max_tokens=400)
    except BencodeError as error:
        raise RemoteProtocolError(str(error)) from error
    if not isinstance(rows, list) or len(rows) > most:
        raise RemoteProtocolError(f"no list of at most {most}")
    return rows


def _parcel(row: object) -> Parcel:
    match row:
        case [bytes(name), size, files, torrent] if 0 < len(name) <= _MOST_NAME:
            return Parcel(
                _shown(name),
                _number(size, _MOST_SIZE),
                _number(files, _MOST_SIZE),
                _number(torrent, MOST_TORRENT),
            )
        case _:
            raise RemoteProtocolError("an offer of something without a name or size")


def _number(value: object, most: int) -> int:
    if not isinstance(value, int) or not 0 <= value <= most:
        raise RemoteProtocolError(f"{value!r:.40} is not a number up to {most}")
    return value


def _indexed(body: bytes) -> tuple[int, bytes]:
    if len(body) < _INDEX.size:
        raise RemoteProtocolError("a frame that ends too early")
    return _INDEX.unpack_from(body)[0], body[_INDEX.size :]


def _text(data: bytes) -> str:
    """Raises RemoteProtocolError."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise RemoteProtocolError("a message that is no text") from error


def _shown(data: bytes) -> str:
    """Shown to people as it is, so what cannot be shown is replaced."""
    text = data.decode("utf-8", "replace")
    return "".join(each if each.isprintable() else "\ufffd" for each in text)
