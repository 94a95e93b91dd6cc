"""What gtk-gnutella 1.2 demands of a neighbour's bytes, as its sources tell; nothing of ours reads them here.

Each check returns what that program would hold against the sender, or nothing.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["Message", "Table", "cobs", "ggep", "hit_faults", "names_in", "query_faults", "slot"]

PING, PONG, BYE, ROUTES, VENDOR, STANDARD, PUSH, QUERY, HIT = (
    *(0x00, 0x01, 0x02, 0x30, 0x31, 0x32, 0x40),
    *(0x80, 0x81),
)
# Beyond the first a message is dropped, beyond the second its sender is.
SIZES = {QUERY: (256, 1024), HIT: (16384, 65535), BYE: (4096, 4096)}
MOST = 40960
HARD_TTL = 15


class Message(NamedTuple):
    guid: bytes
    kind: int
    ttl: int
    hops: int
    payload: bytes

    def encode(self) -> bytes:
        head = struct.pack("<16sBBBI", *self[:4], len(self.payload))
        return head + self.payload

    def faults(self, *, from_leaf: bool, takes_tables: bool) -> Iterator[str]:
        """Of the header, and of what every kind may be."""
        dropped, kicked = SIZES.get(self.kind, (MOST, MOST))
        size = len(self.payload)
        if size > kicked:
            yield f"400 too large: {size}"
        elif size > dropped:
            yield f"dropped, too large: {size}"
        if from_leaf and self.hops:
            yield f"414 leaf node relayed {self.kind:#x}"
        if self.ttl == 0 or self.ttl + self.hops > HARD_TTL:
            yield f"TTL {self.ttl}, hops {self.hops}"
        if self.kind in (BYE, ROUTES, VENDOR, STANDARD) and (self.hops or self.ttl > 1):
            yield f"{self.kind:#x} with hops {self.hops} and TTL {self.ttl}"
        if self.kind == ROUTES and not takes_tables:
            yield "a table that is not expected"
        fixed = {PING: 0, PONG: 14, PUSH: 26}.get(self.kind)
        if fixed not in (None, size) and ggep(self.payload[fixed:]) is None:
            yield f"{self.kind:#x} of {size} bytes without proper GGEP"
        if self.kind not in (PING, PONG, BYE, ROUTES, VENDOR, STANDARD, PUSH, QUERY, HIT):
            yield f"unknown message {self.kind:#x}"


def ggep(data: bytes) -> dict[str, bytes] | None:
    """The extensions of a block that is the whole of `data`; None when it is not proper."""
    if data[:1] != b"\xc3":
        return None
    at, last, found = 1, False, {}
    while not last:
        if at >= len(data):
            return None
        flags, at = data[at], at + 1
        last, size = bool(flags & 0x80), flags & 0x0F
        name, at = data[at : at + size], at + size
        length = 0
        while True:
            if at >= len(data):
                return None
            byte, at = data[at], at + 1
            length = length << 6 | byte & 0x3F
            if byte & 0x40:
                break
        value, at = data[at : at + length], at + length
        if not size or len(value) != length or flags & 0x10:
            return None
        found[name.decode("ascii")] = value  # coded as it is
    return found if at == len(data) else None


def cobs(value: bytes) -> bytes:
    """Without a NUL, for what is shorter than 254 bytes."""
    return b"".join(bytes([len(part) + 1]) + part for part in value.split(b"\x00"))


def query_faults(payload: bytes) -> Iterator[str]:
    if len(payload) <= 3:
        yield "a query that is too small"
        return
    text, end, rest = payload[2:].partition(b"\x00")
    if not end or not payload[0] & 0x80:
        yield "a query without end or flags"
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        yield "a query that is no UTF-8"
    if rest[:1] in (b"\x00", b"\x1c") or rest[-1:] == b"\x1c":
        yield "overhead"
    urns, mark, _ = rest.partition(b"\xc3")
    pieces = [piece for piece in urns.split(b"\x1c") if piece]
    if mark and ggep(rest[len(urns) :]) is None:
        yield "a query with bad GGEP"
    if any(piece[:4] != b"urn:" for piece in pieces):
        yield "a bad URN"
    sha1 = any(piece[:9] == b"urn:sha1:" and len(piece) == 41 for piece in pieces)
    if len(text) <= 1 and not sha1:
        yield "a query that is too short"


def names_in(payload: bytes) -> list[tuple[int, str, bytes]]:
    """Index, name and tag of each result of a hit. Raises ValueError when the records do not add up."""
    at, found = 11, []
    for _ in range(payload[0]):
        (index,) = struct.unpack_from("<I", payload, at)
        end = payload.index(b"\x00", at + 8)
        stop = payload.index(b"\x00", end + 1)
        if stop > len(payload) - 16:
            raise ValueError("inconsistent number of records")
        found.append((index, payload[at + 8 : end].decode("utf-8"), payload[end + 1 : stop]))
        at = stop + 1
    return found


def hit_faults(message: Message, sender: bytes | None) -> Iterator[str]:
    """What makes a hit spam, evil or broken; `sender` is the GUID of a neighbour's greeting."""
    payload = message.payload
    if len(payload) < 27 or not payload[0]:
        yield "a hit without results"
        return
    try:
        records = names_in(payload)
    except ValueError as error:
        yield f"a broken hit: {error}"
        return
    at = 11 + sum(8 + len(name.encode()) + len(tag) + 2 for _, name, tag in records)
    trailer, servent = payload[at:-16], payload[-16:]
    if servent in (bytes(16), message.guid) or (not message.hops and servent != sender):
        yield "a hit of a strange servent"
    if not trailer[:4].isalnum() or len(trailer) < 7 or trailer[4] not in (2, 4):
        yield f"an improper trailer: {trailer!r}"
    elif trailer[5] & trailer[6] & 0x20 and ggep(trailer[5 + trailer[4] :]) is None:
        yield "a trailer without the GGEP it promises"
    if any(index == 0xFFFFFFFF for index, _, _ in records):
        yield "a wildcard for an index"
    hashes = [tag[:41] for _, _, tag in records if tag[:9] == b"urn:sha1:"]
    if len({index for index, _, _ in records}) < len(records) or len(set(hashes)) < len(hashes):
        yield "415 twins in one hit"
    if any(name in ("", ".", "..") or name.endswith(("/", "/.", "/..")) for _, name, _ in records):
        yield "415 an evil name"
    for _, _, tag in records:
        urn, _, block = tag.partition(b"\x1c")
        if (block and ggep(block) is None) or urn[:4] != b"urn:":
            yield f"a tag that is none: {tag!r}"


