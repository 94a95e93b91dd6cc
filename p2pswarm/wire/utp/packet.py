"""uTP packets as they travel (BEP 29): a header of 20 bytes, a chain of extensions, the payload.

The one hard thing: numbers that wrap. A sequence number has 16 bits, a time 32; `ahead` says how far one is
in front of another, and whatever is further than half way round is behind.
"""

import struct
from typing import NamedTuple

from p2pswarm.errors import RemoteProtocolError

__all__ = [
    "DATA",
    "FIN",
    "HEADER",
    "LEAST_PADDING",
    "PADDING",
    "RESET",
    "SACK",
    "STATE",
    "SYN",
    "Packet",
    "ahead",
    "padding",
    "read",
]

DATA, FIN, STATE, RESET, SYN = range(5)

HEADER = struct.Struct(">BBHIIIHH")
_VERSION = 1
SACK = 1
PADDING = 2
"""The first extension of a probe. It makes one large without more payload. libutp takes nothing for uTP whose
first extension is none of its own: this is its 8 bits of options, which nobody has used."""
_BITS = 8  # bytes of that; libutp takes no other size
_PAD = 0x50  # what follows is ours, and nobody's: skipped as every unknown extension
LEAST_PADDING = 12  # bytes
MOST_EXTENSIONS = 16  # in a chain; a probe of ours has seven at most


class Packet(NamedTuple):
    """One datagram. `sacked` has a bit for each packet that arrived early, from the lowest: `ack` + 2."""

    kind: int
    connection: int
    sent: int
    """Microseconds on the sender's clock;"""
    delay: int
    """how long the last one from us took, by both clocks; 0 for unknown."""
    window: int
    """Bytes that the sender still has room for."""
    seq: int
    ack: int
    payload: bytes = b""
    sacked: int = 0
    farther: bool = False
    """Something arrived early, but farther than the sender tells of: libutp tells of 30 packets."""

    def pack(self, extension: int = 0, rest: bytes = b"") -> bytes:
        """`rest` are the extensions, of which the first is of this kind."""
        head = HEADER.pack(self.kind << 4 | _VERSION, extension, *self[1:7])
        return b"".join((head, rest, self.payload))

    def pack_state(self) -> bytes:
        """With what arrived early, in multiples of four bytes, when there is any."""
        if not self.sacked:
            return self.pack()
        size = (self.sacked.bit_length() + 31) // 32 * 4
        return self.pack(SACK, bytes((0, size)) + self.sacked.to_bytes(size, "little"))


def ahead(one: int, other: int) -> int:
    """How far a sequence number is in front of another; 32 768 and more is behind."""
    return (one - other) & 0xFFFF


def padding(size: int) -> bytes:
    """Extensions of exactly so many bytes, `LEAST_PADDING` at least, the first of kind `PADDING`."""
    parts = [bytes((_PAD, _BITS)) + bytes(_BITS)]
    size -= len(parts[0])
    while size:
        length = min(size, 257)
        if size - length == 1:  # too little for one more
            length -= 1
        size -= length
        parts.append(bytes((_PAD if size else 0, length - 2)) + bytes(length - 2))
    return b"".join(parts)


def read(data: bytes) -> Packet:
    """Raises RemoteProtocolError."""
    if len(data) < HEADER.size:
        raise RemoteProtocolError(f"a uTP packet of {len(data)} bytes")
    first, extension, connection, sent, delay, window, seq, ack = HEADER.unpack_from(data)
    if first & 15 != _VERSION or first > SYN << 4 | _VERSION:
        raise RemoteProtocolError(f"a uTP packet of type and version {first:#x}")
    if extension:
        sacked, start = _extensions(data, extension)
    else:
        sacked, start = None, HEADER.size
    numbers = (connection, sent, delay, window, seq, ack)
    return Packet(first >> 4, *numbers, data[start:], sacked or 0, sacked == 0)


def _extensions(data: bytes, kind: int) -> tuple[int | None, int]:
    """What arrived early, if it says, and where the payload begins. Each takes two bytes: none goes round."""
    at, sacked = HEADER.size, None
    for _ in range(MOST_EXTENSIONS):
        if at + 2 > len(data):
            break
        following, size = data[at], data[at + 1]
        body = data[at + 2 : at + 2 + size]
        at += 2 + size
        if at > len(data):
            break
        if kind == SACK and size:
            # Of any size: libtorrent does not keep to multiples of four.
            sacked = int.from_bytes(body, "little")
        if not following:
            return sacked, at
        kind = following
    raise RemoteProtocolError("a uTP packet with a chain of extensions that does not end")
