"""Neighbours that want to know whether others can dial them: we do (vendor message BEAR/7, connect back).

Until somebody has, gtk-gnutella takes itself for firewalled, and its files come by push alone. Nobody but the
neighbour itself is dialed for it, each port rarely, and all that is said there is two line feeds.
"""

import asyncio
import logging
from collections.abc import Callable

from p2pswarm.errors import NetworkError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import zone_of
from p2pswarm.net.port import Port
from p2pswarm.overlay.budget import DialBudget
from p2pswarm.overlay.gnutella.links.connecting import leave
from p2pswarm.overlay.talk import Talk

__all__ = ["MOST_WAITING", "Knocking"]

log = logging.getLogger(__name__)

MOST_WAITING = 20  # neighbours; who comes when there are more asks somebody else


class Knocking:
    """`asked` by a neighbour, `run` in a task of the owner's."""

    def __init__(self, port: Port, clock: Callable[[], float]) -> None:
        self._port, self._clock = port, clock
        self._budget = DialBudget()  # of its own: what is found here says nothing of Gnutella
        self._waiting: asyncio.Queue[Address] = asyncio.Queue(MOST_WAITING)

    def asked(self, neighbour: str, port: int) -> None:
        """By a neighbour on that host."""
        address, zone = Address(neighbour, port), zone_of(neighbour)
        if not self._waiting.full() and self._budget.may_dial(address, zone, self._clock()):
            self._waiting.put_nowait(address)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            address = await self._waiting.get()
            try:
                talk = await Talk.dial(self._port, address)
            except NetworkError as error:
                log.debug("not dialed back: %s", error)
                continue
            talk.send(b"\n\n")
            leave(talk.stream)
