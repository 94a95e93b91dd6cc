"""Frames of a call: who speaks, what, and what of the other's was heard.

```
length 2 · kind 1 · number 4 · heard 4 · body
```

Numbers are what lets a call change its path: one side counts what it says, the other one tells the last
number that it heard, in every frame of its own, and what was not heard is said again on the next connection.
A frame with the number 0 is not counted and not said again.
"""

from dataclasses import dataclass
from enum import IntEnum
from struct import Struct

from typing_extensions import override

from p2pswarm.errors import BencodeError, LocalProtocolError, RemoteProtocolError
from p2pswarm.formats import bencode
from p2pswarm.wire.framer import CuttingFramer

__all__ = ["HEAD_SIZE", "MOST_BODY", "CallFrame", "CallFramer", "CallHello", "CallKind"]

MOST_BODY = 16 << 10  # others wait behind it: a fifth of a second at 640 kbit/s
SESSION_SIZE, KEY_SIZE = 16, 32  # bytes
_MOST_WANT = 32  # characters
_HEAD = Struct(">HBII")
HEAD_SIZE = _HEAD.size


class CallKind(IntEnum):
    """What a frame is. Kinds from tomorrow are heard, counted and passed over."""

    HELLO = 0x01
    HEARD = 0x02
    BYE = 0x03
    PLACES = 0x04
    TEXT = 0x10
    DATA = 0x11
    DATA_END = 0x12
    MEDIA = 0x20
    SAID = 0x21


@dataclass(slots=True, repr=False)
class CallFrame:
    """One frame; `kind` may be a number that `CallKind` does not know."""

    kind: int
    number: int = 0
    heard: int = 0
    body: bytes = b""

    def encode(self) -> bytes:
        """Raises LocalProtocolError for what nobody would read."""
        if len(self.body) > MOST_BODY:
            raise LocalProtocolError(f"{self!r} cannot be said")
        return _HEAD.pack(len(self.body), self.kind, self.number, self.heard) + self.body

    @override
    def __repr__(self) -> str:
        known = self.kind in tuple(CallKind)
        name = CallKind(self.kind).name if known else f"kind {self.kind:#04x}"
        return f"<{name} {self.number} of {len(self.body)} bytes, heard {self.heard}>"


class CallFramer(CuttingFramer):
    """Cuts frames."""

    @override
    def _cut(self, view: memoryview, into: list[object]) -> int:
        at = 0
        while len(view) - at >= HEAD_SIZE:
            size, kind, number, heard = _HEAD.unpack_from(view, at)
            if size > MOST_BODY:
                raise RemoteProtocolError(f"a frame of kind {kind:#04x} with {size} bytes")
            start = at + HEAD_SIZE
            if start + size > len(view):
                break
            at = start + size
            into.append(CallFrame(kind, number, heard, view[start:at].tobytes()))
        return at


@dataclass(frozen=True, slots=True)
class CallHello:
    """The first frame on every connection of a call: which call, what for, and half of the media's keys."""

    session: bytes
    want: str
    """`call`, `pipe` …: what the caller wants; the other side repeats it."""
    key: bytes

    def encode(self) -> bytes:
        fields = {
            b"key": self.key,
            b"session": self.session,
            b"want": self.want.encode("ascii", "replace"),
        }
        return bencode.encode(fields)

    @classmethod
    def read(cls, body: bytes) -> "CallHello":
        """Raises RemoteProtocolError."""
        try:
            fields = bencode.decode(body, max_depth=4, max_tokens=256)
        except BencodeError as error:
            raise RemoteProtocolError(f"a greeting that is {error}") from error
        if not isinstance(fields, dict):
            raise RemoteProtocolError("a greeting that is no dictionary")
        session, want, key = (fields.get(name) for name in (b"session", b"want", b"key"))
        if not isinstance(session, bytes) or len(session) != SESSION_SIZE:
            raise RemoteProtocolError("a greeting without its session")
        if not isinstance(key, bytes) or len(key) != KEY_SIZE:
            raise RemoteProtocolError("a greeting without its half of the keys")
        if not isinstance(want, bytes) or not 0 < len(want) <= _MOST_WANT or not want.isalnum():
            raise RemoteProtocolError("a greeting that does not say what is wanted")
        return cls(session, want.decode("ascii"), key)
