"""Whom to dial next: first those the user named, then whom the host cache remembers. Sans-IO.

A host that the user named is tried again and again, with pauses that double; all others come from strangers'
hands, so each is dialed rarely and within the network's budget.
"""

from collections.abc import Collection, Iterable
from random import Random

from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone
from p2pswarm.overlay.budget import DialBudget
from p2pswarm.overlay.gnutella.place.hosts import Hosts

__all__ = ["Prospects"]

FIRST_PAUSE = 1.0  # seconds after a dial to a named host failed
LONGEST_PAUSE = 60.0
ASK_MORE = 4  # addresses of the cache looked at for each one needed


class _Named:
    """A host that the user named."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.due = 0.0
        self.failures = 0


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
            self._named[address].due = now + self._pause(1)

    def refused(self, address: Address, now: float, wall: float) -> None:
        """It is what it was said to be, but has no place for us."""
        self._answered(address, wall)
        self.failed(address, now)

    def failed(self, address: Address, now: float) -> None:
        named = self._named.get(address)
        if named is not None:
            named.failures += 1
            named.due = now + self._pause(named.failures)

    def ourselves(self, address: Address, now: float) -> None:
        """That was us."""
        self.hosts.forget(address)
        if address in self._named:
            self._named[address].due = now + LONGEST_PAUSE

    def again(self, now: float) -> None:
        """We are something else by now: who refused us may think otherwise."""
        for named in self._named.values():
            named.due = min(named.due, now)

    def _may(self, address: Address, now: float) -> bool:
        """The cache believed nobody who is farther away than what he told, so the zone is settled."""
        proven = self.hosts.proven(address)
        return proven or self._budget.may_dial(address, Zone.THIS_MACHINE, now)

    def _answered(self, address: Address, wall: float, *, ultrapeer: bool | None = None) -> None:
        self.hosts.connected(address, wall, ultrapeer=ultrapeer)
        self._budget.answered(address)

    def _pause(self, failures: int) -> float:
        pause: float = min(FIRST_PAUSE * 2 ** min(failures - 1, 20), LONGEST_PAUSE)
        return pause * self._dice.uniform(0.5, 1.5)
