"""Which messages were seen, and over which link a reply goes back: tables of GUIDs, bounded in size and age.

Nobody proves a GUID, so the first link that names one owns it: a second link with the same GUID is a
duplicate, and replies go to the owner. Every link has its own row of batches; when the table is full the
link with the most entries loses its oldest batch, so a link that floods flushes its own entries and nobody
else's. A link that has gone leaves its GUIDs behind, ownerless: they are still duplicates, but nothing is
sent back. Sans-IO.
"""

from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["AGE", "MOST_SEEN", "MOST_SERVENTS", "Routes"]

Link = TypeVar("Link", bound=Hashable)

MOST_SEEN = 50_000  # entries; at 80 new GUIDs a second it reaches back ten minutes
MOST_SERVENTS = 20_000
AGE = 600.0  # seconds: no hit comes so late, and no copy of a query travels so long
SLOT = 10.0  # seconds that share a batch: how exact ages are
BATCH = 500  # entries; what a full table frees at once
SETTLED = 10.0  # seconds that a servent's route stays, before another link may take it over


class _Owner(Generic[Link]):
    """A link, or what is left of one."""

    __slots__ = ("batches", "count", "link", "open")

    def __init__(self, link: Link | None) -> None:
        self.link = link
        self.batches: deque[_Batch[Link]] = deque()  # oldest first
        self.open: dict[int, _Batch[Link]] = {}  # the last one of each mark
        self.count = 0  # keys in them, the moved ones too


class _Batch(Generic[Link]):
    """Keys that came in the same ten seconds, with the same mark."""

    __slots__ = ("began", "keys", "mark", "owner")

    def __init__(self, owner: _Owner[Link], mark: int, began: float) -> None:
        self.owner, self.mark, self.began = owner, mark, began
        self.keys: list[bytes] = []


class _Table(Generic[Link]):
    """Key -> the batch it is in. A key that moved to a newer batch is skipped when its old one ends.

    Invariants: every key is listed in its batch; the counts are right; `most` is never exceeded.
    """

    __slots__ = ("_batch_of", "_gone", "_listed", "_most", "_owners", "_swept")

    def __init__(self, most: int) -> None:
        self._most = most
        self._batch_of: dict[bytes, _Batch[Link]] = {}
        self._owners: dict[Link, _Owner[Link]] = {}
        self._gone: _Owner[Link] = _Owner(None)
        self._listed = 0
        self._swept = float("-inf")

    def __len__(self) -> int:
        return len(self._batch_of)

    def get(self, key: bytes) -> "_Batch[Link] | None":
        return self._batch_of.get(key)

    def put(self, key: bytes, link: Link, mark: int, now: float) -> None:
        if not self._swept <= now < self._swept + SLOT:
            self._sweep(now)
        if self._listed >= self._most:
            self._drop_oldest_of(max([self._gone, *self._owners.values()], key=_weight))
        owner = self._owners.get(link)
        if owner is None:
            owner = self._owners[link] = _Owner(link)
        batch = owner.open.get(mark)
        if batch is None or not _fits(batch, now):
            batch = owner.open[mark] = _Batch(owner, mark, now)
            owner.batches.append(batch)
        batch.keys.append(key)
        owner.count += 1
        self._listed += 1
        self._batch_of[key] = batch

    def forget(self, link: Link) -> None:
        """The keys stay, without an owner; ages are kept, in whatever order."""
        owner = self._owners.pop(link, None)
        if owner is not None:
            owner.link = None
            owner.open.clear()
            self._gone.batches.extend(owner.batches)
            self._gone.count += owner.count

    def _sweep(self, now: float) -> None:
        """Once in ten seconds: what is too old goes, and links that have nothing left."""
        self._swept = now
        for link, owner in list(self._owners.items()):
            while owner.batches and abs(now - owner.batches[0].began) >= AGE:
                self._drop_oldest_of(owner)
            if not owner.batches:
                del self._owners[link]
        for _ in range(len(self._gone.batches)):  # these are in no order: all are looked at once
            if abs(now - self._gone.batches[0].began) >= AGE:
                self._drop_oldest_of(self._gone)
            else:
                self._gone.batches.rotate(-1)

    def _drop_oldest_of(self, owner: _Owner[Link]) -> None:
        batch = owner.batches.popleft()
        if owner.open.get(batch.mark) is batch:
            del owner.open[batch.mark]
        owner.count -= len(batch.keys)
        self._listed -= len(batch.keys)
        for key in batch.keys:
            if self._batch_of.get(key) is batch:
                del self._batch_of[key]

    def check(self) -> None:
        rows = [self._gone, *self._owners.values()]
        for owner in rows:
            assert owner.count == sum(len(batch.keys) for batch in owner.batches)
        assert self._listed == sum(owner.count for owner in rows) <= self._most
        held = {id(batch) for owner in rows for batch in owner.batches}
        assert all(id(b) in held and key in b.keys for key, b in self._batch_of.items())


