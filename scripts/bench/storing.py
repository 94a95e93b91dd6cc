"""What the disk's room does with a full piece: hash, write, note, on the loop and in threads.

Pieces stand in as many buffers as a download with some megabytes under way would have, so that they are as
cold as there; the file lies in the page cache and is written over and over.
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random

from p2pswarm.disk.hashing import Expected
from p2pswarm.disk.pool import DiskPool
from p2pswarm.disk.resume import ResumeFolder
from p2pswarm.disk.storage import FileStorage
from p2pswarm.formats.ids import BLOCK, InfoHash, PieceIndex
from p2pswarm.formats.metainfo import File
from scripts.bench.gauges import Gauge
from scripts.bench.programs import BenchError
from scripts.bench.talk import SIZE, Read

__all__ = ["Disk", "Pieces"]

UNDER_WAY = 16 << 20  # bytes of pieces that the disk has at a time


class Disk:
    """A file of `SIZE` bytes, the memory of its torrent, and pools with and without threads."""

    def __init__(self, folder: Path, loop: asyncio.AbstractEventLoop) -> None:
        (folder / "file").write_bytes(Random(1).randbytes(SIZE))
        self.storage = FileStorage(folder, [File(("file",), SIZE, 0)], writable=True)
        self.resume = ResumeFolder(folder).open(InfoHash(bytes(20)), folder / "file")
        self.loop = loop
        self.here, self.threads = loop.run_until_complete(self._pools())

    @classmethod
    @contextmanager
    def opened(cls, folder: Path, loop: asyncio.AbstractEventLoop) -> "Iterator[Disk]":
        disk = cls(folder, loop)
        try:
            yield disk
        finally:
            disk.loop.run_until_complete(disk.threads.aclose())
            disk.resume.close()
            disk.storage.close()

    @property
    def read(self) -> Read:
        """From the page cache, as a pool reads for an upload."""
        return partial(self.here.read, self.storage)

    async def _pools(self) -> tuple[DiskPool, DiskPool]:
        return DiskPool(threads=0), DiskPool()


class Pieces:
    """Full pieces of one size."""

    def __init__(self, disk: Disk, size: int) -> None:
        data = Random(1).randbytes(size)
        self._disk, self._size = disk, size
        self._buffers = [memoryview(bytearray(data)) for _ in range(UNDER_WAY // size)]
        self._expected = Expected(hashlib.sha1(data, usedforsecurity=False).digest())

    def hash(self, gauge: Gauge) -> None:
        self._each(gauge, lambda _, data: hashlib.sha1(data, usedforsecurity=False).digest())

    def write(self, gauge: Gauge) -> None:
        self._each(gauge, lambda number, data: self._disk.storage.write(number * self._size, data))

    def note(self, gauge: Gauge) -> None:
        """A line in the journal, once a piece."""
        self._each(gauge, lambda number, _: self._disk.resume.note(PieceIndex(number)))

    def store_here(self, gauge: Gauge) -> None:
        """All three, on the loop."""
        self._each(gauge, partial(self._store, self._disk.here, self._check))

    def store_in_threads(self, gauge: Gauge) -> None:
        """All three, with as many pieces at a time as there are buffers, until the last is done."""
        job = partial(self._disk.loop.run_until_complete, self._all())
        gauge("block", len(self._buffers) * self._size // BLOCK, job)

    def _each(self, gauge: Gauge, job: Callable[[int, memoryview], object]) -> None:
        for number, data in enumerate(self._buffers):
            gauge("block", self._size // BLOCK, partial(job, number, data))

    def _store(
        self, pool: DiskPool, done: Callable[[object], None], number: int, data: memoryview
    ) -> None:
        note = partial(self._disk.resume.note, PieceIndex(number))
        at = number * self._size
        pool.store(self._disk.storage, at, data, self._expected, done, note=note)

    async def _all(self) -> None:
        left, over = len(self._buffers), asyncio.Event()

        def done(result: object) -> None:
            nonlocal left
            self._check(result)
            left -= 1
            if not left:
                over.set()

        for number, data in enumerate(self._buffers):
            self._store(self._disk.threads, done, number, data)
        await over.wait()

    def _check(self, result: object) -> None:
        if not getattr(result, "ok", False):
            raise BenchError(f"a piece was not stored: {result}")
