"""What lookups brought: users that were found, names that nobody has, and the newest record of each.

A record that was used up is still worth its number: whoever gives an older one later is a liar, or was
asleep. Times are of the loop's clock, since the arrival of each (so no jump of the world's clock ends them
all). Sans-IO.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, TypeVar

from p2pswarm.overlay.remembering import remember

__all__ = ["Cache"]

MOST_FOUND = 1000
MOST_UNKNOWN = 1000
FRESH = 300.0  # seconds at most: where somebody is at home changes faster than a record says
UNKNOWN = 60.0  # seconds at most that a name is believed to be nobody's (RFC 2308)

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class _Kept(Generic[Record]):
    record: Record
    seq: int
    until: float


class Cache(Generic[Record]):
    """By the hashes of names."""

    def __init__(self) -> None:
        self._found: OrderedDict[bytes, _Kept[Record]] = OrderedDict()
        self._unknown: OrderedDict[bytes, float] = OrderedDict()  # until when

    def found(self, name: bytes, record: Record, seq: int, ttl: float, now: float) -> None:
        """It was found, and its signatures were looked at. An older one than we know changes nothing."""
        self._unknown.pop(name, None)
        if seq >= self.newest(name):
            kept = _Kept(record, seq, now + min(ttl, FRESH))
            remember(self._found, name, kept, MOST_FOUND)

    def unknown(self, name: bytes, ttl: float, now: float) -> None:
        """Most say that nobody has this name."""
        remember(self._unknown, name, now + min(ttl, UNKNOWN), MOST_UNKNOWN)

    def get(self, name: bytes, now: float) -> Record | None:
        """What was found lately."""
        kept = self._found.get(name)
        return kept.record if kept is not None and now < kept.until else None

    def is_unknown(self, name: bytes, now: float) -> bool:
        """Whether nobody had the name a moment ago."""
        return now < self._unknown.get(name, float("-inf"))

    def newest(self, name: bytes) -> int:
        """The number below which a record of that name is old; 0 when none is known."""
        kept = self._found.get(name)
        return kept.seq if kept is not None else 0

    def drop(self, name: bytes) -> None:
        """What was found does not hold any more: it is looked up next time, and must not be older."""
        kept = self._found.get(name)
        if kept is not None:
            self._found[name] = _Kept(kept.record, kept.seq, float("-inf"))
