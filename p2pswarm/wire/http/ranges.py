"""Parts of a file in HTTP's words, of which servents speak several dialects.

Positions here are as Python has them: `start` is the first byte, `end` the one after the last. In the headers
the last byte is named.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from typing_extensions import override

from p2pswarm.errors import RemoteProtocolError

__all__ = ["ContentRange", "Range", "available", "number", "read_available"]

MOST_RANGES = 64  # of a partial file, in one header
_DIGITS = re.compile(r"[0-9]{1,18}")
# Without blanks, of which some put many. "bytes=" in answers comes from servents that took it from requests.
_RANGE = re.compile(r"bytes=?([0-9]{0,18})-([0-9]{0,18})(?:,.*)?", re.IGNORECASE)
_CONTENT = re.compile(r"bytes=?([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", re.IGNORECASE)
_PART = re.compile(r"\s*([0-9]{1,18})\s*-\s*([0-9]{1,18})\s*")


def number(text: str | None) -> int | None:
    """Plain digits, and not too many; anything else is no number."""
    text = (text or "").strip()
    return int(text) if _DIGITS.fullmatch(text) else None


@dataclass(frozen=True, slots=True)
class Range:
    """What is asked for: from `first` to `last`, to the end (None), or (first None) the `last` bytes."""

    first: int | None
    last: int | None = None

    @classmethod
    def read(cls, value: str) -> "Range | None":
        """The first of those named, as PFSP allows. What is no range asks for everything (RFC 9110, 14.2)."""
        found = _RANGE.fullmatch("".join(value.split()))
        if found is None or not (found[1] or found[2]):
            return None
        first, last = number(found[1]), number(found[2])
        if first is not None and last is not None and last < first:
            return None
        return cls(first, last)

    def within(self, size: int) -> tuple[int, int] | None:
        """`start` and `end` in a file of this size; None when nothing of it is there (416)."""
        if self.first is None:
            start, end = max(size - (self.last or 0), 0), size
        else:
            start = self.first
            end = size if self.last is None else min(self.last + 1, size)
        return (start, end) if start < end else None

    @override
    def __str__(self) -> str:
        first, last = ("" if end is None else end for end in (self.first, self.last))
        return f"bytes={first}-{last}"


@dataclass(frozen=True, slots=True)
class ContentRange:
    """What is given of a file of `size` bytes, None where the other side does not know."""

    start: int
    end: int
    size: int | None

    @classmethod
    def read(cls, value: str) -> "ContentRange":
        """Raises RemoteProtocolError; also for `*/size`, which gives nothing."""
        found = _CONTENT.fullmatch("".join(value.split()))
        first, last = (number(found[1]), number(found[2])) if found else (None, None)
        if found is None or first is None or last is None:
            raise RemoteProtocolError(f"no Content-Range: {value[:60]!r}")
        size = number(found[3])
        if last < first or (size is not None and last >= size):
            raise RemoteProtocolError(f"an impossible Content-Range: {value[:60]!r}")
        return cls(first, last + 1, size)

    @override
    def __str__(self) -> str:
        size = "*" if self.size is None else self.size
        return f"bytes {self.start}-{self.end - 1}/{size}"


def available(ranges: Iterable[tuple[int, int]]) -> str:
    """X-Available-Ranges (PFSP): what a partial file has. Beyond so many the rest is left out."""
    parts = [f"{start}-{end - 1}" for start, end in ranges if start < end]
    return f"bytes {','.join(parts[:MOST_RANGES])}"


def read_available(value: str) -> list[tuple[int, int]]:
    """Likewise, as (start, end). What cannot be understood is left out."""
    unit, _, parts = value.strip().replace("=", " ", 1).partition(" ")
    if unit.lower() != "bytes":
        return []
    found = map(_PART.fullmatch, parts.split(",", MOST_RANGES)[:MOST_RANGES])
    ranges = [(int(part[1]), int(part[2]) + 1) for part in found if part]
    return [(start, end) for start, end in ranges if start < end]
