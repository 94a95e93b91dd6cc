"""The magnets of a node: from a link to a torrent, and the swarms of those that are looked for.

A torrent that was looked for once is kept on the disk. What a search found is given to the torrent with the
search itself: its sources go on, its connections are the torrent's first peers.
"""

import asyncio
from collections.abc import Callable, Container, Sequence
from functools import partial

from p2pswarm.disk.pool import DiskPool, result_of
from p2pswarm.disk.torrents import TorrentFolder
from p2pswarm.errors import HostError
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.formats.magnet import Magnet
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.formats.names import Names
from p2pswarm.roster import Roster
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
        finding: Callable[[Names, Tiers], Finding],
        torrents: Container[InfoHash],
    ) -> None:
        self._kept = kept
        self._disk = disk
        self._node = node
        self._finding = finding
        self._torrents = torrents
        self.swarms: Roster[MetadataSwarm] = Roster()
        """Those that are looked for, and those whose torrent is being checked."""

    async def find(
        self, magnet: Magnet, peers: Sequence[Address] = ()
    ) -> tuple[Metainfo, MetadataSwarm | None]:
        """The torrent, and the swarm that knew it; None where it was kept.

        Raises FormatError for a torrent that cannot be read, HostError for one that is here.
        """
        names = magnet.names
        self._refuse_another(names)
        kept = await result_of(self._disk.begin(self._load, names, magnet))
        if kept is not None:
            return kept, None
        self._refuse_another(names)
        swarm = self._look(magnet, names, peers)
        try:
            return await self._told(swarm, magnet), swarm
        except BaseException:
            await self.give_up(swarm)
            raise

    def _look(self, magnet: Magnet, names: Names, peers: Sequence[Address]) -> MetadataSwarm:
        finding = self._finding(names, [[url] for url in magnet.trackers])
        swarm = MetadataSwarm(magnet.name, finding, self._node)
        self.swarms.add(swarm, names)
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

    def _load(self, names: Names, magnet: Magnet) -> Metainfo | None:
        """What is kept, with what this link knows beside it. For a disk thread."""
        kept = self._kept.load(names)
        if kept is None:
            return None
        known = {url for tier in kept.trackers for url in tier}
        metainfo = Metainfo.from_info(
            bytes(kept.info),
            trackers=[*kept.trackers, *([url] for url in magnet.trackers if url not in known)],
            web_seeds=tuple(dict.fromkeys((*kept.web_seeds, *magnet.web_seeds))),
        )
        return metainfo.with_layers(kept.layers) if kept.layers else metainfo

    def learn(self, swarm: MetadataSwarm, names: Names) -> None:
        """Its torrent is known, and with it the names that the link did not say: it answers to them too."""
        self.swarms.add(swarm, names)

    def keep(self, metainfo: Metainfo) -> None:
        """Peers told more of a torrent that is kept perhaps: the piece layers of version 2."""
        self._disk.begin(partial(self._kept.save_again, metainfo))

    def hand_over(self, swarm: MetadataSwarm, welcome: Callable[..., object]) -> None:
        """The torrent is ready for the connections; if it is not, it closes them."""
        self.swarms.remove(swarm, swarm.finding.names)
        swarm.hand_over(welcome)

    async def give_up(self, swarm: MetadataSwarm) -> None:
        names = swarm.finding.names.swarms
        await swarm.close(replaced=any(name in self._torrents for name in names))
        self.swarms.remove(swarm, swarm.finding.names)

    async def aclose(self) -> None:
        """Whoever waits for one is told."""
        await asyncio.gather(*(self.give_up(swarm) for swarm in list(self.swarms.values())))

    def _refuse_another(self, names: Names) -> None:
        for name in names.swarms:
            if name in self.swarms or name in self._torrents:
                raise HostError(f"{name} is in this node already")
