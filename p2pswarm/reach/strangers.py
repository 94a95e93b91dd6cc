"""Hosts that offers name and that never answered: each is tried in few meetings.

Whoever has a name may ring and name a host that is not his, and who answers everybody (a machine) would send
to it again and again. So a host on the Internet gets packets in three meetings of ten minutes, whoever names
it, until a way there was proved. Who is really there and calls once more is reached by a relay, or comes to
us himself. Nearer hosts are named by who is near. Sans-IO.
"""

from collections import OrderedDict
from collections.abc import Iterable

from p2pswarm.formats.zones import Zone, zone_of

__all__ = ["Strangers"]

MEETINGS = 3
EVERY = 600.0  # seconds
MOST_TRIED = 1000
MOST_PROVED = 1000


class Strangers:
    """`barred` before each meeting, and when other places are named in it; `proved` in it."""

    def __init__(self) -> None:
        self._tried: OrderedDict[str, tuple[float, int]] = OrderedDict()  # since when, how often
        self._proved: OrderedDict[str, None] = OrderedDict()

    def barred(self, hosts: Iterable[str], now: float) -> frozenset[str]:
        """Which of these are not to be sent anything; the others count as tried."""
        far = {host for host in hosts if zone_of(host) is Zone.INTERNET}
        return frozenset(host for host in far if not self._may_try(host, now))

    def proved(self, host: str) -> None:
        """Whom we meet is there."""
        self._tried.pop(host, None)
        self._proved[host] = None
        self._proved.move_to_end(host)
        if len(self._proved) > MOST_PROVED:
            self._proved.popitem(last=False)

    def _may_try(self, host: str, now: float) -> bool:
        if host in self._proved:
            return True
        since, times = self._tried.get(host, (now, 0))
        if now - since >= EVERY:
            since, times = now, 0
        if times >= MEETINGS:
            return False
        self._tried[host] = since, times + 1
        if len(self._tried) > MOST_TRIED:
            self._tried.popitem(last=False)
        return True
