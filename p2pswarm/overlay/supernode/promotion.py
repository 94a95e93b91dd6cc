"""Who becomes a super node, and who stays one.

`Grooming` is of a super node that needs more of them and invites its best child. `Ambition` is of a node
that may become one: two others dial it and measure what it can give; it serves when both are content, and
steps down when it fails later. Nobody believes it that it is one: see `trust`.

A crowd without a place is seen by many super nodes at once, and if each invited somebody, or even all whom
it refuses, there would be far too many. So each compares those it refused lately with the places that its
links have left, and invites only its share of what is missing.

The one hard thing: whoever tests may lie. A liar can keep a node from being promoted by it, but two rounds
in a row, each of two testers drawn by dice, must fail entirely before a node steps down. Sans-IO.
"""

from collections import OrderedDict
from collections.abc import Collection, Hashable, Iterable
from dataclasses import dataclass
from enum import Enum, auto
from math import ceil
from random import Random
from typing import Generic, TypeVar

from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import owner_of
from p2pswarm.overlay.remembering import remember
from p2pswarm.overlay.supernode.options import Options, Wish

__all__ = ["LEAST_RATE", "Ambition", "Grooming", "Move", "Peer"]

LEAST_RATE = 20_000  # bytes per second upwards: 160 kbit/s
LEAST_SPARE = 50  # percent of CPU that must be free before promotion
KEPT_SPARE = 20  # and below which a super node steps down: serving costs something, too
FILLED = 0.8  # share of the upper bound of children above which others are wanted
INVITED_AGAIN = 1800.0  # seconds until a child that failed is invited again
INVITED_FOR = 30.0  # seconds in which an invitation is followed, or not at all
INVITATION = 120.0  # seconds in which an invited child is tested and leaves
REFUSED_LATELY = 30.0  # seconds in which a node without a place asks again
SEEN_AFTER = 5.0  # seconds until a new super node is linked and says how full it is
ROOMY = 80  # percent: who is fuller is no help to who is full
MOST_REMEMBERED = 1000
TESTERS = 2
RETEST_EVERY = 1800.0
MOST_FAILURES = 2  # rounds in a row
BUSY_TIME = 300.0  # seconds of too little CPU after which a super node steps down
TRY_AGAIN = 300.0  # seconds after a round in which nobody gave a verdict

C = TypeVar("C", bound=Hashable)


# At a super node: whom to invite


@dataclass(slots=True)
class _Child:
    node: bytes
    able: bool  # willing, and not firewalled
    since: float
    spare: int = 0


@dataclass(frozen=True, slots=True)
class Peer:
    """A super node that we are linked to, and believe."""

    load: int  # in percent
    since: float


class Grooming(Generic[C]):
    """`joined`, `pong` and `left` for each child, `refused` when we were full; `invite` says whom."""

    def __init__(self, options: Options, dice: Random) -> None:
        self._dice = dice
        self._least, self._most = options.children
        self._after = options.promote_after
        self._operated = bool(options.supernodes)
        self._children: dict[C, _Child] = {}
        # Which node, and when it may be invited again.
        self._failed: OrderedDict[bytes, float] = OrderedDict()
        self._invited: dict[C, float] = {}  # and until when
        self._refused: OrderedDict[bytes, float] = OrderedDict()  # nodes, and when
        self._share = 0  # whom we may invite yet
        self._next_look = float("-inf")  # at how many are missing

    def joined(self, child: C, node: bytes, now: float, *, willing: bool, firewalled: bool) -> None:
        self._children[child] = _Child(node, willing and not firewalled, now)
        self._refused.pop(node, None)

    def left(self, child: C) -> None:
        """It is gone; perhaps because it serves by now."""
        self._children.pop(child, None)
        self._invited.pop(child, None)

    def pong(self, child: C, spare: int) -> None:
        """It says how much of its CPU is free."""
        if child in self._children:
            self._children[child].spare = spare

    def refused(self, node: bytes, now: float) -> None:
        """We had no place for it."""
        self._refused.pop(node, None)
        remember(self._refused, node, now, MOST_REMEMBERED)

    def failed(self, child: C, now: float) -> None:
        """It was invited and did not pass, as far as we hear of it."""
        if self._invited.pop(child, None) is not None:
            node = self._children[child].node
            remember(self._failed, node, now + INVITED_AGAIN, MOST_REMEMBERED)
            self._share += 1

    def invite(self, now: float, peers: Collection[Peer]) -> C | None:
        """Whom to invite now, if anybody; it then counts as invited."""
        for child in [child for child, until in self._invited.items() if until <= now]:
            self.failed(child, now)
        if not self._is_our_turn(now, peers):
            return None
        able = [child for child in self._children if self._may_be_invited(child, now)]
        if not able:
            return None
        best = min(able, key=lambda child: self._children[child].since)
        self._share -= 1
        self._invited[best] = now + INVITATION
        return best

    def invites_refused(self, now: float, peers: Collection[Peer]) -> bool:
        """Whether who has no place here is to serve itself, as no child can."""
        if any(self._may_be_invited(child, now) for child in self._children):
            return False
        if not self._is_our_turn(now, peers):
            return False
        self._share -= 1
        return True

    def _is_our_turn(self, now: float, peers: Collection[Peer]) -> bool:
        """All see about the same, and each who can invites its share: one of an age to have able children."""
        if now >= self._next_look:
            self._next_look = now + SEEN_AFTER
            missing = 0 if self._operated else self._missing(now, peers)
            elders = 1 + sum(now - peer.since >= self._after for peer in peers)
            self._share = int(missing / elders + self._dice.random())
        return self._share > 0

    def _missing(self, now: float, peers: Collection[Peer]) -> int:
        """How many super nodes, as far as we see."""
        while self._refused and next(iter(self._refused.values())) < now - REFUSED_LATELY:
            self._refused.popitem(last=False)
        left = len(self._refused) - sum(100 - peer.load for peer in peers) * self._most / 100
        if left > 0:
            return ceil(left / (FILLED * self._most))
        count = len(self._children)
        filled = count > self._least and count > FILLED * self._most
        return int(filled and min((peer.load for peer in peers), default=100) >= ROOMY)

    def _may_be_invited(self, child: C, now: float) -> bool:
        known = self._children[child]
        proven = now - known.since >= self._after and known.spare >= LEAST_SPARE
        able = known.able and proven and child not in self._invited
        return able and self._failed.get(known.node, now) <= now


