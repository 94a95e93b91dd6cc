"""A storage without a disk, for tests and simulations."""

import os
from collections.abc import Callable, Iterable, Sequence, Set
from pathlib import Path

from p2pswarm.disk.copying import Way
from p2pswarm.disk.storage import NO_FILES, FileStat, Parts
from p2pswarm.formats.metainfo import File

__all__ = ["MemoryStorage"]


class MemoryStorage:
    """Files in memory; one file of `total` bytes unless told `lengths`."""

    nowait = True
    parts = None

    def __init__(self, total: int, lengths: Sequence[int] = ()) -> None:
        self._data = bytearray(total)
        self._lengths = lengths or [total]
        self._mtime = 0

    def prepare(self) -> None:
        """Nothing to create."""

    def write(self, offset: int, data: memoryview | bytearray | bytes) -> None:
        self._check(offset, len(data))
        self._data[offset : offset + len(data)] = data
        self._mtime += 1

    def take(self, offset: int, length: int, source: int, at: int) -> Way:
        self.write(offset, os.pread(source, length, at))
        return Way.COPIED

    def read(self, offset: int, length: int) -> bytes:
        self._check(offset, length)
        return bytes(self._data[offset : offset + length])

    def read_into(self, offset: int, into: Sequence[memoryview], *, wait: bool = True) -> bool:
        for part in into:
            part[:] = self.read(offset, len(part))
            offset += len(part)
        return True

    def stats(self) -> list[FileStat | None]:
        return [FileStat(length, self._mtime) for length in self._lengths]

    def watch(self, looks: Sequence[FileStat | None]) -> None:
        """Nobody else can write here."""

    def forget(self, files: Iterable[int]) -> None:
        """Nothing is open."""

    def empty(self) -> None:
        self._data = bytearray(len(self._data))
        self._mtime += 1

    def skip(self, files: Set[int], parts: Parts, *, but: Set[int] = NO_FILES) -> None:
        """What is unwanted costs nothing here."""

    def want(self, skipped: Set[int]) -> None:
        """Nothing is aside."""

    def preallocate(self) -> None:
        """It has its room."""

    def relocate(self, root: Path) -> None:
        """It lies nowhere."""

    def rename(self, number: int, file: File, act: Callable[[], None]) -> None:
        act()

    def link(self) -> None:
        """There is nothing to be linked."""

    def sync(self) -> None:
        """Memory is as safe as it gets."""

    def close(self) -> None:
        """Nothing is open."""

    def _check(self, offset: int, length: int) -> None:
        if offset < 0 or length < 0 or offset + length > len(self._data):
            raise ValueError(f"bytes {offset} to {offset + length} of {len(self._data)}")
