"""The records that a super node keeps: of each name the newest, while its ttl lasts by our own clock.

They are in order of their hashes, so what is under a prefix is one piece of the list, and two super nodes
compare what they have by sums of such pieces. The number of a record that has run out is remembered for a
while: nobody brings it back to life by sending it once more. Sans-IO.
"""

from bisect import bisect_left, insort
from collections import OrderedDict
from enum import Enum, auto
from hashlib import sha256
from heapq import heappop, heappush
from typing import NamedTuple

from p2pswarm.overlay.remembering import remember
from p2pswarm.wire.people.finding import HASH_SIZE
from p2pswarm.wire.people.nodes import MAX_DEPTH, Prefix
from p2pswarm.wire.people.slots import Held

__all__ = ["MOST_RECORDS", "Judged", "Kept", "Outcome", "Records"]

MOST_RECORDS = 50_000  # 45 MB of records, a slot's share of 100 million names
MOST_DIGESTS = 1000
MOST_RUN_OUT = 50_000
SUM_SIZE = 8


class Judged(NamedTuple):
    """What a record says that was found good."""

    hash: bytes
    """Of its name."""
    seq: int
    ttl: int
    """Seconds, from when it is first heard of."""


class Kept(NamedTuple):
    """A record here."""

    record: bytes
    seq: int
    until: float
    sum: int


class Outcome(Enum):
    """What became of one that was put."""

    NEW = auto()
    SAME = auto()
    STALE = auto()
    FULL = auto()


class Records:
    """`put`, `get`, `drop`; `step` now and then.

    Invariant: the list in order has exactly the hashes of the table.
    """

    def __init__(self, most: int = MOST_RECORDS) -> None:
        self._most = most
        self._kept: dict[bytes, Kept] = {}
        self._order: list[bytes] = []
        self._ends: list[tuple[float, bytes]] = []
        self._digests: dict[Prefix, tuple[int, bytes]] = {}  # of what has not changed since
        self._run_out: OrderedDict[bytes, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, hash_: bytes, now: float) -> Kept | None:
        kept = self._kept.get(hash_)
        return kept if kept is not None and kept.until > now else None

    def newest(self, hash_: bytes) -> int:
        """The highest number that is known of this name."""
        kept = self._kept.get(hash_)
        return kept.seq if kept is not None else self._run_out.get(hash_, 0)

    def put(self, judged: Judged, record: bytes, ttl: float, now: float) -> Outcome:
        """Keep it for so long, which is no longer than it says itself."""
        kept = self._kept.get(judged.hash)
        if kept is not None and kept.seq == judged.seq:
            return Outcome.SAME
        if judged.seq <= self.newest(judged.hash):
            return Outcome.STALE
        if kept is None and len(self._kept) >= self._most:
            return Outcome.FULL
        if kept is None:
            insort(self._order, judged.hash)
        until = now + min(ttl, judged.ttl)
        sum_ = _sum(judged.hash, judged.seq)
        self._kept[judged.hash] = Kept(record, judged.seq, until, sum_)
        heappush(self._ends, (until, judged.hash))
        self._digests.clear()
        return Outcome.NEW

    def drop(self, hash_: bytes) -> None:
        if self._kept.pop(hash_, None) is not None:
            self._digests.clear()
            del self._order[bisect_left(self._order, hash_)]

    def under(self, prefix: Prefix) -> list[bytes]:
        """The hashes that begin with this."""
        start, end = _bounds(prefix)
        return self._order[bisect_left(self._order, start) : bisect_left(self._order, end)]

    def digest(self, prefix: Prefix) -> tuple[int, bytes]:
        """How many there are under this, and their sum."""
        known = self._digests.get(prefix)
        if known is None:
            there, total = self.under(prefix), 0
            for hash_ in there:
                total ^= self._kept[hash_].sum
            known = self._digests[prefix] = len(there), total.to_bytes(SUM_SIZE, "big")
            if len(self._digests) > MOST_DIGESTS:
                self._digests.clear()
        return known

    def held(self, prefix: Prefix) -> list[Held]:
        """Each of them."""
        return [Held(hash_, self._kept[hash_].seq) for hash_ in self.under(prefix)]

    def outside(self, prefix: Prefix) -> list[bytes]:
        """The hashes that do not."""
        start, end = _bounds(prefix)
        before, behind = bisect_left(self._order, start), bisect_left(self._order, end)
        return self._order[:before] + self._order[behind:]

    def step(self, now: float) -> None:
        """What has run out goes; a newer one of that name has another end."""
        while self._ends and self._ends[0][0] <= now:
            _, hash_ = heappop(self._ends)
            kept = self._kept.get(hash_)
            if kept is not None and kept.until <= now:
                remember(self._run_out, hash_, kept.seq, MOST_RUN_OUT)
                self.drop(hash_)

    def check(self) -> None:
        assert self._order == sorted(self._kept)
        assert len(self._kept) <= self._most


def _bounds(prefix: Prefix) -> tuple[bytes, bytes]:
    """Where what begins with it starts and ends; the end of all is longer than any hash."""
    shift = MAX_DEPTH - prefix.length
    start, end = prefix.bits << shift, (prefix.bits + 1) << shift
    behind = end.to_bytes(4, "big") if end >> MAX_DEPTH == 0 else b"\xff" * (HASH_SIZE + 1)
    return start.to_bytes(4, "big"), behind


def _sum(hash_: bytes, seq: int) -> int:
    return int.from_bytes(sha256(hash_ + seq.to_bytes(8, "big")).digest()[:SUM_SIZE], "big")
