"""Which ways lead to the other side, found out by checks: the machine of ICE (RFC 8445), what we need of it.

A way is an address that our one socket sends to, or the number of a channel through a relay. Both sides check
all of them at once, so that each opens its NAT for the other; a way is good when a check was answered there.
What comes from a place that nobody named is one more way. Answers that stay away mean that a way is lost
(consent, RFC 7675, but after seconds: people talk on it), and the next one is at hand: it was checked, too.

The one hard thing: both sides have to use the same way. One leads, by the order of their keys, and says in
each check of a way whether it is the one; the other follows as soon as the way is good for it, too.

Nobody is flooded: a way is tried some fifty times for each offer that names it, few there are, and only who
knows the password adds one.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf
from random import Random

from p2pswarm.errors import FormatError
from p2pswarm.formats.ids import Address
from p2pswarm.reach import stun

__all__ = ["Pair", "Rank", "Reaching", "Secrets", "Way"]

Way = Address | int
"""An address, or the number of a channel through a relay."""
Out = list[tuple[Way, bytes]]

MAX_WAYS = 32
PACE = 0.02  # seconds between two checks of new ways (RFC 8445, 14.2: 5 ms at least)
FIRST_AGAIN, LAST_AGAIN = 0.1, 5.0  # seconds until an unanswered check is sent again; doubled
MOST_TRIES = 12  # all within 36 s,
# Then so many seconds apart, and so many more: NATs change, and people walk about.
SLOWLY, MOST_SLOW = 15.0, 40
MOST_TRIGGERED = 40  # checks in all of a way that never answered, however often it calls
IN_USE, AT_HAND = 0.8, 2.0  # seconds between checks of a good way: of the one, of the others
LOST = 3.5  # seconds without an answer
MOST_PENDING = 128
MOST_ANSWERED = 60  # a second


@dataclass(frozen=True, slots=True)
class Secrets:
    """What one side said in its offer for the checks."""

    ufrag: str
    password: str


class Rank:
    """What is preferred: the lower the better."""

    HOST, REFLEXIVE, PEER_REFLEXIVE, RELAY = range(4)


@dataclass(slots=True, eq=False)
class Pair:
    """A way and what is known of it."""

    way: Way
    rank: int
    good: bool = False
    rtt: float = inf  # seconds, the smaller part of what was measured
    heard: float = -inf  # when a check was answered last
    due: float = -inf  # when to check it again
    tries: int = 0
    checks: int = 0
    """Since it was good."""


class Reaching:
    """One side of a meeting. `tick` often; what both return is to be sent."""

    def __init__(self, ours: Secrets, theirs: Secrets, *, leads: bool, dice: Random) -> None:
        self.leads = leads
        self._ours, self._theirs, self._dice = ours, theirs, dice
        self._tie = dice.getrandbits(64)
        self._pairs: dict[Way, Pair] = {}
        self._pending: OrderedDict[bytes, tuple[Pair, float]] = OrderedDict()
        self._named: Way | None = None  # by the other side, which leads
        self._paced = -inf
        self._second, self._answered = -inf, 0
        self.best: Pair | None = None
        """The way to use now."""

    def add(self, ways: Iterable[tuple[Way, int]], now: float) -> None:
        """More ways with their ranks, to be checked from now on."""
        for way, rank in ways:
            if way not in self._pairs and len(self._pairs) < MAX_WAYS:
                self._pairs[way] = Pair(way, rank, due=now)

    def renew(self, ways: Sequence[tuple[Way, int]], now: float) -> None:
        """These are the ways now: one of us two is elsewhere. What became of them before says nothing."""
        named = dict(ways)
        for way, pair in list(self._pairs.items()):
            if pair.good or isinstance(way, int):
                continue
            if way in named:
                pair.tries, pair.checks, pair.due = 0, 0, now
            else:
                del self._pairs[way]
        self.add(ways, now)

    def drop(self, way: Way) -> None:
        """It is closed."""
        pair = self._pairs.pop(way, None)
        if pair is not None:
            pair.good = False
            self._choose()

    def knows(self, way: Way) -> bool:
        """Whether something that comes from there was proved to be the other side's."""
        pair = self._pairs.get(way)
        return pair is not None and pair.good

    def asked(self, answer: stun.Message) -> bool:
        """Whether it names one of our checks."""
        return answer.transaction_id in self._pending

    def tick(self, now: float) -> Out:
        """What is due."""
        out: Out = []
        for pair in list(self._pairs.values()):
            if pair.good and now - pair.heard > LOST:
                self._lose(pair, now)
        self._choose()
        for pair in sorted(self._pairs.values(), key=_due):
            if pair.due <= now and (pair.good or now - self._paced >= PACE):
                out.append(self._check(pair, now))
        return out

    def wait(self, now: float) -> float:
        """Seconds until `tick` has something to do."""
        soonest = min((pair.due for pair in self._pairs.values()), default=inf)
        return min(max(soonest - now, PACE), IN_USE)

    def got(self, message: stun.Message, way: Way, now: float) -> Out:
        """A message of STUN that came from there. Raises FormatError for what is not the other side's."""
        if stun.is_request(message):
            return self._asked(message, way, now)
        pair, sent = self._pending.get(message.transaction_id, (None, 0.0))
        if pair is None or pair.way != way or not stun.is_signed(message, self._theirs.password):
            raise FormatError("an answer to nothing that we asked there")
        stun.mapped(message)  # an error says nothing about the way
        del self._pending[message.transaction_id]
        self._proved(pair, now - sent, now)
        return []

    def _asked(self, message: stun.Message, way: Way, now: float) -> Out:
        named = message.attributes.get("USERNAME") == f"{self._ours.ufrag}:{self._theirs.ufrag}"
        if not named or not stun.is_signed(message, self._ours.password):
            raise FormatError("a check of somebody else")
        if not self._may_answer(now):
            return []
        self.add([(way, Rank.PEER_REFLEXIVE)], now)
        pair = self._pairs.get(way)
        if pair is None:
            return []
        if "USE-CANDIDATE" in message.attributes:
            self._named = way
            self._choose()
        if isinstance(way, int):
            out: Out = [(way, stun.check_answer(message, self._ours.password))]
        else:
            out = [(way, stun.answer(message, way, self._ours.password))]
        return out + self._in_return(pair, now)

    def _in_return(self, pair: Pair, now: float) -> Out:
        """Who can be heard from there can perhaps be reached there (RFC 8445, 7.3.1.4)."""
        if pair.good or pair.checks >= MOST_TRIGGERED:
            return []
        pair.tries = min(pair.tries, MOST_TRIES - 3)
        return [self._check(pair, now)]

    def _may_answer(self, now: float) -> bool:
        if now - self._second >= 1.0:
            self._second, self._answered = now, 0
        self._answered += 1
        return self._answered <= MOST_ANSWERED

    def _check(self, pair: Pair, now: float) -> tuple[Way, bytes]:
        transaction = self._dice.randbytes(stun.TRANSACTION_SIZE)
        self._pending[transaction] = (pair, now)
        if len(self._pending) > MOST_PENDING:
            self._pending.popitem(last=False)
        pair.checks += 1
        if pair.good:
            pair.due = now + self._interval(pair, now)
        else:
            self._paced, pair.tries = now, pair.tries + 1
            pair.due = now + self._again(pair)
        return pair.way, self._request(pair, transaction)

    def _again(self, pair: Pair) -> float:
        """Seconds until a way is tried again that was not answered."""
        if pair.tries < MOST_TRIES:
            return min(FIRST_AGAIN * 2.0 ** (pair.tries - 1), LAST_AGAIN)
        return SLOWLY if pair.tries < MOST_TRIES + MOST_SLOW else inf

    def _interval(self, pair: Pair, now: float) -> float:
        """Shorter while an answer stays away."""
        usual = IN_USE if pair is self.best else AT_HAND
        return usual if now - pair.heard < usual + 0.5 else 0.4

    def _request(self, pair: Pair, transaction: bytes) -> bytes:
        names = (self._theirs.ufrag, self._ours.ufrag)
        role = {"ICE_CONTROLLING" if self.leads else "ICE_CONTROLLED": self._tie}
        if self.leads and pair is self.best:
            role["USE_CANDIDATE"] = None  # type: ignore[assignment]  # an attribute without a value
        priority = (126 - 40 * pair.rank << 24) + (0xFFFF << 8) + 255
        return stun.check(
            transaction, names, self._theirs.password, PRIORITY=max(priority, 1), **role
        )

    def _proved(self, pair: Pair, rtt: float, now: float) -> None:
        if self._pairs.get(pair.way) is not pair:
            return  # dropped meanwhile
        pair.rtt = rtt if not pair.good else min(rtt, 0.75 * pair.rtt + 0.25 * rtt)
        pair.heard = now
        if not pair.good:
            pair.good, pair.tries, pair.checks = True, 0, 0
            before = self.best
            self._choose()
            pair.due = now if self.best is not before else now + AT_HAND

    def _lose(self, pair: Pair, now: float) -> None:
        pair.good, pair.rtt, pair.due, pair.tries, pair.checks = False, inf, now, 0, 0

    def _choose(self) -> None:
        good = [pair for pair in self._pairs.values() if pair.good]
        named = self._pairs.get(self._named) if self._named is not None else None
        if not self.leads and named is not None and named.good:
            best: Pair | None = named
        else:  # none but a better kind takes the place of what works
            best = min(good, key=lambda p: (p.rank, p is not self.best, p.rtt), default=None)
        if best is not None and best is not self.best:
            best.due = -inf  # the other side hears of it now
        self.best = best


def _due(pair: Pair) -> float:
    return pair.due
