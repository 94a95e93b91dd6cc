"""What a torrent has on the disk: its files, what is known of them after a restart, and their changes.

Nothing is called ours before it was verified. After a restart the resume data says which pieces were
verified and whether their files are still as they were; whatever is in doubt is read and hashed again.

While we write nothing, the files are watched: a read from one that somebody changed is an error, and `look`
tells which pieces that puts in doubt. Until those are checked no checkpoint is written, so that the last
one, with the looks that its pieces had, stays true.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from random import Random

from p2pswarm.disk.begun import Begun
from p2pswarm.disk.layout import Layout
from p2pswarm.disk.pool import DiskPool, Stored
from p2pswarm.disk.resume import Resume
from p2pswarm.disk.storage import FileStat, Storage
from p2pswarm.errors import DiskError, HostError, TargetExistsError
from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.ids import PieceIndex
from p2pswarm.formats.metainfo import Metainfo

__all__ = ["TorrentData"]

log = logging.getLogger(__name__)

# Bytes and files that a checkpoint at the end may still have to flush; more is left to the journal,
# because stopping must not take long: each file costs a turn of the disk.
FLUSH_AT_END = 64 << 20
NOTE_AT_END = 0.7  # seconds for that checkpoint, and
CLOSE_FILES = 0.3  # for closing: stopping takes three seconds in all, on a disk that hangs too
FILES_AT_END = 100


class TorrentData:
    """Storage, resume data and disk pool of one torrent, used from the loop's thread."""

    shareable = True  # others can check it

    def __init__(
        self,
        metainfo: Metainfo,
        storage: Storage,
        disk: DiskPool,
        resume: Resume,
        *,
        writable: bool,
        dice: Random,
    ) -> None:
        self.writable = writable
        self.downloaded_before = self.uploaded_before = 0
        self._metainfo = metainfo
        self._storage = storage
        self._disk = disk
        self._resume = resume
        self._dice = dice
        self._layout = Layout([file.length for file in metainfo.files])
        self._looks: list[FileStat | None] = []  # of the files, as of the last `look`
        self._watching = False  # whether a change since then is somebody else's
        self._doubtful: set[PieceIndex] = set()
        self._unflushed = 0  # bytes since the last checkpoint, and which files they are in
        self._unflushed_files: set[int] = set()

    @property
    def verified_by(self) -> str:
        """What says that the bytes are the right ones."""
        return "the SHA-1 of every piece"

    async def load(self, progress: Callable[[int, int], None]) -> Bitfield:
        """Which pieces are ours. Raises TargetExistsError, DiskError."""
        self._looks = stats = await self._disk.run(self._storage.stats)
        have = await self._believe(stats, progress)
        self._watch(stats)
        return have

    async def _believe(
        self, stats: list[FileStat | None], progress: Callable[[int, int], None]
    ) -> Bitfield:
        meta = self._metainfo
        saved = await self._disk.run(
            self._resume.load,
            self._layout,
            meta.piece_length,
            meta.piece_count,
            stats,
            self._dice,
        )
        if saved is not None:
            self.downloaded_before, self.uploaded_before = saved.downloaded, saved.uploaded
            doubtful = {*saved.to_verify, *saved.sample}
            if (
                not self.writable
            ):  # nobody will fetch the others, but somebody may have put them there
                doubtful.update((~saved.trusted).pieces())
            good = await self.check(doubtful, progress)
            if all(good[piece] for piece in saved.sample):
                return saved.trusted | good
            log.warning("%s: the files are not what they were, checking all", meta.name)
            return await self.check(range(meta.piece_count), progress)
        log.debug("%s: no resume data: %s", meta.name, self._resume.reason)
        if not any(stat is not None and stat.size for stat in stats):
            return Bitfield(meta.piece_count)
        return await self._adopt(stats, progress)

    async def _adopt(
        self, stats: list[FileStat | None], progress: Callable[[int, int], None]
    ) -> Bitfield:
        """Files are there that we know nothing of. Raises TargetExistsError when they are not ours."""
        for file, stat in zip(self._metainfo.files, stats, strict=True):
            if self.writable and stat is not None and stat.size > file.length:
                raise TargetExistsError(f"{'/'.join(file.path)} exists and is larger than expected")
        have = await self.check(range(self._metainfo.piece_count), progress)
        if self.writable and not have.any():
            name = self._metainfo.name
            raise TargetExistsError(f"{name} exists, and nothing in it is of this torrent")
        return have

    async def check(self, pieces: Iterable[int], progress: Callable[[int, int], None]) -> Bitfield:
        """Read and hash these; set are the good ones. A missing file is simply not good."""
        chosen = sorted(PieceIndex(piece) for piece in pieces)
        if not chosen:
            return Bitfield(self._metainfo.piece_count)
        progress(0, len(chosen))
        good = await self._disk.check(
            self._storage, self._metainfo, chosen, lambda done: progress(done, len(chosen))
        )
        self._doubtful.difference_update(chosen)
        return good

    async def prepare(self, have: Bitfield) -> None:
        """Folders and empty files, then a first note, so that after a crash we know the files for ours.

        Raises DiskError.
        """
        if self.writable:
            await self._disk.run(self._storage.prepare)
        await self.checkpoint(have, 0, 0)

    def store(
        self,
        piece: PieceIndex,
        data: memoryview,
        done: Callable[[Stored | DiskError], None],
        *,
        begun: Begun | None = None,
        digests: bool,
    ) -> None:
        """Verify, write, note, in this order; `done` may be called before this returns."""
        self._watching = False
        offset = piece * self._metainfo.piece_length
        self._unflushed += len(data)
        self._unflushed_files.update(self._layout.files_of(offset, len(data)))
        self._disk.store(
            self._storage,
            offset,
            data,
            self._expected(piece, data),
            done,
            begun=begun,
            note=lambda: self._resume.note(piece),
            digests=digests,
        )

    def _expected(self, piece: PieceIndex, data: memoryview) -> bytes:
        """What `data` must hash to."""
        return self._metainfo.piece_hash(piece)

    def read(
        self, offset: int, into: Sequence[memoryview], done: Callable[[DiskError | None], None]
    ) -> None:
        self._disk.read(self._storage, offset, into, done)

    async def checkpoint(self, have: Bitfield, uploaded: int, downloaded: int) -> None:
        """Make what we have survive a power cut. Raises DiskError."""
        self._unflushed = 0
        self._unflushed_files.clear()
        await self._disk.run(self._checkpoint, have, uploaded, downloaded)

    def _checkpoint(self, have: Bitfield, uploaded: int, downloaded: int) -> None:
        if self._doubtful or (self._watching and self._changed(self._storage.stats())):
            return
        self._resume.checkpoint(
            have,
            self._storage,
            uploaded=self.uploaded_before + uploaded,
            downloaded=self.downloaded_before + downloaded,
        )

    def unsynced(self, have: Bitfield) -> Bitfield:
        """After a checkpoint that failed: the pieces whose data may not have reached the disk."""
        return self._resume.unsafe(have) if self._resume.sync_failed else Bitfield(len(have))

    async def look(self, have: Bitfield, *, settled: bool) -> set[PieceIndex]:
        """Pieces of files that somebody else changed; they are in doubt until the next `check`.

        Of files that we write, those of `have`. `settled` says that we write nothing now: from here on the
        files are watched. Before, only files that are gone or too short can be told from our own doing.
        Raises DiskError.
        """
        stats = await self._disk.run(self._storage.stats)
        changed = self._changed(stats) if self._watching else self._cut(stats)
        self._storage.forget(changed)
        if settled:
            self._watch(stats)
        pieces = {piece for file in changed for piece in self._pieces_of(file)}
        if self.writable:
            pieces = {piece for piece in pieces if have[piece]}
        self._doubtful |= pieces
        return set(self._doubtful)

    def _watch(self, stats: list[FileStat | None]) -> None:
        self._looks, self._watching = stats, True
        self._storage.watch(stats)

    def _changed(self, stats: list[FileStat | None]) -> list[int]:
        """Files with bytes in them that do not look as they did."""
        both = zip(self._looks, stats, self._metainfo.files, strict=True)
        return [n for n, (old, new, file) in enumerate(both) if old != new and file.length]

    def _cut(self, stats: list[FileStat | None]) -> list[int]:
        files = zip(self._metainfo.files, stats, strict=True)
        return [
            n
            for n, (file, found) in enumerate(files)
            if not file.pad and (found.size if found else 0) < file.length
        ]

    def _pieces_of(self, file: int) -> list[PieceIndex]:
        start, end = self._layout.bytes_of(file)
        length = self._metainfo.piece_length
        return [PieceIndex(piece) for piece in range(start // length, -(-end // length))]

    async def close(self, have: Bitfield | None, uploaded: int, downloaded: int) -> None:
        """Note what there is (`have` None: nothing is known) and close the files; a disk that hangs may
        finish that alone. Never raises."""
        quick = self._unflushed <= FLUSH_AT_END and len(self._unflushed_files) <= FILES_AT_END
        try:
            if have is not None and quick:
                async with asyncio.timeout(NOTE_AT_END):
                    await self.checkpoint(have, uploaded, downloaded)
        except (HostError, TimeoutError) as error:
            log.warning("%s: resume data not written: %s", self._metainfo.name, _words(error))
        try:
            async with asyncio.timeout(CLOSE_FILES):
                await self._disk.run(self._close_files)
        except (DiskError, TimeoutError) as error:
            log.warning("%s: files not closed well: %s", self._metainfo.name, _words(error))

    def _close_files(self) -> None:
        self._resume.close()
        self._storage.close()


def _words(error: Exception) -> str:
    return str(error) or "the disk hangs"
