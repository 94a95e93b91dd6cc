"""News of one feed: its swarm and the item of the DHT, looked at again and again, and kept in a file.

Followers and the publisher have the same; the publisher adds to it. Whoever has an item puts it again every
hour (BEP 46 asks subscribers to), so that it stays while its publisher is away.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from p2pswarm.disk.feeds import FeedFile
from p2pswarm.errors import DiskError, FormatError
from p2pswarm.formats.feed import Entry, FeedName
from p2pswarm.formats.feed_link import FeedLink
from p2pswarm.formats.feed_log import Log
from p2pswarm.formats.ids import Address
from p2pswarm.swarm.feed_newest import Complaint, Newest

if TYPE_CHECKING:
    from p2pswarm.discovery.dht.items import Item, MutableItem
    from p2pswarm.node import Node
    from p2pswarm.swarm.feed import FeedSwarm

__all__ = ["News"]

log = logging.getLogger(__name__)

LOOK_EVERY = 300.0  # seconds between looks into the DHT; the swarm tells at once
PUT_EVERY = 3600.0  # seconds; an item stays for two hours
TRY_AGAIN = 10.0  # seconds, after nobody took it
WATCH_EVERY = 5.0  # seconds between looks for what does not fit


class News:
    """`async with News(...) as news`: the file is read, and kept true, until the end.

    `told` hears each complaint once; `peers` are those that the user named beside the link. With `strict` a
    file that cannot be read is an error, not a reason to begin anew, and nobody else may be strict about it
    meanwhile: a publisher must not forget what it signed.
    """

    def __init__(
        self,
        node: "Node",
        link: FeedLink,
        file: FeedFile,
        told: Callable[[Complaint], None],
        *,
        peers: Sequence[Address] = (),
        strict: bool = False,
    ) -> None:
        self.link = link
        self.looked = asyncio.Event()
        """Whether the DHT was asked once, or is not to be asked."""
        self._node, self._file, self._told = node, file, told
        self._peers, self._strict = peers, strict
        self._clock = asyncio.get_running_loop().time
        self._bell, self._hurry, self._dirty = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._writing = asyncio.Lock()
        self._put_at: float | None = None
        self._put_number = 0
        self._lock: int | None = None

    async def __aenter__(self) -> Self:
        """Raises DiskError, HostError; FormatError when `strict`."""
        if self._strict:
            self._lock = await self._node.feeds.disk.run(self._file.lock)
        try:
            return await self._open()
        except BaseException:
            self._unlock()
            raise

    async def _open(self) -> Self:
        self.newest = await self._read()
        self._swarm: FeedSwarm = self._node.feeds.open(
            self.newest.log, self._changed, self._peers, self.link.peers
        )
        self._work = asyncio.create_task(self._live())
        return self

    async def __aexit__(self, *error: object) -> None:
        self._work.cancel()
        with suppress(asyncio.CancelledError):
            await self._work
        try:
            if self._dirty.is_set():
                await self._save()
            await self._node.feeds.close(self._swarm)
        finally:
            self._unlock()

    def _unlock(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    @property
    def feed(self) -> FeedName:
        return self.link.feed

    @property
    def log(self) -> Log:
        return self.newest.log

    @property
    def followers(self) -> int:
        """How many peers we are connected to that know of this feed."""
        return self._swarm.sync.knows

    @property
    def neighbours(self) -> tuple[Address, ...]:
        """Where they are: who follows a feed has its releases, as a rule."""
        return tuple(self._swarm.neighbours())

    async def changed(self) -> None:
        """Until there is something new."""
        await self._bell.wait()

    async def _read(self) -> Newest:
        data = await self._node.feeds.disk.run(self._file.read)
        try:
            if data is not None:
                return await self._node.feeds.disk.run(Newest.decode, self.feed, data)
        except FormatError as error:
            if self._strict:
                raise FormatError(f"{self._file.path}: {error}") from error
            log.warning("%s is of no use: %s", self._file.path, error)
        return Newest(Log(self.feed))

    def _changed(self) -> None:
        self._dirty.set()
        self._bell.set()
        self._bell = asyncio.Event()

    async def add(self, entry: Entry, item: "MutableItem") -> None:
        """A release of our own: kept first, told then. Raises FormatError, DiskError."""
        ahead = Newest.decode(self.feed, self.newest.encode())
        ahead.put(entry, item)
        await self._write(ahead)  # not of `newest`, whose last entry any follower is shown
        self.newest.put(entry, item)
        self._swarm.tell()
        self._changed()
        self._hurry.set()

    # What goes on all the time

    async def _live(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._save_when_dirty())
            tasks.create_task(self._watch())
            if self._node.dht is not None:
                tasks.create_task(self._look_again())
            else:
                self.looked.set()

    async def _save_when_dirty(self) -> None:
        while True:
            await self._dirty.wait()
            await self._save()

    async def _save(self) -> None:
        self._dirty.clear()
        try:
            await self._write(self.newest)
        except DiskError as error:
            log.warning("what is known of the feed is not kept: %s", error)

    async def _write(self, newest: Newest) -> None:
        async with self._writing:
            await self._node.feeds.disk.run(self._file.write, newest.encode())

    async def _watch(self) -> None:
        while True:
            for complaint in self.newest.complaints(self._clock()):
                self._told(complaint)
            await asyncio.sleep(WATCH_EVERY)

    async def _look_again(self) -> None:
        while True:
            await self._look()
            took = await self._put_again()
            self.looked.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY if took else TRY_AGAIN):
                    await self._hurry.wait()
            self._hurry.clear()

    async def _look(self) -> None:
        from p2pswarm.discovery.dht.items import MutableItem, target_of
        from p2pswarm.discovery.dht.publishing import get

        dht = self._node.dht
        assert dht is not None
        item = await get(dht, target_of(*self.feed), self.feed.salt)
        if isinstance(item, MutableItem):
            self._heard(item)

    def _heard(self, item: "MutableItem") -> None:
        try:
            if self.newest.heard(item):
                self._changed()
        except FormatError as error:
            log.warning("%s", error)

    async def _put_again(self) -> bool:
        """When it is time; False when nobody took it."""
        from p2pswarm.discovery.dht.items import MutableItem, target_of
        from p2pswarm.discovery.dht.publishing import put

        dht, item = self._node.dht, self.newest.item
        if dht is None or item is None or not self._is_due(item):
            return True

        def newer(there: "Item | None") -> "Item":
            newest = isinstance(there, MutableItem) and there.sequence > item.sequence
            return there if newest and there is not None else item

        there, took = await put(dht, target_of(*self.feed), newer, self.feed.salt)
        if isinstance(there, MutableItem):
            self._heard(there)
        if took:
            self._put_at, self._put_number = self._clock(), item.sequence
        return took > 0

    def _is_due(self, item: "MutableItem") -> bool:
        is_new = item.sequence > self._put_number
        return is_new or self._put_at is None or self._clock() - self._put_at >= PUT_EVERY
