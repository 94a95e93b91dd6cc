"""What a Napster client gives: a file of the catalog, or, between two p2pswarms, the torrent of one.

The bytes go out as fast as the other side takes them and the node's upload limit lets them; a file that
somebody changes is not sent on.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from p2pswarm.disk.pool import DiskPool
from p2pswarm.disk.reading import Reading
from p2pswarm.formats.ids import BLOCK, InfoHash
from p2pswarm.net.rate import Limiter
from p2pswarm.overlay.catalog import Catalog
from p2pswarm.overlay.napster.results import local_name
from p2pswarm.overlay.napster.talk import Talk
from p2pswarm.wire.napster import is_torrent_name

__all__ = ["Gift", "Giving", "Seed", "Told"]

RUN = 256 << 10  # bytes read and sent at a time; a minute for each, or the other side is too slow


Seed = Callable[[InfoHash, str], Awaitable[None]]
"""Raises BusyError when that is too much at the moment for this nick or for all, DiskError, HostError."""


class Gift(Protocol):
    """Something with bytes."""

    size: int
    large: bool  # it needs a place among the uploads

    async def read(self, at: int, buffer: memoryview) -> None:
        """Fill the buffer. Raises DiskError."""


class _File:
    large = True

    def __init__(self, reading: Reading, disk: DiskPool) -> None:
        self.size = reading.size
        self._reading = reading
        self._disk = disk

    async def read(self, at: int, buffer: memoryview) -> None:
        await self._disk.run(self._read, at, buffer)

    def _read(self, at: int, buffer: memoryview) -> None:
        self._reading.read_into(at, buffer)
        self._reading.check()


class Told:
    """Bytes that are in memory."""

    large = False

    def __init__(self, data: bytes) -> None:
        self.size = len(data)
        self._data = data

    async def read(self, at: int, buffer: memoryview) -> None:
        buffer[:] = self._data[at : at + len(buffer)]


class Giving:
    """`seed` makes the node serve the torrent of one of our files: the nick is about to ask for it."""

    def __init__(
        self,
        catalog: Catalog,
        disk: DiskPool,
        up: Limiter,
        seed: Seed,
    ) -> None:
        self._catalog = catalog
        self._disk = disk
        self._up = up
        self._seed = seed

    async def find(self, name: str, asker: str) -> Gift | None:
        """By the exact name that the network has for it.

        Raises DiskError when it cannot be read now, BusyError when this nick should ask again later.
        """
        if is_torrent_name(name):
            return await self._torrent(InfoHash(bytes.fromhex(name.split(":")[2][:40])), asker)
        shared = await self._catalog.named(local_name(name))
        return None if shared is None else _File(await self._catalog.read(shared), self._disk)

    async def _torrent(self, info_hash: InfoHash, asker: str) -> Gift | None:
        found = await self._catalog.torrent(info_hash)
        if found is None:
            return None
        await self._seed(info_hash, asker.lower())
        return Told(found[1].raw)

    async def give(self, talk: Talk, gift: Gift, offset: int) -> int:
        """Send it from there on, and wait until it was taken. Raises NetworkError, DiskError."""
        buffer = memoryview(bytearray(min(RUN, gift.size - offset)))
        at = offset
        while at < gift.size:
            part = buffer[: await self._granted(min(len(buffer), gift.size - at))]
            await gift.read(at, part)
            if not talk.send(part):
                await talk.sent()  # before that the buffer is not ours
            at += len(part)
        await talk.hung_up()
        return at - offset

    async def _granted(self, want: int) -> int:
        """So many bytes may be sent now."""
        turn = asyncio.Event()
        try:
            while not (granted := self._up.take(want, min(want, BLOCK), turn.set)):
                await turn.wait()
                turn.clear()
        finally:
            self._up.forget(turn.set)
        return granted
