"""The files of one owner, by their words and hashes; and what a question is to them.

The one hard thing: words of names and of questions are compared in one form, plain and in lower case, and
whoever asks may have sent them in another.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from sys import intern
from typing import NamedTuple, Protocol

from p2pswarm.formats.words import Kind, kind_of, plain, words_of
from p2pswarm.overlay.supernode.postings import Postings, has
from p2pswarm.wire.supernode.shares import SharedFile

__all__ = ["Asked", "Collection", "Question"]


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


class Asked(NamedTuple):
    """A question as names are compared."""

    keys: tuple[Hashable, ...]  # words, and a hash
    without: tuple[str, ...]
    kind: Kind
    sizes: tuple[int, int | None]
    digest: tuple[str, bytes] | None

    @classmethod
    def of(cls, question: Question) -> "Asked":
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


class Collection:
    """The files of one owner. Invariant: exactly their keys stand in the postings."""

    __slots__ = ("files", "postings")

    def __init__(self) -> None:
        self.files: dict[int, SharedFile] = {}
        self.postings = Postings()

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

    def search(self, asked: Asked, most: int, work: int) -> tuple[list[SharedFile], int]:
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
