"""We among people: who we are, our place in the people network, and the ways by which we are reached.

The people network runs beside the supernode network and follows it: who serves there serves here, if it knows
a login service whose users it can believe.

The one hard thing: all of this is loaded and opened when it is first needed, by a command that finds somebody
or by a role that turns, and ends in one place.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, TypeVar

from p2pswarm.config import NetworkSettings
from p2pswarm.discovery.introducing import Introducer
from p2pswarm.discovery.places import places
from p2pswarm.disk.pool import DiskPool
from p2pswarm.errors import DiskError, HostError, NetworkError, P2PSwarmError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.people.certificate import Revocations
from p2pswarm.identity import FOLDER, Identity
from p2pswarm.net.binding import bound_addresses
from p2pswarm.net.port import Port
from p2pswarm.overlay.identity import Identity as NodeName
from p2pswarm.overlay.people.carrying import Carrying
from p2pswarm.overlay.people.client import People
from p2pswarm.overlay.people.quotas import Terms
from p2pswarm.overlay.people.serving import Serving
from p2pswarm.overlay.people.slots import Slots
from p2pswarm.overlay.people.swarming import Swarming
from p2pswarm.overlay.supernode.options import Options, Wish
from p2pswarm.reach.offers import RelayAt
from p2pswarm.reach.reach import Reach
from p2pswarm.reach.relayed import Credential, Relays
from p2pswarm.wire.people.ringing import Prove

if TYPE_CHECKING:
    from p2pswarm.networks import Networks
    from p2pswarm.overlay.supernode.client import Supernode

__all__ = ["Presence"]

log = logging.getLogger(__name__)

T = TypeVar("T")

KEPT = Path("people")  # in the data folder: our name among super nodes, and the host cache
ASKED = 8  # super nodes that show us where we are seen
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 60.0  # seconds until a login service is asked again
REFRESH = 3600.0  # seconds until a super node asks what was taken back
END_TIME = 1.0  # seconds for the goodbye of a super node


class Presence:
    """`open` to find, `join` to be found and rung; `aclose` at the end, which may be called twice."""

    def __init__(
        self,
        settings: NetworkSettings,
        folder: Path,
        port: Port,
        disk: DiskPool,
        dice: Random,
        networks: "Callable[[], Networks]",
        meet: Sequence[Address] = (),
    ) -> None:
        """`meet` are super nodes where peers of our torrents may be introduced to us."""
        self._meet = meet
        self._settings, self._folder = settings, folder
        self._port, self._disk, self._dice, self._networks = port, disk, dice, networks
        self._opening = asyncio.Lock()
        self._identity: Identity | None = None
        self._network: People | None = None
        self._reach: Reach | None = None
        self._relays: Relays | None = None
        self._swarming: Swarming | None = None
        self._name: NodeName | None = None
        self._node = b""  # our name among super nodes
        self._supernode: Supernode | None = None
        self._service: asyncio.Task[None] | None = None
        self._over = False

    # What it is made of, once it is open

    @property
    def identity(self) -> Identity:
        """Who the user is."""
        return _opened(self._identity)

    @property
    def network(self) -> People:
        """Find somebody and ring him."""
        return _opened(self._network)

    @property
    def reach(self) -> Reach:
        """Ways between us and somebody who was rung, or rang."""
        return _opened(self._reach)

    def relays(self) -> Sequence[RelayAt]:
        """Our homes that consent to relay."""
        return [RelayAt(home.node, home.address) for home in self.network.homes if home.relays]

    async def open(self) -> None:
        """Raises DiskError, HostError, NetworkError, PortTakenError."""
        await self._once_open()
        if self.identity.authority is None and self._settings.login:
            await self._introduced()

    async def _once_open(self) -> None:
        async with self._opening:
            if self._over:
                raise HostError("the node was closed meanwhile")
            if self._network is None:
                await self._open()

    async def _open(self) -> None:
        disk, folder = self._disk, self._folder / KEPT
        identity = await disk.run(Identity.load, self._folder / FOLDER)
        await disk.run(lambda: identity.key)  # made now, off the loop
        options = await self._options()
        fresh = self._dice.randbytes(16)
        name = await disk.run(NodeName.take, folder / "id", fresh, "the people network")
        self._name, self._node = name, name.guid
        port, dice = self._port, self._dice
        network = People(port, disk, dice, identity, name.guid, folder, options)
        await network.open()
        relays = Relays(port, name.guid, lambda: _credential(identity))
        relays.open()
        reach = Reach(
            port,
            dice,
            node=name.guid,
            super_nodes=lambda: network.starts(ASKED),
            serves=lambda: network.door.serves,
            relaying=relays,
        )
        await reach.open()
        self._identity, self._network, self._reach, self._relays = identity, network, reach, relays

    async def _options(self) -> Options:
        """Whom we know. Raises NetworkError."""
        settings = self._settings
        to_connect = (*settings.connect, *self._meet)
        connect = await places(to_connect)
        supernodes = await places(settings.supernodes)
        for named, found in ((settings.supernodes, supernodes), (to_connect, connect)):
            if named and not found:
                raise NetworkError(f"nobody can be dialed at {', '.join(map(str, named))}")
        return Options(
            Wish.ORDINARY,
            supernodes=supernodes,
            connect=connect,
            firewalled=settings.firewalled,
        )

    async def meet(self) -> Introducer:
        """Who introduces peers of our torrents that nobody can dial. Raises what `open` raises."""
        await self.open()
        if self._swarming is None:
            network = self.network
            slots = Slots(self._port, self._node, network.walks, network.starts, self._dice)
            self._swarming = Swarming(
                self._port, self._node, slots.members, self._seen, self._relays, self._dice
            )
        await self._swarming.join()
        return self._swarming

    async def _seen(self) -> list[Address]:
        """Where others see our port, by UDP."""
        return [each.address for each in (await self.reach.gather()).udp]

    # Being in it

    async def join(self) -> None:
        """Be found and rung, and be a super node when others need one and we are fit for it.

        Raises what `open` raises, and NetworkError when no super node takes us in at first.
        """
        await self.open()
        if self._settings.supernode_role != "ordinary":
            with suppress(NetworkError):  # it goes on by itself
                await self._networks().join("supernode")
        self._learn()
        await self.network.join()

    def _learn(self) -> None:
        if self._supernode is not None and self._network is not None:
            self._network.learn(self._supernode.supernodes())

    def turned(self, supernode: "Supernode", *, serves: bool) -> None:
        """The supernode network says whether we serve there."""
        self._supernode = supernode
        if serves and self._service is None and not self._over:
            self._service = asyncio.create_task(self._serve())
            self._service.add_done_callback(_ended)
        elif not serves and self._service is not None:
            self._service.cancel()
            self._service = None

    async def _serve(self) -> None:
        """Until cancelled."""
        try:
            await self._once_open()
        except P2PSwarmError as error:
            log.warning("people cannot be served: %s", error)
            return
        if not (self.identity.authority or self._settings.login):
            log.info("people are not served: no login service is known (--login URL)")
            return
        await self._believing()
        serving = Serving(
            self.network,
            self._port,
            self._node,
            lambda: self._supernode.address if self._supernode is not None else None,
            self._known,
            self._keep,
            self._dice,
        )
        log.info("people: we serve")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(serving.run(self._carrying()))
            tasks.create_task(self._refreshing(serving))

    def _carrying(self) -> Carrying:
        """What we do for guests beside the directory."""
        settings, network = self._settings, self.network
        terms = Terms(settings.relay_rate, settings.relay_total) if settings.relay else None

        def check(shown: Prove, nonce: bytes) -> bytes:
            return network.proofs.check(shown, nonce).key

        return Carrying(self._port, _opened(self._relays), terms, check, self._dice)

    async def _believing(self) -> None:
        """Until we know whose users are believed: the login service may begin after us."""
        pause = FIRST_PAUSE
        while self.identity.authority is None:
            try:
                await self._introduced()
            except P2PSwarmError as error:
                log.warning("people are not served yet: %s", error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    async def _refreshing(self, serving: Serving) -> None:
        """What the login service took back, as long as it answers; nothing waits for it."""
        while True:
            await asyncio.sleep(REFRESH * self._dice.uniform(0.5, 1.0))
            with suppress(P2PSwarmError):
                await self._introduced()
            if self.identity.revoked is not None:
                serving.revoke(self.identity.revoked)

    async def _introduced(self) -> None:
        """Ask the login service for its authority, and what that took back.

        Raises NetworkError, HostError, DiskError.
        """

        from p2pswarm.registering import LoginService  # loads aiohttp

        url = self._settings.login or self.identity.login
        if url:
            service = LoginService(url, hosts=bound_addresses(self._port.host))
            try:
                await service.introduce(self.identity)
            finally:
                await service.aclose()

    def _known(self) -> list[Address]:
        """Other super nodes."""
        ours = self._supernode.supernodes() if self._supernode is not None else []
        return list(dict.fromkeys((*ours, *self.network.starts(ASKED))))

    def _keep(self, revoked: Revocations) -> None:
        with suppress(DiskError):  # it is spread again when we start again
            self.identity.revoke(revoked)

    async def aclose(self) -> None:
        """Say goodbye to everybody."""
        self._over = True
        service, self._service = self._service, None
        if service is not None:
            service.cancel()
            await asyncio.wait([service], timeout=END_TIME)
        if self._swarming is not None:
            await self._swarming.leave()
        if self._network is not None:
            await self._network.leave()
        if self._reach is not None:
            await self._reach.close()
        if self._relays is not None:
            self._relays.close()
        if self._name is not None:
            self._name.close()


def _opened(part: T | None) -> T:
    """Raises HostError."""
    if part is None:
        raise HostError("the people network is not open")
    return part


def _credential(identity: Identity) -> Credential | None:
    """What we show to relays; None while we have no name."""
    held = identity.certificate
    return None if held is None else Credential(held.der, identity.key.sign)


def _ended(service: "asyncio.Task[None]") -> None:
    if not service.cancelled() and (error := service.exception()) is not None:
        log.error("a bug in p2pswarm", exc_info=error)
