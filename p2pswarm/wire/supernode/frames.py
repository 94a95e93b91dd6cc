"""Frames: a length, a kind, a body that nobody has read.

A super node passes on far more queries and hits than it looks into, so a frame keeps its body as it came.
Each side says `OPENING` once, before its first frame: it tells the shared port who knocks, and the dialer
that what answers is a node of ours.

The one hard thing: a length is believed before there is anything behind it, so each kind says how long it may
be, and a frame of a kind from tomorrow still has an end. The people network frames its streams the same way,
under its own opening and with its own kinds (`wire/people/frames`).
"""

from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import ClassVar

from typing_extensions import override

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.wire.framer import CuttingFramer, Scratch

__all__ = ["HEAD_SIZE", "MOST", "OPENING", "Frame", "FrameFramer", "FrameKind"]

OPENING = b"\x12p2pswarm supernode"
HEAD_SIZE = 3
MAX_BODY = 0xFFFF

_HEAD = Struct(">HB")


class FrameKind(IntEnum):
    """What a frame is."""

    HELLO = 0x01
    WELCOME = 0x02
    REFUSE = 0x03
    BYE = 0x04
    PING = 0x05
    PONG = 0x06
    HOSTS = 0x07
    SHARE = 0x10
    UNSHARE = 0x11
    QUERY = 0x20
    HITS = 0x21
    END = 0x22
    STOP = 0x23
    PUSH = 0x30
    INVITE = 0x40
    TEST = 0x41
    VERDICT = 0x42
    PROBE = 0x43
    DATA = 0x44


_WITH_HOSTS = 8 << 10  # 200 of them, of IPv6, and some words
_LITTLE = 1 << 10

MOST: dict[int, int] = {
    **dict.fromkeys(FrameKind, _LITTLE),
    FrameKind.REFUSE: _WITH_HOSTS,
    FrameKind.BYE: _WITH_HOSTS,
    FrameKind.HOSTS: _WITH_HOSTS,
    FrameKind.SHARE: 32 << 10,
    FrameKind.UNSHARE: 32 << 10,
    FrameKind.QUERY: 2 << 10,
    FrameKind.HITS: 16 << 10,  # others wait behind it on every link of its way
    FrameKind.END: _WITH_HOSTS,
    FrameKind.INVITE: _WITH_HOSTS,
    FrameKind.DATA: 16 << 10,
}
"""Bytes that the body of each kind may have."""


@dataclass(slots=True, repr=False)
class Frame:
    """One message as it travels; `kind` may be a number that `FrameKind` does not know."""

    opening: ClassVar[bytes] = OPENING
    kinds: ClassVar[type[IntEnum]] = FrameKind
    most: ClassVar[dict[int, int]] = MOST

    kind: int
    body: bytes

    def encode(self) -> bytes:
        """Raises LocalProtocolError for a kind or a length that cannot be."""
        size = len(self.body)
        if not 0 <= self.kind < 256 or size > self.most.get(self.kind, MAX_BODY):
            raise LocalProtocolError(f"{self!r} cannot be sent")
        return _HEAD.pack(size, self.kind) + self.body

    @override
    def __repr__(self) -> str:
        known = self.kind in self.most
        name = self.kinds(self.kind).name if known else f"kind {self.kind:#04x}"
        return f"<{name} of {len(self.body)} bytes>"


class FrameFramer(CuttingFramer):
    """Wants the opening, then cuts frames, of unknown kinds as well."""

    frame: ClassVar[type[Frame]] = Frame
    last: ClassVar[int | None] = None
    """The kind after which no frame comes: what follows is left unread."""

    def __init__(self, scratch: Scratch | None = None, *, opened: bool = False) -> None:
        super().__init__(scratch)
        self.opened = opened
        """Whether the other side said who it is."""
        self._ended = False  # the last frame came

    @override
    def _cut(self, view: memoryview, into: list[object]) -> int:
        at = 0 if self.opened else self._open(view)
        end = len(view) if self.opened and not self._ended else 0
        while end - at >= HEAD_SIZE:
            size, kind = _HEAD.unpack_from(view, at)
            if size > self.frame.most.get(kind, MAX_BODY):
                raise RemoteProtocolError(f"a frame of kind {kind:#04x} with {size} bytes")
            start = at + HEAD_SIZE
            if start + size > end:
                break
            at = start + size
            into.append(self.frame(kind, view[start:at].tobytes()))
            if kind == self.last:
                self._ended = True
                break
        return at

    def _open(self, view: memoryview) -> int:
        opening = self.frame.opening
        start = view[: len(opening)].tobytes()
        if not opening.startswith(start):
            raise RemoteProtocolError(f"no node of ours begins with {start!r}")
        self.opened = start == opening
        return len(opening) if self.opened else 0
