"""Neighbours that want to know whether strangers can dial them: we do, and say two line feeds (connect_back).

One after the other, each at its own host and nowhere else, a few ports of one host in ten minutes. The budget
is our own: that somebody listens there tells nothing about who it is, and must not keep us from a transfer.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from p2pswarm.errors import NetworkError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import zone_of
from p2pswarm.net.port import Port
from p2pswarm.overlay.budget import DialBudget
from p2pswarm.overlay.talk import Talk

__all__ = ["ConnectBack"]

log = logging.getLogger(__name__)

MOST_WAITING = 20
GREETING = b"\n\n"


class ConnectBack:
    """`asked` for each that asks, `run` in a task of the owner's."""

    def __init__(self, port: Port, clock: Callable[[], float]) -> None:
        self._port, self._clock = port, clock
        self._budget = DialBudget()
        self._waiting: deque[Address] = deque()
        self._bell = asyncio.Event()

    def asked(self, host: str, port: int) -> bool:
        """A neighbour at this host wants to be dialed there; whether it will be."""
        address = Address(host, port)
        if len(self._waiting) >= MOST_WAITING:
            return False
        if not self._budget.may_dial(address, zone_of(host), self._clock()):
            return False
        self._waiting.append(address)
        self._bell.set()
        return True

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._bell.wait()
            self._bell.clear()
            while self._waiting:
                await self._dial(self._waiting.popleft())

    async def _dial(self, address: Address) -> None:
        try:
            talk = await Talk.dial(self._port, address)
        except NetworkError as error:
            log.debug("gnutella: connect back: %s", error)
            return
        try:
            talk.send(GREETING)
            await talk.sent()
        except NetworkError as error:
            log.debug("gnutella: connect back: %s", error)
        finally:
            talk.close()
