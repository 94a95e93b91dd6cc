"""What a super node knows of files: those of its children while they are connected, and its own.

Every owner has a collection of its own, with its own words. So an owner is forgotten by letting go of one
object, completely and at once, however much it shared; a query asks each of at most some hundred collections,
which costs a look into a dictionary for those that have none of its words.

The one hard thing: a query for a common word must cost no more than another. It looks at so many files and no
more. When it ends early, whoever was looked at goes behind the others, so that in the next query those come
first who were left out; what is found is shared out equally, and when the index is full, who has most makes
room. So nobody keeps the others from being found by sharing what everybody asks for.

A file costs about 600 bytes, as measured with 100 000 names of music with folders, of eight words each and
a SHA-1: half of it is the file itself, the rest are three keys that no other of its owner's files has. A
stranger can make up new words only, so keys are bounded as files are. A query costs 50 microseconds among a
hundred owners, and 10 milliseconds at worst.
"""

from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from itertools import islice
from sys import intern
from typing import Generic, NamedTuple, Protocol, TypeVar

from p2pswarm.formats.words import Kind, kind_of, plain, words_of
from p2pswarm.overlay.limits import fair_share
from p2pswarm.overlay.supernode.postings import Postings, has
from p2pswarm.wire.supernode.shares import SharedFile

__all__ = ["CANDIDATES", "MOST_FILES", "MOST_OF_OWNER", "Index", "Question"]

MOST_OF_OWNER = 10_000  # files; the largest collections that a crawl of FastTrack saw are smaller
MOST_FILES = 500_000  # of all owners: 300 MB
AT_ONCE = 100  # files of the largest owner that make room
KEYS_OF_FILE = 8  # on average, words and hashes; a real collection has three to five
CANDIDATES = 20_000  # how often a query looks whether a file has a word: 10 ms of work

Owner = TypeVar("Owner", bound=Hashable)


class Question(Protocol):
    """What is looked for, as in `overlay.query.Query`."""

    @property
    def words(self) -> tuple[str, ...]: ...
    @property
    def without(self) -> tuple[str, ...]: ...
    @property
    def kind(self) -> Kind: ...
    @property
    def min_size(self) -> int: ...
    @property
    def max_size(self) -> int | None: ...
    @property
    def digest(self) -> tuple[str, bytes] | None: ...


class _Asked(NamedTuple):
    """A question as names are compared."""

    keys: tuple[Hashable, ...]  # words, and a hash
    without: tuple[str, ...]
    kind: Kind
    sizes: tuple[int, int | None]
    digest: tuple[str, bytes] | None

    @classmethod
    def of(cls, question: Question) -> "_Asked":
        keys: list[Hashable] = [*_plain(question.words)]
        if question.digest is not None:
            keys.append(question.digest[1])
        sizes = (question.min_size, question.max_size)
        without = tuple(_plain(question.without))
        return cls(tuple(keys), without, question.kind, sizes, question.digest)

    def fits(self, file: SharedFile) -> bool:
        """Apart from the words."""
        least, most = self.sizes
        return (
            least <= file.size
            and (most is None or file.size <= most)
            and self.kind in (Kind.ANY, kind_of(file.name))
            and (self.digest is None or self.digest in _digests(file))
        )


def _plain(words: Iterable[str]) -> list[str]:
    found = words_of(" ".join(words))
    return plain(found) if found else []


def _digests(file: SharedFile) -> Iterator[tuple[str, bytes]]:
    known = (("sha1", file.sha1), ("tth", file.tth), ("btih", file.info_hash))
    return ((name, value) for name, value in known if value is not None)


def _keys(file: SharedFile) -> Iterator[Hashable]:
    """Under what a file is found. The same word of two owners is one object."""
    yield from map(intern, _plain((file.name,)))
    yield from (value for _, value in _digests(file))


