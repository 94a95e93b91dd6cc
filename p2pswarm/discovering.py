"""Where the peers of a node's torrents come from: trackers over HTTP and UDP, the DHT, the local network.

All of it goes through the node's one port. What a torrent gets are its own sources (`discovery/source.py`);
what they share is made here, once, and ends here.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from random import Random
from typing import TYPE_CHECKING

from p2pswarm.config import Settings
from p2pswarm.discovery.families import by_family
from p2pswarm.discovery.introducing import Introduced, Introducer, Introduction
from p2pswarm.discovery.late import LateFetch, LateRanged
from p2pswarm.discovery.source import PeerSource
from p2pswarm.discovery.trackers import Trackers
from p2pswarm.discovery.udp_trackers import UdpTrackers
from p2pswarm.formats.ids import Address, InfoHash, PeerId
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.formats.webseeds import usable
from p2pswarm.net.binding import bound_addresses
from p2pswarm.net.port import Port
from p2pswarm.swarm.webseeds import WebSeeds

if TYPE_CHECKING:
    from p2pswarm.discovery.dht.dht import Dht
    from p2pswarm.discovery.lsd import Lsd

__all__ = ["Discovery"]


class Discovery:
    """`open` once the port listens; `aclose` before it closes. Raises PortTakenError when made."""

    def __init__(self, settings: Settings, port: Port, me: PeerId, dice: Random) -> None:
        self._settings, self._port, self._me, self._dice = settings, port, me, dice
        self._clock = asyncio.get_running_loop().time
        self._key = dice.getrandbits(32)  # one for all trackers, both families and the session
        hosts = bound_addresses(settings.bind)
        self._families = tuple(by_family(hosts))
        self.fetch = LateFetch(hosts=hosts)
        self._hosts = hosts
        self._ranged: dict[bool, LateRanged] = {}
        self._udp = UdpTrackers.on(port)
        self._parts = AsyncExitStack()
        self._lsd: Lsd | None = None
        self.dht: Dht | None = None
        self.introducer: Introducer | None = None
        """Super nodes at which peers meet that nobody can dial."""

    async def open(self) -> None:
        """Raises PortTakenError."""
        settings = self._settings
        if settings.lsd:
            from p2pswarm.discovery.lsd import Lsd
            from p2pswarm.net.multicast import interfaces

            here = self._port
            self._lsd = Lsd(self._listens_on, lambda: interfaces(here.hosts), self._dice)
            self._parts.callback(self._lsd.close)
            await self._lsd.look_round()
        if settings.dht:
            from p2pswarm.discovery.dht.living import living

            life = living(self._port, settings.data_dir, settings.dht_bootstrap)
            self.dht = await self._parts.enter_async_context(life)

    async def aclose(self) -> None:
        """May be called twice."""
        await self._parts.aclose()
        await self.fetch.aclose()
        for ranged in self._ranged.values():
            await ranged.aclose()

    def trackers(
        self,
        tiers: Sequence[Sequence[str]],
        info_hash: InfoHash,
        seen_as: Callable[[Address, bytes], None],
    ) -> Trackers:
        """Those of one torrent; `seen_as` hears where they say we are."""
        return Trackers(
            tiers,
            info_hash,
            self._me,
            self._listens_on,
            fetch=self.fetch,
            udp=self._udp,
            families=self._families,
            dice=self._dice,
            clock=self._clock,
            key=self._key,
            seen_as=seen_as,
        )

    def others(
        self, info_hash: InfoHash, introduced: Callable[[Introduction], None]
    ) -> tuple[PeerSource, ...]:
        """What else knows peers of a torrent that is not private (BEP 27)."""
        others: list[PeerSource] = []
        if self._lsd is not None:
            from p2pswarm.discovery.lsd import LsdSource

            others.append(LsdSource(self._lsd, info_hash))
        if self.dht is not None:
            from p2pswarm.discovery.dht.source import DhtSource

            others.append(DhtSource(self.dht, info_hash, self._listens_on))
        if self.introducer is not None:
            others.append(Introduced(self.introducer, info_hash, introduced))
        return tuple(others)

    def web_seeds(self, metainfo: Metainfo, *, near: bool) -> WebSeeds | None:
        """Those of a torrent; `near` allows our own network, because the torrent came from there."""
        if not (self._settings.web_seeds and usable(metainfo.web_seeds)):
            return None
        if near not in self._ranged:
            self._ranged[near] = LateRanged(near=near, hosts=self._hosts)
        return WebSeeds(metainfo, self._ranged[near], self._clock)

    def moved(self) -> None:
        """We are in another network."""
        if self._lsd is not None:
            self._lsd.moved()

    def named(self, node: Address) -> None:
        """A peer says that it is a node of the DHT (BEP 5's PORT)."""
        if self.dht is not None:
            self.dht.ping(node)

    def _listens_on(self) -> int:
        return self._port.number
