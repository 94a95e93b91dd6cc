"""What is said in a call that sends files.

Frames of a call, of kinds that voice and chat do not know: what is offered and which of it is taken; the
torrents of those; and the streams on which both sides are peers of these torrents.
"""

from dataclasses import dataclass
from struct import Struct
from typing import ClassVar, Self

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.wire.calling.frames import MOST_BODY
from p2pswarm.wire.calling.lists import ParcelKind, read_list, read_number, written

__all__ = [
    "MOST_PARCELS",
    "MOST_TORRENT",
    "SEND",
    "Bytes",
    "Done",
    "Offer",
    "Open",
    "Parcel",
    "Shut",
    "Take",
    "TorrentPart",
]

SEND = "send"
"""What such a call wants (`CallHello`)."""
MOST_PARCELS = 40  # of one call: their names fit one frame
MOST_TORRENT = 10 << 20  # bytes; as of a torrent file
_MOST_NAME = 255  # bytes
_MOST_SIZE = (1 << 63) - 1

_INDEX = Struct(">H")
_OPEN = Struct(">HH")


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
        return written(
            self,
            [[each.name.encode(), each.size, each.files, each.torrent] for each in self.parcels],
        )

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Raises RemoteProtocolError."""
        rows = read_list(body, MOST_PARCELS)
        if not rows:
            raise RemoteProtocolError("an offer of nothing")
        return cls(tuple(_parcel(row) for row in rows))


@dataclass(frozen=True, slots=True)
class Take:
    """These of them, by their place in the offer; none is no, thank you."""

    kind: ClassVar[ParcelKind] = ParcelKind.TAKE

    indexes: tuple[int, ...]

    def encode(self) -> bytes:
        return written(self, list(self.indexes))

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Raises RemoteProtocolError."""
        indexes = tuple(
            read_number(each, MOST_PARCELS - 1) for each in read_list(body, MOST_PARCELS)
        )
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


def _parcel(row: object) -> Parcel:
    match row:
        case [bytes(name), size, files, torrent] if 0 < len(name) <= _MOST_NAME:
            return Parcel(
                _shown(name),
                read_number(size, _MOST_SIZE),
                read_number(files, _MOST_SIZE),
                read_number(torrent, MOST_TORRENT),
            )
        case _:
            raise RemoteProtocolError("an offer of something without a name or size")


def _indexed(body: bytes) -> tuple[int, bytes]:
    if len(body) < _INDEX.size:
        raise RemoteProtocolError("a frame that ends too early")
    return _INDEX.unpack_from(body)[0], body[_INDEX.size :]


def _shown(data: bytes) -> str:
    """Shown to people as it is, so what cannot be shown is replaced."""
    text = data.decode("utf-8", "replace")
    return "".join(each if each.isprintable() else "\ufffd" for each in text)