def slot(word: str, bits: int) -> int:
    number = 0
    for at, byte in enumerate(word.lower().encode()):
        number ^= byte << 8 * (at % 4)
    return (number * 0x4F1BBCDC & 0xFFFFFFFF) >> 32 - bits


class Table:
    """A neighbour's query routing table. What is wrong raises ValueError: BYE 413."""

    def __init__(self) -> None:
        self.slots: bytearray | None = None  # of the table that counts
        self.entry_bits: set[int] = set()
        self._next: bytearray | None = None
        self._seq, self._all, self._how, self._data = 1, 0, (0, 0), b""
        self._inflate = zlib.decompressobj()

    def heard(self, payload: bytes) -> None:
        if payload[0] == 0:
            _, size, infinity = struct.unpack("<BIB", payload)
            if size & (size - 1) or not 0 < size <= 1 << 21 or infinity < 1:
                raise ValueError(f"a table of {size} slots and infinity {infinity}")
            self._next, self._seq, self._inflate = bytearray(size), 1, zlib.decompressobj()
        else:
            self._patch(*payload[1:5], payload[5:])

    def _patch(self, seq: int, count: int, packed: int, bits: int, data: bytes) -> None:
        if self._next is None or seq != self._seq or not data or bits not in (1, 2, 4, 8):
            raise ValueError(f"patch {seq} of {bits} bits where {self._seq} is due")
        if seq == 1:
            self._all, self._how, self._data = count, (packed, bits), b""
            self._inflate = zlib.decompressobj()
        elif (count, (packed, bits)) != (self._all, self._how):
            raise ValueError("a patch that changes on its way")
        self.entry_bits.add(bits)
        self._data += self._inflate.decompress(data) if packed else data
        if packed and self._inflate.eof and seq < count:
            raise ValueError("early end of a compressed patch")
        self._seq += 1
        if seq == count:
            self._apply(bits)

    def _apply(self, bits: int) -> None:
        assert self._next is not None
        if bits not in (4, 8) or len(self._data) * 8 != len(self._next) * bits:
            raise ValueError(f"{bits}-bit patch covers {len(self._data)} bytes")  # 1 is misread
        for at in range(len(self._next)):
            half = self._data[at // 2] >> (0 if at % 2 else 4) & 15 if bits == 4 else 0
            entry = half << 4 if bits == 4 else self._data[at]
            if entry:
                self._next[at] = entry >= 128
        self.slots, self._seq = self._next, 1

    def may_have(self, text: str) -> bool:
        """Nothing, until there is a table."""
        if self.slots is None:
            return False
        bits = len(self.slots).bit_length() - 1
        return all(self.slots[slot(word, bits)] for word in text.split() if len(word) >= 3)
