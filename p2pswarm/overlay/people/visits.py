"""Super nodes that are visited: to ring their guests, and to ask on for us while we have no home.

The one hard thing: their addresses stand in records, which anybody with a name signs. So who never answered
is dialed once in ten minutes, and nobody sends us nearer than the nearest super node that we know.
"""

import asyncio
from collections.abc import Callable, Sequence
from random import Random

from p2pswarm.errors import NetworkError, RemoteError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone, zone_of
from p2pswarm.net.port import Port
from p2pswarm.overlay.budget import DialBudget
from p2pswarm.overlay.people.home import Home
from p2pswarm.overlay.people.proving import Proofs
from p2pswarm.overlay.supernode.known import Known

__all__ = ["NOBODY", "Visits"]

NOBODY = "none is known: name one with --connect"
INSISTS = 5.0  # seconds for which they are dialed again: they may begin in this moment, as we do
PAUSE = 0.7  # seconds between two times
VISITED = 2  # super nodes that ask on for us: enough to overrule one that lies


class Visits:
    """`close` at the end, which may be called twice."""

    def __init__(
        self,
        port: Port,
        node: bytes,
        proofs: Proofs,
        known: Known,
        homes: Callable[[], Sequence[Home]],
        dice: Random,
    ) -> None:
        self._port, self._node, self._proofs, self._known = port, node, proofs, known
        self._homes, self._dice = homes, dice
        self._clock = asyncio.get_running_loop().time
        self._budget = DialBudget()
        self._there: list[Home] = []  # who asks on for us

    def home(self, address: Address) -> Home | None:
        """That one, if it is a home of ours."""
        return next((home for home in self._homes() if home.address == address), None)

    async def visit(self, address: Address) -> Home:
        """Whoever visits closes it. Raises AlreadyHomeError, NetworkError, RemoteError."""
        met = self._known.may_ping(address, self._clock())
        if not met and not self._budget.may_dial(address, self._zone, self._clock()):
            raise NetworkError(f"{address} is not dialed: it did not answer, or cannot be there")
        homes = self._homes()
        visit = await Home.dial(
            self._port, address, self._node, self._proofs, self._dice, homes=homes
        )
        self._budget.answered(address)
        return visit

    async def connected(self) -> Sequence[Home]:
        """Homes, or super nodes that are visited instead. Raises NetworkError."""
        until = self._clock() + INSISTS
        while True:
            self._there = [visit for visit in self._there if not visit.over]
            there = self._homes() or self._there
            if there:
                return there
            candidates = self._known.candidates(2 * VISITED)
            trouble = await self._visit_some(candidates)
            if self._there:
                return self._there
            if not candidates or self._clock() >= until:
                raise NetworkError(f"no super node can be asked: {trouble or NOBODY}")
            await asyncio.sleep(PAUSE * self._dice.uniform(0.7, 1.3))

    async def _visit_some(self, candidates: Sequence[Address]) -> Exception | None:
        """What went wrong last."""
        trouble: Exception | None = None
        for address in candidates:
            try:
                self._there.append(await self.visit(address))
                self._known.answered(address)
            except RemoteError as error:
                trouble = error
            if len(self._there) >= VISITED:
                break
        return trouble

    def close(self) -> None:
        there, self._there = self._there, []
        for visit in there:
            visit.close()

    @property
    def _zone(self) -> Zone:
        """Of the nearest super node that we know."""
        near = [*(home.address for home in self._homes()), *self._known.lately()]
        return max((zone_of(address.host) for address in near), default=Zone.INTERNET)
