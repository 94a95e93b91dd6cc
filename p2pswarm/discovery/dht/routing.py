"""The routing table: which nodes we know, many near our own id and fewer far from it (BEP 5).

A bucket holds nodes that share so many first bits with our id, at most eight; the first four hold more, as
libtorrent's do (128, 64, 32, 16), so that most lookups begin closer. A full bucket keeps spares. Who never
answered is unproven: it waits for a ping, and gives way to everybody else.

The one hard thing: a stranger must not fill the table. One host has one place in it (IPv6: one network of 64
bits), a proven node yields only after it has failed, and ids that follow from addresses go first. Sans-IO.
"""

from collections.abc import Iterator
from random import Random

from p2pswarm.discovery.dht.ids import is_secure, place_of
from p2pswarm.wire.krpc import Contact, NodeId

__all__ = ["BUCKET", "Entry", "Table"]

BUCKET = 8
_FIRST = (16 * BUCKET, 8 * BUCKET, 4 * BUCKET, 2 * BUCKET)
_NEVER = float("-inf")


class Entry:
    """One node of the table; `spare` while its bucket is full."""

    __slots__ = ("address", "asked", "failures", "id", "number", "place", "secure", "seen", "spare")

    def __init__(self, contact: Contact) -> None:
        self.id, self.address = contact
        self.number = int.from_bytes(self.id, "big")
        self.place = place_of(self.address)
        self.secure = is_secure(self.id, self.address.host)
        # When it answered last; when we asked it last to see whether it lives
        self.seen = self.asked = _NEVER
        self.failures = 0
        self.spare = False

    @property
    def contact(self) -> Contact:
        return Contact(self.id, self.address)

    @property
    def proven(self) -> bool:
        """It answered, and has not failed since."""
        return self.seen > _NEVER and not self.failures


class _Bucket:
    __slots__ = ("capacity", "changed", "nodes")

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.changed = _NEVER  # when somebody in it answered last
        self.nodes: list[Entry] = []  # spares too, oldest first

    @property
    def free(self) -> bool:
        return sum(not each.spare for each in self.nodes) < self.capacity

    def spares(self) -> list[Entry]:
        return [each for each in self.nodes if each.spare]


