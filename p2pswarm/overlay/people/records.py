"""The records that a super node keeps: of each name the newest, while its ttl lasts by our own clock.

They are in order of their hashes, so what is under a prefix is one piece of the list, and two super nodes
compare what they have by sums of such pieces. The number of a record that has run out is remembered for a
while: nobody brings it back to life by sending it once more. Sans-IO.
"""

from bisect import bisect_left, insort
from collections import OrderedDict
from enum import Enum, auto
from hashlib import sha256
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from p2pswarm.overlay.remembering import remember
from p2pswarm.wire.people.finding import HASH_SIZE
from p2pswarm.wire.people.nodes import MAX_DEPTH, Prefix
from p2pswarm.wire.people.slots import Held

__all__ = ["MOST_RECORDS", "Judged", "Kept", "Outcome", "Records"]

MOST_RECORDS = 50_000  # 45 MB of records, a slot's share of 100 million names
MOST_RUN_OUT = 50_000
MOST_SUMS = 4096
SUM_SIZE = 8
_SPARE = 1000  # ends beyond twice the records


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
        self._run_out: OrderedDict[bytes, int] = OrderedDict()
        self._sums: OrderedDict[Prefix, tuple[int, int]] = OrderedDict()  # that were asked for

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
        if kept is None:
            self._sum_up(judged.hash, 1, sum_)
        else:
            self._sum_up(judged.hash, 0, kept.sum ^ sum_)
        heappush(self._ends, (until, judged.hash))
        if len(self._ends) > 2 * len(self._kept) + _SPARE:
            self._forget_ends()
        return Outcome.NEW

    def _forget_ends(self) -> None:
        """Those of records that newer ones took the place of: somebody may sign one each second."""
        self._ends = [(kept.until, hash_) for hash_, kept in self._kept.items()]
        heapify(self._ends)

    def drop(self, hash_: bytes) -> None:
        kept = self._kept.pop(hash_, None)
        if kept is not None:
            del self._order[bisect_left(self._order, hash_)]
            self._sum_up(hash_, -1, kept.sum)

    def under(self, prefix: Prefix) -> list[bytes]:
        """The hashes that begin with this."""
        start, end = _bounds(prefix)
        return self._order[bisect_left(self._order, start) : bisect_left(self._order, end)]

    def digest(self, prefix: Prefix) -> tuple[int, bytes]:
        """How many there are under this, and their sum. Anybody may ask, so it is added up once."""
        known = self._sums.get(prefix)
        if known is None:
            there, total = self.under(prefix), 0
            for hash_ in there:
                total ^= self._kept[hash_].sum
            known = len(there), total
        remember(self._sums, prefix, known, MOST_SUMS)
        return known[0], known[1].to_bytes(SUM_SIZE, "big")

    def _sum_up(self, hash_: bytes, more: int, change: int) -> None:
        """In every sum that it is part of."""
        for length in range(MAX_DEPTH + 1) if self._sums else ():
            prefix = Prefix.of(hash_, length)
            if prefix in self._sums:
                count, total = self._sums[prefix]
                self._sums[prefix] = count + more, total ^ change

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
        known, self._sums = self._sums, OrderedDict()
        assert all(self.digest(each)[0] == count for each, (count, _) in known.items())
        assert all(self._sums[each] == sums for each, sums in known.items())


def _bounds(prefix: Prefix) -> tuple[bytes, bytes]:
    """Where what begins with it starts and ends; the end of all is longer than any hash."""
    shift = MAX_DEPTH - prefix.length
    start, end = prefix.bits << shift, (prefix.bits + 1) << shift
    behind = end.to_bytes(4, "big") if end >> MAX_DEPTH == 0 else b"\xff" * (HASH_SIZE + 1)
    return start.to_bytes(4, "big"), behind


def _sum(hash_: bytes, seq: int) -> int:
    return int.from_bytes(sha256(hash_ + seq.to_bytes(8, "big")).digest()[:SUM_SIZE], "big")
