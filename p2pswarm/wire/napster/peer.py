"""What two Napster clients say to each other: no frames, hardly any ends.

Who is dialed says `1`. Then who dialed says what it came for:

    GET + `nick "name" offset`      I want that; answered with the size in digits, and the bytes from there
    SEND + `nick "name" size`       you asked me to push it; answered with the offset, then come the bytes
    GETLIST, SENDLIST + `nick`      the same for the list of shared files

The one hard thing: a number has no end. A head's number ends with the segment it came in, since every
client writes a head in one go; a size ends where the bytes begin, which may be digits themselves, so the
size that the search told is what decides.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from typing_extensions import override

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.wire.fields import as_bytes, as_text, quoted
from p2pswarm.wire.framer import CuttingFramer, Scratch
from p2pswarm.wire.napster.files import Share

__all__ = [
    "HELLO",
    "GetFile",
    "GetList",
    "HeadFramer",
    "HelloFramer",
    "ListFramer",
    "NumberFramer",
    "PeerHello",
    "Refusal",
    "SendFile",
    "SendList",
    "SizeFramer",
    "StatedNumber",
    "list_lines",
]

HELLO = b"1"
_MOST_HEAD = 2048  # bytes
_MOST_DIGITS = 19
_MOST_REFUSAL = 200  # bytes of a refusal that are shown

_FILE_HEAD = re.compile(rb'(GET|SEND)([^\s"]{1,64}) "([^"\x00-\x1f]{1,1024})" ?([0-9]{1,19})\s*')
_LIST_HEAD = re.compile(rb"SENDLIST ?([^\s\"]{1,64})\r?\n")


@dataclass(slots=True)
class PeerHello:
    """The other side was dialed, and listens."""


@dataclass(slots=True)
class GetFile:
    """The sender wants this file from `offset` on."""

    nick: str
    name: str
    offset: int

    def encode(self) -> bytes:
        return as_bytes(f"GET{self.nick} {quoted(self.name)} {self.offset}")


@dataclass(slots=True)
class SendFile:
    """The sender was asked to push this file, `size` bytes of it."""

    nick: str
    name: str
    size: int

    def encode(self) -> bytes:
        return as_bytes(f"SEND{self.nick} {quoted(self.name)} {self.size}")


@dataclass(slots=True)
class GetList:
    """The sender wants the list of shared files."""

    def encode(self) -> bytes:
        return b"GETLIST"


@dataclass(slots=True)
class SendList:
    """The sender was asked to push its list."""

    nick: str

    def encode(self) -> bytes:
        return as_bytes(f"SENDLIST {self.nick}\n")


@dataclass(slots=True)
class StatedNumber:
    """A size, in answer to GET; an offset, in answer to SEND."""

    value: int


@dataclass(slots=True)
class Refusal:
    """Words instead of the number: `FILE NOT SHARED`, `INVALID REQUEST`."""

    text: str


class _OneMessageFramer(CuttingFramer):
    """Cuts one message; everything after it is left for the framer that comes next."""

    def __init__(self, scratch: Scratch | None = None) -> None:
        super().__init__(scratch)
        self._done = False

    @override
    def _cut(self, view: memoryview, into: list[object]) -> int:
        if self._done or not view:
            return 0
        used, message = self._first(view[:_MOST_HEAD].tobytes())
        if message is None:
            return 0
        into.append(message)
        self._done = True
        return used

    def _first(self, data: bytes) -> tuple[int, object | None]:
        """The message that `data` begins with and its length; None while it is not whole."""
        raise NotImplementedError


class HelloFramer(_OneMessageFramer):
    """Who dialed waits for the `1`."""

    @override
    def _first(self, data: bytes) -> tuple[int, object | None]:
        if data[:1] != HELLO:
            raise RemoteProtocolError("a Napster client says 1 when it is dialed")
        return 1, PeerHello()


class HeadFramer(_OneMessageFramer):
    """Who was dialed reads what the caller came for."""

    @override
    def _first(self, data: bytes) -> tuple[int, object | None]:
        found = _FILE_HEAD.match(data)
        if found is not None:
            kind = GetFile if found[1] == b"GET" else SendFile
            return found.end(), kind(as_text(found[2]), as_text(found[3]), int(found[4]))
        if data.rstrip() == b"GETLIST":
            return len(data), GetList()
        found = _LIST_HEAD.match(data)
        if found is not None:
            return found.end(), SendList(as_text(found[1]))
        verb = data[:4]
        if not (b"GET".startswith(verb[:3]) or b"SEND".startswith(verb)) or _is_hopeless(data):
            raise RemoteProtocolError("not a Napster request")
        return 0, None


def _is_hopeless(data: bytes) -> bool:
    """A head has at most two quotes, and a list head none and one line."""
    return len(data) == _MOST_HEAD or data.count(b'"') > 2 or (b"\n" in data and b'"' not in data)


class NumberFramer(_OneMessageFramer):
    """The offset that answers SEND: whatever digits came in one go."""

    @override
    def _first(self, data: bytes) -> tuple[int, object | None]:
        return _number(data, len(data) - len(data.lstrip(b"0123456789")))


class SizeFramer(_OneMessageFramer):
    """The size that answers GET; `expected` is what the search told, the end where it fits."""

    def __init__(self, expected: int | None, scratch: Scratch | None = None) -> None:
        super().__init__(scratch)
        self._expected = b"" if expected is None else b"%d" % expected

    @override
    def _first(self, data: bytes) -> tuple[int, object | None]:
        if self._expected and data.startswith(self._expected):
            return _number(data, len(self._expected))
        if self._expected.startswith(data):
            return 0, None
        digits = len(data) - len(data.lstrip(b"0123456789"))
        if digits == len(data) and digits <= _MOST_DIGITS:
            return 0, None
        return _number(data, digits)


def _number(data: bytes, digits: int) -> tuple[int, object]:
    if digits > _MOST_DIGITS:
        raise RemoteProtocolError("a number of too many digits")
    if digits == 0:
        text = as_text(data[:_MOST_REFUSAL])
        return len(data), Refusal("".join(char if char.isprintable() else "?" for char in text))
    return digits, StatedNumber(int(data[:digits]))


def list_lines(nick: str, files: Sequence[Share]) -> bytes:
    """The answer to GETLIST: whose list it is, a line for each file, and an empty one."""
    lines = [nick, *[file.written() for file in files], "", ""]
    return as_bytes("\n".join(lines))


class ListFramer(CuttingFramer):
    """Cuts that answer: the nick as str, each file as Share, None for the end. Odd lines are left out."""

    def __init__(self, most: int, scratch: Scratch | None = None) -> None:
        super().__init__(scratch)
        self._left = most
        self._named = False

    @override
    def _cut(self, view: memoryview, into: list[object]) -> int:
        *lines, rest = view.tobytes().split(b"\n")
        if len(rest) > _MOST_HEAD:
            raise RemoteProtocolError("a line that is too long")
        for line in lines:
            self._line(as_text(line.rstrip(b"\r")), into)
        return len(view) - len(rest)

    def _line(self, line: str, into: list[object]) -> None:
        if not self._named:
            self._named = True
            into.append(line)
        elif not line:
            into.append(None)
        elif self._left > 0:
            self._left -= 1
            try:
                into.append(Share.read(line))
            except ValueError:
                return
