"""Members of a slot bring each other to the same records; what belongs elsewhere is handed over.

Every few seconds one picks another of its slot and compares sums, of the whole slot first and then, where
these differ, of what is four bits deeper, until the records are few enough to be told one by one. Each then
takes and gives what is missing.

After a split, a merge or a move one has records of another slot. They are compared in the same way with the
members there, but only given; a record goes from here when two of them have it (one, where only one is
known). So a record is dropped by nobody before others have it. Sans-IO.
"""

from collections import deque
from collections.abc import Callable
from random import Random
from typing import NamedTuple

from p2pswarm.formats.ids import Address
from p2pswarm.overlay.people.contacts import Contacts
from p2pswarm.overlay.people.questions import Questions
from p2pswarm.overlay.people.records import Records
from p2pswarm.wire.people.dictionary import TokenMessage
from p2pswarm.wire.people.finding import Find, Found, Put, Stored
from p2pswarm.wire.people.nodes import MAX_DEPTH, Prefix
from p2pswarm.wire.people.slots import BRANCHES, HELD_MOST, Differs, Digest, Held

__all__ = ["Repairing"]

EVERY = 4.0  # seconds between two comparisons that are begun
HURRY = 0.5  # after the slot has changed, and while it has compared with nobody
HURRIED = 30.0  # seconds
MET = 5.0  # seconds of haste when somebody new is in the slot
FEW = 4  # others of a slot, up to which each new one is compared with at once, not only by itself
# Seconds after which one comparison is enough, for records may come faster than they are compared.
RIPENED = 10.0
MOST_WAITING = 256  # comparisons and transfers to come
EACH_STEP = 24  # of them begun in one step
ENOUGH = 2  # others that must have a record of theirs before it goes from here
DEEPER = 4  # bits


class _Compare(NamedTuple):
    """What is under that prefix, with that one; `take` as well as give."""

    whom: Address
    under: Prefix
    take: bool


class _Give(NamedTuple):
    whom: Address
    hash: bytes


class _Take(NamedTuple):
    whom: Address
    hash: bytes


