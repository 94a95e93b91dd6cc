"""The people network as a node sees it: find somebody by name, be found, ring and be rung.

`find` needs nobody's leave: who only asks need not have a name. Who has one and joins is at home at two or
three super nodes, and his record in the directory says at which.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Protocol

from p2pswarm.disk.pool import DiskPool
from p2pswarm.errors import NetworkError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.people.record import Record
from p2pswarm.formats.zones import Zone, zone_of
from p2pswarm.net.port import Port
from p2pswarm.overlay.budget import DialBudget
from p2pswarm.overlay.hosts.cache import HostFile
from p2pswarm.overlay.hosts.hosts import Hosts
from p2pswarm.overlay.living import Life
from p2pswarm.overlay.people.carrying import Carrying
from p2pswarm.overlay.people.choosing import HOMES
from p2pswarm.overlay.people.door import Door
from p2pswarm.overlay.people.finder import Finder, Found
from p2pswarm.overlay.people.home import Home
from p2pswarm.overlay.people.keeping import Keeping
from p2pswarm.overlay.people.proving import Proofs, Who
from p2pswarm.overlay.people.publisher import Publisher
from p2pswarm.overlay.people.ringer import Ringer
from p2pswarm.overlay.people.ringing import Rung
from p2pswarm.overlay.people.visitor import Desk
from p2pswarm.overlay.people.visits import NOBODY, Visits
from p2pswarm.overlay.people.walks import Walks
from p2pswarm.overlay.remembering import remember
from p2pswarm.overlay.supernode.known import Known
from p2pswarm.overlay.supernode.options import Options
from p2pswarm.wire.people.datagrams import read_datagram
from p2pswarm.wire.people.nodes import SuperNode
from p2pswarm.wire.sniff import DatagramGuest
from p2pswarm.wire.supernode.frames import Frame

__all__ = ["Found", "Keeper", "People", "PeopleStatus"]

PATIENCE = 15.0  # seconds until somebody should have taken us in
SAVE_EVERY = 10.0  # seconds between looks whether the host cache is worth writing
FIRST_LOOK, LONGEST_LOOK = 4.0, 600.0  # seconds between looks around for other super nodes
ENOUGH_KNOWN = 20
TICK = 1.0  # seconds between looks at silent guests
MOST_KNOWN = 400  # super nodes in the host cache: 200 that we reached, as many that we were told of
MOST_SESSIONS = 200  # rings that are remembered, as they may come by two homes


@dataclass(frozen=True, slots=True)
class PeopleStatus:
    """A snapshot of our place in the people network."""

    name: str | None
    homes: tuple[Address, ...]
    published: bool
    """Whether the directory says so."""
    known: int
    """Super nodes that we could dial."""
    serves: bool
    guests: int
    """At home with us, as a super node."""
    relays: int
    """Pairs that we relay at the moment,"""
    relayed: int
    """and bytes that we carried for all so far."""
    trouble: str = ""


class Keeper(Desk, Protocol):
    """The part of the directory that a super node keeps."""

    def heard(self, frame: Frame, source: Address) -> None:
        """A datagram that is no answer to a question of ours. Raises RemoteError."""

    def others(self) -> Sequence[SuperNode]:
        """Super nodes for those whom we do not take in."""


class People:
    """`on_ring` first, then `join`; `leave` at the end, which may be called twice."""

    def __init__(
        self,
        port: Port,
        disk: DiskPool,
        dice: Random,
        who: Who,
        node: bytes,
        folder: Path,
        options: Options,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`node` is our name among super nodes; `folder` keeps the host cache; `wall` is the world's
        clock."""
        self.on_ring: Callable[[Rung], None] = lambda rung: rung.decline("busy")
        self._port, self._dice, self._who, self._node = port, dice, who, node
        self._clock = asyncio.get_running_loop().time
        self._hosts = Hosts("people", MOST_KNOWN)
        self._file = HostFile(folder / "hosts.json", self._hosts, disk)
        self._known = Known(self._hosts, DialBudget(), options, dice, wall)
        self.proofs = Proofs(who, node, wall)
        self.door = Door(port, node, self.proofs)
        self.walks = Walks(port, dice, self._trusts, self._known.answered, self.told)
        self.keeping = Keeping(port, node, self.proofs, self._known, dice, self)
        self.visits = Visits(port, node, self.proofs, self._known, self._homes, dice)
        self.finder = Finder(self.walks, self.proofs, self.starts, self.visits.connected, dice)
        self.ringer = Ringer(self.finder, self.visits)
        self.publisher = Publisher(
            self.walks, self.finder, who, self.starts, self._homes, dice, wall
        )
        self._sessions: OrderedDict[bytes, Rung] = OrderedDict()
        self._keeper: Keeper | None = None
        self._carrying: Carrying | None = None
        self._opened = False
        self._life = Life("the people network")
        self._settled = asyncio.Event()

    # Being in it

    async def open(self) -> None:
        """Enough to ask; `join` does it, too. Raises PortTakenError."""
        if not self._opened:
            self._opened = True
            await self._file.load()
            port = self._port
            port.route_datagrams(DatagramGuest.PEOPLE, self._heard)
            await port.open_datagrams()
            self.door.open()

    async def join(self) -> None:
        """Be at home somewhere, and in the directory if we have a name; both go on by themselves.

        Raises NetworkError when no super node takes us in at first; PortTakenError.
        """
        await self._life.begin(self.open, self._live)
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self._settled.wait()
        if not (self.keeping.homes or self.door.serves):
            trouble = self.keeping.trouble or NOBODY
            raise NetworkError(f"no super node takes us in: {trouble}")

    async def _live(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.keeping.run())
            tasks.create_task(self.publisher.run())
            tasks.create_task(self._explore())
            while True:
                await asyncio.sleep(SAVE_EVERY)
                await self._file.save()

    async def _explore(self) -> None:
        """Whoever knows its homes alone is lost when they die together: so others are met in good time."""
        pause = FIRST_LOOK
        while True:
            await asyncio.sleep(pause * self._dice.uniform(0.5, 1.0))
            await self.finder.look_around()
            few = len(self.keeping.homes) < HOMES or len(self._hosts) < ENOUGH_KNOWN
            pause = min(pause * 2, LONGEST_LOOK) if few else LONGEST_LOOK

    async def leave(self) -> None:
        """Say goodbye."""
        await self._life.end()
        if self._opened:  # also of who only asked
            await self._file.save_at_end()
        self._settled.clear()
        self.visits.close()

    def told(self, nodes: Iterable[SuperNode], teller: Address) -> None:
        """Somebody names super nodes."""
        zone = zone_of(teller.host)
        for each in nodes:
            self._known.told(each.address, teller.host, zone)

    def learn(self, addresses: Iterable[Address], zone: Zone = Zone.INTERNET) -> None:
        """Super nodes that another network of ours knows."""
        for address in addresses:
            self._known.told(address, "the supernode network", zone)

    async def serve(self, keeper: "Keeper", carrying: Carrying | None = None) -> None:
        """Be a super node, which keeps a part of the directory, until cancelled. Raises PortTakenError.

        Without `carrying` no peers of swarms are introduced to each other, and nobody is relayed.
        """
        await self.open()
        self._keeper, self._carrying = keeper, carrying
        self.door.serve(keeper, carrying, keeper.others)
        self._settled.set()
        try:
            while True:
                await asyncio.sleep(TICK)
                self.door.tick(self._clock())
        finally:
            self._keeper = self._carrying = None
            self.door.rest("this super node serves no longer")
            if carrying is not None:
                carrying.close()

    def status(self) -> PeopleStatus:
        """How it stands."""
        certificate, publisher = self._who.certificate, self.publisher
        relay = self._carrying.relay if self._carrying is not None else None
        return PeopleStatus(
            certificate.name if certificate is not None else None,
            tuple(self.keeping.homes),
            publisher.up_to_date,
            len(self._hosts),
            self.door.serves,
            len(self.door.homes),
            relay.quotas.count if relay is not None else 0,
            relay.quotas.carried if relay is not None else 0,
            publisher.trouble if self.keeping.homes else self.keeping.trouble or publisher.trouble,
        )

    @property
    def homes(self) -> Sequence[Home]:
        """Where we are rung."""
        return self._homes()

    def _homes(self) -> list[Home]:
        return list(self.keeping.homes.values())

    def starts(self, n: int) -> list[Address]:
        """Super nodes to ask first: our homes, then others that we know."""
        homes = list(self.keeping.homes)[:n]
        return [*homes, *self._known.candidates(n, homes)][:n]

    def believes(self, address: Address) -> bool:
        """Whether a super node may be there: only those of the operator's list, if there is one."""
        return self._known.believes(address)

    def _trusts(self, address: Address) -> bool:
        return self._known.may_ping(address, self._clock())

    # Finding and ringing

    async def find(self, name: str, *, recursive: bool = False) -> Found:
        """`recursive` lets our home ask for us, which goes without UDP.

        Raises FormatError for what is no name, NoLoginError, UnknownNameError, NetworkError,
        PortTakenError.
        """
        await self.open()
        return await self.finder.find(name, recursive=recursive)

    async def ring(self, record: Record, offer: bytes, *, session: bytes) -> bytes:
        """What the callee answers. Raises OfflineError, DeclinedError, NetworkError."""
        return await self.ringer.ring(record, offer, session)

    # What others say

    def _heard(self, data: bytes, source: Address) -> None:
        """A datagram. Raises RemoteError."""
        frame = read_datagram(data)
        if not self.walks.got(frame, source) and self._keeper is not None:
            self._keeper.heard(frame, source)

    def rung(self, rung: Rung) -> None:
        """Somebody rings, by one of our homes."""
        known = self._sessions.get(rung.session)
        if known is None or known.cancelled:  # or given up for it, as its connection broke
            remember(self._sessions, rung.session, rung, MOST_SESSIONS)
            self.on_ring(rung)
        else:
            known.again(rung)

    def cancelled(self, session: bytes, home: Address) -> None:
        """Who rang gave up, says one of our homes: it can say that of what came by way of it."""
        rung = self._sessions.get(session)
        if rung is not None and rung.home == home:
            rung.cancel()

    def moved(self) -> None:
        """We have other homes than before."""
        homes = self.keeping.homes
        if homes:
            self._settled.set()
        number = self._port.number
        hosts = [host for home in homes.values() for host in (home.you.host, home.local.host)]
        addresses = dict.fromkeys(Address(host, number).normal for host in hosts)
        dialable = sorted(address for address in addresses if address.dialable)
        self.publisher.changed(dialable, list(homes))
