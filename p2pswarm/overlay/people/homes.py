"""Who is at home with us, as a super node: users under the keys that they proved, and who rings them.

A ring goes to the newest connection of that key, and its answer back to whoever rang. What either side says
is opaque here.

The one hard thing: whoever rings costs nothing and asks much of others. So a caller has proved a key, too;
how often one rings, how often one is rung, and how many rings of either wait for an answer is bounded, and a
ring that nobody answers ends by itself. Sans-IO.
"""

from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import Protocol

from p2pswarm.overlay.limits import Tokens
from p2pswarm.overlay.remembering import remember
from p2pswarm.wire.people.ringing import No

__all__ = ["RING_TIME", "Guest", "Homes"]

MOST_GUESTS = 2000
RING_TIME = 40.0  # seconds; who calls gives up after 30
MOST_RINGS = 1000  # that wait for an answer, of all,
MOST_OF_ONE = 4  # of one connection that rings, and for one user that is rung
OF_CALLER = (0.2, 20.0)  # a second, and saved up
OF_CALLEE = (1.0, 60.0)
OF_PAIR = (0.1, 6.0)
MOST_KNOWN = 10_000  # callers, callees and pairs that are counted


class Guest(Protocol):
    """A connection of somebody; it is compared by identity."""

    def rung(self, session: bytes, offer: bytes) -> None:
        """Somebody wants to talk to it."""

    def answered(self, session: bytes, offer: bytes) -> None:
        """Whom it rang answers."""

    def declined(self, session: bytes, reason: No) -> None:
        """Whom it rang does not."""

    def cancelled(self, session: bytes) -> None:
        """Who rang it gave up."""

    def replaced(self) -> None:
        """The same user came by another connection, which is rung from now on."""


@dataclass(slots=True)
class _Ring:
    caller: Guest
    callee: Guest
    ends: float


class Homes:
    """`came` after the proof, `left` at the end of every connection, `tick` now and then.

    Invariant: each ring's callee is at home, and each count is that of the rings.
    """

    def __init__(self) -> None:
        self._at_home: dict[bytes, Guest] = {}
        self._keys: dict[int, bytes] = {}  # of guests, by identity
        self._rings: OrderedDict[bytes, _Ring] = (
            OrderedDict()
        )  # by session; the first to end comes first
        self._open: Counter[int] = Counter()  # rings of a caller and of a callee, by identity
        self._limits: OrderedDict[tuple[object, ...], Tokens] = OrderedDict()

    def __len__(self) -> int:
        return len(self._at_home)

    def has(self, key: bytes) -> bool:
        return key in self._at_home

    def came(self, guest: Guest, key: bytes) -> bool:
        """It proved this key; False when there is no place."""
        old = self._at_home.get(key)
        if old is None and len(self._at_home) >= MOST_GUESTS:
            return False
        if old is guest:
            return True
        if old is not None:
            self.left(old)
            old.replaced()
        self.left(guest)  # who proves another key is another user from now on
        self._at_home[key] = guest
        self._keys[id(guest)] = key
        return True

    def left(self, guest: Guest) -> None:
        """Its connection is over; may be called of whoever was no guest."""
        key = self._keys.pop(id(guest), None)
        if key is not None and self._at_home.get(key) is guest:
            del self._at_home[key]
        for session, ring in list(self._rings.items()) if self._open[id(guest)] else ():
            if ring.caller is guest:
                self._end(session).callee.cancelled(session)
            elif ring.callee is guest:
                self._end(session).caller.declined(session, No.OFFLINE)

    # Rings

    def ring(
        self, caller: Guest, key: bytes, to: bytes, session: bytes, offer: bytes, now: float
    ) -> None:
        """`caller`, who proved `key`, wants to talk to whoever is at home under `to`."""
        callee = self._at_home.get(to)
        if not self._may_ring(caller, key, to, now) or session in self._rings:
            caller.declined(session, No.TOO_OFTEN)
        elif callee is None:
            caller.declined(session, No.OFFLINE)
        elif self._open[id(callee)] >= MOST_OF_ONE or len(self._rings) >= MOST_RINGS:
            caller.declined(session, No.BUSY)
        else:
            self._rings[session] = _Ring(caller, callee, now + RING_TIME)
            self._open.update((id(caller), id(callee)))
            callee.rung(session, offer)

    def answer(self, guest: Guest, session: bytes, offer: bytes) -> None:
        """Who was rung talks; nothing happens when the ring is over, or was another's."""
        if self._is_of(guest, session):
            self._end(session).caller.answered(session, offer)

    def decline(self, guest: Guest, session: bytes, reason: No) -> None:
        """Who was rung does not talk."""
        if self._is_of(guest, session):
            self._end(session).caller.declined(session, reason)

    def cancel(self, guest: Guest, session: bytes) -> None:
        """Who rang gives up; nothing happens when the ring is over, or was another's."""
        ring = self._rings.get(session)
        if ring is not None and ring.caller is guest:
            self._end(session).callee.cancelled(session)

    def tick(self, now: float) -> None:
        """Rings that nobody answered end."""
        while self._rings:
            session, ring = next(iter(self._rings.items()))
            if now < ring.ends:
                return
            self._end(session).caller.declined(session, No.OFFLINE)

    def _is_of(self, guest: Guest, session: bytes) -> bool:
        ring = self._rings.get(session)
        return ring is not None and ring.callee is guest

    def _end(self, session: bytes) -> _Ring:
        ring = self._rings.pop(session)
        for guest in (ring.caller, ring.callee):
            self._open[id(guest)] -= 1
            if not self._open[id(guest)]:
                del self._open[id(guest)]
        return ring

    def _may_ring(self, caller: Guest, key: bytes, to: bytes, now: float) -> bool:
        if self._open[id(caller)] >= MOST_OF_ONE:
            return False
        limits = (("from", key), OF_CALLER), (("to", to), OF_CALLEE), (("pair", key, to), OF_PAIR)
        return all(self._take(who, limit, now) for who, limit in limits)

    def _take(self, who: tuple[object, ...], limit: tuple[float, float], now: float) -> bool:
        tokens = self._limits.get(who) or Tokens(*limit, now)
        remember(self._limits, who, tokens, MOST_KNOWN)
        return tokens.take(now)

    def check(self) -> None:
        assert all(self._keys[id(guest)] == key for key, guest in self._at_home.items())
        assert len(self._keys) == len(self._at_home)
        ends = [end for ring in self._rings.values() for end in (ring.caller, ring.callee)]
        assert self._open == Counter(map(id, ends))
        assert all(id(ring.callee) in self._keys for ring in self._rings.values())
