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
from typing import TYPE_CHECKING

from p2pswarm.config import NetworkSettings
from p2pswarm.discovery.introducing import Introducer
from p2pswarm.discovery.places import need_one, places
from p2pswarm.disk.pool import DiskPool
from p2pswarm.errors import HostError, NetworkError
from p2pswarm.formats.ids import Address
from p2pswarm.hosting import Hosting, Parts, introduced, refreshing
from p2pswarm.identity import FOLDER, Identity
from p2pswarm.net.port import Port
from p2pswarm.overlay.identity import Identity as NodeName
from p2pswarm.overlay.living import Life, at_once
from p2pswarm.overlay.people.client import People, PeopleStatus
from p2pswarm.overlay.people.slots import Slots
from p2pswarm.overlay.people.swarming import Swarming
from p2pswarm.overlay.supernode.options import Options, Wish
from p2pswarm.reach.offers import RelayAt
from p2pswarm.reach.reach import Reach
from p2pswarm.reach.relayed import Credential, Relays

if TYPE_CHECKING:
    from p2pswarm.networks import Networks
    from p2pswarm.overlay.supernode.client import Supernode

__all__ = ["Presence"]

log = logging.getLogger(__name__)

KEPT = Path("people")  # in the data folder: our name among super nodes, and the host cache
ASKED = 8  # super nodes that show us where we are seen


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
        self._parts: Parts | None = None
        self._swarming: Swarming | None = None
        self._name: NodeName | None = None
        self._hosting = Hosting(settings, port, dice, self._once_open)
        self._refreshing = Life("asking what was taken back")
        self._over = False

    # What it is made of, once it is open

    @property
    def identity(self) -> Identity:
        """Who the user is. Raises HostError before `open`, as the others do."""
        return self._opened.identity

    @property
    def network(self) -> People:
        """Find somebody and ring him."""
        return self._opened.network

    @property
    def reach(self) -> Reach:
        """Ways between us and somebody who was rung, or rang."""
        return self._opened.reach

    @property
    def _opened(self) -> Parts:
        if self._parts is None:
            raise HostError("the people network is not open")
        return self._parts

    def relays(self) -> Sequence[RelayAt]:
        """Our homes that consent to relay."""
        return [RelayAt(home.node, home.address) for home in self.network.homes if home.relays]

    def status(self) -> PeopleStatus | None:
        """How it stands; None before `open`."""
        return self._parts.network.status() if self._parts is not None else None

    async def open(self) -> None:
        """Raises DiskError, HostError, NetworkError, PortTakenError."""
        identity, login = (await self._once_open()).identity, self._settings.login
        if identity.authority is None and login:
            await introduced(identity, login, self._port)

    async def _once_open(self) -> Parts:
        async with self._opening:
            if self._over:
                raise HostError("the node was closed meanwhile")
            self._parts = self._parts or await self._open()
            return self._parts

    async def _open(self) -> Parts:
        disk, folder = self._disk, self._folder / KEPT
        port, dice = self._port, self._dice
        identity = await disk.run(Identity.load, self._folder / FOLDER)
        _warn_of_another(identity, self._settings.login)
        await disk.run(lambda: identity.key)  # made now, off the loop
        options = await self._options()
        fresh = dice.randbytes(16)
        name = self._name = await disk.run(NodeName.take, folder / "id", fresh, "people")
        network = People(port, disk, dice, identity, name.guid, folder, options)
        await network.open()
        relays = Relays(port, name.guid, lambda: _credential(identity))
        relays.known = lambda node: next((h.address for h in network.homes if h.node == node), None)
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
        identity.hearers.append(network.door.judge)
        await self._refreshing.begin(
            at_once, lambda: refreshing(identity, self._settings.login, port, dice)
        )
        return Parts(identity, network, relays, reach, name.guid)

    async def _options(self) -> Options:
        """Whom we know. Raises NetworkError."""
        settings = self._settings
        to_connect = (*settings.connect, *self._meet)
        connect = await places(to_connect)
        supernodes = await places(settings.supernodes)
        need_one(settings.supernodes, supernodes)
        need_one(to_connect, connect)
        return Options(
            Wish.ORDINARY,
            supernodes=supernodes,
            connect=connect,
            firewalled=settings.firewalled,
        )

    async def meet(self) -> Introducer:
        """Who introduces peers of our torrents that nobody can dial. Raises what `open` raises.

        A login service has no part in it.
        """
        await self._once_open()
        if self._swarming is None:
            ours, dice = self._opened, self._dice
            network, node = ours.network, ours.node
            slots = Slots(self._port, node, network.walks, network.starts, dice)
            place, seen = slots.members, self._seen
            self._swarming = Swarming(self._port, node, place, seen, ours.relays, dice)
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
        supernode = self._hosting.supernode
        if supernode is not None:
            self.network.learn(supernode.supernodes())
        await self.network.join()

    def turned(self, supernode: "Supernode", *, serves: bool) -> None:
        """The supernode network says whether we serve there."""
        self._hosting.turned(supernode, serves=serves)

    async def aclose(self) -> None:
        """Say goodbye to everybody."""
        self._over = True
        await self._refreshing.end()
        await self._hosting.aclose()
        if self._swarming is not None:
            await self._swarming.leave()
        if self._parts is not None:
            await self._parts.network.leave()
            await self._parts.reach.close()
            self._parts.relays.close()
        if self._name is not None:
            self._name.close()


def _warn_of_another(identity: Identity, login: str) -> None:
    """Said where the user sees it: a service that was named is not asked, as another one is known."""
    known, authority = identity.login, identity.authority
    url, _, fingerprint = login.partition("#")
    if authority is None or not login:
        return
    other = fingerprint.lower() not in ("", authority.fingerprint)
    if other or url.rstrip("/") != known:
        log.warning("--login %s changes nothing: here the names of %s count", login, known)


def _credential(identity: Identity) -> Credential | None:
    """What we show to relays; None while we have no name."""
    held = identity.certificate
    return None if held is None else Credential(held.der, identity.key.sign)