class _Collection:
    """The files of one owner. Invariant: exactly their keys stand in the postings."""

    __slots__ = ("files", "postings")

    def __init__(self) -> None:
        self.files: dict[int, SharedFile] = {}
        self.postings = Postings()

    @property
    def weight(self) -> int:
        """In files, as much memory as it takes."""
        return max(len(self.files), len(self.postings) // KEYS_OF_FILE)

    def put(self, file: SharedFile) -> None:
        self.drop(file.number)
        self.files[file.number] = file
        for key in _keys(file):
            self.postings.put(key, file.number)

    def drop(self, number: int) -> None:
        file = self.files.pop(number, None)
        if file is not None:
            for key in _keys(file):
                self.postings.drop(key, number)

    def search(self, asked: _Asked, most: int, work: int) -> tuple[list[SharedFile], int]:
        """What fits, and how much of the work is used."""
        rows: list[Sequence[int]] = []
        for key in asked.keys:
            rows.append(self.postings.of(key))
            if not rows[-1]:
                return [], 0
        rows.sort(key=len)
        unwanted = [row for word in asked.without if (row := self.postings.of(word))]
        cost = len(rows) + len(unwanted)
        found: list[SharedFile] = []
        looked = 0
        for number in rows[0][: -(-work // cost)]:
            looked += 1
            if _in_all(rows, number) and not any(has(row, number) for row in unwanted):
                file = self.files[number]
                if asked.fits(file):
                    found.append(file)
                    if len(found) >= most:
                        break
        return found, looked * cost

    def check(self) -> None:
        self.postings.check()
        wanted = {(key, number) for number, file in self.files.items() for key in _keys(file)}
        assert set(self.postings.all()) == wanted
        assert all(file.number == number for number, file in self.files.items())


def _in_all(rows: Sequence[Sequence[int]], number: int) -> bool:
    return all(has(row, number) for row in rows[1:])


class Index(Generic[Owner]):
    """Files by words and hashes; an owner is whatever can be a key.

    Invariants: an owner without files is not here; the bounds hold; `files` and keys are the sums of all.
    """

    def __init__(self, most: int = MOST_FILES, most_of_owner: int = MOST_OF_OWNER) -> None:
        self._most, self._most_of_owner = most, most_of_owner
        self._collections: dict[Owner, _Collection] = {}  # whoever is looked at next comes first
        self.files = 0
        self._keys = 0
        self.looks = 0
        """How often it was looked whether a file has a word; half a microsecond each."""

    def __contains__(self, owner: Owner) -> bool:
        return owner in self._collections

    def count(self, owner: Owner) -> int:
        """How many files of this owner are known."""
        collection = self._collections.get(owner)
        return 0 if collection is None else len(collection.files)

    def add(self, owner: Owner, files: Iterable[SharedFile]) -> int:
        """How many were taken; the rest is over the bounds. The same number again replaces a file."""
        collection = self._collections.get(owner) or _Collection()
        taken = 0
        for file in files:
            new = file.number not in collection.files
            if self._may_have(collection, new) and self._has_room(collection, new):
                keys = len(collection.postings)
                collection.put(file)
                self._keys += len(collection.postings) - keys
                self.files += new
                taken += 1
        if collection.files:
            self._collections.setdefault(owner, collection)
        return taken

    def _may_have(self, collection: _Collection, new: bool) -> bool:
        return (
            len(collection.files) + new <= self._most_of_owner
            and len(collection.postings) < self._most_of_owner * KEYS_OF_FILE
        )

    def _has_room(self, collection: _Collection, new: bool) -> bool:
        """When all is full, who has most makes room for who has less."""
        if self.files + new <= self._most and self._keys < self._most * KEYS_OF_FILE:
            return True
        owner, largest = max(self._collections.items(), key=lambda each: each[1].weight)
        more = largest.weight - collection.weight
        numbers = list(islice(reversed(largest.files), min(more // 2, AT_ONCE)))
        if not numbers or len(numbers) == len(largest.files):
            return False
        self.remove(owner, numbers)
        return True

    def remove(self, owner: Owner, numbers: Collection[int]) -> None:
        """These files of it; numbers that are not known do no harm."""
        collection = self._collections.get(owner)
        if collection is None:
            return
        before, keys = len(collection.files), len(collection.postings)
        for number in numbers:
            collection.drop(number)
        self.files -= before - len(collection.files)
        self._keys -= keys - len(collection.postings)
        if not collection.files:
            del self._collections[owner]

    def forget(self, owner: Owner) -> None:
        """All of it."""
        collection = self._collections.pop(owner, None)
        if collection is not None:
            self.files -= len(collection.files)
            self._keys -= len(collection.postings)

    def search(
        self,
        question: Question,
        limit: int,
        most_of_one: int = 20,
        but: Owner | None = None,
        work: int = CANDIDATES,
    ) -> list[tuple[Owner, list[SharedFile]]]:
        """At most `limit` files, so many of one owner, none of who asks; nothing for no words and no hash."""
        asked = _Asked.of(question)
        results: list[tuple[Owner, list[SharedFile]]] = []
        if not asked.keys:
            return results
        looked: list[Owner] = []
        if limit <= 0:
            return results
        for owner, collection in self._collections.items():
            if work <= 0:
                self._put_behind(looked)
                break
            if owner == but:
                continue
            files, used = collection.search(asked, min(limit, most_of_one), work)
            if used:
                looked.append(owner)
                work -= used
                self.looks += used
            if files:
                results.append((owner, files))
        return self._shared_out(results, limit)

    def _shared_out(
        self, results: list[tuple[Owner, list[SharedFile]]], limit: int
    ) -> list[tuple[Owner, list[SharedFile]]]:
        """An equal share of the limit for each, or who has most of everything hides the others."""
        counts = [len(files) for _, files in results]
        left = limit - sum(counts)
        if left >= 0:
            return results
        share = int(fair_share(limit, [float(count) for count in counts]))
        left = limit - sum(min(count, share) for count in counts)
        kept: list[tuple[Owner, list[SharedFile]]] = []
        for owner, files in results:
            more = left > 0 and len(files) > share
            left -= more
            if share + more:
                kept.append((owner, files[: share + more]))
        self._put_behind(owner for owner, _ in kept)
        return sorted(kept, key=lambda each: len(each[1]))  # on its way some of it may be left out

    def _put_behind(self, owners: Iterable[Owner]) -> None:
        for owner in owners:
            self._collections[owner] = self._collections.pop(owner)

    def check(self) -> None:
        for collection in self._collections.values():
            collection.check()
            assert 0 < len(collection.files) <= self._most_of_owner
        assert self.files == sum(len(c.files) for c in self._collections.values()) <= self._most
        assert self._keys == sum(len(c.postings) for c in self._collections.values())