def _weight(owner: _Owner[Link]) -> int:
    return owner.count


def _fits(batch: _Batch[Link], now: float) -> bool:
    return batch.began <= now < batch.began + SLOT and len(batch.keys) < BATCH


class Routes(Generic[Link]):
    """`first` for whatever is broadcast, `back` for its replies; `learn` from hits, `to` for a PUSH.

    A link is anything that can be a key, except None; our own queries have one of their own (so a hit for us
    is one whose way back is ourselves).
    """

    def __init__(self, most: int = MOST_SEEN, servents: int = MOST_SERVENTS) -> None:
        self._seen: _Table[Link] = _Table(most)
        self._servents: _Table[Link] = _Table(servents)

    def __len__(self) -> int:
        return len(self._seen)

    def first(self, guid: bytes, kind: int, link: Link, now: float, ttl: int = 0) -> bool:
        """Whether it is new; it then belongs to this link. False is a duplicate: same GUID and kind."""
        key = guid + bytes((kind,))
        if self._seen.get(key) is not None:
            return False
        self._seen.put(key, link, ttl, now)
        return True

    def farther(self, guid: bytes, kind: int, link: Link, now: float, ttl: int) -> bool:
        """Whether a duplicate is the same link's query with a larger TTL than any before (X-Ext-Probes).

        Then it is sent on, but neither answered nor given to leaves again: they had it the first time.
        """
        key = guid + bytes((kind,))
        batch = self._seen.get(key)
        if batch is None or batch.owner.link != link or ttl <= batch.mark:
            return False
        self._seen.put(key, link, ttl, now)
        return True

    def back(self, guid: bytes, kind: int) -> Link | None:
        """Where a reply to this GUID goes: `kind` is what was asked (a query for hits)."""
        batch = self._seen.get(guid + bytes((kind,)))
        return None if batch is None else batch.owner.link

    def learn(self, servent: bytes, link: Link, now: float, *, direct: bool = False) -> None:
        """A hit of this servent came over this link; `direct` when the neighbour itself is the servent.

        The last hit wins: it is the way that works now, and the servent may have moved elsewhere.
        Two links that both name a servent would make the route flap, so it changes at most once in ten
        seconds: a forger then gets it for a while, and so does the true one; all he gains is to lose some
        pushes. Nobody takes it from a neighbour who is the servent, as long as that one is connected; whoever
        says later that it were the servent itself is no better than a forger.
        """
        batch = self._servents.get(servent)
        if batch is not None and batch.owner.link is not None:
            same, age = batch.owner.link == link, abs(now - batch.began)
            if same and batch.mark >= direct and age < AGE / 2:
                return
            if not same and (batch.mark or (not direct and age < SETTLED)):
                return
            direct = direct or (same and bool(batch.mark))
        self._servents.put(servent, link, int(direct), now)

    def to(self, servent: bytes) -> Link | None:
        """Where a PUSH for this servent goes."""
        batch = self._servents.get(servent)
        return None if batch is None else batch.owner.link

    def forget(self, link: Link) -> None:
        """The link has ended."""
        self._seen.forget(link)
        self._servents.forget(link)

    def check(self) -> None:
        self._seen.check()
        self._servents.check()
