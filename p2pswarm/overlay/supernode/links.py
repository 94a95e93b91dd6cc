"""A super node's links to others: how many, whom to dial, whom to take, and which one to give up.

Below the lower bound we dial, up to the upper one we accept. Now and then one link is exchanged for another
("rewired"), so that long searches see other super nodes: the new one comes first, so nobody is cut off.

The one hard thing: two nodes may dial each other in the same moment. Both then see two links to one node, and
both keep the one that the smaller node id dialed. An older link is never given up for a newer one, or a
stranger could end it by naming its node id. Sans-IO.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from random import Random
from typing import Generic, TypeVar

from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import owner_of
from p2pswarm.overlay.remembering import remember
from p2pswarm.overlay.supernode.known import Known
from p2pswarm.overlay.supernode.options import Options
from p2pswarm.wire.supernode.hello import Reason

__all__ = ["Linking"]

MOST_DIALS = 5  # at a time
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 3600.0  # for a host that failed, doubled each time
ALONE_PAUSE = 15.0  # for one without a place, while we are linked to nobody
FULL_PAUSE = 300.0  # for one that has no place for us
MOST_FAILED = 1000  # hosts remembered
CROSSING = 10.0  # seconds within which two nodes may have dialed each other
MOST_OF_HOST = 2  # links to one host on the Internet, however many nodes it says to be
LOOK_EVERY = 5.0  # seconds between looks for more hosts while there are too few links

L = TypeVar("L", bound=Hashable)


@dataclass(frozen=True, slots=True)
class _End:
    """The other end of a link."""

    node: bytes
    address: Address
    since: float
    dialed: bool


class Linking(Generic[L]):
    """`step` when `due`, `refuses` before a link is accepted, and tell what came of everything.

    Invariant: never two links to one node or one address, never more than the upper bound.
    """

    def __init__(self, node: bytes, known: Known, options: Options, dice: Random) -> None:
        self._node, self._known, self._dice = node, known, dice
        self._least, self._most = options.links
        self._every = options.rewire
        self._links: dict[L, _End] = {}
        self._dialing: dict[Address, None] = {}
        # How often, and until when it is left alone.
        self._failed: OrderedDict[Address, tuple[int, float]] = OrderedDict()
        self._next_look = 0.0
        self._next_rewire: float | None = None
        self._replacing: Address | None = None  # who is being dialed to take the place of another

    def __len__(self) -> int:
        return len(self._links)

    @property
    def due(self) -> float:
        """When `step` is worth calling."""
        rewire = float("inf") if self._next_rewire is None else self._next_rewire
        return min(rewire, self._next_look) if self._lacks > 0 else rewire

    def step(self, now: float) -> tuple[Address, ...]:
        """Whom to dial now; each ends in `linked` or `failed`."""
        chosen: list[Address] = []
        if self._next_rewire is None:
            self._next_rewire = now + self._pause()
        if self._lacks > 0 and now >= self._next_look:
            chosen = self._choose(min(self._lacks, MOST_DIALS - len(self._dialing)), now)
            self._next_look = now + LOOK_EVERY
        if now >= self._next_rewire:
            self._next_rewire = now + self._pause()
            chosen += self._rewire(now)
        return tuple(chosen)

    def refuses(self, node: bytes, address: Address, now: float) -> Reason | None:
        """Why somebody who wants to be linked may not be; None when it may."""
        if node == self._node:
            return Reason.SELF
        twin = self._twin(node, address.normal)
        if twin is not None:
            wins = self._wins(twin, node, address.normal, now, dialed=False)
            return None if wins else Reason.NOT_WANTED
        full = len(self._links) >= self._most or self._crowded(address)
        return Reason.FULL if full else None

    def linked(
        self, link: L, node: bytes, address: Address, now: float, *, dialed: bool
    ) -> list[L]:
        """A link is there, `dialed` by us or accepted. Returns which to close, perhaps this one itself."""
        address = address.normal
        replaces = self._arrived(address) if dialed else False
        twin = self._twin(node, address)
        if node == self._node:
            return [link]
        if twin is not None:
            wins = self._wins(twin, node, address, now, dialed=dialed)
            closing = [twin] if wins else [link]
        elif replaces:
            closing = self._old_one()
        else:
            closing = [link] if len(self._links) >= self._most or self._crowded(address) else []
        for each in closing:
            self._links.pop(each, None)
        if link not in closing:
            self._links[link] = _End(node, address, now, dialed)
        return closing

    def unlinked(self, link: L) -> None:
        """It is gone, whoever closed it."""
        if self._links.pop(link, None) is not None:
            self._next_look = 0.0

    def failed(self, address: Address, now: float, *, full: bool = False) -> None:
        """It did not answer or refused us; `full` when it only has no place."""
        address = address.normal
        if address not in self._dialing:
            return
        del self._dialing[address]
        if self._replacing == address:
            self._replacing = None
        times = self._failed.get(address, (0, 0.0))[0] + 1
        pause = min(FIRST_PAUSE * 2 ** min(times - 1, 20), LONGEST_PAUSE)
        if full:  # who is alone needs somebody, or at least somebody who names others
            pause = FULL_PAUSE if self._links else ALONE_PAUSE
        until = now + pause * self._dice.uniform(0.75, 1.25)
        remember(self._failed, address, (times, until), MOST_FAILED)
        if full:
            self._known.answered(address)
        else:
            self._known.failed(address)

    # How it is decided

    @property
    def _lacks(self) -> int:
        dialing = len(self._dialing) - (self._replacing is not None)
        return self._least - len(self._links) - dialing

    def _choose(self, n: int, now: float) -> list[Address]:
        if n <= 0:
            return []
        waiting = [address for address, (_, until) in self._failed.items() if until > now]
        linked = [end.address for end in self._links.values()]
        chosen: list[Address] = []
        for address in self._known.candidates(2 * n, [*waiting, *linked, *self._dialing]):
            if len(chosen) >= n or self._crowded(address):
                continue
            if self._known.may_dial(address, now):
                chosen.append(address)
        self._dialing.update(dict.fromkeys(chosen))
        return chosen

    def _crowded(self, address: Address) -> bool:
        """Whether its host has its links already."""
        owner = owner_of(address.normal)
        return sum(owner_of(end.address) == owner for end in self._links.values()) >= MOST_OF_HOST

    def _rewire(self, now: float) -> list[Address]:
        """Somebody new, for whom an old link is given up once the new one is there."""
        if len(self._links) < 2 or self._lacks > 0 or self._replacing is not None:
            return []
        chosen = self._choose(1, now)
        self._replacing = chosen[0] if chosen else None
        return chosen

    def _arrived(self, address: Address) -> bool:
        """We reached it; whether it is to take the place of another."""
        self._dialing.pop(address, None)
        self._failed.pop(address, None)
        self._known.answered(address)
        replaces = self._replacing == address
        if replaces:
            self._replacing = None
        return replaces

    def _twin(self, node: bytes, address: Address) -> L | None:
        """The link that we have to this node, or to this address."""
        for link, end in self._links.items():
            if end.node == node or end.address == address:
                return link
        return None

    def _wins(self, twin: L, node: bytes, address: Address, now: float, *, dialed: bool) -> bool:
        """Whether a new link takes the place of the one we have: only of dials that crossed."""
        old = self._links[twin]
        crossed = old.dialed is not dialed and now - old.since <= CROSSING
        if not crossed or (old.node, old.address.host) != (node, address.host):
            return False
        return dialed is (self._node < node)

    def _old_one(self) -> list[L]:
        """One of the oldest third."""
        by_age = sorted(self._links, key=lambda link: self._links[link].since)
        return [self._dice.choice(by_age[: len(by_age) // 3 + 1])] if by_age else []

    def _pause(self) -> float:
        return self._every * self._dice.uniform(0.75, 1.25)

    def check(self) -> None:
        ends = self._links.values()
        assert len(self._links) <= self._most
        assert len({end.node for end in ends} - {self._node}) == len(ends)
        assert len({end.address for end in ends}) == len(ends)
        assert len(self._dialing) <= MOST_DIALS
        assert self._replacing is None or self._replacing in self._dialing
