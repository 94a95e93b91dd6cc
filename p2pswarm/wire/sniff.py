"""The first room on the shared port: who is knocking?

One listener serves every protocol; the first bytes tell them apart. The sniffer is a framer like any
other: it says who it is and leaves the bytes unread for the framer that follows. A datagram has to tell it
by itself, and some could be two things: what is more certain is asked first.
"""

import struct
from collections.abc import Callable
from enum import Enum, auto

from typing_extensions import override

from p2pswarm.wire.framer import CuttingFramer
from p2pswarm.wire.peer import HANDSHAKE
from p2pswarm.wire.people.datagrams import MAGIC as PEOPLE_MAGIC
from p2pswarm.wire.people.frames import OPENING as PEOPLE_OPENING
from p2pswarm.wire.people.marked import MEDIA_MAGIC, RELAY_MAGIC
from p2pswarm.wire.reaching import OPENING as REACH_OPENING
from p2pswarm.wire.supernode.datagrams import MAGIC
from p2pswarm.wire.supernode.frames import OPENING

__all__ = ["DatagramGuest", "Guest", "SniffFramer", "sniff_datagram"]


class Guest(Enum):
    """Who may knock at the port."""

    PEER_WIRE = auto()
    GNUTELLA = auto()  # wants to be a neighbour
    GIV = auto()  # was asked to come, and brings a Gnutella file
    HTTP = auto()  # wants a shared file
    SUPERNODE = auto()  # a node of ours, for a parent, a link, a question or a test
    PEOPLE = auto()  # wants to be rung here, to be joined to somebody, or to ask for a name
    REACH = auto()  # somebody with whom we agreed to meet
    TLS = auto()  # takes us for a web server
    OBFUSCATED = auto()  # says noise: a peer that hides its handshake (MSE), or nobody


_OPENINGS = {
    HANDSHAKE: Guest.PEER_WIRE,
    b"GNUTELLA CONNECT/": Guest.GNUTELLA,
    b"GIV ": Guest.GIV,
    b"GET ": Guest.HTTP,
    b"HEAD ": Guest.HTTP,
    OPENING: Guest.SUPERNODE,
    PEOPLE_OPENING: Guest.PEOPLE,
    REACH_OPENING: Guest.REACH,
}
_LONGEST = max(map(len, _OPENINGS))
_NOISE = 20  # bytes that are nobody's opening, until somebody who says noise is believed to mean it


class SniffFramer(CuttingFramer):
    """Says who it is as soon as the first bytes decide it; keeps every byte."""

    heard = False
    """Whether there was any."""

    @override
    def _cut(self, view: memoryview, into: list[object]) -> int:
        self.heard = True
        start = view[:_LONGEST].tobytes()
        for opening, guest in _OPENINGS.items():
            if start.startswith(opening):
                into.append(guest)
                return 0
        if len(start) >= _NOISE and not any(opening.startswith(start) for opening in _OPENINGS):
            into.append(Guest.TLS if _is_client_hello(start) else Guest.OBFUSCATED)
        return 0


def _is_client_hello(start: bytes) -> bool:
    """A record of handshakes, of any version so far, and the first message in it (RFC 8446, 5.1 and 4).

    Noise looks like this once in 2**34 times.
    """
    return start[:2] == b"\x16\x03" and start[2] <= 4 and start[5] == 1


class DatagramGuest(Enum):
    """Who may send a datagram to the port."""

    DHT = auto()
    TRACKER = auto()  # answers what we asked it
    GNUTELLA = auto()
    SUPERNODE = auto()
    STUN = auto()
    PEOPLE = auto()  # asks the directory
    RELAY = auto()  # passes something on
    MEDIA = auto()  # speaks in a call
    UTP = auto()


_STUN_COOKIE = b"\x21\x12\xa4\x42"  # RFC 5389, bytes 4 to 7
_OURS = {
    MAGIC: DatagramGuest.SUPERNODE,
    PEOPLE_MAGIC: DatagramGuest.PEOPLE,
    RELAY_MAGIC: DatagramGuest.RELAY,
    MEDIA_MAGIC: DatagramGuest.MEDIA,
}
# GUID, type, TTL, hops, and how many bytes follow.
_GNUTELLA = struct.Struct("<16s B B B I")
_GNUTELLA_TYPES = frozenset((0x00, 0x01, 0x02, 0x30, 0x31, 0x32, 0x40, 0x80, 0x81))


_UTP_HEAD = 20  # bytes, BEP 29


def sniff_datagram(data: bytes, is_answer: Callable[[], bool] = bool) -> DatagramGuest | None:
    """Who sent it; None for nobody we know. `is_answer` tells whether we asked a tracker for it."""
    # The first two bits of STUN are zero (RFC 8489, 5): a channel of a relay may have its cookie there.
    if data[4:8] == _STUN_COOKIE and data[0] < 0x40:
        return DatagramGuest.STUN
    if _is_bencode(data):
        return DatagramGuest.DHT
    if is_answer():
        return DatagramGuest.TRACKER
    # First, because the GUID of a query of 80.50.83.78 that wants its hits by UDP begins as ours do. Ours
    # never look like Gnutella's: they are too short, or have zeros where the length would be, or a letter
    # where the type would be (`wire/people/datagrams` and `marked`).
    if _is_gnutella(data):
        return DatagramGuest.GNUTELLA
    if (ours := _OURS.get(data[:4])) is not None:
        return ours
    return DatagramGuest.UTP if _is_utp(data) else None


def _is_gnutella(data: bytes) -> bool:
    if len(data) < _GNUTELLA.size:
        return False
    _, kind, _, _, length = _GNUTELLA.unpack_from(data)
    return kind in _GNUTELLA_TYPES and length == len(data) - _GNUTELLA.size


def _is_bencode(data: bytes) -> bool:
    """A DHT message. One `d` is not enough: so begins each GUID that holds an address of 100.0.0.0/8."""
    return data[:1] == b"d" and data[1:2].isdigit() and data[2:3] == b":" and data[-1:] == b"e"


def _is_utp(data: bytes) -> bool:
    """Version 1 and one of five types share the first byte."""
    return len(data) >= _UTP_HEAD and data[0] & 0x0F == 1 and data[0] >> 4 <= 4
