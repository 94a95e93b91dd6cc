"""Who is out there: pongs that were heard, given on to whoever pings, so that no ping is ever broadcast.

A ping is answered from here with up to ten pongs, spread over the links they came from and over hops, none
back to the link it came from. Every three seconds each neighbour is pinged, which refreshes what it told
us. Each link has a small place of its own: one that tells a thousand addresses replaces only what it told
before, and is one of many when ten are picked. Sans-IO.
"""

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import Generic, Protocol, TypeVar

from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone, zone_of
from p2pswarm.overlay.remembering import remember

__all__ = ["FRESH", "KEPT", "WANT", "Located", "Pongs"]

WANT = 10  # pongs for a ping; 131 bytes a second for a link that pings every three (LimeWire's proposal)
FRESH = 10.0  # seconds: three refreshes, and a neighbour that misses one is still passed on
KEPT = 60.0  # seconds, for a crawler, which wants all neighbours
EACH = 30  # pongs of one link: three answers
PING_EVERY = 3.0  # seconds, to neighbours that cache pongs
PING_OTHERS_EVERY = 30.0  # to those that broadcast a ping
MOST_HOPS = 7


class Located(Protocol):
    """A pong, as far as this room looks into it."""

    @property
    def address(self) -> Address:
        """Who can be reached where."""


Link = TypeVar("Link", bound=Hashable)
Pong = TypeVar("Pong", bound=Located)


class _Heard(Generic[Pong]):
    __slots__ = ("at", "hops", "pong", "zone")

    def __init__(self, pong: Pong, zone: Zone, hops: int, at: float) -> None:
        self.pong, self.zone, self.hops, self.at = pong, zone, hops, at


class _Told(Generic[Pong]):
    """What one link told, the latest last; when we pinged it."""

    __slots__ = ("heard", "pinged")

    def __init__(self) -> None:
        self.heard: OrderedDict[Address, _Heard[Pong]] = OrderedDict()
        self.pinged = float("-inf")


class Pongs(Generic[Link, Pong]):
    """`heard` what comes in, `answer` to a ping, `may_ping` each link now and then.

    Invariants: a link has at most 30 pongs here; all can be dialed by whoever is as near as the teller.
    """

    def __init__(self) -> None:
        self._told: dict[Link, _Told[Pong]] = {}
        self._turn = 0  # which link is first, so that each ping gets other pongs

    def heard(
        self, pong: Pong, link: Link, hops: int, now: float, teller: Zone = Zone.INTERNET
    ) -> bool:
        """A pong came, with so many hops in its head; whether it is kept. `teller` is the link's zone."""
        address = pong.address.normal
        zone = zone_of(address.host)
        if not address.dialable or zone > teller or not 0 <= hops <= MOST_HOPS:
            return False
        heard = self._of(link).heard
        remember(heard, address, _Heard(pong, zone, hops, now), EACH)
        return True

    def answer(
        self,
        link: Link,
        ttl: int,
        hops: int,
        now: float,
        want: int = WANT,
        asker: Zone = Zone.INTERNET,
    ) -> list[tuple[Pong, int]]:
        """Pongs for a ping with this TTL and hops, each with the hops to send it with; our own is not here.

        A ping with TTL 2 that has not travelled is a crawler's: it gets every neighbour, fresh or not.
        """
        if ttl == 2 and hops == 0:
            want, oldest = len(self._told), now - KEPT
        else:
            oldest = now - FRESH
        picked: dict[Address, tuple[Pong, int]] = {}
        for address, heard in self._spread(link, oldest, ttl - 2):
            if len(picked) >= want:
                break
            if heard.zone <= asker:
                picked.setdefault(address, (heard.pong, heard.hops + 1))
        return list(picked.values())

    def may_ping(self, link: Link, now: float, *, caches: bool = True) -> bool:
        """Whether it is time to ping this link; it then counts as pinged."""
        told = self._of(link)
        if now - told.pinged < (PING_EVERY if caches else PING_OTHERS_EVERY):
            return False
        told.pinged = now
        return True

    def forget(self, link: Link) -> None:
        """The link has ended, and nobody vouches for what it told."""
        self._told.pop(link, None)

    def _of(self, link: Link) -> _Told[Pong]:
        told = self._told.get(link)
        if told is None:
            told = self._told[link] = _Told()
        return told

    def _spread(
        self, asker: Link, oldest: float, most_hops: int
    ) -> Iterator[tuple[Address, _Heard[Pong]]]:
        """One pong of each link in turn, the hops going up from link to link, the latest first."""
        links = [told for link, told in self._told.items() if link != asker and told.heard]
        self._turn += 1
        start = self._turn % len(links) if links else 0
        rows: list[list[tuple[Address, _Heard[Pong]]]] = []
        for shift, told in enumerate(links[start:] + links[:start]):
            row = _by_hops(told, oldest, most_hops, shift)
            if row:
                yield row.pop()
                rows.append(row)
        while rows := [row for row in rows if row]:
            for row in rows:
                yield row.pop()

    def check(self) -> None:
        for told in self._told.values():
            assert len(told.heard) <= EACH
            assert all(address.dialable for address in told.heard)


def _by_hops(
    told: _Told[Pong], oldest: float, most_hops: int, shift: int
) -> list[tuple[Address, _Heard[Pong]]]:
    """The pongs of one link, to be taken from the end: of each number of hops one, then the next ones."""
    rounds = [0] * (MOST_HOPS + 1)
    order: list[tuple[int, int, Address, _Heard[Pong]]] = []
    for address, heard in reversed(told.heard.items()):
        if heard.at > oldest and heard.hops <= most_hops:
            turn = (heard.hops - shift) % (most_hops + 1)
            order.append((rounds[heard.hops], turn, address, heard))
            rounds[heard.hops] += 1
    order.sort(key=lambda each: each[:2], reverse=True)
    return [(address, heard) for _, _, address, heard in order]
