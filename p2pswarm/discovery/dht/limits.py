"""How much a stranger may have us do by datagrams, and whether strangers reach us at all.

The figures are libtorrent's: more than five queries a second from one host, and it is not heard for five
minutes; 8000 bytes a second leave us for all. Sans-IO.
"""

from collections import OrderedDict

from p2pswarm.discovery.dht.ids import place_of
from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone, zone_of

__all__ = ["Outlet", "Reach", "Visitors"]


class _Visitor:
    __slots__ = ("began", "blocked", "count")

    def __init__(self, now: float) -> None:
        self.began, self.count, self.blocked = now, 0, float("-inf")


class Visitors:
    """Who asks how often; of those that asked last."""

    MOST = 2000
    SPAN, QUERIES = 10.0, 50  # five a second, counted over ten: a lookup comes in bursts
    BLOCKED = 300.0  # seconds

    def __init__(self) -> None:
        self._visitors: OrderedDict[str, _Visitor] = OrderedDict()

    def __len__(self) -> int:
        return len(self._visitors)

    def admit(self, address: Address, now: float) -> bool:
        """One more query: whether it is heard."""
        visitor = self._visitor(place_of(address), now)
        if now < visitor.blocked:
            return False
        if not visitor.began <= now < visitor.began + self.SPAN:
            visitor.began, visitor.count = now, 0
        visitor.count += 1
        if visitor.count <= self.QUERIES:
            return True
        visitor.blocked = now + self.BLOCKED
        return False

    def _visitor(self, place: str, now: float) -> _Visitor:
        visitor = self._visitors.get(place)
        if visitor is None:
            visitor = self._visitors[place] = _Visitor(now)
            if len(self._visitors) > self.MOST:
                self._visitors.popitem(last=False)
        self._visitors.move_to_end(place)
        return visitor


class Outlet:
    """So many bytes a second for replies. Our own queries are never held back, but counted."""

    RATE = 8000.0
    SAVED = 3.0  # seconds

    def __init__(self, now: float) -> None:
        self._level, self._filled = self.RATE * self.SAVED, now

    def is_open(self, now: float) -> bool:
        """Whether there is room for a reply; asked first, because to make one costs more than to read."""
        passed = max(0.0, now - self._filled)
        self._filled = now
        self._level = min(self._level + passed * self.RATE, self.RATE * self.SAVED)
        return self._level > 0

    def replied(self, size: int) -> None:
        """The last one may be longer than the room."""
        self._level -= size

    def asked(self, size: int) -> None:
        """A query of ours left; a lookup in a hurry may leave as much debt as is saved at most."""
        self._level = max(self._level - size, -self.RATE * self.SAVED)


class Reach:
    """Whether strangers reach us: whoever is behind a NAT hears only those it has spoken to (BEP 43).

    A node that many others have answered, and that for a while no stranger asked anything, says that it is
    read-only. Then nobody names it, and no stranger can come: so once an hour it does not say so.
    """

    MOST = 4096  # hosts that are remembered
    CROWD = 30  # nodes on the Internet; among fewer there may be no stranger left
    TRIED, PERIOD = 900.0, 3600.0  # seconds of trying, of each hour

    def __init__(self, now: float) -> None:
        self._began = now
        self._spoken: OrderedDict[str, None] = OrderedDict()
        self._met = float("-inf")  # the last stranger

    def spoke(self, address: Address) -> None:
        self._spoken[address.host] = None
        self._spoken.move_to_end(address.host)
        if len(self._spoken) > self.MOST:
            self._spoken.popitem(last=False)

    def heard(self, address: Address, now: float) -> None:
        """A query came from there."""
        if address.host not in self._spoken:
            self._met = now

    def read_only(self, now: float) -> bool:
        if now - self._met < self.PERIOD or (now - self._began) % self.PERIOD < self.TRIED:
            return False
        hosts = list(self._spoken)[-self.CROWD :]
        return len(hosts) == self.CROWD and all(zone_of(host) is Zone.INTERNET for host in hosts)
