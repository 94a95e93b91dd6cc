"""The walk to whoever holds a name, iterative: we ask, are referred to nearer ones, and ask those.

One super node is asked at a time, the next one too when it takes long. Each answer is looked at: a record
that is forged or older than one we know, and a referral to nobody nearer, are a liar's.

The one hard thing: a liar can send us to its friends alone, who know of nobody. So each way remembers with
which of the super nodes we knew it began, what went wrong is blamed on that one, and the next question goes
along a way that began elsewhere. That a name is unknown is believed when most say so of those who should
know, and not all of them were named by the same one. Sans-IO.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Generic, TypeVar

from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import zone_of
from p2pswarm.overlay.people.contacts import BLOCK_BITS
from p2pswarm.wire.people.nodes import Prefix, SuperNode

__all__ = ["ASK_TIME", "SILENCE", "Verdict", "Walk", "Way"]

ASK_TIME = 3.0  # seconds until somebody who was asked is given up
HEDGE = 0.5  # seconds until somebody else is asked, too
SILENCE = 1.5  # seconds without any answer, after which who has another way than UDP takes that
MOST_ASKED = 24  # super nodes in one walk
MOST_HOPS = 6  # three are enough in a network that is not being split
MOST_OF_TELLER = 10  # ways of one referral: a slot
ENOUGH = 3  # of those who should know: then most of them are believed

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class Way:
    """A super node to ask."""

    address: Address
    near: int
    """Bits that the prefix of its slot has in common with what is looked for."""
    member: bool
    """Whether its slot should know."""
    block: bool = False
    """Whether it knows some of the slot that should: of others equally near that may be a hop more."""

    @classmethod
    def to(cls, told: SuperNode, at: Prefix) -> "Way":
        """One of whom somebody told us, to whatever is at that place."""
        block = told.slot.up(BLOCK_BITS)
        return cls(told.address, told.slot.common(at), told.slot.covers(at), block.covers(at))


@dataclass(slots=True)
class _Step:
    way: Way
    root: Address  # of those that we knew, the one where this way began
    hops: int
    order: float  # by dice, among equals


@dataclass(frozen=True, slots=True)
class Verdict(Generic[Record]):
    """What came of a walk: a record, or nobody has the name (`known`), or nobody could say."""

    record: Record | None
    known: bool
    hops: int
    messages: int
    answers: int
    """How many of the messages came."""
    ttl: float = float("inf")
    """Seconds for which most of them say that nobody has the name."""


class Walk(Generic[Record]):
    """`step` when `due` and after each answer, until there is a `verdict`; every answer is told once.

    `thorough` hears several who should know, for the newest record; the first good one ends the walk else.
    `silence` is how long it goes on while nobody answers at all.
    """

    def __init__(
        self,
        starts: Iterable[Address],
        dice: Random,
        *,
        thorough: bool = False,
        silence: float = float("inf"),
    ) -> None:
        self._dice, self._want, self._silence = dice, ENOUGH if thorough else 1, silence
        self._ends, self._ttl = float("inf"), float("inf")
        self._waiting: list[_Step] = []
        self._asked: dict[Address, tuple[_Step, float]] = {}  # who has not answered, and since when
        self._seen: set[Address] = set()
        self._blame: Counter[Address] = Counter()  # by root
        self._denied: list[_Step] = []  # who should know, and knows nobody of that name
        self._silent: list[_Step] = []  # who should know, and says nothing or nothing true
        self._found: list[tuple[int, Record, _Step]] = []
        self._count = self._answers = 0  # who was asked, and who answered
        self._last = float("-inf")
        for address in starts:
            self._add(Way(address.normal, -1, False), address.normal, 1)

    # What to do

    def step(self, now: float) -> list[Address]:
        """Whom to ask now."""
        for step, since in list(self._asked.values()):
            if now >= since + ASK_TIME:
                self._failed(step)
        if not self._answers and now >= self._ends:
            self._asked.clear()
            self._waiting.clear()
        chosen: list[Address] = []
        while self._may_ask(now) and not self.verdict:
            step = min(self._waiting, key=self._rank)
            self._waiting.remove(step)
            self._asked[step.way.address] = step, now
            self._ends = min(self._ends, now + self._silence)
            self._last = now
            self._count += 1
            chosen.append(step.way.address)
        return chosen

    @property
    def _goes_on(self) -> bool:
        return bool(self._waiting) and self._count < MOST_ASKED

    def _may_ask(self, now: float) -> bool:
        return self._goes_on and (not self._asked or now >= self._last + HEDGE)

    def _rank(self, step: _Step) -> tuple[int, bool, bool, int, float]:
        way = step.way
        return self._blame[step.root], not way.member, not way.block, -way.near, step.order

    @property
    def due(self) -> float:
        """When `step` is worth calling, unless something comes."""
        times = [since + ASK_TIME for _, since in self._asked.values()]
        if self._goes_on:
            times.append(self._last + HEDGE if self._asked else self._last)
        if not self._answers and self._asked:
            times.append(self._ends)
        return min(times, default=float("-inf"))

    # What came of it

    def found(self, address: Address, record: Record, seq: int) -> None:
        """A record whose signatures were looked at."""
        step = self._answered(address)
        if step is not None:
            self._found.append((seq, record, step))

    def lied(self, address: Address) -> None:
        """A record that is forged or old, or what nobody says who knows the protocol."""
        step = self._answered(address)
        if step is not None:
            self._failed(step)

    def unknown(
        self,
        address: Address,
        ways: Sequence[Way] = (),
        *,
        authoritative: bool = True,
        ttl: float = float("inf"),
    ) -> None:
        """It knows nobody of that name, and should if it is authoritative; these should.

        `ttl` is for how long that may be believed.
        """
        step = self._answered(address)
        if step is None:
            return
        self._blame[step.root] += 1
        if authoritative:
            self._denied.append(step)
            self._ttl = min(self._ttl, ttl)
        # Who has just come into a slot does not know all of it yet, but who does.
        self._learn(step, [way for way in ways if way.member])

    def referred(self, address: Address, ways: Sequence[Way]) -> None:
        """It names others who are nearer."""
        step = self._answered(address)
        if step is None:
            return
        if not self._learn(step, [way for way in ways if way.near > step.way.near]):
            self._failed(step)

    def _learn(self, step: _Step, ways: Sequence[Way]) -> bool:
        """Some of those it names can be asked, if it may name them."""
        zone = zone_of(step.way.address.host)
        fit = [way for way in ways[:MOST_OF_TELLER] if zone_of(way.address.host) <= zone]
        if step.hops >= MOST_HOPS:
            return False
        for way in fit:
            self._add(way, step.root, step.hops + 1)
        return bool(fit)

    @property
    def verdict(self) -> Verdict[Record] | None:
        """None while it goes on."""
        idle = not self._asked and not self._goes_on
        cost = self._count + self._answers, self._answers
        heard = len(self._found) + len(self._denied)
        if self._found and (self._want == 1 or heard >= self._want or idle):
            _, record, step = max(self._found, key=lambda each: each[0])
            return Verdict(record, True, step.hops, *cost)
        if not self._found and self._is_denied(idle=idle):
            return Verdict(None, True, max(step.hops for step in self._denied), *cost, self._ttl)
        return Verdict(None, False, 0, *cost) if idle else None

    def _is_denied(self, *, idle: bool) -> bool:
        """Whether most say so who should know, along more than one way where there is more than one."""
        if len(self._denied) <= len(self._silent):
            return False
        roots = {step.root for step in self._denied}
        others = any(step.root not in roots for step in self._waiting)
        others |= any(step.root not in roots for step, _ in self._asked.values())
        return idle or (len(self._denied) >= ENOUGH and (len(roots) > 1 or not others))

    def _add(self, way: Way, root: Address, hops: int) -> None:
        address = way.address.normal
        if address not in self._seen and address.dialable:
            self._seen.add(address)
            fixed = replace(way, address=address)
            self._waiting.append(_Step(fixed, root, hops, self._dice.random()))

    def _answered(self, address: Address) -> _Step | None:
        """None for who was not asked, or answered already."""
        step, _ = self._asked.pop(address.normal, (None, 0.0))
        self._answers += step is not None
        return step

    def _failed(self, step: _Step) -> None:
        self._asked.pop(step.way.address, None)
        self._blame[step.root] += 1
        if step.way.member:
            self._silent.append(step)
