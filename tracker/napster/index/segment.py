"""A part of the index in memory: up to 65 535 files in columns, and the inverted index of their words.

A million Python objects with a dictionary of names each would be half a gigabyte, so nothing here is one
object per file: names lie one after another in one buffer, numbers in arrays, digests in buffers with hash
chains. Files have numbers in the order of adding, so postings are sorted for nothing; a word is held by one
number, an array of numbers or, when every sixteenth file has it, a bitmap.

A segment only grows. A file that goes leaves a hole; when holes prevail, the index moves the living into a
younger segment and drops the old one as a whole.
"""

from array import array
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from p2pswarm.formats.words import Kind, kind_of, words_of
from p2pswarm.wire.fields import as_bytes, as_text
from tracker.napster.index import ANY, Query, SharedFile, readable

__all__ = ["CAPACITY", "Segment"]

CAPACITY = 65_535  # file numbers fit into two bytes, and 0 ends a hash chain
_BITMAP = (CAPACITY + 1) // 8  # bytes
_MANY = _BITMAP // 2  # numbers in an array as large as a bitmap

_KINDS = {kind: number for number, kind in enumerate(Kind)}
_BITS = [[bit for bit in range(8) if byte >> bit & 1] for byte in range(256)]

Posting: TypeAlias = "int | array[int] | bytearray"


class _Digests:
    """A digest for each file, and who has a given one. Digests of zeros are none."""

    def __init__(self, width: int) -> None:
        self._zeros = bytes(width)
        self._width = width
        self._data = bytearray()
        self._heads = array("H", bytes(2 * (CAPACITY + 1)))
        self._next = array("H")

    def put(self, number: int, digest: bytes) -> None:
        if not digest or digest == self._zeros or self.get(number):
            return
        missing = number + 1 - len(self._next)
        if missing > 0:
            self._data += bytes(missing * self._width)
            self._next.extend([0] * missing)
        self._data[number * self._width : (number + 1) * self._width] = digest
        chain = hash(digest) & CAPACITY
        self._next[number] = self._heads[chain]
        self._heads[chain] = number + 1

    def get(self, number: int) -> bytes:
        digest = bytes(self._data[number * self._width : (number + 1) * self._width])
        return b"" if digest == self._zeros else digest

    def find(self, digest: bytes) -> Iterator[int]:
        link = self._heads[hash(digest) & CAPACITY]
        while link:
            number = link - 1
            if self.get(number) == digest:
                yield number
            link = self._next[number]


