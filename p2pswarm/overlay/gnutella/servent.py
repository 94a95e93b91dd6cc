"""One node of the network: its neighbours, what it answers and what it asks. Files move elsewhere.

One task keeps the neighbours and the host cache; it ends with a goodbye to all. What comes for us through the
router is answered here or handed on: pushes to whoever moves files, vendor messages to whoever reaches others
by UDP.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Protocol

from p2pswarm.errors import DiskError, NetworkError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone, zone_of
from p2pswarm.overlay.budget import DialBudget
from p2pswarm.overlay.catalog import Catalog
from p2pswarm.overlay.gnutella.links.link import NOWHERE, Link
from p2pswarm.overlay.gnutella.place.connect_back import ConnectBack
from p2pswarm.overlay.gnutella.place.neighbours import Neighbours
from p2pswarm.overlay.gnutella.place.prospects import Prospects
from p2pswarm.overlay.gnutella.place.slots import Slots, Wish
from p2pswarm.overlay.gnutella.routing.interests import Interests
from p2pswarm.overlay.gnutella.routing.router import Router
from p2pswarm.overlay.gnutella.search.answering import Answering, Asked, Presence
from p2pswarm.overlay.gnutella.search.results import NAME
from p2pswarm.overlay.gnutella.search.searching import Searching
from p2pswarm.overlay.gnutella.udp.joined import Udp
from p2pswarm.overlay.hosts.cache import HostFile
from p2pswarm.overlay.hosts.hosts import Hosts
from p2pswarm.overlay.network import Cost, NetworkStatus
from p2pswarm.overlay.query import Hit, Lookup, Query as Wanted
from p2pswarm.overlay.tables import Shared
from p2pswarm.overlay.tools import Tools
from p2pswarm.wire.gnutella.descriptor import Descriptor, Kind, new_guid
from p2pswarm.wire.gnutella.hit import QueryHit
from p2pswarm.wire.gnutella.push import Push
from p2pswarm.wire.gnutella.query import Query
from p2pswarm.wire.gnutella.vendor import TcpConnectBack, Vendor, VendorMessage
from p2pswarm.wire.sniff import Guest

__all__ = ["Files", "Servent"]

log = logging.getLogger(__name__)

READ_AGAIN = 60.0  # seconds until a catalog that cannot be read is tried again
SAVE_EVERY = 10.0  # seconds between looks whether the host cache is worth writing
FIRST_TIME = 12.0  # seconds until one of the hosts we know should have let us in,
OTHERS_TIME = 1.0  # and more for the others


class Files(Protocol):
    """Whoever moves files."""

    @property
    def busy(self) -> bool:
        """Whether who asks for a file now would have to wait."""

    def pushed(self, servent: bytes, index: int, address: Address, link: Address) -> None:
        """A neighbour brings somebody's wish that we dial it."""


