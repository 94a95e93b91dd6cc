"""The feeds of a node: those that it follows or publishes, each with a swarm of its own."""

import asyncio
from collections.abc import Callable, Sequence

from p2pswarm.disk.pool import DiskPool
from p2pswarm.errors import HostError
from p2pswarm.formats.feed_log import Log
from p2pswarm.formats.ids import Address
from p2pswarm.formats.names import Names
from p2pswarm.roster import Roster
from p2pswarm.swarm.dialer import Surroundings
from p2pswarm.swarm.feed import FeedSwarm
from p2pswarm.swarm.finding import Finding

__all__ = ["Feeds"]


class Feeds:
    """`open` begins, `close` ends one."""

    def __init__(
        self,
        node: Surroundings,
        finding: Callable[[Names, Sequence[Sequence[str]]], Finding],
        disk: DiskPool,
    ) -> None:
        self.disk = disk  # for their files
        self._node = node
        self._finding = finding
        self.swarms: Roster[FeedSwarm] = Roster()

    def open(
        self,
        log: Log,
        changed: Callable[[], None],
        peers: Sequence[Address] = (),
        linked: Sequence[Address] = (),
    ) -> FeedSwarm:
        """`log` is what is known by now; `changed` is called when others knew more. Raises HostError.

        `peers` were named by the user, and are tried again and again; `linked` came with the link.
        """
        names = Names(log.feed.info_hash)
        if self.swarms.any_of(names):
            raise HostError("this feed is in this node already")
        finding = self._finding(names, ())
        swarm = FeedSwarm(log, finding, self._node, changed)
        self.swarms.add(swarm, names)
        for address in peers:
            finding.add(address)
        for address in linked:
            finding.add(address, named=False)
        swarm.start()
        return swarm

    async def close(self, swarm: FeedSwarm) -> None:
        """May be called twice."""
        await swarm.close()
        self.swarms.remove(swarm, swarm.finding.names)

    async def aclose(self) -> None:
        await asyncio.gather(*(self.close(swarm) for swarm in list(self.swarms.values())))
