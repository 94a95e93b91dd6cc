"""A supernode network behind the common door: search and be found, fetch and give."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path

from p2pswarm.errors import NetworkError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone, zone_of
from p2pswarm.overlay.budget import DialBudget
from p2pswarm.overlay.catalog import Catalog
from p2pswarm.overlay.files.exchange import Exchange
from p2pswarm.overlay.files.moves import Moves
from p2pswarm.overlay.files.sources import Source
from p2pswarm.overlay.files.transfers import Transfers
from p2pswarm.overlay.hosts.cache import HostFile
from p2pswarm.overlay.hosts.hosts import Hosts
from p2pswarm.overlay.living import Life
from p2pswarm.overlay.network import Cost, NetworkStatus
from p2pswarm.overlay.query import Hit, Query
from p2pswarm.overlay.supernode.announcing import Announcing
from p2pswarm.overlay.supernode.known import Known
from p2pswarm.overlay.supernode.member import Member
from p2pswarm.overlay.supernode.options import Options
from p2pswarm.overlay.supernode.results import NAME
from p2pswarm.overlay.supernode.spare import Spare
from p2pswarm.overlay.supernode.us import Us
from p2pswarm.overlay.tools import Tools
from p2pswarm.wire.supernode.pushing import Push

__all__ = ["Supernode"]

SAVE_EVERY = 10.0  # seconds between looks whether the host cache is worth writing


class Supernode(Moves):
    """A `FileNetwork`."""

    name = NAME

    def __init__(
        self, tools: Tools, exchange: Exchange, host_file: Path, node: bytes, options: Options
    ) -> None:
        self.guid, self.budget = node, DialBudget()
        self._options = options
        self._hosts = Hosts(NAME)
        self._file = HostFile(host_file, self._hosts, tools.disk)
        us = Us(node, tools.port, options, Spare(asyncio.get_running_loop().time).percent)
        known = Known(self._hosts, self.budget, options, tools.dice, time.time)
        self._known = known
        self._member = Member(tools.port, tools.dice, us, known, tools.up, self._pushed)
        self._announcing = Announcing(self._member)
        self._transfers = Transfers(exchange, self, self._seek, network=NAME)
        self._life = Life("the supernode network")

    async def join(self) -> None:
        """Raises NetworkError when no super node takes us in; they go on being tried until `leave`."""
        await self._life.begin(self._open, self._live)
        try:
            await self._member.settled()
        except TimeoutError as error:
            raise NetworkError(f"no super node takes us in: {self._member.trouble}") from error

    async def _open(self) -> None:
        """Raises PortTakenError."""
        await self._file.load()
        await self._member.open()

    async def _live(self) -> None:
        self._transfers.open()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._transfers.run())
                tasks.create_task(self._member.run())
                tasks.create_task(self._announcing.run())
                while True:
                    await asyncio.sleep(SAVE_EVERY)
                    await self._file.save()
        finally:
            await self._file.save_at_end()

    async def leave(self) -> None:
        await self._life.end(self._transfers.close)
        self._member.on_turned(False)

    def follow(self, turned: Callable[[bool], None]) -> None:
        """`turned` hears whether we serve: now, and whenever that changes."""
        self._member.on_turned = turned
        turned(self._member.serves)

    def supernodes(self) -> list[Address]:
        """Those that answered us lately, the newest first."""
        return self._known.lately()

    def share(self, catalog: Catalog) -> None:
        """Once. Raises InvalidStateError the second time."""
        self._announcing.share(catalog)

    def status(self) -> NetworkStatus:
        """How it stands."""
        return self._member.status()

    # Looking for files

    async def search(self, query: Query, cost: Cost) -> AsyncGenerator[Hit, None]:
        """Raises NetworkError."""
        async with aclosing(self._member.search(query, cost)) as hits:
            async for hit in hits:
                yield hit

    # What files need of the network

    @property
    def address(self) -> Address | None:
        """Where others can dial us; None when they cannot."""
        return None if self._options.firewalled else self._member.us.address

    @property
    def zone(self) -> Zone:
        """Of our nearest neighbour."""
        zones = (zone_of(link.remote.host) for link in self._member.neighbours)
        return max(zones, default=Zone.INTERNET)

    def answered(self, index: int) -> bool:
        """Our parent brings pushes for hits that it told alone, so what we share is enough."""
        return self._announcing.has(index)

    def send_push(self, servent: bytes, index: int, address: Address) -> bool:
        """Only to a child of ours; else its parent is asked, which the hit names."""
        return self._member.push(servent, index, address)

    def pass_push(self, servent: bytes, address: Address) -> bool:
        """Somebody at that host wants a child of ours to dial him."""
        return self._member.push(servent, 0, address)

    def _pushed(self, push: Push, parent: Address) -> None:
        if push.node == self.guid:
            self._transfers.pushed(push.node, push.number, push.address, parent)

    async def _seek(self, source: Source) -> None:
        """A hit names the parent of who cannot be dialed; there is no other way to him."""
