"""Pieces read and hashed, in any number of threads: what making a torrent and checking one have in common.

`read_into` and hashlib let other threads run, so threads fill all cores. What they share is an iterator and a
few buffers. A read is as large as the processor's cache allows: below that, the calls and the hand-over
between threads cost more than the copy.
"""

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from hashlib import sha1
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Protocol, TypeVar

from p2pswarm.disk.storage import Storage
from p2pswarm.errors import DiskError
from p2pswarm.formats.ids import PieceIndex

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["TELL_EVERY", "Hashed", "Hashing", "Work", "in_threads"]

T = TypeVar("T")
Brought_co = TypeVar("Brought_co", covariant=True)

Hashed = tuple[PieceIndex, bytes | DiskError]
"""A piece and its SHA-1, or why it cannot be read."""

READ = 1 << 20  # bytes read at once
SLICE = (
    8 << 20
)  # bytes read in one `work`: a hop costs nothing then, and nobody waits long for its end
TELL_EVERY = 0.1  # seconds between two looks at what was brought


class Hashing:
    """Threads call `work` until it brings nothing. A buffer belongs to one call at a time."""

    def __init__(
        self, storage: Storage, piece_length: int, total: int, pieces: Iterable[PieceIndex]
    ) -> None:
        self._storage = storage
        self._length = piece_length
        self._total = total
        runs = list(_neighbours(pieces, max(1, READ // piece_length)))
        self._runs = iter(runs)  # threads share it: the iterator of a list is atomic
        self._buffers: SimpleQueue[memoryview] = SimpleQueue()
        self._stopped = False

    def work(self) -> list[Hashed]:
        """Hash pieces until `SLICE` bytes are read; nothing when none is left, or after `stop`."""
        buffer, hashed, left = self._borrow(), list[Hashed](), SLICE
        while left > 0 and not self._stopped:
            run = next(self._runs, None)
            if run is None:
                break
            hashed += self._hash(run, buffer)
            left -= len(run) * self._length
        self._buffers.put(buffer)
        return hashed

    def stop(self) -> None:
        """Whoever works ends with the read that it is in; a piece cut short is not brought."""
        self._stopped = True

    def _borrow(self) -> memoryview:
        try:
            return self._buffers.get_nowait()
        except Empty:
            return _pages(READ)

    def _hash(self, run: range, buffer: memoryview) -> list[Hashed]:
        pieces = list(map(PieceIndex, run))
        try:
            return list(zip(pieces, self._digests(run, buffer), strict=False))
        except DiskError as error:
            if len(run) == 1:
                return [(pieces[0], error)]
        # One of them is unreadable, and the others are not to blame.
        return [each for piece in run for each in self._hash(range(piece, piece + 1), buffer)]

    def _digests(self, run: range, buffer: memoryview) -> list[bytes]:
        """The SHA-1 of each, none of a piece that `stop` cut short. Raises DiskError."""
        at, end = run.start * self._length, min(run.stop * self._length, self._total)
        if end - at <= READ:
            together = buffer[: end - at]
            self._storage.read_into(at, [together])
            starts = range(0, len(together), self._length)
            return [_sha1(together[start : start + self._length]).digest() for start in starts]
        digest = _sha1()
        while at < end and not self._stopped:
            part = buffer[: end - at]
            self._storage.read_into(at, [part])
            digest.update(part)
            at += len(part)
        return [digest.digest()] if at == end else []


class Work(Protocol[Brought_co]):
    """What several threads can do at once."""

    def work(self) -> Sequence[Brought_co]:
        """Do a part of it; nothing comes when all of it is done, or after `stop`."""

    def stop(self) -> None:
        """Whoever is in `work` comes out soon."""


def in_threads(work: Work[T], count: int) -> Generator[list[T], None, None]:
    """What `work` brings in `count` threads, ten times a second, until all is done; raises what it raises.

    Its own thread sleeps in between: waking up for every part costs the others two percent. At the end of
    the iteration, also when it is closed before, no thread is left.
    """
    news: deque[T] = deque()
    ends: SimpleQueue[Exception | None] = SimpleQueue()

    def bring() -> None:
        try:
            while brought := work.work():
                news.extend(brought)
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            ends.put(error)
        else:
            ends.put(None)

    threads = [Thread(target=bring, name="p2pswarm-hash") for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        while count:
            with suppress(Empty):
                error = ends.get(timeout=TELL_EVERY)
                count -= 1
                if error is not None:
                    raise error
            yield [news.popleft() for _ in range(len(news))]
    finally:
        work.stop()
        for thread in threads:
            thread.join()


def _pages(size: int) -> memoryview:
    """Memory that begins with a page. A large `bytearray` begins 16 bytes after one, and into that the
    kernel of an AMD machine copies from its cache with two thirds of the speed."""
    return memoryview(mmap(-1, size, flags=MAP_PRIVATE | MAP_ANONYMOUS))


def _neighbours(pieces: Iterable[PieceIndex], most: int) -> Iterator[range]:
    """The pieces in their order, those that follow each other together, at most so many."""
    run = range(0)
    for piece in pieces:
        if piece == run.stop and 0 < len(run) < most:
            run = range(run.start, piece + 1)
        else:
            if run:
                yield run
            run = range(piece, piece + 1)
    if run:
        yield run


def _sha1(data: memoryview | bytes = b"") -> "_Hash":
    return sha1(data, usedforsecurity=False)
