"""Messages that are bencoded dictionaries: everything that is not flooded or indexed.

A key that we do not know is somebody's of tomorrow and is passed over; one that we know is there, and has the
type and the bounds that it must have. The bounds stand once, where a message is read: what we write is read
before it leaves.
"""

from abc import ABC, abstractmethod
from enum import StrEnum
from typing import ClassVar, Self, TypeVar

from typing_extensions import override

from p2pswarm.errors import BencodeError, LocalProtocolError, RemoteProtocolError
from p2pswarm.formats import bencode
from p2pswarm.formats.ids import Address
from p2pswarm.wire.supernode.frames import Frame
from p2pswarm.wire.supernode.packing import (
    ADDRESS_4,
    ADDRESS_6,
    NODE_SIZE,
    read_address,
    read_text,
)

__all__ = ["MAX_TEXT", "BareMessage", "DictionaryMessage", "Fields", "Value", "read_word"]

MAX_TEXT = 255  # bytes
# Ours have a dozen values in one level; the rest is for tomorrow.
_MAX_DEPTH, _MAX_TOKENS = 4, 256

Value = int | str | bytes
_Word = TypeVar("_Word", bound=StrEnum)


class Fields:
    """A body, asked for what must be in it. Everything raises RemoteProtocolError."""

    __slots__ = ("_table",)

    def __init__(self, body: bytes) -> None:
        try:
            table = bencode.decode(body, max_depth=_MAX_DEPTH, max_tokens=_MAX_TOKENS)
        except BencodeError as error:
            raise RemoteProtocolError(str(error)) from error
        if not isinstance(table, dict):
            raise RemoteProtocolError("a message that is no dictionary")
        self._table = table

    def __contains__(self, key: str) -> bool:
        return key.encode() in self._table

    def number(self, key: str, least: int, most: int) -> int:
        value = self._table.get(key.encode())
        if not isinstance(value, int) or not least <= value <= most:
            raise RemoteProtocolError(f"{key} is not a number from {least} to {most}")
        return value

    def flag(self, key: str) -> bool:
        return bool(self.number(key, 0, 1))

    def raw(self, key: str, *sizes: int) -> bytes:
        """Bytes, of one of these lengths where any are named."""
        value = self._table.get(key.encode())
        if not isinstance(value, bytes) or (sizes and len(value) not in sizes):
            raise RemoteProtocolError(f"{key} is not bytes of the right length")
        return value

    def within(self, key: str, least: int, most: int) -> bytes:
        """So many bytes."""
        value = self.raw(key)
        if not least <= len(value) <= most:
            raise RemoteProtocolError(f"{key} of {len(value)} bytes, {least} to {most} are read")
        return value

    def node(self, key: str = "node") -> bytes:
        return self.raw(key, NODE_SIZE)

    def text(self, key: str, most: int = MAX_TEXT) -> str:
        value = self.raw(key)
        if len(value) > most:
            raise RemoteProtocolError(f"{key} of {len(value)} bytes, at most {most} are read")
        return read_text(value)

    def address(self, key: str) -> Address:
        return read_address(self.raw(key, ADDRESS_4, ADDRESS_6))


class DictionaryMessage(ABC):
    """A message whose class says its kind, what it writes, and how it is read."""

    __slots__ = ()
    kind: ClassVar[int]
    frame: ClassVar[type[Frame]] = Frame

    @abstractmethod
    def _written(self) -> dict[str, Value]:
        """Its keys and values."""

    @classmethod
    @abstractmethod
    def read(cls, body: bytes) -> Self:
        """Raises RemoteProtocolError."""

    def _before(self) -> bytes:
        """What stands in front of the dictionary."""
        return b""

    def encode(self) -> Frame:
        """Raises LocalProtocolError for what nobody would read."""
        body = self._before() + bencode.encode(
            {key.encode(): _plain(v) for key, v in self._written().items()}
        )
        try:
            self.read(body)
        except RemoteProtocolError as error:
            raise LocalProtocolError(f"{self!r} cannot be said: {error}") from error
        return self.frame(self.kind, body)


class BareMessage(DictionaryMessage):
    """A message that says nothing but its kind."""

    __slots__ = ()

    @override
    def _written(self) -> dict[str, Value]:
        return {}

    @override
    @classmethod
    def read(cls, body: bytes) -> Self:
        Fields(body)
        return cls()


def read_word(words: type[_Word], text: str) -> _Word:
    """One of a few words. Raises RemoteProtocolError."""
    try:
        return words(text)
    except ValueError as error:
        raise RemoteProtocolError(
            f"{text!r} is no {words.__name__.lower()} that we know"
        ) from error


def _plain(value: Value) -> int | bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")  # which is not read again
    return int(value) if isinstance(value, int) else value
