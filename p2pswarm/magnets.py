"""The magnets of a node: from a link to a torrent, and the swarms of those that are looked for.

A torrent that was looked for once is kept on the disk. What a search found is given to the torrent with the
search itself: its sources go on, its connections are the torrent's first peers.
"""

import asyncio
from collections.abc import Callable, Container, Mapping, Sequence
from functools import partial
from types import MappingProxyType

from p2pswarm.disk.pool import DiskPool, result_of
from p2pswarm.disk.torrents import TorrentFolder
from p2pswarm.errors import FormatError, HostError
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.formats.magnet import Magnet
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.swarm.dialer import Surroundings
from p2pswarm.swarm.finding import Finding
from p2pswarm.swarm.metadata import MetadataSwarm

__all__ = ["Magnets", "Tiers"]

Tiers = Sequence[Sequence[str]]


class Magnets:
    """Whoever is given a swarm by `find` ends it: by `hand_over` to a torrent, or by `give_up`."""

    def __init__(
        self,
        kept: TorrentFolder,
        disk: DiskPool,
        node: Surroundings,
        finding: Callable[[InfoHash, Tiers], Finding],
        torrents: Container[InfoHash],
    ) -> None:
        self._kept = kept
        self._disk = disk
        self._node = node
        self._finding = finding
        self._torrents = torrents
        self._swarms: dict[InfoHash, MetadataSwarm] = {}

    @property
    def swarms(self) -> Mapping[InfoHash, MetadataSwarm]:
        """Those that are looked for, and those whose torrent is being checked."""
        return MappingProxyType(self._swarms)

    async def find(
        self, magnet: Magnet, peers: Sequence[Address] = ()
    ) -> tuple[Metainfo, MetadataSwarm | None]:
        """The torrent, and the swarm that knew it; None where it was kept.

        Raises FormatError for a torrent that cannot be read, HostError for one that is here.
        """
        info_hash = _version_1(magnet)
        self._refuse_another(info_hash)
        kept = await result_of(self._disk.begin(self._load, info_hash, magnet))
        if kept is not None:
            return kept, None
        self._refuse_another(info_hash)
        swarm = self._look(magnet, info_hash, peers)
        try:
            return await self._told(swarm, magnet), swarm
        except BaseException:
            await self.give_up(swarm)
            raise

    def _look(self, magnet: Magnet, info_hash: InfoHash, peers: Sequence[Address]) -> MetadataSwarm:
        finding = self._finding(info_hash, [[url] for url in magnet.trackers])
        swarm = MetadataSwarm(magnet.name, info_hash, finding, self._node)
        self._swarms[info_hash] = swarm
        for address in peers:
            finding.add(address)
        for address in magnet.peers:
            finding.add(address, named=False)
        swarm.start()
        return swarm

    async def _told(self, swarm: MetadataSwarm, magnet: Magnet) -> Metainfo:
        info = await swarm.found_info()
        read = partial(
            Metainfo.from_info,
            info,
            trackers=[[url] for url in magnet.trackers],
            web_seeds=magnet.web_seeds,
        )
        metainfo = await result_of(self._disk.begin(read))
        if metainfo.private:
            swarm.only_private()
        await result_of(self._disk.begin(self._kept.save, metainfo))
        return metainfo

    def _load(self, info_hash: InfoHash, magnet: Magnet) -> Metainfo | None:
        """What is kept, with what this link knows beside it. For a disk thread."""
        kept = self._kept.load(info_hash)
        if kept is None:
            return None
        known = {url for tier in kept.trackers for url in tier}
        return Metainfo.from_info(
            bytes(kept.info),
            trackers=[*kept.trackers, *([url] for url in magnet.trackers if url not in known)],
            web_seeds=tuple(dict.fromkeys((*kept.web_seeds, *magnet.web_seeds))),
        )

    def hand_over(self, swarm: MetadataSwarm, welcome: Callable[..., object]) -> None:
        """The torrent is ready for the connections; if it is not, it closes them."""
        self._swarms.pop(swarm.info_hash, None)
        swarm.hand_over(welcome)

    async def give_up(self, swarm: MetadataSwarm) -> None:
        await swarm.close()
        if self._swarms.get(swarm.info_hash) is swarm:
            del self._swarms[swarm.info_hash]

    async def aclose(self) -> None:
        """Whoever waits for one is told."""
        await asyncio.gather(*(self.give_up(swarm) for swarm in list(self._swarms.values())))

    def _refuse_another(self, info_hash: InfoHash) -> None:
        if info_hash in self._swarms or info_hash in self._torrents:
            raise HostError(f"{info_hash} is in this node already")


def _version_1(magnet: Magnet) -> InfoHash:
    if magnet.info_hash is None:
        raise FormatError(
            "a magnet of a version 2 torrent (BEP 52): only version 1 can be read yet"
        )
    return magnet.info_hash
