"""Where disk jobs run: one hop or none. The fourth of the fast rooms.

A thread hop costs little for a piece and much for a block; on few cores, hashing and writing a small piece
right on the loop is fastest, as long as the disk keeps up. `Pace` decides that for each storage, so one
slow disk never stops the loop and never slows the torrents on another one. Reads first ask the page cache.

The hot verbs, `store` and `read`, take a callback, and a job that runs on the loop calls it before the verb
returns: a caller is ready for that. The buffer belongs to the pool from the call until the callback.
With `threads=0` everything runs at once where it is called, which is what simulations want.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from hashlib import sha1
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

from p2pswarm.disk.begun import Begun
from p2pswarm.disk.check import Check
from p2pswarm.disk.hashing import TELL_EVERY, Expected
from p2pswarm.disk.pace import Pace, Watch
from p2pswarm.disk.storage import Storage
from p2pswarm.disk.workers import Job, Workers, attempt
from p2pswarm.errors import DiskError
from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.ids import BLOCK, PieceIndex

if TYPE_CHECKING:
    from p2pswarm.formats.metainfo import Metainfo

__all__ = ["DiskPool", "Stored", "result_of"]

T = TypeVar("T")


class Stored(NamedTuple):
    """What became of a piece: `ok` says that it is verified and written.

    `digests` are the SHA-1 of its blocks, given when asked for and whenever the piece is bad. `contradicts`
    says that it is what one version of a hybrid wants and not what the other does: nobody can mend that.
    """

    ok: bool
    digests: list[bytes] | None
    contradicts: bool = False


class DiskPool:
    """Runs the jobs of all torrents of one node. Created inside a running loop."""

    def __init__(self, *, threads: int = 4, watch: Watch | None = None) -> None:
        self._inline = not threads
        self._at_once = max(1, threads)  # jobs of one check
        self._watch = watch or Watch()
        self._clock = self._watch.clock
        self._loop = asyncio.get_running_loop()
        self._workers = Workers(threads)
        self._writes: WeakKeyDictionary[Storage, Pace] = WeakKeyDictionary()
        self._reads: WeakKeyDictionary[Storage, Pace] = WeakKeyDictionary()

    def store(
        self,
        storage: Storage,
        offset: int,
        data: memoryview,
        expected: Expected,
        done: Callable[[Stored | DiskError], None],
        *,
        begun: Begun | None = None,
        leaves: bytes | None = None,
        note: Callable[[], None] | None = None,
        digests: bool = False,
    ) -> None:
        """Hash a whole piece; if that is `expected`, write it and then call `note`, in one job.

        `begun` has hashed a part of it already; `leaves` are those of all its blocks (BEP 52), where somebody
        has them. `note` (the journal) runs where the job runs, never before the data is written. `done` is
        called on the loop: with a DiskError when the write or the note failed.
        """
        sound = partial(_fits, data, expected, begun, leaves)
        job = partial(_store, storage, offset, data, sound, note, digests, self._watch)
        pace = self._pace(self._writes, storage)
        self._go(self._inline or pace.here(len(data)), job, pace, done)

    def read(
        self,
        storage: Storage,
        offset: int,
        into: Sequence[memoryview],
        done: Callable[[DiskError | None], None],
    ) -> None:
        """Fill `into`, one after the other; `done` is called on the loop, with None when it is filled."""
        try:
            cached = storage.nowait and storage.read_into(offset, into, wait=False)
        except DiskError as error:
            done(error)
            return
        if cached:
            done(None)
            return
        job = partial(_read, storage, offset, into, self._watch)
        pace = self._pace(self._reads, storage)
        quick = not storage.nowait and pace.here(sum(map(len, into)))
        self._go(self._inline or quick, job, pace, done)

    async def run(self, job: Callable[..., T], *args: Any) -> T:
        """Any other blocking job. When the caller is cancelled the job still runs to its end."""
        return await self.begin(job, *args)

    def begin(self, job: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        """The same, for whoever has to hear of its end even when he is cancelled; wait by `result_of`."""
        future: asyncio.Future[T] = self._loop.create_future()
        if self._inline:
            _settle(future, *attempt(partial(job, *args)))
        else:
            self._workers.put(partial(job, *args), partial(_settle, future))
        return future

    async def check(
        self,
        storage: Storage,
        metainfo: "Metainfo",
        pieces: Iterable[PieceIndex],
        progress: Callable[[int], None],
        expect: Callable[[PieceIndex], Expected | None] | None = None,
    ) -> Bitfield:
        """Read and hash `pieces`; which of them are good, as `expect` says or else the torrent.

        All threads, 1 MiB of memory for each. What is missing, short or unreadable is not had, never an
        error. `progress` is called on the loop, at most ten times a second and at the end, with how many are
        checked. When the caller is cancelled the threads stop at the next read. Raises DiskError when the
        files cannot be looked at.
        """
        check = await self.run(Check, storage, metainfo, list(pieces), expect)
        running = {self.begin(check.work) for _ in range(self._at_once)}
        told = self._clock()
        try:
            while running:
                finished, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for part in finished:
                    if hashed := part.result():
                        check.got(hashed)
                        running.add(self.begin(check.work))
                if self._clock() - told >= TELL_EVERY:
                    told = self._clock()
                    progress(check.checked)
        finally:
            check.stop()
            if running:
                await asyncio.wait(running)
        progress(check.checked)
        return check.good

    async def aclose(self) -> None:
        """Wait for the jobs that run or wait; no new ones are taken. May be called twice."""
        await self._workers.aclose()

    def _pace(self, paces: WeakKeyDictionary[Storage, Pace], storage: Storage) -> Pace:
        pace = paces.get(storage)
        if pace is None:
            pace = paces[storage] = Pace(self._clock)
        return pace

    def _go(self, here: bool, job: Job, pace: Pace, done: Callable[[Any], None]) -> None:
        deliver = partial(_finish, pace, here, done)
        if here:
            deliver(*attempt(job))
        else:
            self._workers.put(job, deliver)


async def result_of(job: asyncio.Future[T]) -> T:
    """What it returned, or raises what it raised. Who is cancelled here does not cancel the future."""
    if not job.done():
        await asyncio.wait([job])
    return job.result()


def _store(
    storage: Storage,
    offset: int,
    data: memoryview,
    sound: Callable[[], tuple[bool, bool]],
    note: Callable[[], None] | None,
    digests: bool,
    watch: Watch,
) -> tuple[Stored, float | None]:
    """The result, and the seconds the disk took; None when it was not asked. Raises DiskError."""
    by_sha1, by_root = sound()
    if not (by_sha1 and by_root):
        return Stored(False, _block_digests(data), by_sha1 != by_root), None
    started = watch.start()
    storage.write(offset, data)
    if note is not None:
        note()
    seconds = watch.seconds(started)
    return Stored(True, _block_digests(data) if digests else None), seconds


def _fits(
    data: memoryview, expected: Expected, begun: Begun | None, leaves: bytes | None
) -> tuple[bool, bool]:
    """Whether the SHA-1 and the root are right; what is not expected is as right as the other."""
    by_sha1 = by_root = True
    if expected.sha1 is not None:
        by_sha1 = by_root = (
            begun.finish(data) if begun is not None else _sha1(data)
        ) == expected.sha1
    if expected.subtree is not None:
        root = expected.subtree.root(data) if leaves is None else expected.subtree.above(leaves)
        by_root = root == expected.root
        by_sha1 = by_sha1 if expected.sha1 is not None else by_root
    return by_sha1, by_root


def _read(
    storage: Storage, offset: int, into: Sequence[memoryview], watch: Watch
) -> tuple[None, float]:
    started = watch.start()
    storage.read_into(offset, into)
    return None, watch.seconds(started)


def _finish(
    pace: Pace,
    here: bool,
    done: Callable[[Any], None],
    outcome: tuple[Any, float | None] | None,
    error: Exception | None,
) -> None:
    """Tell `done` what became of a job; a bug in the job is raised here, on the loop."""
    if outcome is not None:
        value, seconds = outcome
        if seconds is not None:
            pace.took(seconds, here=here)
        done(value)
    elif isinstance(error, DiskError):
        done(error)
    elif error is not None:
        raise error


def _settle(future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if future.cancelled():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


def _sha1(data: memoryview) -> bytes:
    return sha1(data, usedforsecurity=False).digest()


def _block_digests(data: memoryview) -> list[bytes]:
    return [_sha1(data[at : at + BLOCK]) for at in range(0, len(data), BLOCK)]
