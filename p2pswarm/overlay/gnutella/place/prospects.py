"""Whom to dial next: first those the user named, then whom the host cache remembers. Sans-IO.

A host that the user named is tried again and again, with pauses that double; all others come from strangers'
hands, so each is dialed rarely and within the network's budget.

The one hard thing: who is greeted too often bans us. gtk-gnutella takes two greetings of one address in a
minute, and then does not answer for five minutes and more, while each further one counts.
"""

from collections.abc import Collection, Iterable
from random import Random

from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone
from p2pswarm.overlay.budget import DialBudget
from p2pswarm.overlay.hosts.hosts import Hosts

__all__ = ["Prospects"]

FIRST_PAUSE = 1.0  # seconds after a dial to a named host failed
LONGEST_PAUSE = 60.0
GREETING_EVERY = 31.0  # seconds, in the long run; one more at first
ASK_MORE = 4  # addresses of the cache looked at for each one needed


class _Named:
    """A host that the user named."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.due = 0.0
        self.earliest = 0.0  # after the greetings that it heard
        self.failures = 0
        self._greetings, self._since = 0.0, 0.0  # of late

    def greeted(self, now: float) -> None:
        """It answered, whatever it said."""
        gone = (now - self._since) / GREETING_EVERY
        self._greetings, self._since = max(self._greetings - gone, 0.0) + 1.0, now
        self.earliest = now + (self._greetings - 1.0) * GREETING_EVERY

    def wait(self, until: float) -> None:
        self.due = max(until, self.earliest)


class Prospects:
    """`next` to dial, then `succeeded`, `refused` or `failed`.

    `now` is the loop's clock, `wall` the world's.
    """

    def __init__(
        self, named: Iterable[Address], hosts: Hosts, budget: DialBudget, dice: Random
    ) -> None:
        self.hosts = hosts
        self._named = {address: _Named(address) for address in named}
        self._budget = budget
        self._dice = dice

    def named(self, most: int, busy: Collection[Address], now: float) -> list[Address]:
        """Whom the user wants us to dial, as far as it is time."""
        due = [each.address for each in self._named.values() if each.due <= now]
        return [address for address in due if address not in busy][: max(most, 0)]

    def next(self, n: int, busy: Collection[Address], now: float, wall: float) -> list[Address]:
        """At most `n` addresses that may be dialed now; they count as dialed. None of `busy`."""
        chosen = self.named(n, busy, now)
        found = self.hosts.candidates(wall, self._dice, n * ASK_MORE, busy=busy)
        for address in found:
            if len(chosen) < n and address not in self._named and self._may(address, now):
                chosen.append(address)
        for address in chosen:
            self.hosts.dialed(address, wall)
        return chosen

    def succeeded(self, address: Address, now: float, wall: float, *, ultrapeer: bool) -> None:
        """It is a neighbour now."""
        self._answered(address, wall, ultrapeer=ultrapeer)
        if address in self._named:
            self._named[address].failures = 0
            self._named[address].greeted(now)
            self._named[address].wait(now + self._pause(1))

    def refused(self, address: Address, now: float, wall: float, *, crossed: bool = False) -> None:
        """It is what it was said to be, but has no place for us; or it connects to us at this moment."""
        self._answered(address, wall)
        self.failed(address, now)
        named = self._named.get(address)
        if named is not None:  # it would say the same again, unless we are something else by then
            named.greeted(now)
            named.wait(named.due if crossed else max(named.due, now + GREETING_EVERY))

    def failed(self, address: Address, now: float) -> None:
        named = self._named.get(address)
        if named is not None:
            named.failures += 1
            named.wait(now + self._pause(named.failures))

    def ourselves(self, address: Address, now: float) -> None:
        """That was us."""
        self.hosts.forget(address)
        if address in self._named:
            self._named[address].due = now + LONGEST_PAUSE

    def again(self, now: float) -> None:
        """We are something else by now: who refused us may think otherwise."""
        for named in self._named.values():
            named.wait(min(named.due, now))

    def _may(self, address: Address, now: float) -> bool:
        """The cache believed nobody who is farther away than what he told, so the zone is settled."""
        proven = self.hosts.proven(address)
        return proven or self._budget.may_dial(address, Zone.THIS_MACHINE, now)

    def _answered(self, address: Address, wall: float, *, ultrapeer: bool | None = None) -> None:
        self.hosts.connected(address, wall, hub=ultrapeer)
        self._budget.answered(address)

    def _pause(self, failures: int) -> float:
        pause: float = min(FIRST_PAUSE * 2 ** min(failures - 1, 20), LONGEST_PAUSE)
        return pause * self._dice.uniform(0.5, 1.5)
