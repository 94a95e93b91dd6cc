"""The index in an SQLite file, for millions of files: FTS5 for the words, a thread of its own for the work.

Nobody is online when the server starts, so the file is only room to work in: what it held is thrown away,
and nothing in it is ever synced. Words come from `formats/words` and are split by nobody else.

The one hard thing: somebody with thousands of files may leave or unshare them all, and deleting takes long.
An owner therefore holds files under a number that changes then; the old number is forgotten at once, which
hides its files from every search, and they are deleted in parts.
"""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from typing_extensions import override

from p2pswarm.wire.napster import Bounds
from tracker.napster.index import ANY, FileIndex, Found, Query, SharedFile
from tracker.napster.index.tables import Tables
from tracker.worker import Worker

__all__ = ["SqliteIndex"]

T = TypeVar("T")

_BATCH = 500  # files added in one job, so that no search waits long


class _Holder:
    """`files` and `size` are of what is in the tables already."""

    __slots__ = ("files", "gone", "number", "size")

    def __init__(self, number: int) -> None:
        self.number, self.gone = number, False
        self.files = self.size = 0


class SqliteIndex(FileIndex):
    """Invariant: `files` and `size` are the sums over all holders."""

    def __init__(self, path: Path) -> None:
        self.files = self.size = 0
        self._tables = Tables(path)
        self._worker = Worker("napster-index")
        self._numbers = itertools.count(1)
        self._holders: dict[int, _Holder] = {}
        self._new: list[tuple[_Holder, Sequence[SharedFile], Callable[[int], None]]] = []
        self._waiting = 0  # files in it

    async def start(self) -> None:
        """Raises HostError when the file cannot be used, or is something else's."""
        await self._worker.run(self._tables.open)

    @property
    @override
    def weight(self) -> int:
        return self.files

    @override
    def arrive(self, owner: int, speed: int) -> None:
        if owner not in self._holders:
            self._holders[owner] = _Holder(next(self._numbers))
        number = self._holders[owner].number
        self._do(partial(self._tables.hold, number, owner, speed), _nothing, None)

    @override
    def leave(self, owner: int) -> None:
        holder = self._discount(self._holders.pop(owner))
        self._do(partial(self._tables.let_go, holder.number), _nothing, None)
        self._delete(holder.number)

    @override
    def add(self, owner: int, files: Sequence[SharedFile], done: Callable[[int], None]) -> None:
        if not self._new:
            asyncio.get_running_loop().call_soon(self._flush)
        self._new.append((self._holders[owner], files, done))
        self._waiting += len(files)
        if self._waiting >= _BATCH:
            self._flush()

    @override
    def note(self, owner: int, name: str, sha1: bytes, info_hash: bytes) -> None:
        number = self._holders[owner].number
        self._do(partial(self._tables.note, number, name, sha1, info_hash), _nothing, None)

    @override
    def remove(self, owner: int, name: str, done: Callable[[bool], None]) -> None:
        holder = self._holders[owner]

        def removed(size: int | None) -> None:
            if size is not None:
                self._count(holder, -1, -size)
            done(size is not None)

        self._do(partial(self._tables.remove, holder.number, name), removed, None)

    @override
    def clear(self, owner: int, done: Callable[[int], None]) -> None:
        old = self._discount(self._holders[owner])
        new = self._holders[owner] = _Holder(next(self._numbers))
        self._do(partial(self._tables.renumber, old.number, new.number), done, old.files)
        self._delete(old.number)

    @override
    def find(self, owner: int, name: str, done: Callable[[SharedFile | None], None]) -> None:
        self._do(partial(self._tables.find, self._holders[owner].number, name), done, None)

    @override
    def listing(self, owner: int, most: int, done: Callable[[Sequence[SharedFile]], None]) -> None:
        nothing: list[SharedFile] = []
        number = self._holders[owner].number
        self._do(partial(self._tables.listing, number, most), done, nothing)

    @override
    def search(self, query: Query, done: Callable[[Sequence[Found]], None]) -> None:
        nothing: list[Found] = []
        self._do(partial(self._tables.search, query), done, nothing)

    @override
    def lookup(
        self,
        kind: str,
        digest: bytes,
        most: int,
        done: Callable[[Sequence[Found]], None],
        size: Bounds = ANY,
    ) -> None:
        nothing: list[Found] = []
        self._do(partial(self._tables.lookup, kind, digest, size, most), done, nothing)

    @override
    def tidy(self) -> None:
        """What is deleted goes in parts anyway."""

    @override
    async def aclose(self) -> None:
        await self._worker.aclose()
        await asyncio.to_thread(self._tables.close)

    def check(self) -> None:
        """The invariants, for tests."""
        assert self.files == sum(holder.files for holder in self._holders.values())
        assert self.size == sum(holder.size for holder in self._holders.values())

    def _do(self, job: Callable[[], T], done: Callable[[T], None], otherwise: T) -> None:
        self._flush()
        self._worker.do(job, done, lambda: done(otherwise))

    def _flush(self) -> None:
        """What is new goes first: nobody asks for less than is there."""
        if not self._new:
            return
        new, self._new, self._waiting = self._new, [], 0

        def added(counts: list[tuple[int, int]]) -> None:
            for (holder, _, done), (files, size) in zip(new, counts, strict=True):
                self._count(holder, files, size)
                done(files)

        job = partial(self._tables.add, [(holder.number, files) for holder, files, _ in new])
        self._worker.do(job, added, lambda: added([(0, 0)] * len(new)))

    def _delete(self, holder: int) -> None:
        def deleted(left: bool) -> None:
            if left:
                self._delete(holder)

        self._do(partial(self._tables.delete, holder), deleted, False)

    def _count(self, holder: _Holder, files: int, size: int) -> None:
        """Of somebody who has left or unshared in the meantime nothing is counted any more."""
        if not holder.gone:
            holder.files += files
            holder.size += size
            self.files += files
            self.size += size

    def _discount(self, holder: _Holder) -> _Holder:
        self.files -= holder.files
        self.size -= holder.size
        holder.gone = True
        return holder


def _nothing(_: object) -> None:
    """Nobody waits for it."""
