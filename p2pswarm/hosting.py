"""Being a super node for people: as long as we are one in the supernode network, and know a login service.

The one hard thing: nothing here may wait for the login service but the first time. Its authority is asked for
once, and what it took back every hour, as long as it answers; that goes for who serves nobody, too.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from p2pswarm.config import NetworkSettings
from p2pswarm.errors import DiskError, P2PSwarmError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.people.certificate import Revocations
from p2pswarm.identity import Identity
from p2pswarm.net.binding import bound_addresses
from p2pswarm.net.port import Port
from p2pswarm.net.tasks import tell_bug
from p2pswarm.overlay.people.carrying import Carrying
from p2pswarm.overlay.people.client import People
from p2pswarm.overlay.people.quotas import Terms
from p2pswarm.overlay.people.serving import Serving
from p2pswarm.reach.reach import Reach
from p2pswarm.reach.relayed import Relays
from p2pswarm.wire.people.ringing import Prove

if TYPE_CHECKING:
    from p2pswarm.overlay.supernode.client import Supernode

__all__ = ["Hosting", "Parts", "introduced", "refreshing"]

log = logging.getLogger(__name__)

KNOWN = 8  # super nodes of our own that are asked for a place in the directory
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 60.0  # seconds until a login service is asked again
REFRESH = 3600.0  # seconds until we ask what was taken back
END_TIME = 1.0  # seconds for the goodbye


@dataclass(frozen=True, slots=True)
class Parts:
    """What we are among people, once it is open."""

    identity: Identity
    network: People
    relays: Relays
    reach: Reach
    node: bytes
    """Our name among super nodes."""


class Hosting:
    """`turned` whenever our role does; `aclose` at the end, which may be called twice."""

    def __init__(
        self,
        settings: NetworkSettings,
        port: Port,
        dice: Random,
        parts: Callable[[], Awaitable[Parts]],
    ) -> None:
        self._settings, self._port, self._dice, self._parts = settings, port, dice, parts
        self.supernode: Supernode | None = None
        """Our place in the supernode network."""
        self._service: asyncio.Task[None] | None = None
        self._serves = self._over = False

    def turned(self, supernode: "Supernode", *, serves: bool) -> None:
        """We are one there, or are none any more."""
        self.supernode = supernode
        if serves is self._serves or self._over:
            return
        self._serves, before = serves, self._service
        if before is not None:
            before.cancel()
        if serves:
            self._service = asyncio.create_task(self._serve(supernode, before))
            self._service.add_done_callback(tell_bug)

    async def aclose(self) -> None:
        """Say goodbye to our guests."""
        self._over, self._serves = True, False
        if self._service is not None:
            self._service.cancel()
            await asyncio.wait([self._service], timeout=END_TIME)

    async def _serve(self, supernode: "Supernode", before: "asyncio.Task[None] | None") -> None:
        """Until cancelled; what we were before ends first."""
        if before is not None:
            await asyncio.wait([before])
        try:
            parts = await self._parts()
        except P2PSwarmError as error:
            log.warning("people cannot be served: %s", error)
            return
        if parts.identity.authority is None and not self._settings.login:
            log.info("people are not served: no login service is known (--login URL)")
            return
        await self._believing(parts.identity)
        serving = Serving(
            parts.network,
            self._port,
            parts.node,
            lambda: supernode.address,
            lambda: _known(supernode, parts.network),
            lambda revoked: _keep(parts.identity, revoked),
            self._dice,
        )
        contacts = serving.directory.contacts
        parts.reach.neighbours = lambda: [each.address for each in contacts.members()]
        log.info("people: we serve")
        parts.identity.hearers.append(serving.revoke)
        try:
            await serving.run(self._carrying(parts))
        finally:
            parts.identity.hearers.remove(serving.revoke)

    def _carrying(self, parts: Parts) -> Carrying:
        """What we do for guests beside the directory."""
        settings = self._settings
        terms = Terms(settings.relay_rate, settings.relay_total) if settings.relay else None

        def check(shown: Prove, nonce: bytes, local: Address) -> bytes:
            return parts.network.proofs.check(shown, nonce, local).key

        return Carrying(self._port, parts.relays, terms, check, self._dice)

    async def _believing(self, identity: Identity) -> None:
        """Until we know whose users are believed: the login service may begin after us."""
        pause = FIRST_PAUSE
        while identity.authority is None:
            try:
                await introduced(identity, self._settings.login, self._port)
            except P2PSwarmError as error:
                log.warning("people are not served yet: %s", error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)


async def refreshing(identity: Identity, login: str, port: Port, dice: Random) -> None:
    """Until cancelled: what the login service took back, asked now and then."""
    while True:
        await asyncio.sleep(REFRESH * dice.uniform(0.5, 1.0))
        url = login or identity.login
        if url:
            with suppress(P2PSwarmError):
                await introduced(identity, url, port)


async def introduced(identity: Identity, url: str, port: Port) -> None:
    """Ask a login service for its authority, and what that took back.

    Raises NetworkError, HostError, DiskError.
    """
    from p2pswarm.registering import LoginService  # loads aiohttp

    service = LoginService(url, hosts=bound_addresses(port.host))
    try:
        await service.introduce(identity)
    finally:
        await service.aclose()


def _known(supernode: "Supernode", network: People) -> list[Address]:
    """Other super nodes."""
    return list(dict.fromkeys((*supernode.supernodes(), *network.starts(KNOWN))))


def _keep(identity: Identity, revoked: Revocations) -> None:
    with suppress(DiskError):  # it is told again after we have started again
        identity.revoke(revoked)
