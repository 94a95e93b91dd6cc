"""Datagrams that carry others: what a relay passes on (`P2PR`) and the sealed sounds of a call (`P2PM`).

Both have a head of 17 bytes whose last one is a mark. It stands where Gnutella has its type, and is none of
those: so nothing that is carried can be taken for a Gnutella datagram (`wire/sniff`).
"""

from struct import Struct
from typing import NamedTuple

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError

__all__ = [
    "CHANNEL_SIZE",
    "MEDIA_HEAD",
    "MEDIA_MAGIC",
    "PASS_SIZE",
    "RELAY_HEAD",
    "RELAY_MAGIC",
    "SESSION_SIZE",
    "Relayed",
    "Sealed",
]

RELAY_MAGIC, MEDIA_MAGIC = b"P2PR", b"P2PM"
CHANNEL_SIZE = 8
PASS_SIZE = 4
SESSION_SIZE = 8
MAX_COUNTER = 0xFFFFFFFF

_RELAY_MARK, _MEDIA_MARK = b"R", b"M"
_RELAY = Struct(">4s8s4sc")
_MEDIA = Struct(">4s8sIc")
RELAY_HEAD, MEDIA_HEAD = _RELAY.size, _MEDIA.size
"""17 bytes each."""


class Relayed(NamedTuple):
    """What a relay passes on to the other side of a channel."""

    channel: bytes
    secret: bytes
    """Four bytes that READY told to this side alone: who knows both is where the datagram comes from."""
    payload: bytes

    def encode(self) -> bytes:
        """Raises LocalProtocolError."""
        if len(self.channel) != CHANNEL_SIZE or len(self.secret) != PASS_SIZE:
            raise LocalProtocolError("a channel has 8 bytes and its secret 4")
        head = _RELAY.pack(RELAY_MAGIC, self.channel, self.secret, _RELAY_MARK)
        return head + self.payload

    @classmethod
    def read(cls, data: bytes) -> "Relayed":
        """Raises RemoteProtocolError."""
        if len(data) < RELAY_HEAD or data[:4] != RELAY_MAGIC or data[16:17] != _RELAY_MARK:
            raise RemoteProtocolError(f"{len(data)} bytes that no relay passes on")
        return cls(data[4:12], data[12:16], data[RELAY_HEAD:])


class Sealed(NamedTuple):
    """A piece of a call; `head` is what the seal covers beside it."""

    session: bytes
    counter: int
    sealed: bytes

    @property
    def head(self) -> bytes:
        """Raises LocalProtocolError."""
        if len(self.session) != SESSION_SIZE or not 0 <= self.counter <= MAX_COUNTER:
            raise LocalProtocolError("a session has 8 bytes and its counter 4")
        return _MEDIA.pack(MEDIA_MAGIC, self.session, self.counter, _MEDIA_MARK)

    def encode(self) -> bytes:
        """Raises LocalProtocolError."""
        return self.head + self.sealed

    @classmethod
    def read(cls, data: bytes) -> "Sealed":
        """Raises RemoteProtocolError."""
        if len(data) < MEDIA_HEAD or data[:4] != MEDIA_MAGIC or data[16:17] != _MEDIA_MARK:
            raise RemoteProtocolError(f"{len(data)} bytes that are no piece of a call")
        _, session, counter, _ = _MEDIA.unpack_from(data)
        return cls(session, counter, data[MEDIA_HEAD:])
