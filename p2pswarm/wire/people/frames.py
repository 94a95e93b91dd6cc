"""Frames of the people protocol: those of `wire/supernode/frames`, with an opening and kinds of their own.

The kinds from FIND on are the directory's: they travel in datagrams as well, with the very same bodies.
"""

from enum import IntEnum
from typing import ClassVar

from p2pswarm.wire.supernode.frames import Frame, FrameFramer

__all__ = ["MOST", "OPENING", "PeopleFrame", "PeopleFramer", "PeopleKind"]

OPENING = b"\x0fp2pswarm people"


class PeopleKind(IntEnum):
    """What a frame or a datagram is; 0x21 is none, for it would look like STUN's cookie."""

    HELLO = 0x01
    WELCOME = 0x02
    REFUSE = 0x03
    BYE = 0x04
    PING = 0x05
    PONG = 0x06
    PROVE = 0x10
    PROVED = 0x11
    RING = 0x12
    RUNG = 0x13
    ANSWER = 0x14
    DECLINE = 0x15
    CANCEL = 0x16
    RELAY = 0x20
    READY = 0x22
    SWARM = 0x23
    MEET = 0x24
    FIND = 0x30
    FOUND = 0x31
    REFERRAL = 0x32
    UNKNOWN = 0x33
    PUT = 0x34
    STORED = 0x35
    REJECTED = 0x36
    SEAT = 0x40
    SLOT = 0x41
    GOSSIP = 0x42
    GOSSIPED = 0x43
    DIGEST = 0x44
    DIFFERS = 0x45
    REVOKED = 0x46
    PART = 0x47


_LITTLE = 1 << 10
_SHEET = 1200  # bytes: what fits into a datagram
_OFFER = 4608  # an offer of 4096 bytes and what stands around it

MOST: dict[int, int] = {
    **dict.fromkeys(PeopleKind, _LITTLE),
    PeopleKind.REFUSE: 2 << 10,
    PeopleKind.BYE: 2 << 10,
    PeopleKind.PROVE: 2 << 10,
    **dict.fromkeys((PeopleKind.RING, PeopleKind.RUNG, PeopleKind.ANSWER), _OFFER),
    PeopleKind.SWARM: 8 << 10,
    **dict.fromkeys((kind for kind in PeopleKind if kind >= PeopleKind.FIND), _SHEET),
}
"""Bytes that the body of each kind may have."""


class PeopleFrame(Frame):
    """One message as it travels; `kind` may be a number that `PeopleKind` does not know."""

    __slots__ = ()
    opening: ClassVar[bytes] = OPENING
    kinds: ClassVar[type[IntEnum]] = PeopleKind
    most: ClassVar[dict[int, int]] = MOST


class PeopleFramer(FrameFramer):
    """Wants the opening, then cuts frames, of unknown kinds as well."""

    frame: ClassVar[type[Frame]] = PeopleFrame
