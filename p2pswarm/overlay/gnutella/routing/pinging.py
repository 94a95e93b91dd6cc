"""Pings and pongs of our neighbours: who is there, told from the cache and never broadcast.

What a pong says beside the address is kept only as far as it is of use to who looks for ultrapeers: a
stranger must not have us repeat what it likes.
"""

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Protocol

from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import zone_of
from p2pswarm.overlay.gnutella.links.agreement import MAX_TTL, Role
from p2pswarm.overlay.gnutella.links.limits import clamp
from p2pswarm.overlay.gnutella.links.link import Link
from p2pswarm.overlay.gnutella.routing.pongs import Pongs
from p2pswarm.wire.gnutella.descriptor import Descriptor, Kind, new_guid
from p2pswarm.wire.gnutella.hit import OUR_VENDOR
from p2pswarm.wire.gnutella.pings import Pong, pong_ggep
from p2pswarm.wire.http.heads import AGENT

__all__ = ["Pinging", "Self"]

# How likely a second is the one in which a leaf is pinged, or pings, once it has waited for half a minute.
LEAF_PINGS = 0.1
MOST_OF_EXTENSION = 8  # bytes
_PASSED_ON = ("UP", "DU", "GUE", "VC")


class Self(Protocol):
    """What the router knows of us."""

    role: Role
    port: int
    firewalled: bool
    guess: bool
    slots: tuple[int, int] | None
    dropped: Counter[str]
    located: list[Callable[[Pong, Link], None]]


class Pinging:
    """`tick` for each link once a second. `shares` are our files and their bytes."""

    def __init__(
        self,
        us: Self,
        shares: Callable[[], tuple[int, int]],
        clock: Callable[[], float],
        dice: Random,
    ) -> None:
        self.pongs: Pongs[Link, Pong] = Pongs()
        self._us, self._shares = us, shares
        self._clock, self._dice = clock, dice
        self._began = clock()

    def tick(self, link: Link, now: float) -> None:
        if self._may_ping(link, now):
            self.ping(link, MAX_TTL)

    def ping(self, link: Link, ttl: int) -> None:
        link.tell(Descriptor(new_guid(self._dice), Kind.PING, ttl, 0, b""))

    def forget(self, link: Link) -> None:
        self.pongs.forget(link)

    def pong(self, host: str) -> Pong:
        """We ourselves, as we are told to somebody who sees us at `host`."""
        files, size = self._shares()
        us, kib, slots = self._us, size >> 10, None
        if us.role is Role.ULTRAPEER:
            # A power of two says to old programs what we are (ping-pong, 3).
            kib, slots = 1 << max(kib.bit_length(), 3), us.slots
        elif kib >= 8 and kib & (kib - 1) == 0:
            kib -= 1  # it would say the same of a leaf
        uptime = int(self._clock() - self._began)
        guess = us.guess and us.role is Role.ULTRAPEER
        ggep = pong_ggep(vendor=OUR_VENDOR, slots=slots, uptime=uptime, guess=guess)
        return Pong(Address(host, us.port), files, kib, ggep)

    def heard_ping(self, link: Link, head: Descriptor) -> None:
        place = clamp(head.ttl, head.hops)
        if place is None or not place[0]:
            self._us.dropped["too far"] += 1
            return
        ttl, hops = place
        # Nobody else should hear of us behind a firewall, but a neighbour wants to know whether we live.
        if ttl == 1 or not self._us.firewalled:
            self._answer(link, head, self.pong(link.host), 0)
        # Whatever a leaf sends has made no hops: gtk-gnutella parts with a leaf that passes on a pong.
        if ttl > 1 and self._us.role is not Role.LEAF:
            zone = zone_of(link.remote.host)
            for pong, far in self.pongs.answer(link, ttl, hops, self._clock(), asker=zone):
                self._answer(link, head, pong, far)

    def heard_pong(self, link: Link, head: Descriptor) -> None:
        """Raises RemoteProtocolError."""
        told = Pong.read(head.payload)
        near = head.hops == 0
        if near and told.address.host != link.remote.host:
            self._us.dropped["lies"] += 1
            return
        if near and link.agreement.agent == AGENT and link.agreement.address is None:
            return  # one of us that nobody can dial
        pong = Pong(told.address, told.files, told.kib, _useful(told))
        if self.pongs.heard(pong, link, head.hops, self._clock(), zone_of(link.remote.host)):
            for hear in self._us.located:
                hear(pong, link)

    def _may_ping(self, link: Link, now: float) -> bool:
        """Between leaf and ultrapeer rarely, and at any moment, so that some find others' pongs fresh."""
        if self._us.role is Role.LEAF or link.theirs is Role.LEAF:
            return self._dice.random() < LEAF_PINGS and self.pongs.may_ping(link, now, caches=False)
        return self.pongs.may_ping(link, now, caches=link.agreement.pong_caching)

    def _answer(self, link: Link, ping: Descriptor, pong: Pong, hops: int) -> None:
        link.tell(Descriptor(ping.guid, Kind.PONG, ping.hops + 1, hops, pong.encode()))


def _useful(pong: Pong) -> dict[str, bytes]:
    known = {name: pong.ggep[name] for name in _PASSED_ON if name in pong.ggep}
    return {name: value for name, value in known.items() if len(value) <= MOST_OF_EXTENSION}
