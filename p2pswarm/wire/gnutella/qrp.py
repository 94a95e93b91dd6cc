"""Query routing: which words a neighbour has, as a table of bits; and how the table travels.

The protocol counts hops in each slot, but leaves and ultrapeers only ever say 1 or infinity, so a bit is kept
(8 KiB for the usual table, and an ultrapeer keeps a hundred). All work on tables is done on long integers and
texts of digits at once, because a stranger decides how many slots there are.

The one hard thing: patches are differences, and what they mean depends on what was there. A sequence counts
when it is whole; from a RESET until then `table` is None, and everything is forwarded.
"""

import binascii
import zlib
from collections.abc import Callable, Collection

from typing_extensions import override

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.wire.gnutella.keywords import (
    qrp_number,
    words_for_table,
    words_of_query,
)
from p2pswarm.wire.gnutella.routes import Patch, Reset

__all__ = [
    "INFINITY",
    "USUAL_SIZE",
    "QueryTable",
    "TableReader",
    "patches",
    "size_for",
    "words_for_table",
    "words_of_query",
]

INFINITY = 7  # the largest that 4 bits can go to and from
USUAL_SIZE = 1 << 16  # slots; what everybody expects (ultrapeer_qrp, 2.5)
LARGEST_SIZE = 1 << 20  # of ours; beyond it a table tells little for its size
_MOST_FILL = 0.1  # gtk-gnutella begins to leave queries out at 5 %
_SMALLEST_READ, _LARGEST_READ = 1 << 3, 1 << 21
_CHUNK = 4096 - 5  # of data: a payload of 4 KiB
_ZLIB = 1
# What deflate may add to what it cannot shrink, flushes included.
_SLACK = 4096


def size_for(words: int) -> int:
    """Slots for so many words: at most every tenth is set, as long as that is reasonable."""
    size = USUAL_SIZE
    while size < LARGEST_SIZE and words > size * _MOST_FILL:
        size *= 2
    return size


