"""Pieces read and hashed, in any number of threads: what making a torrent and checking one have in common.

A piece has a SHA-1 (version 1), the root of its part of a tree (version 2), or both (a hybrid): one read does
for both.

`read_into` and hashlib let other threads run, so threads fill all cores. What they share is an iterator and a
few buffers. A read is as large as the processor's cache allows: below that, the calls and the hand-over
between threads cost more than the copy.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from hashlib import sha1
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from p2pswarm.disk.storage import Storage
from p2pswarm.errors import DiskError
from p2pswarm.formats import merkle
from p2pswarm.formats.ids import PieceIndex
from p2pswarm.formats.merkle import Subtree

if TYPE_CHECKING:
    from hashlib import _Hash

    from p2pswarm.formats.metainfo import Metainfo

__all__ = ["TELL_EVERY", "Expected", "Hashed", "Hashing", "PieceHash", "Work", "in_threads"]

T = TypeVar("T")
Brought_co = TypeVar("Brought_co", covariant=True)


class PieceHash(NamedTuple):
    """What a piece hashes to; None is what nobody wanted to know."""

    sha1: bytes | None
    root: bytes | None = None


class Expected(NamedTuple):
    """What a piece must hash to; None where its torrent does not say. Of a hybrid both must hold."""

    sha1: bytes | None
    root: bytes | None = None
    subtree: Subtree | None = None
    """What `root` is of; there whenever that is."""

    @classmethod
    def of(
        cls,
        metainfo: "Metainfo",
        piece: PieceIndex,
        root_of: Callable[[PieceIndex], bytes | None] = lambda piece: None,
    ) -> "Expected | None":
        """By the torrent, and what it does not know of version 2 by `root_of`; None when nothing is known."""
        sha1 = metainfo.piece_hash(piece) if metainfo.has_v1 else None
        if metainfo.v2 is None:
            return cls(sha1)
        root = metainfo.piece_root(piece) or root_of(piece)
        if root is not None:
            return cls(sha1, root, metainfo.subtree(piece))
        return cls(sha1) if sha1 else None

    def fits(self, found: PieceHash) -> bool:
        """Whether that is it."""
        return self.sha1 in (None, found.sha1) and self.root in (None, found.root)

    def holds(self, data: memoryview) -> bool:
        """Whether the piece hashes to it."""
        growing = _Growing(self.sha1 is not None, self.subtree)
        growing.take(data)
        return self.fits(growing.finish())


Hashed = tuple[PieceIndex, PieceHash | DiskError]
"""A piece and what it hashes to, or why it cannot be read."""

READ = 1 << 20  # bytes read at once
SLICE = (
    8 << 20
)  # bytes read in one `work`: a hop costs nothing then, and nobody waits long for its end
TELL_EVERY = 0.1  # seconds between two looks at what was brought


class Hashing:
    """Threads call `work` until it brings nothing. A buffer belongs to one call at a time.

    `sha1` says whether that is wanted; `subtrees` which part of a tree a piece is, where roots are.
    """

    def __init__(
        self,
        storage: Storage,
        piece_length: int,
        total: int,
        pieces: Iterable[PieceIndex],
        *,
        sha1: bool = True,
        subtrees: Callable[[PieceIndex], Subtree | None] | None = None,
    ) -> None:
        self._storage = storage
        self._length = piece_length
        self._total = total
        self._wants_sha1 = sha1
        self._subtrees = subtrees
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

    def _digests(self, run: range, buffer: memoryview) -> list[PieceHash]:
        """Of each, none of a piece that `stop` cut short. Raises DiskError."""
        at, end = run.start * self._length, min(run.stop * self._length, self._total)
        if end - at <= READ:
            together = buffer[: end - at]
            self._storage.read_into(at, [together])
            starts = range(0, len(together), self._length)
            pieces = [together[start : start + self._length] for start in starts]
            if self._subtrees is None:
                return [PieceHash(_sha1(piece).digest()) for piece in pieces]
            return list(map(self._whole, map(PieceIndex, run), pieces))
        growing = self._growing(PieceIndex(run.start))
        while at < end and not self._stopped:
            part = buffer[: end - at]
            self._storage.read_into(at, [part])
            growing.take(part)
            at += len(part)
        return [growing.finish()] if at == end else []

    def _whole(self, piece: PieceIndex, data: memoryview) -> PieceHash:
        growing = self._growing(piece)
        growing.take(data)
        return growing.finish()

    def _growing(self, piece: PieceIndex) -> "_Growing":
        return _Growing(self._wants_sha1, self._subtrees(piece) if self._subtrees else None)


class _Growing:
    """One piece, hashed part by part; each but the last is of whole blocks."""

    def __init__(self, wants_sha1: bool, subtree: Subtree | None) -> None:
        self._digest = _sha1() if wants_sha1 else None
        self._subtree = subtree
        self._left = subtree.size if subtree is not None else 0
        self._leaves = b""

    def take(self, part: memoryview) -> None:
        if self._digest is not None:
            self._digest.update(part)
        if self._left > 0:
            self._leaves += merkle.leaves(part[: self._left])
            self._left -= len(part)

    def finish(self) -> PieceHash:
        sha1 = self._digest.digest() if self._digest is not None else None
        if self._subtree is None:
            return PieceHash(sha1)
        return PieceHash(sha1, merkle.root(self._leaves, 0, self._subtree.height))


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
