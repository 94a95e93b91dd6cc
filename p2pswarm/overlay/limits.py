"""How much is too much, in any network: by one who sends, by all who ask, by one host that knocks.

Figures are several times what an honest program needs, since a false alarm costs a neighbour and a missed
one only some work. Sans-IO.
"""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

from p2pswarm.formats.zones import Zone, zone_of

__all__ = ["Aims", "Introductions", "Knocks", "QueryBudget", "Tokens", "fair_share"]


class Tokens:
    """So many a second, and `burst` saved up."""

    __slots__ = ("_burst", "_filled", "_level", "_rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate, self._burst, self._level, self._filled = rate, burst, burst, now

    def take(self, now: float, cost: float = 1.0) -> bool:
        """Whether there is enough; it is then used. A clock that goes back gives nothing."""
        if not self.has(now, cost):
            return False
        self._level -= cost
        return True

    def has(self, now: float, cost: float = 1.0) -> bool:
        """Whether `take` would give that."""
        passed = max(0.0, now - self._filled)
        self._filled = now
        self._level = min(self._level + passed * self._rate, self._burst)
        return self._level >= cost


Link = TypeVar("Link", bound=Hashable)


class QueryBudget(Generic[Link]):
    """What all neighbours may make us do with queries, in fractions (Daswani and Garcia-Molina, 2002).

    Each second is shared among those that asked in the second before or ask in this one: nobody is refused
    below an equal share, and what some do not use is left to the others. So a flood from one neighbour is cut
    to what is free, and the others lose nothing. The cost of a query is what it makes us send.
    """

    SECOND = 1.0

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._began = float("-inf")
        self._asked: dict[Link, float] = {}  # in this second, granted or not
        self._used: dict[Link, float] = {}
        self._before: dict[Link, float] = {}  # asked in the second before
        self._share = rate  # as the second before suggests

    def grant(self, link: Link, now: float, cost: float = 1.0) -> bool:
        """Whether a query of this link is worked on now."""
        if not self._began <= now < self._began + self.SECOND:
            self._turn(now)
        self._asked[link] = self._asked.get(link, 0.0) + cost
        used = self._used.get(link, 0.0)
        # One is always granted: it may cost more than a share.
        if used and used + cost > self._limit(link):
            return False
        self._used[link] = used + cost
        return True

    def forget(self, link: Link) -> None:
        self._before.pop(link, None)
        self._asked.pop(link, None)
        self._used.pop(link, None)

    def _limit(self, link: Link) -> float:
        if link in self._before:
            return self._share
        return self._rate / (len(self._before.keys() | self._asked.keys()))

    def _turn(self, now: float) -> None:
        follows = self._began <= now < self._began + 2 * self.SECOND
        self._before = self._asked if follows else {}
        self._asked, self._used, self._began = {}, {}, now
        self._share = fair_share(self._rate, list(self._before.values()))


def fair_share(total: float, wanted: list[float]) -> float:
    """The max-min fair share: who wants less gets all of it, the others get equal parts of the rest."""
    left, sharers = total, len(wanted)
    for want in sorted(wanted):
        if want * sharers >= left:
            return left / sharers
        left -= want
        sharers -= 1
    return total


# How often all together may have others dial one host, by pushes that we pass on: a download from many
# servents behind firewalls asks all of them at once.
_AIMS = (1 / 6, 50.0)
# How often one host may connect: a NAT with a few of us behind it, restarting; and on this machine or
# network, where tests and laboratories run dozens of nodes.
_STRANGERS = (20 / 60, 20.0)
_NEAR = (10.0, 600.0)
# How often super nodes may have us dial one host: two may share a few torrents, and each has two super nodes.
_INTRODUCED = (6 / 600, 6.0)


class _EachHost:
    """So much for each host, of those that were named last."""

    MOST_HOSTS = 10_000

    def __init__(self) -> None:
        self._hosts: OrderedDict[str, Tokens] = OrderedDict()

    def __len__(self) -> int:
        return len(self._hosts)

    def _take(self, host: str, limit: tuple[float, float], now: float) -> bool:
        tokens = self._hosts.get(host)
        if tokens is None:
            tokens = self._hosts[host] = Tokens(*limit, now)
            if len(self._hosts) > self.MOST_HOSTS:
                self._hosts.popitem(last=False)
        self._hosts.move_to_end(host)
        return tokens.take(now)


class Aims(_EachHost):
    """Whom pushes name."""

    def may_name(self, host: str, now: float) -> bool:
        """One more push names it: whether it goes on."""
        return self._take(host, _AIMS, now)


class Knocks(_EachHost):
    """Who connects."""

    def may_enter(self, host: str, now: float) -> bool:
        """It has connected: whether it is spoken to."""
        return self._take(host, _STRANGERS if zone_of(host) is Zone.INTERNET else _NEAR, now)


class Introductions(_EachHost):
    """To whom super nodes introduce us."""

    def may_meet(self, owner: str, now: float) -> bool:
        """One more names it: whether we dial."""
        return self._take(owner, _INTRODUCED, now)
