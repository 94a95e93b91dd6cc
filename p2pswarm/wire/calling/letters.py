"""What is said in a call that brings words for somebody who was not there."""

from dataclasses import dataclass
from typing import ClassVar, Self

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.wire.calling.lists import ParcelKind, read_list, read_number, written

__all__ = ["MESSAGE", "MOST_TEXT", "Kept", "Left", "Message"]

MESSAGE = "message"
"""What such a call wants (`CallHello`)."""
MOST_TEXT = 4000  # bytes of a message
_MOST_TIME = 1 << 53


@dataclass(frozen=True, slots=True)
class Message:
    """Words for somebody who was not there; `number` grows from one to the next of the same sender."""

    kind: ClassVar[ParcelKind] = ParcelKind.MESSAGE

    number: int
    time: int  # seconds since 1970 when it was written, as the sender says
    text: str

    def encode(self) -> bytes:
        return written(self, [self.number, self.time, self.text.encode("utf-8", "replace")])

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Raises RemoteProtocolError."""
        match read_list(body, 3):
            case [number, time, bytes(text)] if 0 < len(text) <= MOST_TEXT:
                words = _text(text)
                return cls(read_number(number, _MOST_TIME), read_number(time, _MOST_TIME), words)
            case _:
                raise RemoteProtocolError("a message that is none")


@dataclass(frozen=True, slots=True)
class Kept:
    """All messages up to this number are with us, for good."""

    kind: ClassVar[ParcelKind] = ParcelKind.KEPT

    number: int

    def encode(self) -> bytes:
        return written(self, [self.number])

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Raises RemoteProtocolError."""
        match read_list(body, 1):
            case [number]:
                return cls(read_number(number, _MOST_TIME))
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


def _text(data: bytes) -> str:
    """Raises RemoteProtocolError."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise RemoteProtocolError("a message that is no text") from error
