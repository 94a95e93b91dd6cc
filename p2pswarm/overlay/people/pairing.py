"""Two who want to be joined: each says the session and whom it wants, and both must mean the other.

Users prove their keys and name the other's, so that nobody else can take a place in their session. Peers of a
swarm have no keys: they bring a ticket, which this super node gave to those two when it introduced them.
Nobody can name a third host: whoever is joined came here by itself. Sans-IO.

The one hard thing: whoever waits costs a connection, so few wait in all and for one owner, and not for long.
And one that lost its way comes again before we know, so whoever came last is joined first.
"""

from collections import Counter, OrderedDict
from collections.abc import Hashable
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

    def fits(self, other: "Asked") -> bool:
        """Whether each of the two means the other."""
        same = (self.session, self.datagrams) == (other.session, other.datagrams)
        return same and (self.me, self.peer) == (other.peer, other.me)


class Pairing(Generic[Guest]):
    """`ask` for each guest; `give_up` for one that left; `late` now and then."""

    def __init__(self) -> None:
        self._waiting: dict[Guest, tuple[Asked, float]] = {}  # and since when; oldest first
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
        for other, (there, _) in reversed(self._waiting.items()):
            if there.fits(asked):
                self._take(other)
                return other, there
        if len(self._waiting) >= MOST_WAITING or self._owners[asked.owner] >= MOST_OF_OWNER:
            raise BusyError("too many wait here for others")
        self._waiting[guest] = asked, now
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
        if guest in self._waiting:
            self._take(guest)

    def late(self, now: float) -> list[Guest]:
        """Those who waited long enough; they wait no more."""
        late = [guest for guest, (_, since) in self._waiting.items() if now - since >= WAIT]
        while self._tickets and now - next(iter(self._tickets.values())) >= WAIT:
            self._tickets.popitem(last=False)
        for guest in late:
            self._take(guest)
        return late

    def _take(self, guest: Guest) -> None:
        asked, _ = self._waiting.pop(guest)
        self._owners[asked.owner] -= 1
        if not self._owners[asked.owner]:
            del self._owners[asked.owner]
