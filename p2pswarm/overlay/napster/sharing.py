"""Our files announced to the server, and kept true while the session lasts.

Files follow in the order of their numbers, a batch at a time, and the next batch waits until the server has
answered a ping, so that it is never sent more than it takes. What p2pswarm knows beyond Napster follows as a
note, and only to a server that knows it.
"""

import logging
import re
from collections.abc import Iterable, Sequence
from contextlib import aclosing

from p2pswarm.overlay.catalog import Catalog
from p2pswarm.overlay.napster.results import fits, wire_name
from p2pswarm.overlay.napster.session import Session
from p2pswarm.overlay.tables import Shared
from p2pswarm.wire.napster import (
    Message,
    NoSuch,
    PingServer,
    Share,
    ShareNote,
    Unshare,
    UnshareAll,
)

__all__ = ["Announcing", "share_of"]

log = logging.getLogger(__name__)

_FULL = re.compile(r"only share|no room", re.IGNORECASE)  # OpenNap's words, and our server's

BATCH = 200  # files
MOST_COMPLAINTS = 20  # that a person is told of
MOST_GONE = 10_000  # files; when more are gone at once, the list is begun anew


class Announcing:
    """`run` for as long as the session lasts. `files` says how many the server was told."""

    def __init__(self, session: Session, catalog: Catalog) -> None:
        self.files = 0
        self._session = session
        self._catalog = catalog
        self._listed = self._noted = 0  # numbers of the last files that the server was told of
        self._gone: list[Shared] = []
        self._complaints: set[str] = set()
        self._full = False  # the server takes no more

    def greet(self) -> None:
        """The server knows our notes: look again whether there are some."""
        self._catalog.more()

    async def run(self) -> None:
        """Raises NetworkError when the session is over."""
        stop = self._catalog.watch(self._gone.extend)
        try:
            while True:
                version = self._catalog.version
                if not await self._announce() and not await self._note():
                    await self._catalog.newer_than(version)
        finally:
            stop()

    async def _announce(self) -> bool:
        """The next files, after those that are gone; False when there are none.

        In this order, and without those that went meanwhile: what is gone may have a successor of its name.
        """
        files = [] if self._full else await self._catalog.listed(self._listed, BATCH)
        gone, self._gone[:] = list(self._gone), []
        if len(gone) > MOST_GONE:
            await self._begin_anew()
            return True
        await self._withdraw([each for each in gone if each.id <= self._listed and each.md5])
        numbers = {each.id for each in gone}
        files = [each for each in files if each.id not in numbers]
        if not files:
            return bool(gone)
        await self._tell(map(share_of, files))
        self._listed = files[-1].id
        self.files += len(files)
        return True

    async def _begin_anew(self) -> None:
        self.files = self._listed = self._noted = 0
        await self._tell([UnshareAll()])

    async def _withdraw(self, gone: Sequence[Shared]) -> None:
        for at in range(0, len(gone), BATCH):
            await self._tell(Unshare(wire_name(each.name)) for each in gone[at : at + BATCH])
        self.files -= len(gone)

    async def _note(self) -> bool:
        """What else is known of them."""
        files = await self._catalog.noted(self._noted, BATCH) if self._session.greeted else []
        files = [shared for shared in files if shared.id <= self._listed]
        if not files:
            return False
        await self._tell(map(_share_note, files))
        self._noted = files[-1].id
        return True

    async def _tell(self, messages: Iterable[Message]) -> None:
        """Say it, and wait until it was heard."""
        said = [message for message in messages if fits(message)]
        parts, ends = (NoSuch,), (PingServer,)
        async with aclosing(self._session.ask([*said, PingServer()], parts, ends)) as answers:
            async for answer in answers:
                if isinstance(answer, NoSuch):
                    self._complained(answer.text)

    def _complained(self, text: str) -> None:
        self._full = self._full or _FULL.search(text) is not None
        if text not in self._complaints and len(self._complaints) < MOST_COMPLAINTS:
            self._complaints.add(text)
            log.warning("napster: %s", text)


def share_of(shared: Shared) -> Share:
    """As a server, or who wants the list, is told of it."""
    assert shared.md5 is not None
    return Share(wire_name(shared.name), shared.md5.hex(), shared.size)


def _share_note(shared: Shared) -> ShareNote:
    assert shared.sha1 is not None
    info_hash = shared.info_hash.hex() if shared.info_hash else "-"
    return ShareNote(wire_name(shared.name), shared.sha1.hex(), info_hash)
