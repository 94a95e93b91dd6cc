"""Our neighbours: dialed, let in, kept as many as we want, and told when we go.

Nobody to dial is no error: somebody may come. One task ticks once a second and dials; each dial is a task of
its own for as long as it takes, and there are few at a time.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from functools import partial
from random import Random
from socket import AF_UNSPEC
from weakref import WeakKeyDictionary

from p2pswarm.errors import NetworkError, RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import zone_of
from p2pswarm.net.port import Port
from p2pswarm.net.stream import Stream
from p2pswarm.overlay.gnutella.links.agreement import (
    Agreement,
    RefusedGreetingError,
    Role,
    Standing,
    Tries,
)
from p2pswarm.overlay.gnutella.links.connecting import accept, dial
from p2pswarm.overlay.gnutella.links.greeting import MYSELF
from p2pswarm.overlay.gnutella.links.link import Link
from p2pswarm.overlay.gnutella.place.prospects import Prospects
from p2pswarm.overlay.gnutella.place.slots import Slots
from p2pswarm.overlay.gnutella.routing.router import Router
from p2pswarm.overlay.limits import Knocks
from p2pswarm.wire.gnutella.pings import Pong

__all__ = ["Neighbours", "Status"]

log = logging.getLogger(__name__)

TICK = 1.0  # seconds
MOST_DIALS = 8  # at a time
NAME_TIME = 10.0  # seconds for looking up a name


@dataclass(frozen=True, slots=True)
class Status:
    """A snapshot."""

    role: Role
    links: tuple[Link, ...]
    leaves: int
    dialing: int
    known: int
    """Addresses in the host cache."""


class Neighbours:
    """`welcome` who knocks, `run` in a task of the owner's; whatever ends that says goodbye to all."""

    def __init__(
        self,
        port: Port,
        router: Router,
        slots: Slots,
        prospects: Prospects,
        dice: Random,
        *,
        firewalled: bool = False,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._port, self._router = port, router
        self._slots, self._prospects, self._dice = slots, prospects, dice
        self._listening = 0 if firewalled else port.number
        self._wall = wall
        self._since = formatdate(wall(), usegmt=True)
        self._knocks = Knocks()
        self._dialing: set[Address] = set()
        self._dialed: WeakKeyDictionary[Link, Address] = WeakKeyDictionary()  # under which address
        self.trouble = ""
        """Why the last dial came to nothing."""
        self._bell = asyncio.Event()
        self._moved = asyncio.Event()
        self._over = False
        router.port, router.firewalled = port.number, firewalled
        router.changed.append(self._move)
        router.located.append(self._located)

    async def run(self) -> None:
        """Until cancelled."""
        self._over = False
        clock = asyncio.get_running_loop().time
        due = clock()
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    now = clock()
                    if now >= due:
                        due = now + TICK
                        self._router.tick(now)
                        if self._slots.settle(now):
                            self._prospects.again(now)
                    for address in self._next(now):
                        tasks.create_task(self._dial(address))
                    await self._rest(due - now)
        finally:
            self.close()

    def close(self) -> None:
        """Say goodbye to all; nobody comes in any more. May be called twice."""
        self._over = True
        for link in list(self._router.links):
            link.bye(200, "I leave")
            link.caught_up()

    def welcome(self, stream: Stream) -> None:
        """Somebody knocked and said GNUTELLA CONNECT. Raises RemoteProtocolError when it is not let in."""
        now = asyncio.get_running_loop().time()
        if self._over or not self._knocks.may_enter(stream.remote.host, now):
            raise RemoteProtocolError("not now")
        accept(self._port, stream, self._standing(), partial(self._made, None))

    def status(self) -> Status:
        router = self._router
        return Status(
            role=router.role,
            links=tuple(router.links),
            leaves=len(router.leaves()),
            dialing=len(self._dialing),
            known=len(self._prospects.hosts),
        )

    async def until(self, holds: Callable[[Status], bool]) -> None:
        """It is looked at whenever a link or a dial has ended or begun."""
        while not holds(self.status()):
            await self._moved.wait()

    def _move(self) -> None:
        self._bell.set()
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def _rest(self, seconds: float) -> None:
        """Until the next tick, or until a link or a dial has ended."""
        self._bell.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._bell.wait()
        except TimeoutError:
            return

    # Dialing

    def _next(self, now: float) -> list[Address]:
        room = min(self._slots.missing, MOST_DIALS) - len(self._dialing)
        if self._router.role is Role.PEER:  # the flat network has the shape that its users give it
            wished = self._prospects.named(MOST_DIALS, self._busy(), now)
            room = max(room, min(len(wished), MOST_DIALS - len(self._dialing)))
        if room <= 0:
            return []
        chosen = self._prospects.next(room, self._busy(), now, self._wall())
        self._dialing.update(chosen)
        return chosen

    def _busy(self) -> set[Address]:
        """Whom there is no need to dial."""
        links = self._router.links
        listening = {link.agreement.address for link in links if link.agreement.address}
        dialed = {self._dialed[link] for link in links if link in self._dialed}
        return listening | dialed | self._dialing

    async def _dial(self, address: Address) -> None:
        """To the end of the greeting; what became of it is noted."""
        clock = asyncio.get_running_loop().time
        try:
            where = await _look_up(address)
            await dial(self._port, where, self._standing(), partial(self._made, address))
        except RefusedGreetingError as error:
            self.trouble = f"{address}: {error}"
            log.debug("%s", self.trouble)
            self._hear(error.tries, address)
            if error.reason == MYSELF:
                self._prospects.ourselves(address, clock())
            else:
                crossed = error.code == 409
                self._prospects.refused(address, clock(), self._wall(), crossed=crossed)
        except NetworkError as error:
            self.trouble = str(error)
            log.debug("%s", self.trouble)
            self._prospects.failed(address, clock())
        finally:
            self._dialing.discard(address)
            self._move()

    def _standing(self) -> Standing:
        return self._slots.standing(
            port=self._listening,
            since=self._since,
            dice=self._dice,
            dialing=frozenset(self._dialing),
        )

    # Links

    def _made(self, dialed: Address | None, stream: Stream, agreement: Agreement) -> None:
        """The greeting is over. Raises NetworkError when there is no place any more."""
        if self._over:
            raise NetworkError("we leave")
        self._slots.admit(agreement, stream.remote.host)
        link = Link(stream, agreement, self._router)
        now, ultrapeer = asyncio.get_running_loop().time(), agreement.theirs is Role.ULTRAPEER
        if dialed is not None:
            self._dialed[link] = dialed
            for address in {dialed, stream.remote}:  # no name is remembered, but what it stands for
                self._prospects.succeeded(address, now, self._wall(), ultrapeer=ultrapeer)
        elif agreement.address is not None:
            self._tell(agreement.address, stream.remote, ultrapeer=ultrapeer)
        self._hear(agreement.tries, stream.remote)
        self._router.joined(link)
        stream.switch(link.framer(self._port.scratch), link)
        log.debug("%r: %s", link, agreement.agent)

    # Whom else there is

    def _located(self, pong: Pong, link: Link) -> None:
        self._tell(pong.address, link.remote, ultrapeer=pong.ultrapeer)

    def _hear(self, tries: Tries, teller: Address) -> None:
        for address in tries.ultrapeers:
            self._tell(address, teller, ultrapeer=True)
        for address in tries.others:
            self._tell(address, teller, ultrapeer=False)

    def _tell(self, address: Address, teller: Address, *, ultrapeer: bool) -> None:
        if address.port and address.host:
            zone = zone_of(teller.host)
            self._prospects.hosts.tell(address, teller.host, self._wall(), zone=zone, hub=ultrapeer)


async def _look_up(address: Address) -> Address:
    """Raises NetworkError."""
    if address.ip is not None:
        return address
    from p2pswarm.discovery.names import SystemNames  # and with it the HTTP library

    try:
        async with asyncio.timeout(NAME_TIME):
            found = await SystemNames().resolve(*address, AF_UNSPEC)
    except (OSError, UnicodeError, TimeoutError) as error:
        raise NetworkError(f"{address.host} is no name that can be found") from error
    return Address(found[0]["host"], address.port).normal
