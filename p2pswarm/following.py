"""A feed followed: each new release fetched into a folder of its own, `latest` points to the last whole one.

Not in place, because whoever reads the files would see half of one release and half of another, and because
the release before can go on being given, and is what unchanged files are taken from, until the next one is
whole. Folders of older releases are the user's: nothing here deletes them.
"""

import asyncio
import os
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from p2pswarm.disk.handles import disk_error
from p2pswarm.formats.ids import Address
from p2pswarm.formats.magnet import Magnet
from p2pswarm.news import News
from p2pswarm.swarm.feed_newest import Release

if TYPE_CHECKING:
    from p2pswarm.node import Node
    from p2pswarm.swarm.torrent import Torrent

__all__ = ["LATEST", "Following", "SupersededError"]

LATEST = "latest"

T = TypeVar("T")


class SupersededError(Exception):
    """A newer release came."""


class Following:
    """`next_release`, then `begin` it, then `settle` when it is whole; and again."""

    def __init__(self, node: "Node", news: News, folder: Path) -> None:
        self.news = news
        self.release: Release | None = None  # which is fetched, or was
        self._node = node
        self._folder = folder
        self._begun: list[Torrent] = []  # the last one is that of `release`

    @property
    def superseded(self) -> bool:
        """Whether there is a newer release than the one that was begun. Raises TwoStoriesError."""
        newest, begun = self.news.newest.release, self.release
        return newest is not None and (begun is None or newest.sequence > begun.sequence)

    async def next_release(self) -> Release:
        """The newest, when it is newer than the last one. Raises TwoStoriesError."""
        while not self.superseded:
            await self.news.changed()
        newest = self.news.newest.release
        assert newest is not None
        self.release = newest
        return newest

    def folder_of(self, release: Release) -> Path:
        return self._folder / str(release.sequence)

    async def begin(self, release: Release, peers: Sequence[Address] = ()) -> "Torrent":
        """Its torrent, when peers have told what it is; the release before is given until then.

        Raises what `Node.add` does.
        """
        entry = release.entry
        magnet = Magnet(
            release.info_hash if entry is None else entry.info_hash,
            v2=entry.v2 if entry else None,
            name=entry.name if entry else "",
            peers=(*self.news.link.peers, *self.news.neighbours),
        )
        folder, here = self.folder_of(release), self._node.torrents.get(release.info_hash)
        if here is not None:  # published before, and again: into its own folder all the same
            await self._node.remove(here)
        torrent = await self._node.add(
            magnet, save_to=folder, peers=peers, reuse=self._before(folder)
        )
        self._begun.append(torrent)
        while len(self._begun) > 1:
            await self._node.remove(self._begun[0])  # which may be cut short by a newer release
            self._begun.pop(0)
        return torrent

    def _before(self, folder: Path) -> list[Path]:
        """Where unchanged files are: the last release that was whole, and one that was left half-way."""
        begun = [each.path.parent for each in self._begun]
        before = [self.latest, *begun] if self.latest is not None else begun
        return [each for each in dict.fromkeys(before) if each != folder]

    def settle(self, release: Release) -> None:
        """It is whole. Raises DiskError."""
        link = self._folder / LATEST
        new = self._folder / f".{LATEST}.{os.getpid()}"
        try:
            new.unlink(missing_ok=True)
            new.symlink_to(str(release.sequence))
            new.replace(link)
        except OSError as error:
            raise disk_error("replace", link, error) from error

    @property
    def latest(self) -> Path | None:
        """The folder of the last release that was whole."""
        try:
            number = str((self._folder / LATEST).readlink())
        except OSError:
            return None
        return self._folder / number if number.isascii() and number.isdigit() else None

    async def unless_superseded(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`; raises SupersededError, with `work` cancelled, when a newer release comes."""
        working = asyncio.ensure_future(work)
        newer = asyncio.ensure_future(self._newer())
        try:
            await asyncio.wait({working, newer}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                newer.result()
                raise SupersededError
            return working.result()
        finally:
            for task in (working, newer):
                task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(working, newer, return_exceptions=True)

    async def _newer(self) -> None:
        while not self.superseded:
            await self.news.changed()