class Table:
    """The nodes of one network, around our id there. No place and no id is in it twice."""

    GOOD = 900.0  # seconds; who was not heard for longer is pinged (BEP 5)
    MAX_FAILURES = 20  # in a row; whoever has a spare for its place goes at once
    # Seconds in which nobody at all answered: then it is our own line that fails, and nobody goes. Else there
    # would be nobody left to begin with once it is back.
    SILENCE = 60.0

    def __init__(self, own: NodeId) -> None:
        self.own = own
        self._own = int.from_bytes(own, "big")
        self._buckets = [_Bucket(_FIRST[i] if i < len(_FIRST) else BUCKET) for i in range(160)]
        self._places: dict[str, Entry] = {}
        self._ids: dict[NodeId, Entry] = {}
        self._heard = _NEVER  # anybody's last answer

    def __len__(self) -> int:
        """Without spares."""
        return sum(1 for _ in self._active())

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._places.values())

    def _active(self) -> Iterator[Entry]:
        return (each for each in self._places.values() if not each.spare)

    def proven(self) -> int:
        return sum(each.proven for each in self._active())

    # What is told

    def answered(self, contact: Contact, now: float) -> None:
        """It answered a query of ours."""
        self._heard = now
        entry = self._known(contact)
        if entry is None:
            entry = self._admitted(contact)
            if entry is None:
                return
        entry.seen, entry.failures = now, 0
        bucket = self._bucket(entry.number)
        bucket.changed = now
        if entry.spare:
            self._promote(entry, bucket)

    def heard(self, contact: Contact) -> bool:
        """It asked us, or somebody named it: whether it has a place now that it had not."""
        if self._known(contact) is not None:
            return False
        entry = self._admitted(contact)
        return entry is not None and not entry.spare

    def failed(self, contact: Contact, now: float) -> None:
        """It did not answer."""
        entry = self._known(contact)
        if entry is None:
            return
        if now - self._heard > self.SILENCE:
            entry.failures = max(entry.failures, 1)
            return
        entry.failures += 1
        spares = [] if entry.spare else self._bucket(entry.number).spares()
        if spares or entry.seen == _NEVER or entry.failures >= self.MAX_FAILURES:
            self._remove(entry)
            if spares:
                # The one that answered, else the one that was heard last.
                max(spares, key=lambda each: each.seen > _NEVER).spare = False

    # What is asked

    def nearest(self, target: bytes, count: int = BUCKET, *, proven: bool = True) -> list[Contact]:
        """The nearest to a target: those that answered, or also those that never did or lately failed."""
        number = int.from_bytes(target, "big")
        found: list[Entry] = []
        for group in self._rings(number):
            usable = [e for e in group if not e.spare and (e.proven or not proven)]
            found += sorted(usable, key=lambda each: each.number ^ number)
            if len(found) >= count:
                break
        return [each.contact for each in found[:count]]

    def best(self) -> list[Contact]:
        """All of them, those that answered last first."""
        return [e.contact for e in sorted(self, key=lambda e: (not e.proven, -e.seen))]

    def doubtful(self, now: float) -> Entry | None:
        """Whom to ping: who never answered, then who has failed, then who was not heard for long."""
        waiting = [
            each
            for each in self._active()
            if now - each.asked >= 60.0 and not (each.proven and now - each.seen < self.GOOD)
        ]
        return min(waiting, key=lambda e: (e.seen > _NEVER, not e.failures, e.asked), default=None)

    def stale(self, now: float, dice: Random) -> NodeId | None:
        """A target in a bucket where nobody answered for long; none where nobody can be expected."""
        deepest = max((i for i, bucket in enumerate(self._buckets) if bucket.nodes), default=-1)
        for index, bucket in enumerate(self._buckets[: deepest + 1]):
            if now - bucket.changed >= self.GOOD:
                # It is looked after; should nobody be there, not at once again
                bucket.changed = now
                return self._within(index, dice)
        return None

    def moved(self, own: NodeId) -> "Table":
        """The same nodes around another id of ours."""
        other = Table(own)
        other._heard = self._heard
        for entry in sorted(self, key=lambda each: (each.spare, not each.proven)):
            fresh = other._admitted(entry.contact)
            if fresh is not None:
                fresh.seen, fresh.asked, fresh.failures = entry.seen, entry.asked, entry.failures
                changed = other._bucket(fresh.number)
                changed.changed = max(changed.changed, fresh.seen)
        return other

    def check(self) -> None:
        """Raises AssertionError where the table is not what it promises to be."""
        entries = [each for bucket in self._buckets for each in bucket.nodes]
        assert len(entries) == len(self._places) == len(self._ids)
        assert all(self._places[each.place] is each is self._ids[each.id] for each in entries)
        for bucket in self._buckets:
            assert len(bucket.nodes) - len(bucket.spares()) <= bucket.capacity
            assert len(bucket.spares()) <= BUCKET

    # How it is kept

    def _bucket(self, number: int) -> _Bucket:
        return self._buckets[160 - (self._own ^ number).bit_length()]

    def _rings(self, number: int) -> Iterator[list[Entry]]:
        """All entries in groups, each nearer to a target than all that follow."""
        first = 160 - (self._own ^ number).bit_length()
        if first < 160:
            yield self._buckets[first].nodes
        yield [each for bucket in self._buckets[first + 1 :] for each in bucket.nodes]
        for index in range(min(first, 160) - 1, -1, -1):
            yield self._buckets[index].nodes

    def _known(self, contact: Contact) -> Entry | None:
        entry = self._ids.get(contact.id)
        return entry if entry is not None and entry.address == contact.address else None

    def _admitted(self, contact: Contact) -> Entry | None:
        """A new entry, where there is a place for it."""
        if contact.id == self.own:
            return None
        entry = Entry(contact)
        rivals = {self._places.get(entry.place), self._ids.get(entry.id)} - {None}
        if any(each.proven for each in rivals if each is not None):
            return None
        for rival in rivals:
            if rival is not None:
                self._remove(rival)
        bucket = self._bucket(entry.number)
        entry.spare = not bucket.free
        if entry.spare and len(bucket.spares()) >= BUCKET:
            self._remove(min(bucket.spares(), key=lambda each: (each.proven, each.secure)))
        bucket.nodes.append(entry)
        self._places[entry.place] = self._ids[entry.id] = entry
        return entry

    def _promote(self, entry: Entry, bucket: _Bucket) -> None:
        """A spare has answered: into the bucket, if there is room or somebody worse."""
        if not bucket.free:
            active = [each for each in bucket.nodes if not each.spare]
            worst = min(active, key=lambda each: (each.proven, each.secure))
            if (worst.proven, worst.secure) >= (True, entry.secure):
                return
            worst.spare = True
            if len(bucket.spares()) > BUCKET:
                self._remove(worst)
        entry.spare = False

    def _remove(self, entry: Entry) -> None:
        self._bucket(entry.number).nodes.remove(entry)
        del self._places[entry.place], self._ids[entry.id]

    def _within(self, index: int, dice: Random) -> NodeId:
        """Any id of a bucket: the first `index` bits are ours, the next is not."""
        free = 159 - index
        number = (self._own >> free ^ 1) << free | dice.getrandbits(free) if free else self._own ^ 1
        return NodeId(number.to_bytes(20, "big"))