class Segment:
    """Invariant: `living` files have an owner other than 0; all columns are as long as `used`."""

    def __init__(self) -> None:
        self.living = 0
        self._swept = 0
        self.owners = array("I")
        self._names = bytearray()
        self._ends = array("I")
        self._sizes = array("Q")
        self._bitrate = array("H")
        self._frequency = array("I")
        self._seconds = array("I")
        self._kinds = bytearray()
        self._name_heads = array("H", bytes(2 * (CAPACITY + 1)))
        self._name_next = array("H")
        self._words: dict[str, Posting] = {}
        self._digests = {"md5": _Digests(16)}

    @property
    def used(self) -> int:
        return len(self.owners)

    @property
    def full(self) -> bool:
        return self.used == CAPACITY

    @property
    def words(self) -> int:
        """How many different ones."""
        return len(self._words)

    def sweep(self, most: int) -> list[int]:
        """The next living files, on a walk over all of them that ends with an empty list."""
        found: list[int] = []
        owners = self.owners
        while self._swept < len(owners) and len(found) < most:
            if owners[self._swept]:
                found.append(self._swept)
            self._swept += 1
        return found

    def add(self, owner: int, file: SharedFile) -> int:
        """The number of the new file."""
        number = self.used
        name = as_bytes(file.name)
        self.owners.append(owner)
        self._names += name
        self._ends.append(len(self._names))
        self._sizes.append(file.size)
        self._bitrate.append(min(file.bitrate, 0xFFFF))
        self._frequency.append(min(file.frequency, 0xFFFFFFFF))
        self._seconds.append(min(file.seconds, 0xFFFFFFFF))
        self._kinds.append(_KINDS[kind_of(file.name)])
        chain = hash((owner, name)) & CAPACITY
        self._name_next.append(self._name_heads[chain])
        self._name_heads[chain] = number + 1
        self.note(number, file)
        for word in words_of(readable(file.name)):
            self._post(word, number)
        self.living += 1
        return number

    def note(self, number: int, file: SharedFile) -> None:
        """Its digests, those that it has."""
        for kind, digest in (("md5", file.md5), ("sha1", file.sha1), ("btih", file.info_hash)):
            if digest and kind not in self._digests:
                self._digests[kind] = _Digests(20)
            if digest:
                self._digests[kind].put(number, digest)

    def drop(self, number: int) -> int:
        """Forget a living file; its size."""
        self.owners[number] = 0
        self.living -= 1
        return self._sizes[number]

    def size(self, number: int) -> int:
        return self._sizes[number]

    def find(self, owner: int, name: str) -> int | None:
        data = as_bytes(name)
        link = self._name_heads[hash((owner, data)) & CAPACITY]
        while link:
            number = link - 1
            if self.owners[number] == owner and self._name(number) == data:
                return number
            link = self._name_next[number]
        return None

    def file(self, number: int) -> SharedFile:
        digests = self._digests
        return SharedFile(
            as_text(self._name(number)),
            digests["md5"].get(number),
            self._sizes[number],
            self._bitrate[number],
            self._frequency[number],
            self._seconds[number],
            digests["sha1"].get(number) if "sha1" in digests else b"",
            digests["btih"].get(number) if "btih" in digests else b"",
        )

    def with_digest(self, kind: str, digest: bytes) -> Iterator[int]:
        """Files with this digest, holes among them."""
        found = self._digests.get(kind)
        return found.find(digest) if found is not None else iter(())

    def search(self, query: Query) -> Iterator[int | None]:
        """Files that fit, as far as the segment can tell; None for each that was looked at in vain."""
        tests = [
            (column, bounds)
            for column, bounds in (
                (self._sizes, query.size),
                (self._bitrate, query.bitrate),
                (self._frequency, query.frequency),
                (self._seconds, query.seconds),
            )
            if bounds != ANY
        ]
        kind = None if query.kind is Kind.ANY else _KINDS[query.kind]
        owners, kinds, but_not = self.owners, self._kinds, query.but_not
        for number in self._matches(query.words, query.without):
            owner = owners[number]
            if owner in (0, but_not) or (kind is not None and kinds[number] != kind):
                yield None
            elif all(low <= column[number] <= high for column, (low, high) in tests):
                yield number
            else:
                yield None

    def _name(self, number: int) -> bytes:
        start = self._ends[number - 1] if number else 0
        return bytes(self._names[start : self._ends[number]])

    def _post(self, word: str, number: int) -> None:
        known = self._words.get(word)
        if known is None:
            self._words[word] = number
        elif isinstance(known, int):
            self._words[word] = array("H", (known, number))
        elif isinstance(known, bytearray):
            known[number >> 3] |= 1 << (number & 7)
        else:
            known.append(number)
            if len(known) > _MANY:
                self._words[word] = _bitmap(known)

    def _matches(self, words: Sequence[str], without: Sequence[str]) -> Iterator[int]:
        """Files with all of `words` and none of `without`, holes among them."""
        postings = [self._words.get(word) for word in words]
        few = [_numbers(posting) for posting in postings if isinstance(posting, int | array)]
        many = [posting for posting in postings if isinstance(posting, bytearray)]
        if len(few) + len(many) < len(words):
            return iter(())
        unwanted = [posting for word in without if (posting := self._words.get(word)) is not None]
        if few:
            return _filtered(few, many, unwanted)
        return _common(many, unwanted)


def _numbers(posting: "int | array[int]") -> Sequence[int]:
    return (posting,) if isinstance(posting, int) else posting


def _bitmap(numbers: Sequence[int]) -> bytearray:
    bits = bytearray(_BITMAP)
    for number in numbers:
        bits[number >> 3] |= 1 << (number & 7)
    return bits


def _filtered(
    few: list[Sequence[int]], many: list[bytearray], unwanted: list[Posting]
) -> Iterator[int]:
    """The rarest word first; the others only thin it out."""
    few.sort(key=len)
    left: Sequence[int] | set[int] = few[0]
    for other in few[1:]:
        left = set(left).intersection(other)
    for posting in unwanted:
        if not isinstance(posting, bytearray):
            left = set(left).difference(_numbers(posting))
    absent = [posting for posting in unwanted if isinstance(posting, bytearray)]
    for number in left:
        at, bit = number >> 3, 1 << (number & 7)
        if all(bits[at] & bit for bits in many) and not any(bits[at] & bit for bits in absent):
            yield number


def _common(many: list[bytearray], unwanted: list[Posting]) -> Iterator[int]:
    """Only frequent words: bitmaps as large numbers, all files at once."""
    bits = int.from_bytes(many[0], "little")
    for other in many[1:]:
        bits &= int.from_bytes(other, "little")
    for posting in unwanted:
        absent = posting if isinstance(posting, bytearray) else _bitmap(_numbers(posting))
        bits &= ~int.from_bytes(absent, "little")
    for at, byte in enumerate(bits.to_bytes(_BITMAP, "little")):
        if byte:
            for bit in _BITS[byte]:
                yield at * 8 + bit
