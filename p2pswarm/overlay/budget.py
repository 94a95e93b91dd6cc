"""Whom a network may make us dial, and how often.

Whoever answers a search names an address, and nobody proves that it is theirs: a thousand hits that name one
victim must not be a thousand connections. So an address that never answered in the network's own protocol is
dialed once in ten minutes, whoever names it, and so few ports of one host. A server on the Internet cannot
send us into the local network or at ourselves. Sans-IO.
"""

from collections import Counter, OrderedDict

from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone, zone_of

__all__ = ["DialBudget"]

EVERY = 600.0  # seconds between dials to an address that never answered
MOST_PORTS = 3  # of one host that never answered, in that time
MOST_KNOWN = 10_000  # addresses remembered; when all of them are fresh, no stranger is dialed


class DialBudget:
    """`may_dial` before each dial; `answered` once the other side spoke the protocol."""

    def __init__(self) -> None:
        self._dialed: OrderedDict[Address, float] = OrderedDict()  # unanswered ones, oldest first
        self._ports: Counter[str] = Counter()  # of each host among them
        self._answered: OrderedDict[Address, None] = OrderedDict()

    def may_dial(self, address: Address, teller: Zone, now: float) -> bool:
        """Whether it may be dialed now, as somebody in `teller` told us; it then counts as dialed."""
        address = address.normal
        if not address.dialable or zone_of(address.host) > teller:
            return False
        if address in self._answered:
            return True
        self._forget(now)
        ports = self._ports[address.host]
        if address in self._dialed or ports >= MOST_PORTS or len(self._dialed) >= MOST_KNOWN:
            return False
        self._dialed[address] = now
        self._ports[address.host] += 1
        return True

    def answered(self, address: Address) -> None:
        """It is what it was said to be."""
        address = address.normal
        if self._dialed.pop(address, None) is not None:
            self._one_less(address.host)
        self._answered[address] = None
        if len(self._answered) > MOST_KNOWN:
            self._answered.popitem(last=False)

    def has_answered(self, address: Address) -> bool:
        """Whether somebody of the network was found there."""
        return address.normal in self._answered

    def _forget(self, now: float) -> None:
        while self._dialed and next(iter(self._dialed.values())) <= now - EVERY:
            address, _ = self._dialed.popitem(last=False)
            self._one_less(address.host)

    def _one_less(self, host: str) -> None:
        self._ports[host] -= 1
        if not self._ports[host]:
            del self._ports[host]
