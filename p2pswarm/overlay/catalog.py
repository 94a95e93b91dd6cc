"""What we share: the folders a user named, as files that the world may find, ask for and get.

The index lies on the disk and answers from the first moment on with what it knew last time, while a scan
finds out what is new, gone or changed (another size or time). Hashes come later, in the background, and are
kept. Nothing but a public name ever leaves: where a file lies stays here, and only a file that still is what
was indexed is opened.

The one hard thing: SQLite blocks and is damaged at any time. So every question is a job for the one thread of
the `index` pool, and a damaged file is replaced and filled again while the questions go on.
"""

import asyncio
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from p2pswarm.disk.database import DamagedError
from p2pswarm.disk.handles import disk_error
from p2pswarm.disk.pool import DiskPool
from p2pswarm.disk.reading import Reading
from p2pswarm.errors import DiskError, HostError
from p2pswarm.formats.ids import InfoHash
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.formats.thex import TigerTree
from p2pswarm.overlay.hashes import Hashes
from p2pswarm.overlay.indexing import Indexing
from p2pswarm.overlay.lookup import Lookup
from p2pswarm.overlay.query import Digest, Query
from p2pswarm.overlay.shelf import Shelf
from p2pswarm.overlay.tables import Place, Root, Shared, database, public_name

__all__ = ["Catalog"]

T = TypeVar("T")
Gone = Callable[[Sequence[Shared]], None]


class Catalog:
    """`await Catalog.open(...)`, `run()` in a task of the owner's, `aclose()` after that was cancelled.

    `disk` is the node's pool; `index` has one thread, or none, and works for the database alone.
    """

    def __init__(
        self, path: Path, roots: Sequence[Root], *, disk: DiskPool, index: DiskPool
    ) -> None:
        self.version = 0
        """Grows whenever `listed` or `noted` may have more to say, or something is gone."""
        self._disk = disk
        self._index = index
        db = database(path)
        self._shelf = Shelf(db, roots)
        self._lookup = Lookup(db)
        self._hashes = Hashes(db)
        self.indexing = Indexing(roots, self._shelf, self._hashes, disk, self)
        self._resets = 0
        self._watchers: list[Gone] = []
        self._bell = asyncio.Event()

    @classmethod
    async def open(
        cls, path: Path, folders: Sequence[Path], *, disk: DiskPool, index: DiskPool
    ) -> Self:
        """With the database at `path`. Ready for questions, with the answers of last time.

        Raises DiskError for a folder that cannot be read, HostError for what cannot be shared, InUseError.
        """
        catalog = cls(path, await disk.run(_roots, folders), disk=disk, index=index)
        await index.run(catalog._shelf.open)
        return catalog

    async def run(self) -> None:
        """Keep the index true and hash what is new, until cancelled."""
        await self.indexing.run()

    async def aclose(self) -> None:
        """May be called twice."""
        await self._index.run(self._shelf.close)

    def rescan(self) -> None:
        """Look at the folders now, and not only every ten minutes."""
        self.indexing.rescan()

    async def settled(self) -> None:
        """Until nothing is left to scan or to hash."""
        await self.indexing.settled.wait()

    @property
    def files(self) -> int:
        return self._shelf.files

    @property
    def bytes(self) -> int:
        return self._shelf.bytes

    # Questions

    async def search(self, query: Query) -> list[Shared]:
        """At most `query.limit` files that fit."""
        return await self.ask(self._lookup.search, query)

    async def named(self, name: str) -> Shared | None:
        """The file with exactly this public name; nothing else is a request for it."""
        return await self.ask(self._lookup.named, name)

    async def numbered(self, number: int) -> Shared | None:
        """The file with this `id`."""
        return await self.ask(self._lookup.numbered, number)

    async def by_digest(self, digest: Digest, limit: int = 1) -> list[Shared]:
        return await self.ask(self._lookup.by_digest, digest, limit)

    async def torrent(self, info_hash: InfoHash) -> tuple[Shared, Metainfo] | None:
        """One of our files, and the torrent of it."""
        return await self.ask(self._hashes.torrent, info_hash)

    async def tree(self, shared: Shared) -> TigerTree | None:
        """The tiger tree of one of our files; None when there is none (yet)."""
        return await self.ask(self._hashes.tree, shared)

    # For whoever announces our files

    async def listed(self, after: int, most: int) -> list[Shared]:
        """Files that may be announced, in the order of their numbers."""
        return await self.ask(self._lookup.listed, after, most)

    async def noted(self, after: int, most: int) -> list[Shared]:
        """Likewise those with every hash."""
        return await self.ask(self._lookup.noted, after, most)

    async def newer_than(self, version: int) -> None:
        """Until there may be more, or less, than there was at this version."""
        while self.version == version:
            await self._bell.wait()

    def watch(self, gone: Gone) -> Callable[[], None]:
        """`gone` hears which files are shared no more; what is returned ends that."""
        self._watchers.append(gone)
        return lambda: self._watchers.remove(gone)

    # Files

    async def read(self, shared: Shared) -> Reading:
        """Open it. Raises DiskError, also when it is not what was indexed."""
        place = await self._place(shared)
        return await self._disk.run(Reading, *place, shared.size, shared.changed)

    async def path(self, shared: Shared) -> Path:
        """Where it lies, for our own eyes. Raises DiskError."""
        root, path = await self._place(shared)
        return root.joinpath(*path)

    async def _place(self, shared: Shared) -> Place:
        place = await self.ask(self._lookup.place, shared)
        if place is None:
            raise DiskError(f"{shared.name} is not shared any more")
        return place

    # For the indexing

    async def ask(self, job: Callable[..., T], *args: Any) -> T:
        """A job for the database's thread; a damaged database is made anew, and filled by a scan."""
        resets = self._resets
        try:
            return await self._index.run(job, *args)
        except DamagedError:
            if resets == self._resets:  # else another question found out first
                self._resets += 1
                await self._index.run(self._shelf.reset)
                self.rescan()
            return await self._index.run(job, *args)

    def gone(self, files: Sequence[Shared]) -> None:
        if files:
            for watcher in list(self._watchers):
                watcher(files)
            self.more()

    def more(self) -> None:
        self.version += 1
        bell, self._bell = self._bell, asyncio.Event()
        bell.set()


def _roots(folders: Sequence[Path]) -> list[Root]:
    """Raises DiskError, HostError."""
    roots: list[Root] = []
    for folder in folders:
        try:
            mode = folder.stat().st_mode
            path = folder.resolve()
        except OSError as error:
            raise disk_error("read", folder, error) from error
        if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
            raise HostError(f"{folder} is neither a file nor a folder")
        roots.append(_root(path, not stat.S_ISDIR(mode), {root.name for root in roots}))
    return roots


def _root(path: Path, alone: bool, taken: set[str]) -> Root:
    """Two folders of one name are told apart by a number."""
    name = first = "" if alone else public_name(path.name) or "files"
    number = 1
    while name in taken:
        number += 1
        name = f"{first} ({number})".lstrip()
    return Root(path, name, alone)
