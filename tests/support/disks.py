"""Disks that misbehave: slow, full, failing, lying, and one that forgets what was not synced.

All but the last wrap another storage, so they can be stacked. They are told when to misbehave by what
they are given (an event, a number of bytes, dice), so that nothing here waits for a clock.
"""

import errno
from collections.abc import Callable, Iterable, Sequence, Set
from pathlib import Path
from random import Random

from typing_extensions import override

from p2pswarm.disk.copying import Way
from p2pswarm.disk.layout import Layout
from p2pswarm.disk.parts import PartFile
from p2pswarm.disk.storage import NO_FILES, FileStat, Parts, Storage
from p2pswarm.errors import DiskError, DiskFullError

__all__ = [
    "FailingStorage",
    "ForgetfulStorage",
    "FullStorage",
    "LyingStorage",
    "SlowStorage",
    "WrappedStorage",
]


class WrappedStorage:
    """Everything as the inner storage does it."""

    def __init__(self, inner: Storage) -> None:
        self.inner = inner

    @property
    def nowait(self) -> bool:
        return self.inner.nowait

    def prepare(self) -> None:
        self.inner.prepare()

    def write(self, offset: int, data: memoryview | bytearray | bytes) -> None:
        self.inner.write(offset, data)

    def take(self, offset: int, length: int, source: int, at: int) -> Way:
        return self.inner.take(offset, length, source, at)

    def read(self, offset: int, length: int) -> bytes:
        data = bytearray(length)
        self.read_into(offset, [memoryview(data)])
        return bytes(data)

    def read_into(self, offset: int, into: Sequence[memoryview], *, wait: bool = True) -> bool:
        return self.inner.read_into(offset, into, wait=wait)

    def stats(self) -> list[FileStat | None]:
        return self.inner.stats()

    def watch(self, looks: Sequence[FileStat | None]) -> None:
        self.inner.watch(looks)

    def forget(self, files: Iterable[int]) -> None:
        self.inner.forget(files)

    def empty(self) -> None:
        self.inner.empty()

    @property
    def parts(self) -> PartFile | None:
        return self.inner.parts

    def skip(self, files: Set[int], parts: Parts, *, but: Set[int] = NO_FILES) -> None:
        self.inner.skip(files, parts, but=but)

    def want(self, skipped: Set[int]) -> None:
        self.inner.want(skipped)

    def link(self) -> None:
        self.inner.link()

    def sync(self) -> None:
        self.inner.sync()

    def preallocate(self) -> None:
        self.inner.preallocate()

    def relocate(self, root: Path) -> None:
        self.inner.relocate(root)

    def close(self) -> None:
        self.inner.close()


class SlowStorage(WrappedStorage):
    """Calls `wait` before every read and write: an event's `wait`, or a test clock's `advance`.

    With `cold`, nothing is in the page cache and no read can be done without waiting.
    """

    def __init__(self, inner: Storage, wait: Callable[[], object], *, cold: bool = False) -> None:
        super().__init__(inner)
        self.wait = wait
        self.cold = cold

    @override
    def write(self, offset: int, data: memoryview | bytearray | bytes) -> None:
        self.wait()
        self.inner.write(offset, data)

    @override
    def read_into(self, offset: int, into: Sequence[memoryview], *, wait: bool = True) -> bool:
        if not wait:
            return not self.cold and self.inner.read_into(offset, into, wait=False)
        self.wait()
        return self.inner.read_into(offset, into)


class FullStorage(WrappedStorage):
    """Takes `room` bytes, then says that the disk is full until `room` is raised."""

    def __init__(self, inner: Storage, room: int) -> None:
        super().__init__(inner)
        self.room = room

    @override
    def write(self, offset: int, data: memoryview | bytearray | bytes) -> None:
        if len(data) > self.room:
            self.inner.write(offset, memoryview(data)[: self.room])  # a full disk takes a part
            self.room = 0
            raise DiskFullError("cannot write file: No space left on device", errno.ENOSPC)
        self.inner.write(offset, data)
        self.room -= len(data)


class FailingStorage(WrappedStorage):
    """Fails with EIO: writes and reads with these chances, a sync while `sync_fails`."""

    def __init__(
        self, inner: Storage, dice: Random, *, writes: float = 0.0, reads: float = 0.0
    ) -> None:
        super().__init__(inner)
        self.dice = dice
        self.writes = writes
        self.reads = reads
        self.sync_fails = False

    @override
    def write(self, offset: int, data: memoryview | bytearray | bytes) -> None:
        if self.dice.random() < self.writes:
            self.inner.write(offset, memoryview(data)[: self.dice.randrange(len(data))])
            raise DiskError("cannot write file: Input/output error", errno.EIO)
        self.inner.write(offset, data)

    @override
    def read_into(self, offset: int, into: Sequence[memoryview], *, wait: bool = True) -> bool:
        if self.dice.random() < self.reads:
            raise DiskError("cannot read file: Input/output error", errno.EIO)
        return self.inner.read_into(offset, into, wait=wait)

    @override
    def sync(self) -> None:
        if self.sync_fails:
            raise DiskError("cannot sync file: Input/output error", errno.EIO)
        self.inner.sync()


