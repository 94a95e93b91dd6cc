"""Somebody rung: at one of his homes after the other, and again where he is by then.

The one hard thing: somebody moves, and his record is a moment behind. So a ring that finds nobody at home
looks for a newer record, and rings again where that says; while his homes are dead, and not he, it waits a
little for him to be at home elsewhere.
"""

import asyncio

from p2pswarm.errors import DeclinedError, NetworkError, OfflineError, RemoteError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.people.record import Record
from p2pswarm.overlay.people.finder import Finder
from p2pswarm.overlay.people.home import AlreadyHomeError
from p2pswarm.overlay.people.visits import Visits

__all__ = ["Ringer"]

MOVING = 12.0  # seconds, for somebody whose homes died to be at home elsewhere
PAUSE = 2.0  # seconds between looks whether he is


class Ringer:
    """Rings, one after the other or many at once: each knows nothing of the others."""

    def __init__(self, finder: Finder, visits: Visits) -> None:
        self._finder, self._visits = finder, visits
        self._clock = asyncio.get_running_loop().time

    async def ring(self, record: Record, offer: bytes, session: bytes) -> bytes:
        """What the callee answers. Raises OfflineError, DeclinedError, NetworkError."""
        deadline = self._clock() + MOVING
        while True:
            try:
                return await self._ring(record, offer, session)
            except DeclinedError:
                raise
            except NetworkError as error:
                newer, over = await self._newer(record), self._clock() >= deadline
                if over or (newer is None and isinstance(error, OfflineError)):
                    raise OfflineError(f"{record.name} is not there: {error}") from error
                if newer is None:  # his homes died, so he looks for others at this moment
                    await asyncio.sleep(PAUSE)
                record = newer or record

    async def _newer(self, record: Record) -> Record | None:
        """Where he is by now. Raises NetworkError."""
        self._finder.drop(record)
        found = (await self._finder.find(record.name, anew=True)).record
        return found if found.seq > record.seq and found.homes != record.homes else None

    async def _ring(self, record: Record, offer: bytes, session: bytes) -> bytes:
        """At one home after the other.

        Raises DeclinedError; OfflineError when one of them says so; NetworkError when none can be reached.
        """
        trouble = NetworkError("at home nowhere")
        for address in sorted(record.homes, key=lambda each: self._visits.home(each) is None):
            try:
                return await self._ring_at(address, record, offer, session)
            except DeclinedError:
                raise
            except OfflineError as error:
                trouble = error
            except RemoteError as error:
                if not isinstance(trouble, OfflineError):
                    trouble = NetworkError(str(error))
        raise trouble

    async def _ring_at(
        self, address: Address, record: Record, offer: bytes, session: bytes
    ) -> bytes:
        """Raises OfflineError, DeclinedError, NetworkError."""
        home = self._visits.home(address)
        if home is not None:
            return await home.ring(record.key, offer, session)
        try:
            visit = await self._visits.visit(address)
        except AlreadyHomeError as error:
            return await error.home.ring(record.key, offer, session)
        try:
            return await visit.ring(record.key, offer, session)
        finally:
            visit.close()
