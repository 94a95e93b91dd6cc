"""What a super node carries for others: how much for one pair, for one owner, and for all of them.

A pair has two owners: the keys of two users, or the hosts of two peers of a swarm, who have no key. What was
carried is remembered for a day, so that who begins anew is given no more. Sans-IO.

The one hard thing: hosts and keys are cheap for whoever has many, so beside each owner's share there is one
for all together; and what one day's memory forgets first is what was used longest ago.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

from p2pswarm.errors import BusyError, RefusedError

__all__ = ["DAY", "Account", "Quotas", "Terms"]

DAY = 86_400.0  # seconds
MOST_REMEMBERED = 10_000  # pairs and owners


@dataclass(frozen=True, slots=True)
class Terms:
    """On which a super node relays. A call of two voices takes some 15 kB a second."""

    rate: int = 256 << 10
    """Bytes a second of one pair, both directions together."""
    total: int = 2 << 20
    """Bytes a second of all pairs."""
    of_pair: int = 1 << 30
    """Bytes a day."""
    of_owner: int = 4 << 30
    """Bytes a day of one key or host, whoever is at the other end."""
    seconds: float = 4 * 3600.0
    """That a relay lasts; who needs more begins another one."""
    idle: float = 150.0
    """Seconds without a byte: peers of a swarm say something every two minutes (BEP 3)."""
    most: int = 256
    """Relays at a time."""
    most_of_pair: int = 8
    most_of_owner: int = 32


class Quotas:
    """`begin` a relay; each of its bytes is `spend`, and `end` gives the place back."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self._spent: OrderedDict[Hashable, _Day] = OrderedDict()
        self._open: dict[Hashable, int] = {}  # relays of each pair and owner
        self.count = 0
        self.carried = 0
        """Bytes, of all relays so far."""

    def begin(self, one: Hashable, other: Hashable, now: float) -> "Account":
        """Raises BusyError when there is no place, RefusedError when these two had their share."""
        account = Account(self, one, other, now)
        if self.count >= self.terms.most:
            raise BusyError("no place for one more relay")
        for name, _, most in account.limits:
            if self._open.get(name, 0) >= most:
                raise BusyError("these have as many relays as they may")
        if self.left(account, now) <= 0:
            raise RefusedError("these had their share of today")
        self._count(account, 1)
        return account

    def end(self, account: "Account") -> None:
        """May be called twice."""
        if not account.over:
            account.over = True
            self._count(account, -1)

    def _count(self, account: "Account", more: int) -> None:
        self.count += more
        for name, _, _ in account.limits:
            left = self._open.get(name, 0) + more
            if left:
                self._open[name] = left
            else:
                self._open.pop(name, None)

    def left(self, account: "Account", now: float) -> int:
        """Bytes that are within every share of this day."""
        return min(most - self._day(name, now).bytes for name, most, _ in account.limits)

    def note(self, account: "Account", size: int, now: float) -> None:
        """So many were carried."""
        self.carried += size
        for name, _, _ in account.limits:
            day = self._spent[name] = self._day(name, now)
            self._spent.move_to_end(name)
            day.bytes += size
        while len(self._spent) > MOST_REMEMBERED:
            self._spent.popitem(last=False)

    def _day(self, name: Hashable, now: float) -> "_Day":
        day = self._spent.get(name)
        return _Day(now) if day is None or now - day.began >= DAY else day


@dataclass(slots=True)
class _Day:
    began: float
    bytes: int = 0


class Account:
    """One relay: what it carried, and until when it may."""

    def __init__(self, quotas: Quotas, one: Hashable, other: Hashable, now: float) -> None:
        terms = quotas.terms
        self.over = False
        self._quotas = quotas
        self._began = self._moved = now
        owners = {("owner", one), ("owner", other)}
        self.limits: tuple[tuple[Hashable, int, int], ...] = (
            (frozenset((one, other)), terms.of_pair, terms.most_of_pair),
            *((owner, terms.of_owner, terms.most_of_owner) for owner in owners),
        )
        """Name, bytes a day, and relays at a time."""

    def spend(self, size: int, now: float) -> bool:
        """Whether so many bytes more may pass. They are counted either way: who wanted too much is done."""
        may = not self.over and size <= self._quotas.left(self, now)
        self._quotas.note(self, size, now)
        self._moved = now
        return may

    def why_over(self, now: float) -> str | None:
        """Why it has to end by now, if it has."""
        terms = self._quotas.terms
        if now - self._began >= terms.seconds:
            return f"a relay lasts {terms.seconds / 3600:.0f} h"
        if now - self._moved >= terms.idle:
            return f"nothing came for {terms.idle:.0f} s"
        return None