class QueryTable:
    """A set of slots, 2**bits of them; slot 0 is the first bit of the first byte."""

    __slots__ = ("_bits", "_shift", "_slots")

    def __init__(self, size: int = USUAL_SIZE, slots: int = 0) -> None:
        """`slots` is the content as a number whose highest bit is slot 0."""
        self._bits = size.bit_length() - 1
        self._shift = 32 - self._bits
        self._slots = bytearray(slots.to_bytes(size // 8, "big"))

    @property
    def size(self) -> int:
        return 1 << self._bits

    @property
    def slots(self) -> int:
        """The content as a number whose highest bit is slot 0."""
        return int.from_bytes(self._slots, "big")

    @property
    def count(self) -> int:
        """Slots that are set."""
        return self.slots.bit_count()

    def add_name(self, name: str) -> None:
        """A file of this name is here."""
        for word in words_for_table(name):
            self.add_word(word)

    def add_word(self, word: str) -> None:
        slot = qrp_number(word) >> self._shift
        self._slots[slot >> 3] |= 0x80 >> (slot & 7)

    def add_urn(self, urn: str) -> None:
        """A file with this `urn:sha1:…` is here: the whole text is a word."""
        self.add_word(urn)

    def has(self, slot: int) -> bool:
        return self._slots[slot >> 3] & (0x80 >> (slot & 7)) != 0

    def may_have(self, words: Collection[str], urns: Collection[str] = ()) -> bool:
        """Whether a query may find something here: one of its URNs or, when it has none, all its words.

        No words at all (they were short) are anywhere.
        """
        if urns:
            return any(self._has_word(urn) for urn in urns)
        return all(self._has_word(word) for word in words)

    def _has_word(self, word: str) -> bool:
        return self.has(qrp_number(word) >> self._shift)

    def merge(self, other: "QueryTable") -> None:
        """What the other has is here, too, whatever its size."""
        slots = self.slots | other.resized(self.size).slots
        self._slots[:] = slots.to_bytes(len(self._slots), "big")

    def resized(self, size: int) -> "QueryTable":
        """As a table of another size: a slot of the smaller one covers several of the larger (QRP 1.0, 5)."""
        text = f"{self.slots:0{self.size}b}"
        while len(text) > size:
            text = f"{int(text[::2], 2) | int(text[1::2], 2):0{len(text) // 2}b}"
        each = size // len(text)
        if each > 1:
            text = text.replace("1", "1" * each).replace("0", "0" * each)
        return QueryTable(size, int(text, 2))

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, QueryTable) and self._slots == other._slots

    __hash__ = None  # type: ignore[assignment]  # it can change

    @override
    def __repr__(self) -> str:
        return f"<QueryTable {self.count} of {self.size}>"


def patches(old: QueryTable | None, new: QueryTable) -> list[Reset | Patch]:
    """What to say to a neighbour that has `old`; nothing when nothing has changed.

    4 bits for each slot, which gtk-gnutella 1.2.3 reads right (its reader of 1 bit does not).
    """
    messages: list[Reset | Patch] = []
    if old is None or old.size != new.size:
        old = QueryTable(new.size)
        messages.append(Reset(new.size, INFINITY))
    elif old == new:
        return []
    # Three of 16 values: half of it at most is left, so 255 messages are always enough.
    data = zlib.compress(_differences(old, new))
    chunks = [data[at : at + _CHUNK] for at in range(0, len(data), _CHUNK)]
    for seq, chunk in enumerate(chunks, 1):
        messages.append(Patch(seq, len(chunks), _ZLIB, 4, chunk))
    return messages


def _differences(old: QueryTable, new: QueryTable) -> bytes:
    """A half byte for each slot: 1 - infinity where a word came, infinity - 1 where it went."""
    came = int(f"{new.slots & ~old.slots:b}", 16) * (16 + 1 - INFINITY)
    went = int(f"{old.slots & ~new.slots:b}", 16) * (INFINITY - 1)
    return (came | went).to_bytes(new.size // 2, "big")


class TableReader:
    """A neighbour's table, from what it sends: any width, compressed or not."""

    def __init__(self) -> None:
        self.table: QueryTable | None = None
        self._reset: Reset | None = None
        self._parts: list[Patch] = []

    def feed(self, message: Reset | Patch) -> bool:
        """True when `table` has become another. Raises RemoteProtocolError: nothing can be mended then."""
        if isinstance(message, Reset):
            self._restart(message)
            return False
        self._append(message)
        if message.seq < message.count:
            return False
        parts, self._parts = self._parts, []
        self.table = self._patched(b"".join(part.data for part in parts), message)
        return True

    def work(self, message: Reset | Patch) -> int:
        """Bytes that are unpacked when this is fed: of the whole patch when it is the last of it.

        Raises RemoteProtocolError.
        """
        last = isinstance(message, Patch) and message.seq >= message.count
        return self._expected(message) if isinstance(message, Patch) and last else 0

    def _restart(self, reset: Reset) -> None:
        size = reset.length
        if not _SMALLEST_READ <= size <= _LARGEST_READ or size & (size - 1):
            raise RemoteProtocolError(f"a route table of {size} slots")
        if reset.infinity < 1:
            raise RemoteProtocolError("a route table that has no infinity")
        self.table, self._reset, self._parts = None, reset, []

    def _append(self, patch: Patch) -> None:
        if patch.bits not in (1, 2, 4, 8) or patch.compressor not in (0, _ZLIB):
            raise RemoteProtocolError(f"a patch of {patch.bits} bits, packed by {patch.compressor}")
        first = self._parts[0] if self._parts else patch
        same = (first.count, first.compressor, first.bits)
        if (patch.count, patch.compressor, patch.bits) != same:
            raise RemoteProtocolError("a patch that changes on its way")
        if patch.seq != len(self._parts) + 1 or patch.seq > patch.count:
            raise RemoteProtocolError(f"patch {patch.seq} of {patch.count} is out of order")
        self._parts.append(patch)
        if sum(len(part.data) for part in self._parts) > self._expected(patch) + _SLACK:
            raise RemoteProtocolError("a patch longer than its table")

    def _expected(self, patch: Patch) -> int:
        """Bytes of the whole patch when it is unpacked."""
        if self._reset is None:
            raise RemoteProtocolError("a patch of no table")
        return self._reset.length * patch.bits // 8

    def _patched(self, data: bytes, patch: Patch) -> QueryTable:
        expected = self._expected(patch)
        if patch.compressor == _ZLIB:
            data = _inflated(data, expected)
        if len(data) != expected:
            raise RemoteProtocolError("a patch that does not cover its table")
        assert self._reset is not None
        slots = 0 if self.table is None else self.table.slots
        return QueryTable(self._reset.length, _apply(slots, data, patch.bits, self._reset.infinity))


def _inflated(data: bytes, expected: int) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, expected + 1)
    except zlib.error as error:
        raise RemoteProtocolError("a patch that is no zlib stream") from error


def _apply(slots: int, data: bytes, bits: int, infinity: int) -> int:
    """The content after a patch.

    One bit turns a slot over, as gtk-gnutella and GnutellaBun have it. Of wider entries a negative one says
    that a word is near; a positive one that it went, unless from 1 it cannot have reached infinity.
    """
    if bits == 1:
        return slots ^ int.from_bytes(data, "big")
    highest = (1 << (bits - 1)) - 1
    gone = min(max(infinity - 1, 1), highest)
    came = _where(data, bits, lambda entry: entry > highest)
    went = _where(data, bits, lambda entry: gone <= entry <= highest)
    return slots & ~went | came


def _where(data: bytes, bits: int, test: Callable[[int], bool]) -> int:
    """A bit for each entry of 2, 4 or 8 bits, the first entry highest: each byte or half becomes a digit."""
    if bits == 8:
        return int(data.translate(bytes(b"01"[test(entry)] for entry in range(256))), 2)
    if bits == 4:
        digits = bytes(b"01"[test(entry)] for entry in range(16))
        return int(_by_halves(data, digits), 2)
    pairs = [2 * test(half >> 2) + test(half & 3) for half in range(16)]
    return int(_by_halves(data, bytes(b"0123"[pair] for pair in pairs)), 4)


def _by_halves(data: bytes, digits: bytes) -> bytes:
    return binascii.hexlify(data).translate(bytes.maketrans(b"0123456789abcdef", digits))
