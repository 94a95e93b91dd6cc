"""The index in this process's memory: a row of segments, the youngest of which takes what is new.

A search asks the segments one after another, youngest first, and stops at its limit or when it has looked at
`LOOK_AT` files in vain, so that none can hold the event loop.
"""

from array import array
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from typing_extensions import override

from p2pswarm.wire.napster import Bounds
from tracker.napster.index import ANY, FileIndex, Found, Query, SharedFile
from tracker.napster.index.segment import Segment

__all__ = ["MemoryIndex"]

LOOK_AT = 20_000  # files that one search may look at in vain; some ten milliseconds
_WORDS_A_FILE = 4  # that no other file has; real collections have fewer than two
_MOVES = 200  # files that one `tidy` moves


class _Owner:
    """`places` are the numbers of their files in each segment, those of holes among them."""

    __slots__ = ("places", "speed")

    def __init__(self, speed: int) -> None:
        self.speed = speed
        self.places: dict[Segment, array[int]] = {}


class MemoryIndex(FileIndex):
    """Invariant: `files` is the sum of all segments' living files; only the last segment takes new ones."""

    def __init__(self) -> None:
        self.files = self.size = 0
        self._owners: dict[int, _Owner] = {}
        self._segments = [Segment()]

    @property
    @override
    def weight(self) -> int:
        return max(self.files, sum(segment.words for segment in self._segments) // _WORDS_A_FILE)

    @override
    def arrive(self, owner: int, speed: int) -> None:
        self._owners.setdefault(owner, _Owner(speed)).speed = speed

    @override
    def leave(self, owner: int) -> None:
        self._forget(owner)
        self._owners.pop(owner, None)

    @override
    def add(self, owner: int, files: Sequence[SharedFile], done: Callable[[int], None]) -> None:
        added = 0
        for file in files:
            if self._place(owner, file.name) is None:
                self._add(owner, file)
                self.size += file.size
                added += 1
        self.files += added
        done(added)

    @override
    def note(self, owner: int, name: str, sha1: bytes, info_hash: bytes) -> None:
        place = self._place(owner, name)
        if place is not None:
            segment, number = place
            segment.note(number, SharedFile(name, b"", 0, sha1=sha1, info_hash=info_hash))

    @override
    def remove(self, owner: int, name: str, done: Callable[[bool], None]) -> None:
        place = self._place(owner, name)
        if place is not None:
            segment, number = place
            self.size -= segment.drop(number)
            self.files -= 1
        done(place is not None)

    @override
    def clear(self, owner: int, done: Callable[[int], None]) -> None:
        done(self._forget(owner))

    @override
    def find(self, owner: int, name: str, done: Callable[[SharedFile | None], None]) -> None:
        place = self._place(owner, name)
        done(None if place is None else place[0].file(place[1]))

    @override
    def listing(self, owner: int, most: int, done: Callable[[Sequence[SharedFile]], None]) -> None:
        files = [segment.file(number) for segment, number in self._living(owner, most)]
        done(files)

    @override
    def search(self, query: Query, done: Callable[[Sequence[Found]], None]) -> None:
        found: list[Found] = []
        left = LOOK_AT
        for segment, number in self._fitting(query):
            if number is None:
                left -= 1
            else:
                found.append(Found(segment.owners[number], segment.file(number)))
            if len(found) >= query.most or left == 0:
                break
        done(found)

    @override
    def lookup(
        self,
        kind: str,
        digest: bytes,
        most: int,
        done: Callable[[Sequence[Found]], None],
        size: Bounds = ANY,
    ) -> None:
        found: list[Found] = []
        for segment in self._segments:
            for number in islice(segment.with_digest(kind, digest), LOOK_AT):
                if segment.owners[number] and len(found) < most and segment.size(number) in size:
                    found.append(Found(segment.owners[number], segment.file(number)))
        done(found)

    @override
    def tidy(self) -> None:
        """Move some files out of a segment that is mostly holes; drop those that are nothing else."""
        for segment in self._segments[:-1]:
            if 2 * segment.living < segment.used:
                self._empty(segment)
                return

    @override
    async def aclose(self) -> None:
        self._owners.clear()
        self._segments = [Segment()]
        self.files = self.size = 0

    def check(self) -> None:
        """The invariants, for tests."""
        assert self.files == sum(segment.living for segment in self._segments)
        assert all(segment.full for segment in self._segments[:-1])
        size = 0
        for segment in self._segments:
            living = [number for number in range(segment.used) if segment.owners[number]]
            assert len(living) == segment.living
            for number in living:
                owner, file = segment.owners[number], segment.file(number)
                assert number in self._owners[owner].places[segment]
                assert segment.find(owner, file.name) == number
                size += file.size
        assert size == self.size

    def _add(self, owner: int, file: SharedFile) -> None:
        if self._segments[-1].full:
            self._segments.append(Segment())
        segment = self._segments[-1]
        numbers = self._owners[owner].places.setdefault(segment, array("H"))
        numbers.append(segment.add(owner, file))

    def _place(self, owner: int, name: str) -> tuple[Segment, int] | None:
        for segment in self._owners[owner].places:
            number = segment.find(owner, name)
            if number is not None:
                return segment, number
        return None

    def _living(self, owner: int, most: int) -> Iterator[tuple[Segment, int]]:
        for segment, numbers in self._owners[owner].places.items():
            for number in numbers:
                if segment.owners[number] == owner:
                    if most == 0:
                        return
                    most -= 1
                    yield segment, number

    def _forget(self, owner: int) -> int:
        forgotten = 0
        for segment, number in self._living(owner, -1):
            self.size -= segment.drop(number)
            forgotten += 1
        self.files -= forgotten
        self._owners[owner].places.clear()
        return forgotten

    def _fitting(self, query: Query) -> Iterator[tuple[Segment, int | None]]:
        low, high = query.speed
        for segment in reversed(self._segments):
            for number in segment.search(query):
                if number is None or low <= self._owners[segment.owners[number]].speed <= high:
                    yield segment, number
                else:
                    yield segment, None

    def _empty(self, segment: Segment) -> None:
        numbers = segment.sweep(_MOVES)
        for number in numbers:
            self._add(segment.owners[number], segment.file(number))
            segment.drop(number)
        if not numbers:
            self._segments.remove(segment)
            for owner in self._owners.values():
                owner.places.pop(segment, None)
