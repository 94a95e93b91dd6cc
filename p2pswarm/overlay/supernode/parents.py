"""An ordinary node without a parent: whom to ping, whom to dial next, and when to try again.

A round pings a few candidates and dials who answered, low load and short way first. While nobody answers the
next few are pinged, and who is silent is dialed meanwhile, as UDP may be blocked. Dials are staggered (as RFC
8305 staggers addresses): the next one begins when one failed, or half a second later, so that dead hosts cost
half a second each and not their timeout.

The one hard thing: a thousand children may lose one parent in the same moment. So each waits up to a second,
asks a few candidates of its own, and throws dice where the difference is small.

Who is full is dialed when nobody has room, as it tells of others, but then not again for a while, unless it
says by pong that it has room. Sans-IO.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone, zone_of
from p2pswarm.overlay.remembering import remember
from p2pswarm.overlay.supernode.known import Known
from p2pswarm.wire.supernode.hello import Reason
from p2pswarm.wire.supernode.hosts import Entry

__all__ = ["DIAL_TIME", "Moves", "Seeking"]

JITTER = 1.0  # seconds at most before the first try
PINGED = 5  # candidates at a time
PONG_TIME = 0.5  # seconds that pongs are waited for
STAGGER = 0.5  # seconds between dials while none of them has failed
DIAL_TIME = 3.0  # seconds a dial may take, with its welcome
MOST_DIALS = 7  # at a time: one that began with each half second of such a time, and one more
MOST_ASKED = 20  # candidates in one round, or a liar with hosts for us would keep us in it
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # after a round that failed, doubled each time
FULL_PAUSE = 30.0  # seconds
CROWD_PAUSE = 10.0  # seconds at most after a round in which all were full: others will serve soon
MOST_FULL = 500
MOST_OF_TELLER = 5  # hosts of one refusal that are tried in the same round
DICE = 60.0  # points of load within which nobody is better
FULL = 500.0  # points: after everybody who has room
SILENT = 1000.0  # and after everybody who answered


@dataclass(frozen=True, slots=True)
class Moves:
    """What to do now."""

    ping: tuple[Address, ...] = ()
    dial: tuple[Address, ...] = ()


class Seeking:
    """`lost`, then `step` when `due` and after each event, until `found`.

    Invariant: each candidate of a round is in at most one of: asked, ready, being dialed.
    """

    def __init__(self, known: Known, dice: Random) -> None:
        self._known, self._dice = known, dice
        # Pinged, and not dialed: until when pongs are waited for. And to be dialed, with their points:
        # the fewer, the better.
        self._asked: dict[Address, float] = {}
        self._ready: dict[Address, float] = {}
        self._dialing: dict[Address, float] = {}  # and since when
        self._tried: set[Address] = set()  # in this round
        self._full: OrderedDict[Address, float] = OrderedDict()
        self._begins: float | None = None  # the round; None while there is a parent
        self._nobody_left = False  # to be asked in this round
        self._silent = 0  # who did not answer in it
        self._next_dial = 0.0
        self._answered = False  # somebody did in this round
        self._rounds = 0  # that failed in a row

    @property
    def seeks(self) -> bool:
        return self._begins is not None

    def lost(self, now: float, parent: Address | None = None) -> None:
        """There is no parent (any more): seek one, after a moment that differs from node to node."""
        self._rounds = 0
        self._end_round(now + self._dice.uniform(0.0, JITTER))
        if parent is not None:  # not this one, unless there is no other
            self._known.failed(parent)
            self._tried.add(parent.normal)

    def found(self, parent: Address | None = None) -> None:
        """There is a parent, or none is wanted. What becomes of the other dials does not count."""
        if parent is not None:
            self._known.answered(parent)
        self._end_round(None)

    def step(self, now: float) -> Moves:
        """What to do now; each dial then ends in `refused`, `failed` or `found`."""
        if self._begins is None or now < self._begins:
            return Moves()
        self._give_up_waiting(now)
        ping = self._ping(now)
        dial = self._dial(now)
        if not (self._asked or self._ready or self._dialing):
            self._failed_round(now)
        return Moves(ping, dial)

    @property
    def due(self) -> float:
        """When `step` is worth calling, unless something comes; `inf` for never."""
        if self._begins is None:
            return float("inf")
        times = list(self._asked.values())
        if self._may_dial or self._may_ask:
            times.append(self._next_dial)
        times.extend(since + DIAL_TIME for since in self._dialing.values())
        return max(min(times, default=self._begins), self._begins)

    # What came of it

    def pong(self, address: Address, load: int, room: int, rtt: float, now: float) -> None:
        """A super node that we pinged says how it is; `rtt` in seconds, as we measured it."""
        address = address.normal
        if address not in self._asked and address not in self._ready:
            return
        self._asked.pop(address, None)
        self._ready.pop(address, None)
        self._known.answered(address)
        self._answered = True
        points = load + 100 * min(rtt, 1.0) + self._dice.uniform(0, DICE)
        if room > 0:
            self._full.pop(address, None)
            self._ready[address] = points
        elif self._has_room(address, now):  # it may say where else to go, or want to promote us
            self._note_full(address, now)
            self._ready[address] = FULL + points

    def refused(
        self, address: Address, reason: Reason, now: float, hosts: Iterable[Entry] = ()
    ) -> None:
        """It is a node of ours, but not our parent; it names others, who are tried next.

        What it names is for the host cache, too, which the owner tells.
        """
        address = address.normal
        if self._dialing.pop(address, None) is None:
            return
        self._next_dial = now
        if reason is Reason.NOT_SUPER:
            self._known.ordinary(address)
        elif reason is Reason.SELF:
            self._known.ourselves(address)
        else:
            self._known.answered(address)
        if reason is Reason.FULL:
            self._answered = True
            self._note_full(address, now)
        self._learn(address, hosts, now)

    def failed(self, address: Address, now: float) -> None:
        """It did not answer within `DIAL_TIME`, or is no node of ours."""
        if self._dialing.pop(address.normal, None) is not None:
            self._known.failed(address)
            self._next_dial = now

    # How it goes on

    def _learn(self, address: Address, hosts: Iterable[Entry], now: float) -> None:
        near = zone_of(address.host)
        told = {each.address.normal: each.load for each in hosts if _may_be_there(each, near)}
        fresh = {
            each: load + self._dice.uniform(0, DICE)
            for each, load in told.items()
            if each not in self._tried and self._has_room(each, now)
        }
        most = min(MOST_OF_TELLER, MOST_ASKED - len(self._tried))
        for each in sorted(fresh, key=fresh.__getitem__)[: max(most, 0)]:
            self._tried.add(each)
            self._ready[each] = fresh[each]

    def _give_up_waiting(self, now: float) -> None:
        """Who is silent comes after all who answered; whoever hangs has failed."""
        for address in [each for each, until in self._asked.items() if until <= now]:
            del self._asked[address]
            if self._has_room(address, now):
                self._silent += 1
                self._ready[address] = SILENT + self._silent  # as they were chosen
        for address in [each for each, at in self._dialing.items() if at + DIAL_TIME <= now]:
            self.failed(address, now)

    def _ping(self, now: float) -> tuple[Address, ...]:
        """The next few, unless somebody with room is to be dialed or somebody has just been."""
        answered = any(points < FULL for points in self._ready.values())
        if answered or not self._may_ask or (self._dialing and now < self._next_dial):
            return ()
        n = min(PINGED, MOST_ASKED - len(self._tried))
        chosen = self._known.candidates(n, self._tried)
        self._asked = dict.fromkeys(chosen, now + PONG_TIME)
        self._tried.update(chosen)
        self._nobody_left = not chosen
        return tuple(each for each in chosen if self._known.may_ping(each, now))

    def _dial(self, now: float) -> tuple[Address, ...]:
        """The best one, when it is time; while pongs may come, who answered waits for a better one."""
        while self._may_dial and now >= self._next_dial:
            address = min(self._ready, key=self._ready.__getitem__)
            del self._ready[address]
            if self._known.may_dial(address, now):
                self._dialing[address] = now
                self._next_dial = now + STAGGER
                return (address,)
        return ()

    @property
    def _may_dial(self) -> bool:
        best = min(self._ready.values(), default=SILENT)
        waits = bool(self._asked) and best < SILENT
        return bool(self._ready) and not waits and len(self._dialing) < MOST_DIALS

    @property
    def _may_ask(self) -> bool:
        return not (self._asked or self._nobody_left) and len(self._tried) < MOST_ASKED

    def _has_room(self, address: Address, now: float) -> bool:
        """As far as we know."""
        return self._full.get(address, now) <= now

    def _note_full(self, address: Address, now: float) -> None:
        pause = FULL_PAUSE * self._dice.uniform(0.5, 1.5)
        remember(self._full, address, now + pause, MOST_FULL)

    def _failed_round(self, now: float) -> None:
        longest = CROWD_PAUSE if self._answered else LONGEST_PAUSE
        pause = min(FIRST_PAUSE * 2 ** min(self._rounds, 20), longest)
        self._rounds += 1
        self._end_round(now + pause * self._dice.uniform(0.5, 1.0))

    def _end_round(self, begins: float | None) -> None:
        self._begins, self._nobody_left, self._silent = begins, False, 0
        self._answered = False
        for rooms in (self._asked, self._ready, self._dialing, self._tried):
            rooms.clear()
        self._next_dial = begins or 0.0

    def check(self) -> None:
        rooms = [set(self._asked), set(self._ready), set(self._dialing)]
        assert sum(map(len, rooms)) == len(set().union(*rooms))
        assert set().union(*rooms) <= self._tried
        assert len(self._tried) <= MOST_ASKED
        assert len(self._dialing) <= MOST_DIALS
        assert self._begins is not None or not self._tried


def _may_be_there(entry: Entry, teller: Zone) -> bool:
    return entry.address.dialable and zone_of(entry.address.host) <= teller
