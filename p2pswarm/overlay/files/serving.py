"""What can be had from us over HTTP: a file of the catalog, its tiger tree, its torrent, the list of all, and
the verified parts of what we are fetching ourselves.

A file is found by its SHA-1, or by number and name as our hits tell them; a request never becomes a path.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from html import escape

from p2pswarm.disk.pool import DiskPool
from p2pswarm.formats.ids import InfoHash
from p2pswarm.formats.thex import write_thex
from p2pswarm.overlay.catalog import Catalog
from p2pswarm.overlay.files.mesh import Mesh
from p2pswarm.overlay.giving import FileGift, Gift, Told
from p2pswarm.overlay.network import Part
from p2pswarm.overlay.query import Digest
from p2pswarm.overlay.tables import Shared
from p2pswarm.overlay.tools import Seed
from p2pswarm.wire.http.messages import PACKETS, THEX, Request
from p2pswarm.wire.http.targets import Browse, ByHash, ByIndex, TorrentOf, TreeOf

__all__ = ["FILE", "Given", "Hits", "Offer", "Serving"]

FILE = "application/binary"  # what servents say of every file
MOST_LISTED = 1000  # files that one sees who browses
IN_ONE_GO = 50  # of them, before others have their turn
LISTED = 30.0  # seconds for which a list is kept

Hits = Callable[[Sequence[Shared]], bytes]
"""These files as query hits, one descriptor after the other."""
Given = ByHash | ByIndex | TreeOf | TorrentOf | Browse


@dataclass(slots=True)
class Offer:
    """Something that may be had, and what the head of the answer says of it."""

    gift: Gift
    kind: str = FILE
    name: str = ""
    sha1: bytes | None = None
    root: bytes | None = None  # of its tiger tree, if that can be had
    ranges: Sequence[tuple[int, int]] | None = None  # what there is of a partial file


class _Part:
    """A partial file as a gift; only what `ranges` says may be read of it."""

    large = True

    def __init__(self, partial: Part) -> None:
        self.size = partial.size
        self._partial = partial

    async def read(self, at: int, buffer: memoryview) -> None:
        await self._partial.read(at, buffer)


class Serving:
    """`seed` makes the node serve the torrent of one of our files; until `browse` nobody browses us."""

    def __init__(self, disk: DiskPool, mesh: Mesh, *, seed: Seed) -> None:
        self._catalog: Catalog | None = None
        self._disk = disk
        self._mesh = mesh
        self._seed = seed
        self._hits: Hits | None = None
        self._lists: dict[
            bool, tuple[int, float, bytes]
        ] = {}  # by kind: version of the catalog, when
        self._listing = asyncio.Lock()

    def share(self, catalog: Catalog) -> None:
        """From now on there are files; before there are parts of what we fetch only."""
        self._catalog = catalog

    def browse(self, hits: Hits | None) -> None:
        """How all files are told of, for servents; None when nobody may see them."""
        self._hits = hits

    @property
    def browsable(self) -> bool:
        return self._hits is not None

    async def find(self, target: Given, request: Request, asker: str) -> Offer | None:
        """None when there is no such thing here.

        Raises DiskError when it cannot be read now, BusyError when this host should ask again later.
        """
        catalog = self._catalog
        if catalog is None:
            return self._partial(target.sha1) if isinstance(target, ByHash) else None
        match target:
            case ByHash(sha1=sha1):
                found = await catalog.by_digest(Digest("sha1", sha1))
                return await self._file(catalog, found[0]) if found else self._partial(sha1)
            case ByIndex(index=index, name=name):
                shared = await catalog.numbered(index)
                fits = shared is not None and name in (shared.name, shared.name.split("/")[-1])
                return await self._file(catalog, shared) if shared and fits else None
            case TreeOf(sha1=sha1, root=root):
                return await self._tree(catalog, sha1, root)
            case TorrentOf(info_hash=info_hash):
                return await self._torrent(catalog, info_hash, asker)
            case Browse():
                return await self._list(catalog, request)

    async def _file(self, catalog: Catalog, shared: Shared) -> Offer:
        gift = FileGift(await catalog.read(shared), self._disk)
        return Offer(gift, FILE, shared.name, shared.sha1, shared.tth)

    def _partial(self, sha1: bytes) -> Offer | None:
        partial = self._mesh.partial(sha1)
        if partial is None:
            return None
        return Offer(_Part(partial), FILE, "", sha1, ranges=partial.ranges())

    async def _tree(self, catalog: Catalog, sha1: bytes, root: bytes | None) -> Offer | None:
        found = await catalog.by_digest(Digest("sha1", sha1))
        tree = await catalog.tree(found[0]) if found else None
        if tree is None or root not in (None, tree.root):
            return None
        return Offer(Told(write_thex(tree)), THEX)

    async def _torrent(self, catalog: Catalog, info_hash: InfoHash, asker: str) -> Offer | None:
        found = await catalog.torrent(info_hash)
        if found is None:
            return None
        await self._seed(info_hash, asker)
        return Offer(Told(found[1].raw), "application/x-bittorrent")

    async def _list(self, catalog: Catalog, request: Request) -> Offer | None:
        """As hits for servents, as a page for people."""
        if self._hits is None:
            return None
        packets = PACKETS in request.headers.get("Accept", "").lower()
        async with self._listing:  # it costs as much as a thousand hits, and asking costs nothing
            data = await self._listed(catalog, self._hits if packets else _rows)
        return Offer(Told(data), PACKETS if packets else "text/html; charset=utf-8")

    async def _listed(self, catalog: Catalog, write: Hits) -> bytes:
        now, version = asyncio.get_running_loop().time(), catalog.version
        kept = self._lists.get(write is _rows)
        if kept is not None and kept[0] == version and now < kept[1] + LISTED:
            return kept[2]
        files = await catalog.listed(0, MOST_LISTED)
        data = b"".join([part async for part in _written(files, write)])
        if write is _rows:
            data = b"<!DOCTYPE html><title>p2pswarm</title><ul>%b</ul>\n" % data
        self._lists[write is _rows] = version, now, data
        return data


async def _written(files: Sequence[Shared], write: Hits) -> AsyncIterator[bytes]:
    for start in range(0, len(files), IN_ONE_GO):
        yield write(files[start : start + IN_ONE_GO])
        await asyncio.sleep(0)


def _rows(files: Sequence[Shared]) -> bytes:
    """For people."""
    rows = [
        f'<li><a href="{escape(str(ByIndex(file.id, file.name)))}">{escape(file.name)}</a>'
        f" {file.size}</li>"
        for file in files
    ]
    return "".join(rows).encode("utf-8", "replace")
