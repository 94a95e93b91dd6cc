"""Our homes, kept: dialed as `choosing` says, listened to, and left when we go."""

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from random import Random
from typing import Protocol

from p2pswarm.errors import NetworkError, RemoteError
from p2pswarm.formats.ids import Address
from p2pswarm.net.port import Port
from p2pswarm.overlay.people.choosing import Choosing
from p2pswarm.overlay.people.greeting import TurnedDownError
from p2pswarm.overlay.people.home import AlreadyHomeError, Home
from p2pswarm.overlay.people.proving import Proofs
from p2pswarm.overlay.people.ringing import Rung
from p2pswarm.overlay.supernode.known import Known
from p2pswarm.wire.people.hello import Reason
from p2pswarm.wire.people.nodes import SuperNode

__all__ = ["Keeping", "Owner"]

log = logging.getLogger(__name__)

TICK = 1.0  # seconds between looks at silent homes


class Owner(Protocol):
    """Whose homes they are."""

    def rung(self, rung: Rung) -> None:
        """Somebody rings."""

    def cancelled(self, session: bytes, home: Address) -> None:
        """Who rang by way of this home gave up."""

    def moved(self) -> None:
        """We have other homes than before."""

    def told(self, nodes: Iterable[SuperNode], teller: Address) -> None:
        """Somebody names super nodes."""


class Keeping:
    """`run` in a task of the owner's, which ends by being cancelled."""

    def __init__(
        self,
        port: Port,
        node: bytes,
        proofs: Proofs,
        known: Known,
        dice: Random,
        owner: Owner,
    ) -> None:
        self._port, self._node, self._proofs, self._known = port, node, proofs, known
        self._dice, self._owner = dice, owner
        self._clock = asyncio.get_running_loop().time
        self._choosing = Choosing(known.candidates, dice, self._clock())
        self._bell = asyncio.Event()
        self.homes: dict[Address, Home] = {}
        self.trouble = ""
        """Why the last super node did not take us in."""

    async def run(self) -> None:
        """Until cancelled; then everybody is told goodbye."""
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    self._step(tasks)
                    await self._pause()
        finally:
            for home in list(self.homes.values()):
                home.close()

    def _step(self, tasks: asyncio.TaskGroup) -> None:
        now = self._clock()
        for home in list(self.homes.values()):
            home.tick(now)
        while (address := self._choosing.step(now)) is not None:
            tasks.create_task(self._dial(address))

    async def _pause(self) -> None:
        self._bell.clear()
        until = min(self._choosing.due, self._clock() + TICK)
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._bell.wait()

    async def _dial(self, address: Address) -> None:
        try:
            home = await self._reached(address)
        except TurnedDownError as error:
            self._turned_down(address, error)
        except AlreadyHomeError as error:
            self._note(address, error)
            self._choosing.refused(address, self._clock())
        except RemoteError as error:
            self._note(address, error)
            self._known.failed(address)
            self._choosing.failed(address, self._clock())
        else:
            self._settled(address, home)
        self._bell.set()

    async def _reached(self, address: Address) -> Home:
        """Raises RemoteError."""
        if not self._known.may_dial(address, self._clock()):
            raise NetworkError(f"{address} is not dialed now")
        proofs, homes = self._proofs, list(self.homes.values())
        return await Home.dial(self._port, address, self._node, proofs, self._dice, self, homes)

    def _settled(self, address: Address, home: Home) -> None:
        self._known.answered(address)
        if home.over:  # in the moment between
            self._choosing.failed(address, self._clock())
            return
        if any(home.node == other.node for other in self.homes.values()):
            home.close()  # by another address of its own
            self._choosing.refused(address, self._clock())
            return
        log.debug("people: at home at %s", address)
        self._choosing.settled(address, self._clock())
        self.homes[address] = home
        self._owner.moved()

    def _turned_down(self, address: Address, error: TurnedDownError) -> None:
        self._note(address, error)
        refusal, now = error.refusal, self._clock()
        if refusal.reason is Reason.NOT_SUPER:  # or not yet: it may begin in this moment, as we do
            self._known.ordinary(address)
            self._choosing.failed(address, now)
        elif refusal.reason is Reason.SELF:
            self._known.ourselves(address)
            self._choosing.refused(address, now)
        else:
            self._known.answered(address)
            self._choosing.refused(address, now)
        self._owner.told(refusal.nodes, address)

    def _note(self, address: Address, error: Exception) -> None:
        log.debug("people: no home at %s: %s", address, error)
        self.trouble = str(error)

    # What homes say

    def rung(self, rung: Rung) -> None:
        self._owner.rung(rung)

    def cancelled(self, session: bytes, home: Address) -> None:
        self._owner.cancelled(session, home)

    def lost(self, home: Home) -> None:
        if self.homes.get(home.address) is home:
            del self.homes[home.address]
            self._owner.told(home.others, home.address)
            self._choosing.lost(home.address, self._clock())
            self._bell.set()
            self._owner.moved()
