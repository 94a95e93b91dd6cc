"""What is said in a call that sends files or messages: the kinds of its frames, and lists of few values."""

from enum import IntEnum
from typing import Any, Protocol

from p2pswarm.errors import BencodeError, LocalProtocolError, RemoteProtocolError
from p2pswarm.formats import bencode
from p2pswarm.wire.calling.frames import MOST_BODY

__all__ = ["ParcelKind", "read_list", "read_number", "written"]


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


class _Message(Protocol):
    def read(self, body: bytes, /) -> object: ...


def written(message: _Message, rows: list[Any]) -> bytes:
    """Raises LocalProtocolError for what nobody would read."""
    body = bencode.encode(rows)
    try:
        message.read(body)
    except RemoteProtocolError as error:
        raise LocalProtocolError(f"{message!r:.100} cannot be said: {error}") from error
    return body


def read_list(body: bytes, most: int) -> list[Any]:
    """Raises RemoteProtocolError."""
    try:
        rows = bencode.decode(body, max_depth=3, max_size=MOST_BODY, max_tokens=400)
    except BencodeError as error:
        raise RemoteProtocolError(str(error)) from error
    if not isinstance(rows, list) or len(rows) > most:
        raise RemoteProtocolError(f"no list of at most {most}")
    return rows


def read_number(value: object, most: int) -> int:
    """Raises RemoteProtocolError."""
    if not isinstance(value, int) or not 0 <= value <= most:
        raise RemoteProtocolError(f"{value!r:.40} is not a number up to {most}")
    return value