class Servent:
    """`serve`, `await open()`, `run` in a task of the owner's, which ends by being cancelled."""

    _files: Files

    def __init__(
        self,
        tools: Tools,
        host_file: Path,
        guid: bytes,
        *,
        connect: Sequence[Address],
        wish: Wish,
        legacy: bool,
        wait: float,
        firewalled: bool,
    ) -> None:
        clock, dice, port = asyncio.get_running_loop().time, tools.dice, tools.port
        self.guid = guid
        self.firewalled = firewalled
        self.hosts = Hosts(NAME)
        self._interests = Interests(dice)
        self.router = Router(self.guid, wish.role, self, self._interests, clock, dice)
        slots = Slots(self.router, wish, clock(), firewalled=firewalled, legacy=legacy, guess=True)
        self.budget = DialBudget()  # one for all: a victim may be told as a neighbour and in hits
        prospects = Prospects(connect, self.hosts, self.budget, dice)
        self.neighbours = Neighbours(
            port, self.router, slots, prospects, dice, firewalled=firewalled
        )
        self._connect_back = ConnectBack(port, clock)
        self._udp = Udp(port, self.router, self.hosts, self, dice)
        self.answering = Answering(self._presence, self._answer, clock)
        self.searching = Searching(
            self.router, self._udp, self._udp.guessing, wait=wait, firewalled=firewalled
        )
        self._port, self._connect, self._dice = port, connect, dice
        self._file = HostFile(host_file, self.hosts, tools.disk)
        self._catalog: asyncio.Future[Catalog] = asyncio.get_running_loop().create_future()

    def serve(self, files: Files) -> None:
        """Who moves files; it needs us to be made first."""
        self._files = files

    async def open(self) -> None:
        """Let others in, and remember whom we knew. Raises PortTakenError."""
        await self._file.load()
        await self._udp.open(self._connect)
        self._port.route(Guest.GNUTELLA, self.neighbours.welcome)

    async def run(self) -> None:
        """Until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.neighbours.run())
                tasks.create_task(self.answering.run())
                tasks.create_task(self._connect_back.run())
                tasks.create_task(self._share())
                while True:
                    await asyncio.sleep(SAVE_EVERY)
                    await self._file.save()
                    if not self.router.peers():
                        self._udp.ask_for_hosts()
                    self._udp.test()
        finally:
            await self._file.save_at_end()

    def share(self, catalog: Catalog) -> None:
        """Once. Raises InvalidStateError the second time."""
        self._catalog.set_result(catalog)
        self.answering.share(catalog)

    async def _share(self) -> None:
        """Until cancelled. While the catalog cannot be read, neighbours have what they were told."""
        catalog = await asyncio.shield(self._catalog)
        while True:
            try:
                await self._interests.follow(catalog)
            except DiskError as error:
                log.warning("gnutella: neighbours are not told what is new: %s", error)
                await asyncio.sleep(READ_AGAIN)

    async def first(self) -> None:
        """Until there are neighbours; raises NetworkError when nobody whom we know is there.

        Who knows nobody waits for others to come, and is not waited for.
        """
        if not self._connect and not self.hosts:
            return
        try:
            async with asyncio.timeout(FIRST_TIME):
                await self.neighbours.until(lambda status: bool(status.links))
        except TimeoutError as error:
            raise NetworkError(f"no Gnutella host lets us in: {self._tried()}") from error
        with suppress(TimeoutError):  # the others of those that were dialed at once
            async with asyncio.timeout(OTHERS_TIME):
                await self.neighbours.until(lambda status: not status.dialing)

    def _tried(self) -> str:
        named = ", ".join(map(str, self._connect[:5]))
        why = f"; {self.neighbours.trouble}" if self.neighbours.trouble else ""
        return f"{named or 'none'} of {len(self.hosts) or len(self._connect)} that we know{why}"

    async def search(self, query: Wanted, cost: Cost) -> AsyncGenerator[Hit, None]:
        """Raises NetworkError."""
        if not self.router.links:
            raise NetworkError("there is nobody to ask: name a Gnutella host with --connect")
        iterative = query.lookup is Lookup.ITERATIVE
        ask = self.searching.iterative if iterative else self.searching.recursive
        async with aclosing(ask(query, cost)) as hits:
            async for hit in hits:
                yield hit

    def status(self) -> NetworkStatus:
        """What we are, and what went to and fro."""
        links = self.router.links
        sent, received = Counter(self.router.sent), Counter(self.router.received)
        for link in links:
            sent.update(link.sent.messages)
            received.update(link.received.messages)
        return NetworkStatus(
            NAME,
            role=self.router.role.value,
            links=len(self.router.peers()),
            leaves=len(self.router.leaves()),
            known=len(self.hosts),
            sent=_named(sent),
            received=_named(received),
            dropped=dict(self.router.dropped),
        )

    # What whoever moves files asks

    @property
    def address(self) -> Address | None:
        """Where others can dial us; None when they cannot."""
        hosts = Counter(link.host for link in self.router.links if link.host != NOWHERE)
        if self.firewalled or not hosts:
            return None
        ((host, _),) = hosts.most_common(1)
        return Address(host, self._port.number)

    @property
    def zone(self) -> Zone:
        """Of our nearest neighbour."""
        zones = (zone_of(link.remote.host) for link in self.router.links)
        return max(zones, default=Zone.INTERNET)

    def answered(self, index: int) -> bool:
        return self.answering.told(index)

    def send_push(self, servent: bytes, index: int, address: Address) -> bool:
        push = Push(servent, index, address)
        return self.router.send_push(push) or self._udp.send_push(push)

    def pass_push(self, servent: bytes, address: Address) -> bool:
        """To a leaf of ours that has us as its push proxy."""
        leaf = self._udp.proxies.leaf(servent)
        if leaf is None:
            return False
        push = Push(servent, 0, address)
        return leaf.tell(Descriptor(new_guid(self._dice), Kind.PUSH, 1, 0, push.encode()))

    def listing(self, files: Sequence[Shared]) -> bytes:
        host = self.address.host if self.address else NOWHERE  # who browses knows where we are
        return self.answering.listing(files, host)

    def _presence(self) -> Presence:
        return Presence(
            self.guid,
            self._port.number,
            self.firewalled,
            self._files.busy,
            self._udp.proxies.proxies(),
        )

    # What the router tells

    def asked(self, head: Descriptor, query: Query, link: Link) -> None:
        self.answering.asked(Asked(head, query, link.host, zone_of(link.remote.host), link))

    def found(self, head: Descriptor, hit: QueryHit, teller: Link | Address) -> None:
        address = teller.remote if isinstance(teller, Link) else teller
        new = self.searching.found(head, hit, zone_of(address.host))
        if isinstance(teller, Address):
            self.router.counts(head.guid, len(hit.results))
        self._udp.guessing.found_elsewhere(head.guid, new)

    def pushed(self, push: Push, teller: Link | Address) -> None:
        link = teller.remote if isinstance(teller, Link) else teller
        self._files.pushed(push.servent, push.index, push.address, link)

    def vendor(self, head: Descriptor, message: VendorMessage | Vendor, link: Link) -> None:
        if isinstance(message, TcpConnectBack):
            self._connect_back.asked(link.remote.host, message.port)
        else:
            self._udp.vendor(head, message, link)

    def visited(self, head: Descriptor, query: Query, asker: Address, host: str) -> None:
        """By UDP. Who asks sees us at `host`."""
        if self._interests.ours(self._interests.words(query)):
            self.answering.asked(Asked(head, query, host, zone_of(asker.host), asker.host))

    def _answer(self, asked: Asked, hits: Sequence[QueryHit]) -> None:
        if not self._udp.offer(asked.head, asked.query, hits, asked.zone):
            for hit in hits:
                self.router.answer(asked.head, hit)

    def shares(self) -> tuple[int, int]:
        return self.answering.shares()


def _named(counts: Counter[int]) -> dict[str, int]:
    names = {kind.value: kind.name.lower() for kind in Kind}
    return {names.get(kind, f"{kind:#x}"): count for kind, count in sorted(counts.items())}
