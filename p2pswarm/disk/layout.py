"""Where a range of the torrent's bytes lies in which files. Sans-IO: numbers in, numbers out.

The files of a torrent stand end to end (BEP 3, "pieces"). Files of zero length own no byte, so a span
never names one; they keep their place in the numbering.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

__all__ = ["Layout", "Span"]


class Span(NamedTuple):
    """`length` bytes at `offset` of the file with the number `file`."""

    file: int
    offset: int
    length: int


class Layout:
    """Built once from the lengths of all files, in bytes and in the torrent's order."""

    __slots__ = ("_ends", "_files", "_lengths", "_starts", "total")

    def __init__(self, lengths: Sequence[int]) -> None:
        self._ends = tuple(accumulate(lengths))
        self.total = self._ends[-1] if self._ends else 0
        # Only files that own bytes, so that ten thousand empty ones cost nothing on the way.
        self._files = tuple(file for file, length in enumerate(lengths) if length)
        self._lengths = tuple(lengths[file] for file in self._files)
        self._starts = tuple(self._ends[file] - lengths[file] for file in self._files)

    def __len__(self) -> int:
        """How many files, the empty ones too."""
        return len(self._ends)

    def spans(self, offset: int, length: int) -> list[Span]:
        """The parts of files that together are these bytes, in order. Raises ValueError outside."""
        self._check(offset, length)
        if not length:
            return []
        at = bisect_right(self._starts, offset) - 1
        offset -= self._starts[at]
        if offset + length <= self._lengths[at]:
            return [Span(self._files[at], offset, length)]
        found = []
        while length:
            here = min(length, self._lengths[at] - offset)
            found.append(Span(self._files[at], offset, here))
            length -= here
            offset = 0
            at += 1
        return found

    def files_of(self, offset: int, length: int) -> range:
        """The first to the last file with a byte in this range (empty ones between them too)."""
        self._check(offset, length)
        if not length:
            return range(0)
        first = bisect_right(self._starts, offset) - 1
        last = bisect_right(self._starts, offset + length - 1) - 1
        return range(self._files[first], self._files[last] + 1)

    def bytes_of(self, file: int) -> tuple[int, int]:
        """Where this file's bytes start and end in the torrent. Raises ValueError for no such file."""
        if not 0 <= file < len(self._ends):
            raise ValueError(f"file {file} of {len(self._ends)}")
        return self._ends[file - 1] if file else 0, self._ends[file]

    def _check(self, offset: int, length: int) -> None:
        if offset < 0 or length < 0 or offset + length > self.total:
            raise ValueError(f"bytes {offset} to {offset + length} of {self.total}")
