"""Frames of the Napster protocol, and what every message of it is.

A frame is the length of its data (u16, little endian), its number (u16) and the data, a line of text. A
line that cannot be read becomes a `Malformed`, because a server answers it and goes on; a frame that is too
long is a reason to hang up.
"""

from dataclasses import dataclass
from struct import Struct
from typing import ClassVar

from typing_extensions import override

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.wire.fields import Line, as_bytes, as_text
from p2pswarm.wire.framer import CuttingFramer, Scratch

__all__ = [
    "MAX_COMMAND",
    "MAX_DIRECTORY",
    "MAX_REPLY",
    "AboutFile",
    "AboutNick",
    "Bare",
    "Count",
    "Malformed",
    "Message",
    "NapsterFramer",
    "NickText",
    "Text",
    "Unknown",
]

MAX_COMMAND = 2048  # bytes of data in a client's message; OpenNap's max_command_length
MAX_DIRECTORY = 16 << 10  # of message 870, which lists many files
MAX_REPLY = 16 << 10  # of a server's message

_HEAD = Struct("<HH")
_SHARE_DIRECTORY = 870
_KINDS: dict[int, type["Message"]] = {}


class Message(Line):
    """A message of the protocol; its class knows its number."""

    __slots__ = ()
    number: ClassVar[int]

    @override
    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        # A slotted dataclass is made twice; the second, which has the slots, is the one that stays.
        if "number" in vars(cls):
            _KINDS[cls.number] = cls

    def encode(self) -> bytes:
        """Raises LocalProtocolError when the fields cannot be said in this protocol."""
        data = as_bytes(self.written())
        if len(data) > 0xFFFF:
            raise LocalProtocolError(f"message {self.number} would have {len(data)} bytes")
        return _HEAD.pack(len(data), self.number) + data


@dataclass(slots=True)
class Unknown:
    """A number nobody told us about."""

    number: int
    data: bytes


@dataclass(slots=True)
class Malformed:
    """A message we know whose line does not say what it should; `why` is for a person."""

    number: int
    why: str


class NapsterFramer(CuttingFramer):
    """Cuts frames; `most` is how many bytes of data one may have (870: at least `MAX_DIRECTORY`)."""

    def __init__(self, scratch: Scratch | None = None, most: int = MAX_REPLY) -> None:
        super().__init__(scratch)
        self._most = most

    @override
    def _cut(self, view: memoryview, into: list[object]) -> int:
        at, end, most = 0, len(view), self._most
        while end - at >= 4:
            length, number = _HEAD.unpack_from(view, at)
            if length > most and (number != _SHARE_DIRECTORY or length > MAX_DIRECTORY):
                raise RemoteProtocolError(f"message {number} of {length} bytes")
            stop = at + 4 + length
            if stop > end:
                break
            into.append(_read(number, view[at + 4 : stop].tobytes()))
            at = stop
        return at


def _read(number: int, data: bytes) -> object:
    kind = _KINDS.get(number)
    if kind is None:
        return Unknown(number, data)
    try:
        return kind.read(as_text(data))
    except ValueError as error:
        return Malformed(number, str(error))


# The lines that many messages share


@dataclass(slots=True)
class Bare(Message):
    """A message that is only its number; some programs say more, which means nothing."""

    layout = "text..."

    text: str = ""


@dataclass(slots=True)
class Text(Message):
    """For people to read."""

    layout = "text..."

    text: str


@dataclass(slots=True)
class Count(Message):
    """A client says nothing, the server how many."""

    layout = "[#count]"

    count: int | None = None


@dataclass(slots=True)
class AboutNick(Message):
    """About somebody."""

    layout = "nick"

    nick: str


@dataclass(slots=True)
class NickText(Message):
    """To somebody or from somebody."""

    layout = "nick text..."

    nick: str
    text: str


@dataclass(slots=True)
class AboutFile(Message):
    """About a file: the nick is whose it is, or who wants it."""

    layout = 'nick "name"'

    nick: str
    name: str
