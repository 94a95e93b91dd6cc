"""Whose guests we are: two or three super nodes through which we are rung, and when to look for others.

The one hard thing: when half of all super nodes die at once (as Skype's did in 2007 and 2010), everybody who
lost one comes to the others in the same moment, and what was overload becomes collapse. So who still has a
home is in no hurry, each waits for as long as its dice say, and longer after every round that failed; one
dial at a time begins, and who is full is left alone for as long as he says. But nobody is to be without a
home for a minute, so the longest wait is short, and who did not answer is not asked twice in it: half of the
super nodes that one knows are dead then, and most of the time would go to them. Sans-IO.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection
from random import Random

from p2pswarm.formats.ids import Address
from p2pswarm.overlay.remembering import remember

__all__ = ["HOMES", "Choosing"]

HOMES = 3  # super nodes that ring us; with two of them we are in no hurry
CALM = 2
DIAL_TIME = 6.0  # seconds a dial may take, with its greeting and the proof
STAGGER = 0.5  # seconds until the next one begins while one is on its way
MOST_DIALS = 3
HASTE, LEISURE = 1.0, 10.0  # seconds at most until the first try of who has no home, and of who has
LONGEST, LEISURELY = 5.0, 20.0  # seconds between rounds that fail, for the same two
BEGINNING, EAGER = 20.0, 2.0  # seconds at first in which nobody waits longer
FULL = 60.0  # seconds that a super node is left alone which did not take us,
SILENT = 60.0  # and one that did not answer, if there are others
MOST_LEFT = 200
STABLE = 60.0  # seconds that a home lasts before what failed earlier is forgotten

Candidates = Callable[[int, Collection[Address]], list[Address]]
"""At most so many super nodes that we know, none of these; the best first."""


class Choosing:
    """`step` when `due`, then tell `settled`, `failed` or `refused` of each dial, and `lost` of a home."""

    def __init__(self, candidates: Candidates, dice: Random, now: float) -> None:
        self._candidates, self._dice = candidates, dice
        self.homes: dict[Address, float] = {}
        """Where we are at home, and since when."""
        self._dialing: dict[Address, float] = {}
        # Who is left alone, and until when.
        self._full: OrderedDict[Address, float] = OrderedDict()
        self._silent: OrderedDict[Address, float] = OrderedDict()
        self._failures = 0  # in a row
        self._young = now + BEGINNING  # super nodes may begin in the same moment
        self._next = now  # the first dial begins at once: only losses come in crowds

    @property
    def content(self) -> bool:
        return len(self.homes) >= HOMES

    @property
    def due(self) -> float:
        """When `step` is worth calling, unless something happens; `inf` for never."""
        times = [since + DIAL_TIME for since in self._dialing.values()]
        if self._wants:
            times.append(self._next)
        return min(times, default=float("inf"))

    @property
    def _wants(self) -> bool:
        return len(self.homes) + len(self._dialing) < HOMES and len(self._dialing) < MOST_DIALS

    def step(self, now: float) -> Address | None:
        """Whom to dial now."""
        for late, since in list(self._dialing.items()):
            if now >= since + DIAL_TIME:
                self.failed(late, now)
        if not self._wants or now < self._next:
            return None
        address = self._candidate(now)
        if address is None:
            self._pause(now)
            return None
        self._dialing[address] = now
        self._next = now + STAGGER
        return address

    def _candidate(self, now: float) -> Address | None:
        busy = {address for address, until in self._full.items() if now < until}
        busy |= self.homes.keys() | self._dialing.keys()
        silent = {address for address, until in self._silent.items() if now < until}
        first = self._candidates(1, busy | silent) or self._candidates(1, busy)
        return first[0] if first else None

    def settled(self, address: Address, now: float) -> None:
        """It took us in."""
        self._dialing.pop(address, None)
        self.homes[address], self._young = now, now

    def refused(self, address: Address, now: float, wait: float = FULL) -> None:
        """It is there and does not take us; not before so many seconds."""
        remember(self._full, address, now + wait, MOST_LEFT)
        self._failed(address, now)

    def failed(self, address: Address, now: float) -> None:
        """It is not there."""
        remember(self._silent, address, now + SILENT, MOST_LEFT)
        self._failed(address, now)

    def _failed(self, address: Address, now: float) -> None:
        if self._dialing.pop(address, None) is not None:
            self._pause(now)

    def lost(self, address: Address, now: float) -> None:
        """A home is none any more."""
        since = self.homes.pop(address, now)
        if now - since >= STABLE:
            self._failures = 0
        most = LEISURE if len(self.homes) >= CALM else HASTE + len(self.homes) * HASTE
        soon = now + self._dice.uniform(0.0, most)
        self._next = min(self._next, soon) if self._next > now else soon

    def _pause(self, now: float) -> None:
        self._failures += 1
        longest = min(HASTE * 2.0 ** min(self._failures - 1, 10), LONGEST)
        if len(self.homes) >= CALM:
            longest = LEISURELY
        elif now < self._young:
            longest = min(longest, EAGER)
        self._next = max(self._next, now + self._dice.uniform(longest / 2, longest))
