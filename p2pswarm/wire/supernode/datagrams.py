"""Asking a super node by UDP how full it is, before anybody dials it.

Whoever asks may lie about where it is, so an answer is never longer than its question, which is padded; with
the answer comes a token that only the asked one saw. The padding is zero: so none of ours is ever one of
Gnutella's, whose length would stand there (`wire/sniff`).
"""

from dataclasses import dataclass
from struct import Struct
from typing import ClassVar, Self, TypeAlias

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.wire.supernode.frames import FrameKind
from p2pswarm.wire.supernode.hello import MAX_COUNT

__all__ = ["MAGIC", "PING_SIZE", "TOKEN_SIZE", "Datagram", "UdpPing", "UdpPong", "read_datagram"]

MAGIC = b"P2SN"
TOKEN_SIZE = 8
PING_SIZE = 32  # with its padding

_HEAD = Struct(">4sB8s")
_PONG = Struct(">4sB8sBBHHH")
_SUPERNODE = 1


@dataclass(frozen=True, slots=True)
class UdpPing:
    """How full are you?"""

    kind: ClassVar[FrameKind] = FrameKind.PING

    token: bytes

    def encode(self) -> bytes:
        """Raises LocalProtocolError."""
        return _HEAD.pack(MAGIC, self.kind, _token(self.token)).ljust(PING_SIZE, b"\0")

    @classmethod
    def read(cls, data: bytes) -> Self:
        """Raises RemoteProtocolError."""
        if len(data) != PING_SIZE or any(data[_HEAD.size :]):
            raise RemoteProtocolError(
                f"a ping of {len(data)} bytes that is not padded as it must be"
            )
        return cls(data[5:13])


@dataclass(frozen=True, slots=True)
class UdpPong:
    """So full."""

    kind: ClassVar[FrameKind] = FrameKind.PONG

    token: bytes
    """That of the ping."""
    load: int
    """In percent."""
    supernode: bool
    children: int
    links: int
    room: int
    """Children that it could still take."""

    def encode(self) -> bytes:
        """Raises LocalProtocolError."""
        counts = (self.children, self.links, self.room)
        if not 0 <= self.load <= 100 or not all(0 <= count <= MAX_COUNT for count in counts):
            raise LocalProtocolError(f"{self} cannot be said")
        flags = _SUPERNODE if self.supernode else 0
        return _PONG.pack(MAGIC, self.kind, _token(self.token), self.load, flags, *counts)

    @classmethod
    def read(cls, data: bytes) -> Self:
        """Raises RemoteProtocolError."""
        if len(data) != _PONG.size:
            raise RemoteProtocolError(f"a pong of {len(data)} bytes")
        _, _, token, load, flags, children, links, room = _PONG.unpack(data)
        if load > 100 or flags > _SUPERNODE:
            raise RemoteProtocolError(f"a pong of somebody {load} % full with {flags:#x}")
        return cls(token, load, bool(flags), children, links, room)


Datagram: TypeAlias = UdpPing | UdpPong


def read_datagram(data: bytes) -> Datagram | None:
    """None for a kind of tomorrow. Raises RemoteProtocolError."""
    if len(data) < _HEAD.size or data[:4] != MAGIC:
        raise RemoteProtocolError(f"a datagram of {len(data)} bytes that is none of ours")
    match data[4]:
        case FrameKind.PING:
            return UdpPing.read(data)
        case FrameKind.PONG:
            return UdpPong.read(data)
        case _:
            return None


def _token(token: bytes) -> bytes:
    if len(token) != TOKEN_SIZE:
        raise LocalProtocolError(f"a token of {len(token)} bytes")
    return token
