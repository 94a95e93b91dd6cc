"""Hosts that somebody named, dialed: within the budget, and one at a time to one place.

What was begun with them goes to its end: one that fails is not the end of the others.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any
from weakref import WeakValueDictionary

from p2pswarm.errors import NetworkError, P2PSwarmError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone
from p2pswarm.net.port import Port
from p2pswarm.overlay.budget import DialBudget
from p2pswarm.overlay.talk import Talk

__all__ = ["Dialing", "Reach", "to_the_end"]

log = logging.getLogger(__name__)

Reach = Callable[[Port, Address], Awaitable[Talk]]
"""Connects, as far as it shows that a host of the network is there. Raises NetworkError."""


class Dialing:
    """Who answers `reach` may be dialed as often as we like; who does not, rarely."""

    def __init__(
        self, port: Port, budget: DialBudget, clock: Callable[[], float], reach: Reach = Talk.dial
    ) -> None:
        self._port = port
        self._budget = budget
        self._clock = clock
        self._reach = reach
        self._places: WeakValueDictionary[Address, asyncio.Lock] = WeakValueDictionary()

    async def dial(self, address: Address, teller: Zone, reach: Reach | None = None) -> Talk:
        """`teller` is where whoever named it is; `reach` is for this time alone. Raises NetworkError."""
        # One at a time to one place: whether it answers, the first one finds out for all.
        async with self._places.setdefault(address, asyncio.Lock()):
            if not self._budget.may_dial(address, teller, self._clock()):
                raise NetworkError(
                    f"{address} is not dialed: it did not answer, or cannot be there"
                )
            talk = await (reach or self._reach)(self._port, address)
            self._budget.answered(address)
            return talk

    def has_answered(self, address: Address) -> bool:
        """Whether somebody of the network was found there."""
        return self._budget.has_answered(address)


async def to_the_end(network: str, work: Coroutine[Any, Any, None]) -> None:
    """A transfer that fails is told, and not the end of the others."""
    try:
        await work
    except P2PSwarmError as error:
        log.info("%s: %s", network, error)
