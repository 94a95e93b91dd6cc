"""Our record, written into the directory: signed, put where its name belongs, and looked for there.

The one hard thing: whoever says that it stored a record may have told nobody. So we ask others for it
afterwards, and what they do not have is written again, by way of another one.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from random import Random

from p2pswarm.errors import NetworkError, RemoteError, RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.people.record import MAX_ADDRESSES, MAX_HOMES, Record
from p2pswarm.overlay.people.finder import Finder
from p2pswarm.overlay.people.home import Home
from p2pswarm.overlay.people.lookup import SILENCE, Walk
from p2pswarm.overlay.people.proving import Who
from p2pswarm.overlay.people.publishing import TTL, Publishing
from p2pswarm.overlay.people.walks import Question, Walks
from p2pswarm.wire.people.finding import Fault, Put, Rejected, Stored
from p2pswarm.wire.people.frames import PeopleKind
from p2pswarm.wire.supernode.frames import Frame

__all__ = ["Publisher"]

log = logging.getLogger(__name__)

STARTS = 3
AHEAD = 10 * 365 * 86_400 * 1000  # milliseconds that a number of ours may be of the future


class Publisher:
    """`changed` when homes or addresses did; `run` in a task of the owner's, which ends by being
    cancelled."""

    def __init__(
        self,
        walks: Walks,
        finder: Finder,
        who: Who,
        starts: Callable[[int], list[Address]],
        homes: Callable[[], Sequence[Home]],
        dice: Random,
        wall: Callable[[], float],
    ) -> None:
        self._wall = wall
        self._walks, self._finder, self._who = walks, finder, who
        self._starts, self._homes, self._dice = starts, homes, dice
        self._clock = asyncio.get_running_loop().time
        self._publishing = Publishing(dice)
        self._bell = asyncio.Event()
        self._content: tuple[tuple[Address, ...], tuple[Address, ...]] = ((), ())
        self._seq = 0
        self.stored: Record | None = None
        """What the directory holds, as far as we know."""
        self.trouble = ""

    def changed(self, addresses: Sequence[Address], homes: Sequence[Address]) -> None:
        """Where we are, and where we are rung; without homes there is nothing to say."""
        if homes and self._who.certificate is not None:
            content = tuple(addresses[:MAX_ADDRESSES]), tuple(sorted(homes)[:MAX_HOMES])
            self._content = content
            self._publishing.changed((content, self._who.certificate.der), self._clock())
            self._bell.set()

    @property
    def up_to_date(self) -> bool:
        """Whether the directory says what we are."""
        return self._publishing.stored_as_is

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._due()
            self._publishing.begin()
            try:
                await self._write()
            except RemoteError as error:
                log.info("people: our record is not in the directory: %s", error)
                self.trouble = str(error)
                self._publishing.failed(self._clock())
            else:
                self.trouble = ""
                self._publishing.stored(self._clock())

    async def _due(self) -> None:
        while self._clock() < self._publishing.due:
            self._bell.clear()
            until = self._publishing.due
            with suppress(TimeoutError):
                async with asyncio.timeout_at(None if until == float("inf") else until):
                    await self._bell.wait()

    async def _write(self) -> None:
        """Raises RemoteError."""
        record = self._signed()
        if self._finder.deaf or not await self._by_walk(record):
            await self._by_homes(record)
        await self._look(record)
        self.stored = record

    async def _by_walk(self, record: Record) -> bool:
        """Whether it is written."""
        walk: Walk[Stored] = Walk(self._starts(STARTS), self._dice, silence=SILENCE)
        put = partial(_put, record)
        verdict = await self._walks.walk(walk, Question(record.hash, put, self._heard))
        return verdict.record is not None

    def _signed(self) -> Record:
        certificate = self._who.certificate
        if certificate is None:
            raise NetworkError("we have no name any more")
        self._seq = max(self._seq + 1, int(self._wall() * 1000))
        addresses, homes = self._content
        key, ttl = self._who.key, int(TTL)
        return Record.sign(
            key, certificate, seq=self._seq, ttl=ttl, addresses=addresses, homes=homes
        )

    def _heard(self, walk: Walk[Stored], address: Address, frame: Frame) -> None:
        """Raises RemoteError."""
        stored = self._stored(frame)
        walk.found(address, stored, stored.copies)

    def _stored(self, frame: Frame) -> Stored:
        """Raises RemoteError for whatever does not mean that most of the slot have it."""
        if frame.kind == PeopleKind.REJECTED:
            rejected = Rejected.read(frame.body)
            # Another device of ours, or our clock was put back; a liar may use up all numbers.
            if rejected.fault is Fault.STALE and rejected.seq <= self._wall() * 1000 + AHEAD:
                self._seq = max(self._seq, rejected.seq)
            raise NetworkError(f"our record is refused: {rejected.fault}")
        if frame.kind != PeopleKind.STORED:
            raise RemoteProtocolError("no answer to what was put")
        stored = Stored.read(frame.body)
        if not stored.majority:
            raise NetworkError(f"only {stored.copies} of {stored.of} have our record")
        return stored

    async def _by_homes(self, record: Record) -> None:
        """Raises RemoteError."""
        trouble: RemoteError = NetworkError("no super node answers")
        for home in self._homes():
            try:
                self._stored(await home.ask(partial(_put, record, recursive=True)))
            except RemoteError as error:
                trouble = error
            else:
                return
        raise trouble

    async def _look(self, record: Record) -> None:
        """Do others have it? Raises RemoteError."""
        found = await self._finder.find(record.name, anew=True)
        if found.record.seq < record.seq:
            raise NetworkError("whoever said to have stored our record told nobody")


def _put(record: Record, token: bytes, *, recursive: bool = False) -> Put:
    return Put(token, record.encode(), record.ttl, recursive=recursive)
