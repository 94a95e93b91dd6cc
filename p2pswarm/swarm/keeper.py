"""The pieces of one torrent and the disk under them: stored, noted, looked at, tried again.

A full piece that the disk does not take stays in memory until it does, so nothing is fetched twice because a
disk was full. What a failing sync, a failing read or somebody else's hand puts in doubt is not ours until it
was read and hashed again. `Torrent` hears of all that as the keeper's `Owner`, and decides what it means.

The one hard thing: these chores wait, and meanwhile the world goes on. So one of a kind runs at a time, and
each looks at the picker again before it believes its own result.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence, Set
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from p2pswarm.discovery.source import Progress
from p2pswarm.disk.begun import STRIDE, Begun
from p2pswarm.disk.checkpoint import Checkpoint
from p2pswarm.disk.pool import Stored
from p2pswarm.disk.resume import NO_PIECES
from p2pswarm.errors import DiskError, HashMismatchError, HostError
from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.ids import BLOCK, PieceIndex
from p2pswarm.swarm.blocks import Blocks
from p2pswarm.swarm.data import TorrentData
from p2pswarm.swarm.events import Flag
from p2pswarm.swarm.picker import OpenPiece, PiecePicker

__all__ = ["Keeper", "Owner"]

log = logging.getLogger(__name__)

MOST_AT_ONCE = 2 * STRIDE  # bytes of one piece hashed in one go: a millisecond of the loop
_NOTHING: Sequence[OpenPiece] = ()
_NO_CHORES: frozenset[str] = frozenset()
CLOSE_TIME = 1.5  # seconds that writes under way may take at the end


class Owner(Protocol):
    """What the keeper tells, and whom it asks for a place to work in."""

    picker: PiecePicker
    blocks: Blocks

    def spawn(self, work: Coroutine[Any, Any, None]) -> None: ...
    def progress(self) -> Progress: ...
    def piece_stored(self, piece: OpenPiece, result: Stored) -> None: ...
    def piece_found(self, piece: PieceIndex) -> None: ...
    def pieces_lost(self, pieces: Sequence[PieceIndex]) -> None: ...
    def disk_failed(self, error: DiskError) -> None: ...
    def disk_works(self) -> None: ...
    def proved(self) -> None: ...
    def checking(self, done: int, total: int) -> None: ...


class Keeper:
    """Invariant: a full piece is with the disk (`_storing`), waits for it (`_stuck`) or was handed back."""

    def __init__(self, data: TorrentData, owner: Owner, name: str) -> None:
        self._data = data
        self._owner = owner
        self._name = name
        self._picker, self._blocks = owner.picker, owner.blocks
        self._storing: set[PieceIndex] = set()
        self._stored_one = Flag()
        self._stuck: Sequence[OpenPiece] = _NOTHING
        # Ours, until the disk failed to sync them
        self._unsynced: frozenset[PieceIndex] = NO_PIECES
        self._unreadable: frozenset[PieceIndex] = NO_PIECES  # ours, until reading them failed
        self._busy: frozenset[str] = _NO_CHORES  # chores under way
        self._again: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {}  # asked for meanwhile
        # As of the last note; None when that has to be made anew
        self._noted: Progress | None = None
        self._moving = False  # nothing is stored meanwhile
        self._over = False

    # Pieces

    def store(self, piece: OpenPiece, *, digests: bool, leaves: bytes | None = None) -> None:
        """Hash it, as far as nobody has done it (`leaves`), and write it; `piece_stored` follows, perhaps
        before this returns."""
        if self._moving:
            self._stuck = [*self._stuck, piece]
            return
        size = self._picker.geometry.piece_size(piece.index)
        self._storing.add(piece.index)
        self._data.store(
            piece.index,
            self._blocks.whole(piece.index, size),
            lambda result: self._stored(piece, result),
            begun=piece.begun,
            leaves=leaves,
            digests=digests,
        )

    def grown(self, piece: OpenPiece) -> None:
        """A part of a large piece has arrived: hash it, as far as nothing is missing before it."""
        if piece.begun is None:
            piece.begun = Begun()
        # After a gap has closed much may be left to do: the rest has its turn with the next megabyte.
        arrived = min(piece.gapless * BLOCK, piece.begun.hashed + MOST_AT_ONCE)
        if arrived - piece.begun.hashed >= STRIDE:
            piece.begun.take(self._blocks.whole(piece.index, arrived))

    def _stored(self, piece: OpenPiece, result: Stored | DiskError) -> None:
        self._storing.discard(piece.index)
        self._stored_one.set()
        if self._over:
            if not isinstance(result, DiskError) and result.ok:
                self._picker.had(piece.index)  # for the last note
            self._blocks.drop(piece.index)
        elif isinstance(result, DiskError):
            self._stuck = [*self._stuck, piece]
            self._owner.disk_failed(result)
        else:
            self._blocks.drop(piece.index)
            self._owner.piece_stored(piece, result)

    async def _stores_done(self) -> None:
        while self._storing:
            self._stored_one.clear()
            await self._stored_one.wait()

    def read_failed(self, piece: PieceIndex, error: DiskError) -> None:
        """A file is gone, shorter than it was, changed or broken: what it holds now decides."""
        if piece not in self._unreadable:
            log.warning("%s: piece %d cannot be read: %s", self._name, piece, error)
        self._unreadable |= {piece}
        self.look()

    # Chores, one of a kind at a time

    async def prepare(self, have: Bitfield) -> None:
        """Make place for the files, and note what the check found. Raises DiskError."""
        noted = await self._data.prepare(have)
        self._picker.start_with(have)
        if noted:
            self._noted = self._owner.progress()

    @property
    def has_news(self) -> bool:
        """Whether something is true that the last note does not say."""
        return self._noted != self._owner.progress()

    def note(self) -> None:
        """Make what we have survive a power cut."""
        self._begin("note", self._note)

    def look(self) -> None:
        """See whether somebody changed the files."""
        self._begin("look", self._look)

    def settle(self) -> None:
        """The last piece is written: note it, and from then on watch the files."""
        self._begin("look", self._settle)

    def prove(self) -> None:
        """Every piece is ours: verify the whole, `proved` follows. A file that is another one ends it all."""
        self._begin("prove", self._prove)

    def retry(self) -> None:
        """Try what did not work; whatever fails again says so again."""
        if self._data.writable:
            self._begin("retry", self._retry)
        else:
            self.look()

    def _begin(self, chore: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if chore in self._busy:
            self._again[chore] = work
        else:
            self._busy |= {chore}
            self._owner.spawn(self._do(chore, work))

    async def _do(self, chore: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
        except DiskError as error:
            self._owner.disk_failed(error)
        finally:
            self._busy -= {chore}
            again = self._again.pop(chore, None)
            if again is not None and not self._over:
                self._begin(chore, again)

    async def _note(self) -> None:
        """Raises DiskError; when the data could not be synced, nobody knows what the disk holds of it."""
        have, carried = self._picker.have.copy(), self._owner.progress()
        try:
            noted = await self._data.checkpoint(have, carried.uploaded, carried.downloaded)
        except DiskError as error:
            if not self._data.writable:  # only the next start takes longer
                log.warning("%s: %s", self._name, error)
                return
            unsafe = set(self._data.unsynced(have).pieces())
            self._unsynced |= unsafe
            self._disown(unsafe)
            raise
        if noted:
            self._noted = carried

    async def _retry(self) -> None:
        await self._note()
        doubtful = self._unsynced  # a note that fails meanwhile adds more
        await self._verify(doubtful)
        self._unsynced -= doubtful
        stuck, self._stuck = self._stuck, _NOTHING
        for piece in stuck:
            self.store(piece, digests=True)  # whether it is suspect by now, the owner knows
        await self._stores_done()
        if not self._stuck and not self._unsynced:
            self._owner.disk_works()

    async def _settle(self) -> None:
        # The note first: some network file systems change a file's time when they sync.
        await self._data.complete()
        await self._note()
        await self._look()

    async def _prove(self) -> None:
        """Raises DiskError, HashMismatchError."""
        told = self._data.proven  # by the proof that was under way when this one was asked for
        try:
            if not told:
                await self._data.prove(self._owner.checking)
        except HashMismatchError:
            self._disown({*self._picker.have.pieces()})
            await self._note()  # first: with its sync a file gets its length again
            await self._data.empty()
            raise
        if (
            not told and self._picker.done and self._data.proven
        ):  # else pieces went meanwhile, and come again
            self._owner.proved()

    async def _look(self) -> None:
        """Read again what somebody changed and what could not be read, and believe only that."""
        settled = self._picker.done or not self._data.writable
        have = self._picker.have.copy()  # what comes while they are looked at may be in new files
        doubtful = await self._data.look(have, settled=settled)
        doubtful |= self._unreadable
        if doubtful:
            self._noted = None  # the files look different, whatever is found in them
        self._disown(doubtful)
        await self._verify(doubtful)
        # A reader tries again later what it cannot read; a writer gets it anew from others.
        done = doubtful if self._data.writable else {p for p in doubtful if self._picker.have[p]}
        self._unreadable -= done
        if not self._stuck and not self._unsynced:  # else `_retry` goes on
            self._owner.disk_works()

    def _disown(self, pieces: Set[PieceIndex]) -> None:
        """These are not ours until they are verified again."""
        lost = [piece for piece in pieces if self._picker.have[piece]]
        for piece in lost:
            self._picker.lost(piece)
        if lost:
            log.warning("%s: %d pieces are in doubt", self._name, len(lost))
            self._owner.pieces_lost(lost)

    async def _verify(self, pieces: Set[PieceIndex]) -> None:
        """Read and hash these again: those that are good are ours."""
        good = await self._data.check(pieces, self._owner.checking)
        for piece in pieces:
            if good[piece] and not self._picker.have[piece] and piece not in self._blocks:
                self._picker.had(piece)
                self._owner.piece_found(piece)

    async def move(self, to: Path, progress: Callable[[int, int], None]) -> Path:
        """Move the files; pieces that become full meanwhile wait in memory. Raises HostError."""
        async with self._still():
            carried = self._owner.progress()
            last = Checkpoint(self._picker.have.copy(), [], carried.uploaded, carried.downloaded)
            try:
                return await self._data.move(to, last, progress)
            finally:
                self.look()  # who looked for a file while it moved may have found none

    async def rename(self, old: str, new: str) -> Path:
        """Give a file or folder another name, the same way. Raises HostError, DiskError."""
        async with self._still():
            path = await self._data.rename(old, new)
            if self._picker.done:
                await self._data.complete()  # links that lead elsewhere now
            return path

    @asynccontextmanager
    async def _still(self) -> AsyncIterator[None]:
        """Nothing is stored meanwhile. Raises HostError while somebody else needs that."""
        if self._moving:
            raise HostError(f"{self._name} is being moved already")
        self._moving = True
        try:
            await self._stores_done()
            yield
        finally:
            self._moving = False
            stuck, self._stuck = self._stuck, _NOTHING
            for piece in () if self._over else stuck:
                self.store(piece, digests=True)

    # The end

    async def close(self, *, known: bool) -> None:
        """Note what there is, if that is `known`, and close the files. What the disk is writing still
        counts, but a disk that hangs is not waited for, and keeps its buffers until it lets go."""
        self._over = True
        try:
            async with asyncio.timeout(CLOSE_TIME):
                await self._stores_done()
        except TimeoutError:
            log.warning("%s: the disk hangs", self._name)
        have = self._picker.have.copy() if known and self.has_news else None
        carried = self._owner.progress()
        await self._data.close(have, carried.uploaded, carried.downloaded)
        self._blocks.drop_all(but=self._storing)  # those are dropped when the disk gives them back