# At the node itself: whether it serves


class Move(Enum):
    """What a node is to do about its role."""

    BE_TESTED = auto()
    SERVE = auto()
    STEP_DOWN = auto()


@dataclass(slots=True)
class _Round:
    """One round of tests."""

    wanted: int  # good verdicts, unless we serve already
    waiting: set[Address]
    good: int = 0
    bad: int = 0


class Ambition:
    """`step` now and then, `begin` a round when it says so, `verdict` or `unheard` for each tester of it."""

    def __init__(self, options: Options, dice: Random, started: float) -> None:
        self._options, self._dice, self._started = options, dice, started
        self.serving = False
        self._invited_until = float("-inf")
        self._round: _Round | None = None
        self._next = 0.0  # when the next round may begin
        self._failures = 0
        self._spare = 100
        self._busy_since: float | None = None

    def invited(self, now: float) -> None:
        """A super node needs another one now; later on it may not any more."""
        self._invited_until = now + INVITED_FOR

    def spare(self, percent: int, now: float) -> None:
        """So much of our CPU is free."""
        self._spare = percent
        if percent >= KEPT_SPARE:
            self._busy_since = None
        elif self._busy_since is None:
            self._busy_since = now

    def step(self, now: float, *, ours: Iterable[Address], nobody: bool) -> Move | None:
        """`ours` is where we can be dialed, for the operator's list; `nobody`: we know no other node."""
        if self._options.supernodes:  # the operator decides, and nothing else
            listed = self._options.willing and any(map(self._options.listed, ours))
            return None if listed is self.serving else self._turn(serve=listed)
        if self.serving:
            return self._keep(now, nobody=nobody)
        if not self._options.willing or self._round is not None:
            return None
        if (nobody or self._options.wish is Wish.SUPER) and now >= self._next:
            self._next = now + RETEST_EVERY
            return self._turn(serve=True)
        return Move.BE_TESTED if self._may_be_tested(now) else None

    def begin(self, known: Iterable[Address], now: float) -> tuple[Address, ...]:
        """A round begins: who is to test us. With fewer than two others, as many as there are."""
        self._invited_until = float("-inf")
        places: dict[str, list[Address]] = {}
        for address in known:
            places.setdefault(owner_of(address), []).append(address)
        chosen = self._dice.sample(sorted(places), min(TESTERS, len(places)))
        testers = tuple(self._dice.choice(places[place]) for place in chosen)
        if testers:
            self._round = _Round(len(testers), set(testers))
        self._next = now + (RETEST_EVERY if testers else TRY_AGAIN)
        return testers

    def verdict(self, tester: Address, now: float, *, reachable: bool, rate: int) -> Move | None:
        """What a tester says. The last verdict of a round ends it."""
        if self._round is None or tester not in self._round.waiting:
            return None
        good = reachable and rate >= LEAST_RATE
        self._round.good += good
        self._round.bad += not good
        return self._heard(tester, now)

    @property
    def tested(self) -> bool:
        """Whether a round of tests is under way."""
        return self._round is not None

    def unheard(self, tester: Address, now: float) -> Move | None:
        """It gave no verdict; that says nothing about us, but nobody is promoted by it."""
        if self._round is None or tester not in self._round.waiting:
            return None
        return self._heard(tester, now)

    def _may_be_tested(self, now: float) -> bool:
        if now < self._next or self._spare < LEAST_SPARE:
            return False
        return now <= self._invited_until and now - self._started >= self._options.promote_after

    def _keep(self, now: float, *, nobody: bool) -> Move | None:
        if self._busy_since is not None and now - self._busy_since >= BUSY_TIME:
            self._next = now + RETEST_EVERY
            return self._turn(serve=False)
        due = self._round is None and not nobody and now >= self._next
        return Move.BE_TESTED if due else None

    def _heard(self, tester: Address, now: float) -> Move | None:
        ended = self._round
        assert ended is not None
        ended.waiting.discard(tester)
        if ended.waiting:
            return None
        self._round = None
        return self._retested(ended, now) if self.serving else self._tested(ended, now)

    def _tested(self, ended: _Round, now: float) -> Move | None:
        if ended.good >= ended.wanted and self._spare >= LEAST_SPARE:
            return self._turn(serve=True)
        if not ended.bad:
            self._next = now + TRY_AGAIN
        return None

    def _retested(self, ended: _Round, now: float) -> Move | None:
        if not (ended.good or ended.bad):
            self._next = now + TRY_AGAIN
            return None
        self._failures = 0 if ended.good else self._failures + 1
        return self._turn(serve=False) if self._failures >= MOST_FAILURES else None

    def _turn(self, *, serve: bool) -> Move:
        self.serving, self._failures, self._round = serve, 0, None
        return Move.SERVE if serve else Move.STEP_DOWN