class LyingStorage(WrappedStorage):
    """Gives back other bytes than were written, wherever a range in `lies` is touched."""

    def __init__(self, inner: Storage, lies: Sequence[range] = ()) -> None:
        super().__init__(inner)
        self.lies = list(lies)

    @override
    def read_into(self, offset: int, into: Sequence[memoryview], *, wait: bool = True) -> bool:
        if not self.inner.read_into(offset, into, wait=wait):
            return False
        for part in into:
            for lie in self.lies:
                for at in range(max(lie.start, offset), min(lie.stop, offset + len(part))):
                    part[at - offset] ^= 0xFF
            offset += len(part)
        return True


class ForgetfulStorage:
    """Files as a disk and a page cache above it; `power_cut` drops what was not synced.

    `clock` gives nanoseconds for the files' mtime. `step` is called inside every act that a crash could
    cut in two. With `lose_next_sync`, one sync fails as real ones do: the data stays in the page cache for
    a while, but it counts as clean and will never reach the disk.
    """

    nowait = True
    parts = None

    def __init__(
        self,
        lengths: Sequence[int],
        clock: Callable[[], int],
        step: Callable[[], None] = lambda: None,
    ) -> None:
        self._layout = Layout(lengths)
        self._lengths = lengths
        self._clock = clock
        self._step = step
        self.cache = [bytearray(length) for length in lengths]
        self.disk = [bytearray(length) for length in lengths]
        self.mtimes: list[int | None] = [None] * len(lengths)
        self._disk_mtimes: list[int | None] = [None] * len(lengths)
        self._dirty: dict[int, set[tuple[int, int]]] = {}
        self.lose_next_sync = False

    def prepare(self) -> None:
        """Nothing to create."""

    def write(self, offset: int, data: memoryview | bytearray | bytes) -> None:
        view = memoryview(data)
        for file, start, length in self._layout.spans(offset, len(view)):
            self.mtimes[file] = self._clock()
            half = length // 2
            for begin, end in ((0, half), (half, length)):
                self.cache[file][start + begin : start + end] = view[begin:end]
                self._dirty.setdefault(file, set()).add((start + begin, start + end))
                self._step()
            view = view[length:]

    def read(self, offset: int, length: int) -> bytes:
        spans = self._layout.spans(offset, length)
        return b"".join(self.cache[file][at : at + n] for file, at, n in spans)

    def read_into(self, offset: int, into: Sequence[memoryview], *, wait: bool = True) -> bool:
        for part in into:
            part[:] = self.read(offset, len(part))
            offset += len(part)
        return True

    def stats(self) -> list[FileStat | None]:
        self._step()
        return [
            None if mtime is None else FileStat(length, mtime)
            for length, mtime in zip(self._lengths, self.mtimes, strict=True)
        ]

    def sync(self) -> None:
        if self.lose_next_sync:
            self.lose_next_sync = False
            self._dirty.clear()
            raise DiskError("cannot sync file: Input/output error", errno.EIO)
        for file in sorted(self._dirty):
            self._step()
            for begin, end in self._dirty.pop(file):
                self.disk[file][begin:end] = self.cache[file][begin:end]
            self._disk_mtimes[file] = self.mtimes[file]

    def copy(self) -> "ForgetfulStorage":
        """The same state at this instant, which nothing disturbs any more."""
        other = ForgetfulStorage(self._lengths, self._clock)
        other.cache = [bytearray(data) for data in self.cache]
        other.disk = [bytearray(data) for data in self.disk]
        other.mtimes = list(self.mtimes)
        other._disk_mtimes = list(self._disk_mtimes)
        other._dirty = {file: set(ranges) for file, ranges in self._dirty.items()}
        return other

    def drop_clean(self) -> None:
        """Memory is short: what counts as clean is read from the disk again."""
        for file, data in enumerate(self.disk):
            fresh = bytearray(data)
            for begin, end in self._dirty.get(file, ()):
                fresh[begin:end] = self.cache[file][begin:end]
            self.cache[file] = fresh

    def tamper(self, file: int, at: int) -> None:
        """Another program changes a byte, a minute later; it reaches the disk."""
        self.cache[file][at] ^= 0xFF
        self.disk[file][at] = self.cache[file][at]
        self.mtimes[file] = self._disk_mtimes[file] = self._clock() + 60 * 10**9

    def watch(self, looks: Sequence[FileStat | None]) -> None:
        """Nobody else can write here."""

    def skip(self, files: Set[int], parts: Parts, *, but: Set[int] = NO_FILES) -> None:
        """Nothing is unwanted."""

    def want(self, skipped: Set[int]) -> None:
        """Nothing is unwanted."""

    def link(self) -> None:
        """There is nothing to be linked."""

    def forget(self, files: Iterable[int]) -> None:
        """Nothing is open."""

    def power_cut(self, dice: Random) -> None:
        """What was not synced is gone, except the parts and the times that the disk happened to get."""
        for file, ranges in self._dirty.items():
            for begin, end in sorted(ranges):
                if dice.random() < 0.5:
                    self.disk[file][begin:end] = self.cache[file][begin:end]
            if dice.random() < 0.5:
                self._disk_mtimes[file] = self.mtimes[file]
        self._dirty.clear()
        self.cache = [bytearray(data) for data in self.disk]
        self.mtimes = list(self._disk_mtimes)

    def close(self) -> None:
        """Nothing is open."""