class Repairing:
    """`digest` answers others, `step` compares; `store` is told of what was taken.

    `ripe` once all of the slot was compared with somebody, or nobody else is there (`settled` says so): until
    then it does not say that nobody has a name. Who began alone and meets others is ripe again when it knows
    what they know, or they did not tell for some seconds.
    """

    def __init__(
        self,
        contacts: Contacts,
        questions: Questions,
        records: Records,
        store: Callable[[bytes, float, float], None],
        settled: Callable[[float], bool],
        dice: Random,
    ) -> None:
        self._contacts, self._questions, self._records = contacts, questions, records
        self._store, self._settled, self._dice = store, settled, dice
        self._waiting: deque[_Compare | _Give | _Take] = deque(maxlen=MOST_WAITING)
        self._have: dict[bytes, set[Address]] = {}  # who else has a record that belongs elsewhere
        self._next = self._hurried = self._patient = float("-inf")
        self._alone = False
        self._ripe_since = self._ripe_at_last = float("inf")

    @property
    def ripe(self) -> bool:
        return self._ripe_since < float("inf")

    def ripe_for(self, now: float) -> float:
        """Seconds; 0 for who is not."""
        return max(now - self._ripe_since, 0.0)

    def _ripened(self, now: float) -> None:
        self._ripe_since = min(self._ripe_since, now)

    def moved(self, now: float) -> None:
        """The slot is another one."""
        self._anew(now)
        self._waiting.clear()

    def _anew(self, now: float) -> None:
        self._alone, self._next = False, now
        self._ripe_since = self._ripe_at_last = float("inf")
        self._hurried, self._patient = now + HURRIED, now + RIPENED

    def met(self, whom: Address, now: float) -> None:
        """Somebody new is in our slot, and may have what we do not."""
        if self._alone:
            self._anew(now)
            self._ripe_at_last = self._patient
        self._hurried = max(self._hurried, now + MET)
        if len(self._contacts.members()) <= FEW:
            self._do(_Compare(whom, self._contacts.slot, take=True), now)

    def step(self, now: float) -> None:
        if now >= self._ripe_at_last:
            self._ripened(now)
        if self._next <= now:
            hurry = not self.ripe or now < self._hurried
            self._next = now + (HURRY if hurry else EVERY) * self._dice.uniform(0.5, 1.5)
            self._begin(now)
        self._go_on(now)

    def _go_on(self, now: float) -> None:
        for _ in range(min(len(self._waiting), EACH_STEP)):
            self._do(self._waiting.popleft(), now)

    def _begin(self, now: float) -> None:
        members = self._contacts.members()
        if members:
            whom = self._dice.choice(members).address
            self._waiting.append(_Compare(whom, self._contacts.slot, take=True))
        elif self._settled(now):
            self._alone = True
            self._ripened(now)
        self._hand_over()

    def _hand_over(self) -> None:
        """One piece of what belongs elsewhere, to one who is there."""
        outside = self._records.outside(self._contacts.slot)
        if len(self._have) > len(outside):
            self._have = {hash_: self._have[hash_] for hash_ in outside if hash_ in self._have}
        if not outside:
            return
        hash_ = self._dice.choice(outside)
        there = [c for c in self._contacts.live.values() if c.slot.covers(Prefix.of(hash_))]
        if there:
            chosen = self._dice.choice(there)
            under = chosen.slot
            while len(self._records.under(under)) > HELD_MOST and under.length < MAX_DEPTH:
                under = under.down(Prefix.of(hash_).bit(under.length))
            self._waiting.append(_Compare(chosen.address, under, take=False))

    def _do(self, task: _Compare | _Give | _Take, now: float) -> None:
        match task:
            case _Compare(whom, under):
                count, sum_ = self._records.digest(under)
                self._ask(whom, lambda token: Digest(token, under, count, sum_), task, now)
            case _Take(whom, hash_):
                self._ask(whom, lambda token: Find(token, hash_, hops=0), task, now)
            case _Give(whom, hash_):
                kept = self._records.get(hash_, now)
                if kept is not None:
                    record, ttl = kept.record, int(kept.until - now)
                    self._ask(whom, lambda token: Put(token, record, ttl, copy=True), task, now)

    def _ask(
        self,
        whom: Address,
        question: Callable[[bytes], TokenMessage],
        task: _Compare | _Give | _Take,
        now: float,
    ) -> None:
        self._questions.ask(whom, question, lambda answer, when: self._got(task, answer, when), now)

    def _got(self, task: _Compare | _Give | _Take, answer: TokenMessage | None, now: float) -> None:
        match task, answer:
            case _Compare(), Differs():
                self._compared(task, answer)
                whole = task.take and task.under == self._contacts.slot
                if whole and (answer.same or now >= self._patient):
                    self._ripened(now)
                if len(self._contacts.members()) <= FEW:  # with many, all would give it the same
                    self._go_on(now)
            case _Take(), Found():
                self._store(answer.record, answer.ttl, now)
            case _Give(), Stored():
                self._has(task.whom, task.hash)
            case _:
                pass

    def _compared(self, task: _Compare, answer: Differs) -> None:
        if answer.same:
            self._has_all(task)
        elif answer.sums:
            self._look_closer(task, answer.sums)
        else:
            self._exchange(task, self._records.held(task.under), answer.held)

    def _look_closer(self, task: _Compare, sums: tuple[bytes, ...]) -> None:
        if task.under.length + DEEPER > MAX_DEPTH:
            return  # there the records themselves are told
        for branch, sum_ in zip(_branches(task.under), sums, strict=True):
            count, ours = self._records.digest(branch)
            if ours == sum_:
                self._has_all(task._replace(under=branch))
            elif task.take or count:
                self._waiting.append(task._replace(under=branch))

    def _exchange(self, task: _Compare, mine: list[Held], theirs: tuple[Held, ...]) -> None:
        have = {hash_: seq for hash_, seq in theirs if task.under.covers(Prefix.of(hash_))}
        for hash_, seq in mine:
            if have.get(hash_, -1) < seq:
                self._waiting.append(_Give(task.whom, hash_))
            else:
                self._has(task.whom, hash_)
        ours = dict(mine)
        if task.take:
            for hash_, seq in have.items():
                if ours.get(hash_, -1) < seq:
                    self._waiting.append(_Take(task.whom, hash_))

    def _has_all(self, task: _Compare) -> None:
        """It has all that we have there."""
        if not task.take:
            for hash_ in self._records.under(task.under):
                self._has(task.whom, hash_)

    def _has(self, whom: Address, hash_: bytes) -> None:
        """One of another slot has it: two are enough."""
        at, contact = Prefix.of(hash_), self._contacts.live.get(whom)
        if self._contacts.slot.covers(at) or contact is None or not contact.slot.covers(at):
            return
        have = self._have.setdefault(hash_, set())
        have.add(whom)
        there = sum(contact.slot.covers(at) for contact in self._contacts.live.values())
        if len(have) >= min(ENOUGH, there):
            self._records.drop(hash_)
            del self._have[hash_]

    def digest(self, asked: Digest, source: Address) -> None:
        """What we have there, as closely as it fits into an answer."""
        token, under, count, sum_ = asked.token, asked.under, asked.count, asked.sum
        if self._records.digest(under) == (count, sum_):
            answer = Differs(token, same=True)
        elif self._records.digest(under)[0] <= HELD_MOST or under.length + DEEPER > MAX_DEPTH:
            held = self._records.held(under)[:HELD_MOST]
            answer = Differs(token, same=False, held=tuple(held))
        else:
            sums = tuple(self._records.digest(branch)[1] for branch in _branches(under))
            answer = Differs(token, same=False, sums=sums)
        self._questions.send(source, answer)


def _branches(under: Prefix) -> list[Prefix]:
    """What is four bits deeper."""
    length = under.length + DEEPER
    return [Prefix(length, under.bits << DEEPER | bit) for bit in range(BRANCHES)]
