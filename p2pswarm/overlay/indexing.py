"""The catalog's work in the background: scan the folders, then hash what is new.

Everybody else's world goes on meanwhile: walks and hashes take the disk's threads for milliseconds at a time,
one job at a time, and a scan that is due comes before the next file is hashed.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from p2pswarm.disk.digests import Digesting, Digests, napster_md5
from p2pswarm.disk.pool import DiskPool
from p2pswarm.disk.reading import Reading
from p2pswarm.disk.walk import Walk
from p2pswarm.errors import DiskError
from p2pswarm.overlay.hashes import Hashes
from p2pswarm.overlay.shelf import Shelf
from p2pswarm.overlay.tables import Place, Root, Shared

__all__ = ["Indexing", "Owner"]

log = logging.getLogger(__name__)

T = TypeVar("T")

RESCAN_EVERY = 600.0  # seconds between looks at the folders
STEP = 1000  # files between two turns of the threads
MD5_STEP = 16  # files, 300 KB of each
HASH_STEP = 16 << 20  # bytes


class Owner(Protocol):
    """What the catalog does for its worker."""

    async def ask(self, job: Callable[..., T], *args: Any) -> T: ...
    def gone(self, files: Sequence[Shared]) -> None: ...
    def more(self) -> None: ...


class Indexing:
    """`run` in a task. `settled` is set while nothing is left to scan or to hash."""

    def __init__(
        self, roots: Sequence[Root], shelf: Shelf, hashes: Hashes, disk: DiskPool, owner: Owner
    ) -> None:
        self._roots = roots
        self._shelf = shelf
        self._hashes = hashes
        self._disk = disk
        self._owner = owner
        self._due = asyncio.Event()
        self._due.set()
        self.settled = asyncio.Event()

    def rescan(self) -> None:
        """Look at the folders now."""
        self._due.set()
        self.settled.clear()

    async def run(self) -> None:
        """Keep the index true, until cancelled."""
        while True:
            try:
                while await self.step():
                    pass
            except DiskError as error:  # what is known already goes on being shared
                log.warning("the catalog is not kept up to date: %s", error)
            self.settled.set()
            await self._pause()
            self.settled.clear()

    async def _pause(self) -> None:
        timer = asyncio.get_running_loop().call_later(RESCAN_EVERY, self._due.set)
        try:
            await self._due.wait()
        finally:
            timer.cancel()

    async def step(self) -> bool:
        """The next thing to do; False when there is none."""
        if self._due.is_set():
            self._due.clear()
            await self.scan()
            return True
        return await self.find_md5s() or await self.digest_one()

    async def scan(self) -> None:
        ask = self._owner.ask
        await ask(self._shelf.begin_scan)
        seen_all = True
        for root in self._roots:
            seen_all &= await self._scan_one(root)
        if not seen_all:  # a disk that is not there now may be back next time, with all its hashes
            return
        after: int | None = 0
        while after is not None:
            after, gone = await ask(self._shelf.sweep, after, STEP)
            self._owner.gone(gone)

    async def _scan_one(self, root: Root) -> bool:
        walk = Walk(root.path)
        try:
            while seen := await self._disk.run(walk.step, STEP):
                self._owner.gone(await self._owner.ask(self._shelf.put, root, seen))
        except DiskError as error:
            log.warning("not looked at: %s", error)
            return False
        return True

    async def find_md5s(self) -> bool:
        files = await self._owner.ask(self._hashes.without_md5, MD5_STEP)
        if not files:
            return False
        found = await self._disk.run(_md5s, files)
        await self._owner.ask(self._hashes.put_md5, found)
        self._owner.more()
        return True

    async def digest_one(self) -> bool:
        for shared, place in await self._owner.ask(self._hashes.undigested):
            try:
                digests = await self._digests(shared, place)
            except DiskError as error:
                log.info("not hashed: %s", error)
                await self._owner.ask(self._hashes.give_up, shared)
            else:
                await self._owner.ask(self._hashes.put_digests, shared, digests)
            self._owner.more()
            return True
        return False

    async def _digests(self, shared: Shared, place: Place) -> Digests:
        """Raises DiskError."""
        hashing = Digesting(await self._disk.run(_open, shared, place))
        while (digests := await self._disk.run(hashing.step, HASH_STEP)) is None:
            pass
        return digests


def _open(shared: Shared, place: Place) -> Reading:
    return Reading(*place, shared.size, shared.changed)


def _md5s(files: Sequence[tuple[Shared, Place]]) -> list[tuple[Shared, bytes | None]]:
    """For a disk thread."""
    return [(shared, _md5(shared, place)) for shared, place in files]


def _md5(shared: Shared, place: Place) -> bytes | None:
    try:
        return napster_md5(_open(shared, place))
    except DiskError as error:
        log.info("not announced: %s", error)
        return None
