"""Which numbers stand under a key: one owner's files by their words and hashes, in little memory.

Most words of a collection stand in one name only, so a key with one number holds just that number; only the
others pay for an array. Arrays are in order: a number is found and taken out by bisection.
"""

from array import array
from bisect import bisect_left
from collections.abc import Hashable, Iterator, Sequence

__all__ = ["Postings", "has"]


def has(numbers: Sequence[int], number: int) -> bool:
    """Whether it is among these, which are in order."""
    at = bisect_left(numbers, number)
    return at < len(numbers) and numbers[at] == number


class Postings:
    """Invariants: numbers are u32, in order, each once under its key; no key without a number."""

    __slots__ = ("_numbers",)

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int | array[int]] = {}

    def __len__(self) -> int:
        """How many keys."""
        return len(self._numbers)

    def of(self, key: Hashable) -> Sequence[int]:
        """In order."""
        numbers = self._numbers.get(key, ())
        return (numbers,) if isinstance(numbers, int) else numbers

    def put(self, key: Hashable, number: int) -> None:
        known = self._numbers.get(key)
        if known is None:
            self._numbers[key] = number
        elif isinstance(known, int):
            self._numbers[key] = array("I", sorted({known, number}))
        elif number > known[-1]:  # as they mostly come
            known.append(number)
        elif not has(known, number):
            known.insert(bisect_left(known, number), number)

    def drop(self, key: Hashable, number: int) -> None:
        known = self._numbers.get(key)
        if known == number:
            del self._numbers[key]
        elif isinstance(known, array) and has(known, number):
            del known[bisect_left(known, number)]
            if not known:
                del self._numbers[key]

    def all(self) -> Iterator[tuple[Hashable, int]]:
        """Every key with each of its numbers."""
        return ((key, number) for key in self._numbers for number in self.of(key))

    def check(self) -> None:
        for key, known in self._numbers.items():
            numbers = self.of(key)
            assert numbers, f"{key!r} has no numbers"
            assert list(numbers) == sorted(set(numbers))
            assert isinstance(known, int) or known.itemsize == 4
