"""A feed as one reader knows it: entries in a row, and a proof if its publisher told two stories. Sans-IO.

The one hard thing: what two followers were told separately must fit together. Two signed entries that cannot
both be in one chain are a `Proof` that the publisher told two stories: it is kept, and nothing is added any
more. Only the publisher can make one, so nobody can end a feed but its publisher.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Self

from typing_extensions import override

from p2pswarm.errors import FormatError
from p2pswarm.formats import bencode
from p2pswarm.formats.feed import FIRST, MAX_ENTRIES, MAX_ENTRY, Entry, FeedName

__all__ = ["Log", "Proof", "Verdict", "read_proof"]

_MAX_FILE = MAX_ENTRIES * (MAX_ENTRY + 5) + 10_000  # bytes
_MAX_TOKENS = MAX_ENTRIES + 100


@dataclass(frozen=True, slots=True)
class Proof:
    """Two entries that cannot both be in one chain."""

    first: Entry
    second: Entry

    @classmethod
    def of(cls, one: Entry, other: Entry) -> Self | None:
        """None when they may well be. The signatures are not looked at."""
        if one.sequence > other.sequence:
            one, other = other, one
        rewritten = one.sequence == other.sequence and one.digest != other.digest
        unchained = one.sequence + 1 == other.sequence and one.digest != other.previous
        return cls(one, other) if one.feed == other.feed and (rewritten or unchained) else None

    @property
    def entries(self) -> tuple[bytes, bytes]:
        """As they travel."""
        return self.first.raw, self.second.raw

    @override
    def __str__(self) -> str:
        one, other = self.first, self.second
        if one.sequence == other.sequence:
            return f"release {one.sequence} was signed twice: as {one.short} and as {other.short}"
        return (
            f"release {other.sequence} ({other.short}) was signed upon another release "
            f"{one.sequence} than {one.short}"
        )


class Verdict(Enum):
    """What became of an entry."""

    NEW = "is in the log now"
    KNOWN = "was known"
    AHEAD = "is genuine, and entries before it are missing"
    CONTRADICTS = "is a proof, with one that was known"


class Log:
    """The entries of a feed from the first on, without a gap; `beyond` is the last one after a gap."""

    def __init__(self, feed: FeedName) -> None:
        self.feed = feed
        self.entries: list[Entry] = []
        self.beyond: Entry | None = None
        self.proof: Proof | None = None

    @property
    def head(self) -> Entry | None:
        return self.entries[-1] if self.entries else None

    @property
    def newest(self) -> Entry | None:
        """The last entry that is known to exist."""
        return self.beyond or self.head

    def add(self, entry: Entry) -> Verdict:
        """Raises FormatError for an entry that the publisher of this feed did not sign."""
        if entry.feed != self.feed:
            raise FormatError("an entry of another feed")
        near = self._near(entry.sequence)
        if any(known.digest == entry.digest for known in near):
            return Verdict.KNOWN
        if not entry.genuine:
            raise FormatError("an entry that its publisher did not sign")
        return Verdict.KNOWN if self.proof else self._put(entry, near)

    def _near(self, sequence: int) -> list[Entry]:
        """Those that it might contradict."""
        near = self.entries[max(0, sequence - 2) : sequence + 1]
        return near if self.beyond is None else [*near, self.beyond]

    def _put(self, entry: Entry, near: Sequence[Entry]) -> Verdict:
        for known in near:
            self.proof = self.proof or Proof.of(known, entry)
        if self.proof is not None:
            return Verdict.CONTRADICTS
        if entry.sequence == len(self.entries) + 1:
            self.entries.append(entry)
            self._join_beyond()
            return Verdict.NEW
        if self.beyond is not None and entry.sequence <= self.beyond.sequence:
            return Verdict.KNOWN
        self.beyond = entry
        return Verdict.AHEAD

    def _join_beyond(self) -> None:
        last = self.beyond
        if last is not None and last.sequence == len(self.entries) + 1:
            self.entries.append(last)
        if last is not None and last.sequence <= len(self.entries):
            self.beyond = None

    def accuse(self, proof: Proof) -> bool:
        """Somebody shows a proof; whether it is news. Raises FormatError when it proves nothing."""
        if self.proof is not None:
            return False
        both = proof.first, proof.second
        if proof.first.feed != self.feed or not all(entry.genuine for entry in both):
            raise FormatError("a proof of nothing")
        self.proof = proof
        return True

    def check(self) -> None:
        before = FIRST
        for number, entry in enumerate(self.entries, 1):
            assert (entry.sequence, entry.previous, entry.feed) == (number, before, self.feed)
            before = entry.digest
        assert self.beyond is None or self.beyond.sequence > len(self.entries) + 1

    def encode(self) -> bytes:
        """All of it, for a file."""
        kept: dict[bytes, Any] = {b"entries": [entry.raw for entry in self.entries]}
        if self.beyond is not None:
            kept[b"beyond"] = self.beyond.raw
        if self.proof is not None:
            kept[b"proof"] = list(self.proof.entries)
        return bencode.encode(kept)

    @classmethod
    def decode(cls, feed: FeedName, data: bytes) -> Self:
        """What `encode` wrote. Raises FormatError."""
        kept = bencode.decode(data, max_depth=3, max_size=_MAX_FILE, max_tokens=_MAX_TOKENS)
        if not isinstance(kept, dict):
            raise FormatError("not the log of a feed")
        log = cls(feed)
        for raw in (*_list(kept.get(b"entries", [])), kept.get(b"beyond")):
            if raw is not None:
                log.add(Entry.decode(_raw(raw)))
        if b"proof" in kept:
            log.accuse(read_proof(_list(kept[b"proof"])))
        return log


def read_proof(entries: Sequence[object]) -> Proof:
    """Of two entries as they travel; their signatures are not looked at. Raises FormatError."""
    if len(entries) != 2:
        raise FormatError("a proof is two entries")
    proof = Proof.of(*(Entry.decode(_raw(raw)) for raw in entries))
    if proof is None:
        raise FormatError("a proof of nothing")
    return proof


def _raw(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise FormatError("an entry of a feed is missing")
    return value


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise FormatError("a list is missing")
    return value
