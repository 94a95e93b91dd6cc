"""Two who want to be joined: each says the session and whom it wants, and both must mean the other.

Users prove their keys and name the other's, so that nobody else can take a place in their session. Peers of a
swarm have no keys: they bring a ticket, which this super node gave to those two when it introduced them.
Nobody can name a third host: whoever is joined came here by itself. Sans-IO.

The one hard thing: whoever waits costs a connection, so few wait in all and for one owner, and not for long.
"""

from collections import Counter, OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from p2pswarm.errors import BusyError, RefusedError

__all__ = ["WAIT", "Asked", "Pairing"]

WAIT = 30.0  # seconds that the first may wait for the second, and that a ticket is good for
MOST_WAITING = 512
MOST_OF_OWNER = 8
MOST_TICKETS = 4096

Guest = TypeVar("Guest", bound=Hashable)


class Asked(NamedTuple):
    """What a guest wants."""

    session: bytes
    me: bytes
    """The key that it proved; empty for who brings a ticket."""
    peer: bytes
    """The key of whom it wants."""
    datagrams: bool
    owner: Hashable
    """To whose account it goes: the key, or the host of who has none."""

    @property
    def place(self) -> Hashable:
        """Where only this one can stand."""
        return self.session, self.me, self.peer, self.datagrams

    @property
    def opposite(self) -> Hashable:
        return self.session, self.peer, self.me, self.datagrams


@dataclass(slots=True)
class _Waits(Generic[Guest]):
    guest: Guest
    asked: Asked
    since: float


class Pairing(Generic[Guest]):
    """`ask` for each guest; `give_up` for one that left; `late` now and then."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[Hashable, _Waits[Guest]] = OrderedDict()  # oldest first
        self._owners: Counter[Hashable] = Counter()
        self._tickets: OrderedDict[bytes, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    def expect(self, session: bytes, now: float) -> None:
        """Two may come with this ticket."""
        self._tickets[session] = now
        while len(self._tickets) > MOST_TICKETS:
            self._tickets.popitem(last=False)

    def ask(self, guest: Guest, asked: Asked, now: float) -> tuple[Guest, Asked] | None:
        """Whom it is joined with, or None while it waits. Raises RefusedError, BusyError."""
        self._check(asked, now)
        there = self._waiting.get(asked.opposite)
        if there is not None and there.guest != guest:
            self._take(asked.opposite)
            return there.guest, there.asked
        if asked.place in self._waiting:
            raise BusyError("somebody waits there in your name")
        if len(self._waiting) >= MOST_WAITING or self._owners[asked.owner] >= MOST_OF_OWNER:
            raise BusyError("too many wait here for others")
        self._waiting[asked.place] = _Waits(guest, asked, now)
        self._owners[asked.owner] += 1
        return None

    def _check(self, asked: Asked, now: float) -> None:
        """Raises RefusedError."""
        if bool(asked.me) != bool(asked.peer):
            raise RefusedError("who wants a user has to prove to be one")
        if asked.me and asked.me == asked.peer:
            raise RefusedError("nobody is joined with himself")
        if not asked.me and now - self._tickets.get(asked.session, -WAIT) >= WAIT:
            raise RefusedError("nobody was introduced in this session")

    def give_up(self, guest: Guest) -> None:
        """It is gone. May be called for one that does not wait."""
        for place, waits in self._waiting.items():
            if waits.guest == guest:
                self._take(place)
                return

    def late(self, now: float) -> list[Guest]:
        """Those who waited long enough; they wait no more."""
        late = [place for place, waits in self._waiting.items() if now - waits.since >= WAIT]
        while self._tickets and now - next(iter(self._tickets.values())) >= WAIT:
            self._tickets.popitem(last=False)
        return [self._take(place).guest for place in late]

    def _take(self, place: Hashable) -> _Waits[Guest]:
        waits = self._waiting.pop(place)
        self._owners[waits.asked.owner] -= 1
        if not self._owners[waits.asked.owner]:
            del self._owners[waits.asked.owner]
        return waits
