"""How much is too much: what one neighbour may send, what all may make us do, how far a message may go.

A neighbour that is over its limit is not punished: the message is dropped, as its own flow control would
have done. Only one that goes on for minutes, or whose messages are broken, is sent away. Figures are
several times what an honest program sends, since a false alarm costs a neighbour and a missed one only some
work. Sans-IO.
"""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

from p2pswarm.formats.zones import Zone, zone_of
from p2pswarm.overlay.gnutella.links.agreement import FLAT_TTL
from p2pswarm.wire.gnutella.descriptor import Kind

__all__ = ["Aims", "Allowance", "Knocks", "QueryBudget", "Tokens", "clamp"]

_ABSURD_TTL = 15  # beyond it a message is a lie and is dropped
_ABSURD_HOPS = 10  # a query starts with a TTL of at most 10, so it cannot have come farther


def clamp(ttl: int, hops: int) -> tuple[int, int] | None:
    """TTL and hops as they count for us, before our own hop; None is to be dropped.

    A TTL of 0 comes back when it has come as far as it may: it is answered, but goes no farther.
    """
    if not 0 <= ttl <= _ABSURD_TTL or not 0 <= hops <= _ABSURD_HOPS:
        return None
    return max(0, min(ttl, FLAT_TTL - hops)), hops


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


# (a second, saved up) for each kind. A leaf speaks for one person and the downloads of one program. An
# ultrapeer speaks for thirty leaves and some neighbours: with dynamic querying 5 to 20 queries a second.
_LEAF: dict[int, tuple[float, float]] = {
    Kind.PING: (1.0, 1.0),  # the pong caching proposal: at most one a second is answered
    Kind.PONG: (5.0, 50.0),  # its own, and a few
    Kind.ROUTES: (4.0, 300.0),  # a table of a million slots in pieces of 4 KiB is 128 pieces
    Kind.VENDOR: (5.0, 100.0),  # query status, push proxies, hops flow
    Kind.STANDARD_VENDOR: (5.0, 100.0),
    Kind.PUSH: (2.0, 50.0),  # a download with many firewalled sources asks all of them at once
    Kind.QUERY: (
        1.0,
        30.0,
    ),  # a person asks twice a minute; a program looks for sources of all its downloads
    Kind.HIT: (
        10.0,
        300.0,
    ),  # up to ten files each; a browse of thousands of files is not sent this way
}
_ULTRAPEER: dict[int, tuple[float, float]] = {
    **_LEAF,
    Kind.PONG: (20.0, 200.0),  # ten for each of our pings, and some that were multiplexed
    Kind.PUSH: (20.0, 200.0),
    Kind.QUERY: (50.0, 500.0),
    Kind.HIT: (100.0, 2000.0),  # hits for all our leaves may come over one link
}
_OTHER = (5.0, 50.0)  # kinds that nobody knows
_TABLE = (1 / 60, 3.0)  # whole route tables: the query routing proposal sends one a minute at most
# Patches, in usual ones (64Ki slots of 4 bits), each a third of a millisecond; the largest is 64 of them.
_PATCHES = (0.5, 64.0)
USUAL_PATCH = 32 << 10  # bytes, unpacked
LARGE = (
    4096  # bytes of a message; the specification drops what is larger, here it counts as several
)
_PATIENCE = (20.0, 5000.0)  # messages over the limit: a storm of some minutes, then it is an attack
_MISTAKES = (
    1 / 30,
    10.0,
)  # broken messages: some programs send one now and then, nobody ten in a row


class Allowance:
    """What one neighbour may send. One that became a leaf gets a new one."""

    __slots__ = ("_buckets", "_mistakes", "_patches", "_patience", "_rates", "_tables")

    def __init__(self, now: float, *, leaf: bool) -> None:
        self._rates = _LEAF if leaf else _ULTRAPEER
        self._buckets: dict[int, Tokens] = {}
        self._patience = Tokens(*_PATIENCE, now)
        self._mistakes = Tokens(*_MISTAKES, now)
        self._tables = Tokens(*_TABLE, now)
        self._patches = Tokens(*_PATCHES, now)

    def takes(self, kind: int, now: float, size: int = 0) -> bool:
        """Whether a message of this kind and size is looked at; otherwise it is dropped."""
        if kind == Kind.BYE:
            return True
        if kind not in self._rates:
            kind = -1
        bucket = self._buckets.get(kind)
        if bucket is None:
            bucket = self._buckets[kind] = Tokens(*self._rates.get(kind, _OTHER), now)
        return bucket.take(now, max(size / LARGE, 1.0))

    def bears(self, now: float) -> bool:
        """After a refusal: whether we stay patient. When not, the neighbour gets BYE 400 and goes."""
        return self._patience.take(now)

    def table(self, now: float) -> bool:
        """It begins a route table (RESET); False when that is one too many."""
        return self._tables.take(now)

    def patch(self, now: float, size: int) -> bool:
        """A patch is complete that has so many bytes when it is unpacked; False when that is too much."""
        return self._patches.take(now, max(size / USUAL_PATCH, 1.0))

    def forgives(self, now: float) -> bool:
        """A broken message came; False when it was one too many, and the neighbour goes (BYE)."""
        return self._mistakes.take(now)


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
        if used and used + cost > self._limit(
            link
        ):  # one is always granted: it may cost more than a share
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
