"""What a torrent has on the disk: its files, what is known of them after a restart, and their changes.

Nothing is called ours before it was verified. After a restart the resume data says which pieces were
verified and whether their files are still as they were; whatever is in doubt is read and hashed again.

While we write nothing, the files are watched (`Watching`): a read from one that somebody changed is an error,
and `look` tells which pieces that puts in doubt. Until those are checked no checkpoint is written, so that
the last one, with the looks that its pieces had, stays true.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from p2pswarm.disk.begun import Begun
from p2pswarm.disk.candidates import Candidates
from p2pswarm.disk.checkpoint import Checkpoint
from p2pswarm.disk.hashing import Expected
from p2pswarm.disk.layout import Layout
from p2pswarm.disk.learning import Learning
from p2pswarm.disk.moving import Moving
from p2pswarm.disk.parts import PartFile, parts_name
from p2pswarm.disk.pool import DiskPool, Stored, result_of
from p2pswarm.disk.renaming import Rename, renamed
from p2pswarm.disk.resume import Resume, ResumeFolder, Saved
from p2pswarm.disk.reuse import Reuse
from p2pswarm.disk.seeking import Seeking
from p2pswarm.disk.storage import NO_FILES, FileStat, Storage
from p2pswarm.errors import (
    DiskError,
    HostError,
    LocalProtocolError,
    P2PSwarmError,
    TargetExistsError,
)
from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.geometry import Geometry
from p2pswarm.formats.ids import PieceIndex
from p2pswarm.formats.metainfo import File, Metainfo
from p2pswarm.swarm.watching import Watching

if TYPE_CHECKING:
    from p2pswarm.disk.locate import Place

__all__ = ["TorrentData"]

log = logging.getLogger(__name__)

T = TypeVar("T")
_NO_JOBS: frozenset[asyncio.Future[Any]] = frozenset()
AT_ONCE = 8 << 20  # bytes in doubt that are verified in the job that doubts them
# Bytes and files that a checkpoint at the end may still have to flush; more is left to the journal,
# because stopping must not take long: each file costs a turn of the disk.
FLUSH_AT_END = 64 << 20
NOTE_AT_END = 0.7  # seconds for that checkpoint, and
CLOSE_FILES = 0.3  # for closing: stopping takes three seconds in all, on a disk that hangs too
FILES_AT_END = 100


@dataclass(slots=True)
class _Unflushed:
    """What was written and may not be on the disk yet: bytes, and which files they are in."""

    bytes: int = 0
    files: set[int] = field(default_factory=set)


class _Recalled(NamedTuple):
    """What a disk thread found out at the start: `good` of the `doubtful`, unless these are too many."""

    looks: list[FileStat | None]
    saved: Saved | None
    doubtful: set[PieceIndex]
    good: Bitfield | None


class TorrentData:
    """Storage, resume data and disk pool of one torrent, used from the loop's thread."""

    shareable = True  # others can check it
    swarms = True  # others may know it by its info-hash, and have it
    proven = True  # False while there is more to verify than pieces: see `prove`

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
        self.place: Place | None = None  # where its files are, and
        self.resumes: ResumeFolder | None = None  # where the memory of them is
        self.preallocate = False
        self.learned: Mapping[bytes, bytes] = {}  # piece layers worked out from local files
        self.reused = 0  # bytes that came from other files of this machine
        self._metainfo = metainfo
        self._storage = storage
        self._disk = disk
        self._resume = resume
        self.expected: Callable[[PieceIndex], bytes | None] = _nothing
        """The root of a piece's tree (BEP 52), where the torrent has no layer to tell it: peers gave it."""
        self._dice = dice
        self._layout = Layout([file.length for file in metainfo.files])
        self._watching = Watching(metainfo, self._layout)
        self._recalled: _Recalled | P2PSwarmError | None = None
        self._noted: Bitfield | None = None  # what `prepare` need not note again
        self._unflushed = _Unflushed()  # since the last checkpoint
        self._flushing: list[_Unflushed] = []  # by checkpoints that run
        self._jobs = _NO_JOBS  # not over, though whoever waited for one may be gone
        self._closing = False
        self._skipped: Set[int] = NO_FILES  # files that are not wanted
        self.files = metainfo.files  # under the names that they have on the disk

    @property
    def verified_by(self) -> str:
        """What says that the bytes are the right ones."""
        if self._metainfo.v2 is None:
            return "the SHA-1 of every piece"
        both = "the SHA-1 and the SHA-256 of every piece"
        return both if self._metainfo.has_v1 else "the SHA-256 of every block"

    def abandon(self) -> None:
        """Nobody will `load` it."""
        self._close_files()

    def set_aside(self, root: Path, skipped: Set[int]) -> None:
        """Before `recall`, in the same job: what an earlier session kept aside is there until `prepare`, also
        of files that are wanted now."""
        self._skipped = skipped
        kept = os.path.lexists(root / parts_name(self._metainfo.info_hash))
        aside = range(len(self._metainfo.files)) if kept else skipped
        self._storage.skip(frozenset(aside), self._part_file)

    async def select(self, skipped: Set[int], *, full: Iterable[PieceIndex]) -> None:
        """From here on these files are not wanted; pieces that are `full` are on their way to the disk.

        Raises DiskError.
        """
        busy = {file for piece in full for file in self._files_of(piece)}
        self._watching.end()
        await self._run(self._select, skipped, busy)

    def _select(self, skipped: Set[int], busy: Set[int]) -> None:
        self._storage.skip(skipped, self._part_file, but=busy)
        self._storage.want(skipped)
        self._skipped = skipped
        if not self._closing:
            self._storage.prepare()

    def _part_file(self, root: Path, layout: Layout) -> PartFile:
        meta = self._metainfo
        return PartFile(
            root, layout, name=parts_name(meta.info_hash), piece_length=meta.piece_length
        )

    def _files_of(self, piece: PieceIndex) -> range:
        meta = self._metainfo
        return self._layout.files_of(meta.piece_offset(piece), meta.piece_size(piece))

    def recall(self) -> None:
        """Find out all that `load` needs to know; what it raises, `load` raises.

        For a disk thread, once, in the job that makes this object: until that is over nobody else has it.
        """
        try:
            self._recalled = self._recall()
        except P2PSwarmError as error:
            self._recalled = error

    async def load(self, progress: Callable[[int, int], None]) -> Bitfield:
        """Which pieces are ours, after `recall`. Raises TargetExistsError, DiskError."""
        found, self._recalled = self._recalled, None
        if isinstance(found, P2PSwarmError):
            raise found
        assert found is not None
        good = found.good
        if good is None:
            good = await self.check(found.doubtful, progress)
        elif found.doubtful:
            progress(len(found.doubtful), len(found.doubtful))
        have = await self._conclude(found, good, progress)
        self._watch(found.looks)
        return have

    def _recall(self) -> "_Recalled":
        """All in one job: most torrents are small, and a node may have thousands."""
        meta, looks = self._metainfo, self._storage.stats()
        saved = self._remember(looks)
        if saved is None:
            doubtful = self._strange(looks)
        else:
            doubtful = {*saved.to_verify, *saved.sample}
            if not self.writable:  # nobody fetches the others, but somebody may have put them there
                doubtful.update((~saved.trusted).pieces())
        few = len(doubtful) * meta.piece_length <= AT_ONCE
        return _Recalled(looks, saved, doubtful, self._verify(doubtful) if few else None)

    def _remember(self, looks: list[FileStat | None]) -> Saved | None:
        """What an earlier session noted."""
        meta = self._metainfo
        return self._resume.load(
            self._layout, meta.piece_length, meta.piece_count, looks, self._dice
        )

    def _verify(self, pieces: Set[PieceIndex]) -> Bitfield:
        """Which of these few are good; what cannot be read is not."""
        meta, good = self._metainfo, Bitfield(self._metainfo.piece_count)
        for piece in sorted(pieces):
            with suppress(DiskError):
                data = memoryview(
                    self._storage.read(meta.piece_offset(piece), meta.piece_size(piece))
                )
                good[piece] = self._fits(piece, data)
        return good

    def _fits(self, piece: PieceIndex, data: memoryview) -> bool:
        expected = self._wanted(piece, data)
        return expected is not None and expected.holds(data)

    async def fill(
        self,
        have: Bitfield,
        seek: Callable[[Metainfo], Seeking],
        progress: Callable[[int, int], None],
    ) -> Bitfield:
        """What `have` becomes with what other files on this machine hold; `seek` knows which.

        A disk in the way ends it, and what was found by then counts.
        """
        missing, good = ~have, Bitfield(len(have))
        if not self.writable or not missing.any():
            return have
        try:
            await self.prepare(have)
            self._watching.end()
            if (parts := self._storage.parts) is not None:
                for file in parts.files:
                    missing[slice(*parts.inside(file))] = False  # nobody wants them
            seeking = await self._run(seek, self._metainfo)
            while (found := await self._run(seeking.step)) is None:
                progress(0, missing.count())
            if not self._metainfo.has_v1:
                await self._learn(found, lambda: progress(0, missing.count()))
            reuse = Reuse(self._storage, self._metainfo, missing, found, self._fits, good)
            while await self._run(reuse.work):
                progress(reuse.looked, missing.count())
        except DiskError as error:
            log.warning("%s: %s", self._metainfo.name, error)
        self.reused = sum(map(Geometry.of(self._metainfo).content_size, good.pieces()))
        return have | good

    async def _learn(self, found: Candidates, progress: Callable[[], None]) -> None:
        """Piece layers that nobody has told yet. Raises DiskError."""
        learning = Learning(self._metainfo, found)
        while await self._run(learning.work):
            progress()
        if learning.layers:
            self.learned = learning.layers
            self._metainfo = await self.with_layers(learning.layers)

    async def with_layers(self, layers: Mapping[bytes, bytes]) -> Metainfo:
        """The torrent with these; of very many it takes a thread seconds. Raises MetainfoError."""
        return await self._run(self._metainfo.with_layers, layers)

    def _strange(self, looks: list[FileStat | None]) -> set[PieceIndex]:
        """Pieces of files that we know nothing of. Raises TargetExistsError when one cannot be ours."""
        if not any(look is not None and look.size for look in looks):
            return set()
        for file, look in zip(self._metainfo.files, looks, strict=True):
            if self.writable and look is not None and look.size > file.length:
                raise TargetExistsError(f"{'/'.join(file.path)} exists and is larger than expected")
        return set(map(PieceIndex, range(self._metainfo.piece_count)))

    async def _conclude(
        self, found: _Recalled, good: Bitfield, progress: Callable[[int, int], None]
    ) -> Bitfield:
        """What is ours, when `good` are those of the doubtful pieces that are."""
        meta, saved = self._metainfo, found.saved
        if saved is None:
            log.debug("%s: no resume data: %s", meta.name, self._resume.reason)
            if self.writable and not good.any() and self._strangers(found.looks):
                raise TargetExistsError(f"{meta.name} exists, and nothing in it is of this torrent")
            return good
        self.downloaded_before, self.uploaded_before = saved.downloaded, saved.uploaded
        self._noted = saved.trusted if saved.exact else None
        if all(good[piece] for piece in saved.sample):
            return saved.trusted | good
        log.warning("%s: the files are not what they were, checking all", meta.name)
        return await self.check(range(meta.piece_count), progress)

    def _strangers(self, looks: list[FileStat | None]) -> bool:
        """Whether there are files with something in them; what is aside has our name on it."""
        parts = self._storage.parts
        ours = parts.files if parts is not None else NO_FILES
        return any(look and look.size and n not in ours for n, look in enumerate(looks))

    async def check(self, pieces: Iterable[int], progress: Callable[[int, int], None]) -> Bitfield:
        """Read and hash these; set are the good ones. A missing file is simply not good."""
        chosen = sorted(PieceIndex(piece) for piece in pieces)
        if not chosen:
            return Bitfield(self._metainfo.piece_count)
        progress(0, len(chosen))
        good = await self._disk.check(
            self._storage,
            self._metainfo,
            chosen,
            lambda done: progress(done, len(chosen)),
            self.expect,
        )
        self._watching.checked(chosen)
        return good

    async def prepare(self, have: Bitfield) -> bool:
        """Folders and empty files, then a first note, so that after a crash we know the files for ours.

        Whether `have` is noted. Raises DiskError.
        """
        if self.writable or have != self._noted:
            return await self._run(self._prepare, have)
        return True

    async def complete(self) -> None:
        """Every wanted byte is here: make what needs that. Raises DiskError."""
        await self._run(self._storage.link)

    async def prove(self, progress: Callable[[int, int], None]) -> None:
        """Every piece is here: verify the whole, where that says more.

        Raises DiskError, and HashMismatchError when it is another file.
        """

    async def empty(self) -> None:
        """Throw away what the files hold; nothing of it may be noted as ours. Raises DiskError."""
        await self._run(self._storage.empty)

    def _prepare(self, have: Bitfield) -> bool:
        if self._closing:  # whoever removed it must not find new folders
            return False
        if self.writable:
            self._storage.want(self._skipped)
        self._storage.prepare()
        if self.preallocate and self.writable:
            self._storage.preallocate()
        if self.writable and have.all():
            self._storage.link()
        return self._checkpoint(have, 0, 0)

    async def rename(self, old: str, new: str) -> Path:
        """Give a file or a folder another name, for good. Where the torrent's files are then.

        Raises HostError, DiskError, TargetExistsError.
        """
        assert self.place is not None
        if not self.writable:
            raise HostError(f"{self.place.path} is shared read-only: its files keep their names")
        await self._run(self._rename, (old, new))
        return self.place.path

    def _rename(self, wanted: Rename) -> None:
        place, resumes, meta = self.place, self.resumes, self._metainfo
        assert place is not None
        assert resumes is not None
        kept_in = resumes.names(meta.info_hash, place.root / meta.name)
        renaming = partial(renamed, kept_in, place.root, meta.files)

        def switch(number: int, name: tuple[str, ...], move: Callable[[], None]) -> None:
            self._storage.rename(number, self.files[number]._replace(path=name), move)

        try:
            self._call(renaming([wanted], switch))
        except HostError:
            self._call(renaming([]))  # some may have got theirs
            raise

    def _call(self, files: tuple[File, ...]) -> None:
        """These are their names."""
        assert self.place is not None
        self.files = files
        self.place = self.place.named(files, alone=self._metainfo.single_file)
        for number, file in enumerate(files):
            if file.link is not None:  # it leads elsewhere, perhaps
                self._storage.rename(number, file, _nothing_more)

    async def move(self, to: Path, last: Checkpoint, progress: Callable[[int, int], None]) -> Path:
        """Move the files while nothing is stored; `last` is what is ours. Where they are then.

        Raises DiskError, HostError, TargetExistsError; then they are where they were.
        """
        assert self.place is not None
        assert self.resumes is not None
        if not self.writable:
            raise HostError(f"{self.place.path} is shared read-only: p2pswarm move can move it")
        if not await self.checkpoint(last.pieces, last.uploaded, last.downloaded):
            raise HostError("somebody changed the files: they cannot be moved now")
        besides = [parts_name(self._metainfo.info_hash)]
        moving = await self._run(partial(Moving, self.place, to, besides=besides))
        name, target = self._metainfo.info_hash, moving.target
        home, left = target.root / self._metainfo.name, self.place.root / self._metainfo.name
        resume = await self._run(self.resumes.open, name, home)
        try:
            await self._run(self.resumes.copy_names, name, left, home)
            steps = moving.steps(lambda looks: resume.adopt(self._last(last, looks)))
            while (done := await self._run(next, steps, None)) is not None:
                progress(done, moving.total)
        except BaseException:
            resume.close()
            raise
        self._storage.relocate(target.root)
        self.place, before = target, self._resume
        self._resume = resume
        await self._run(before.forget)
        await self._run(self.resumes.forget_names, name, left)
        await self._run(moving.clean)
        if self._watching.on:
            self._watch(await self._run(self._storage.stats))
        if self._closing:  # meanwhile
            self._close_files()
        return target.path

    def _last(self, last: Checkpoint, looks: Sequence[FileStat | None]) -> Checkpoint:
        """`last` as the files look now: what could not be synced here is not claimed there."""
        safe = last.pieces & ~self._resume.unsafe(last.pieces)
        uploaded, downloaded = self.uploaded_before, self.downloaded_before
        return Checkpoint(safe, [*looks], last.uploaded + uploaded, last.downloaded + downloaded)

    def store(
        self,
        piece: PieceIndex,
        data: memoryview,
        done: Callable[[Stored | DiskError], None],
        *,
        begun: Begun | None = None,
        leaves: bytes | None = None,
        digests: bool,
    ) -> None:
        """Verify, write, note, in this order; `done` may be called before this returns.

        Raises LocalProtocolError when nobody knows what the piece must be: see `expect`.
        """
        expected = self._wanted(piece, data)
        if expected is None:
            raise LocalProtocolError(f"piece {piece} cannot be verified yet")
        self._watching.end()
        offset = piece * self._metainfo.piece_length
        self._unflushed.bytes += len(data)
        self._unflushed.files.update(self._layout.files_of(offset, len(data)))
        self._disk.store(
            self._storage,
            offset,
            data,
            expected,
            done,
            begun=begun,
            leaves=leaves,
            note=lambda: self._resume.note(piece),
            digests=digests,
        )

    def expect(self, piece: PieceIndex) -> Expected | None:
        """What the piece must hash to; None while nobody knows: its layer is missing (BEP 52)."""
        return Expected.of(self._metainfo, piece, self.expected)

    def _wanted(self, piece: PieceIndex, data: memoryview) -> Expected | None:
        """What `data` must hash to."""
        return self.expect(piece)

    def read(
        self, offset: int, into: Sequence[memoryview], done: Callable[[DiskError | None], None]
    ) -> None:
        self._disk.read(self._storage, offset, into, done)

    async def work_out(self, job: Callable[[Callable[[PieceIndex], bytes]], T]) -> T:
        """A job for a disk thread that reads pieces, up to the ends of their files."""
        return await self._run(job, self._read_piece)

    def _read_piece(self, piece: PieceIndex) -> bytes:
        """Raises DiskError."""
        meta = self._metainfo
        return self._storage.read(meta.piece_offset(piece), meta.data_size(piece))

    async def checkpoint(self, have: Bitfield, uploaded: int, downloaded: int) -> bool:
        """Make what we have survive a power cut. Whether it was noted: not while files are in doubt.

        Raises DiskError.
        """
        flushing, self._unflushed = self._unflushed, _Unflushed()
        self._flushing.append(flushing)
        noting = self._begin(self._checkpoint, have, uploaded, downloaded)
        noting.add_done_callback(lambda _: self._flushing.remove(flushing))
        return await result_of(noting)

    def _checkpoint(self, have: Bitfield, uploaded: int, downloaded: int) -> bool:
        if self._watching.breaks(self._storage.stats):
            return False
        return self._resume.checkpoint(
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
        stats = await self._run(self._storage.stats)
        changed = self._watching.changed(stats)
        self._storage.forget(changed)
        if settled:
            self._watch(stats)
        return self._watching.doubt(changed, have if self.writable else None)

    def _watch(self, stats: list[FileStat | None]) -> None:
        self._watching.begin(stats)
        self._storage.watch(stats)

    async def close(self, have: Bitfield | None, uploaded: int, downloaded: int) -> None:
        """Note what there is (`have` None: nothing new is known) and close the files; a disk that hangs may
        finish that alone. Never raises."""
        try:
            if have is not None and self._quickly_flushed():
                async with asyncio.timeout(NOTE_AT_END):
                    await self.checkpoint(have, uploaded, downloaded)
        except (HostError, TimeoutError) as error:
            log.warning("%s: resume data not written: %s", self._metainfo.name, _words(error))
        self._closing = True
        try:
            if have is None and not self._jobs:
                self._close_files()  # what was noted was synced: there is nothing to wait for
                return
            closed = self._begin(self._close_files)
            async with asyncio.timeout(CLOSE_FILES):
                await asyncio.wait(self._jobs)
            closed.result()
        except (DiskError, TimeoutError) as error:
            log.warning("%s: files not closed well: %s", self._metainfo.name, _words(error))

    def _quickly_flushed(self) -> bool:
        """A checkpoint would wait for one that runs, too."""
        waiting = (self._unflushed, *self._flushing)
        files = sum(len(unflushed.files) for unflushed in waiting)
        return files <= FILES_AT_END and sum(part.bytes for part in waiting) <= FLUSH_AT_END

    async def _run(self, job: Callable[..., T], *args: Any) -> T:
        return await result_of(self._begin(job, *args))

    def _begin(self, job: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        begun = self._disk.begin(job, *args)
        self._jobs |= {begun}
        begun.add_done_callback(self._over)
        return begun

    def _over(self, job: asyncio.Future[Any]) -> None:
        self._jobs -= {job}
        job.exception()  # is raised where somebody waits still

    def _close_files(self) -> None:
        """The storage first: a checkpoint that runs ends with the file that it is at."""
        try:
            self._storage.close()
        finally:
            self._resume.close()


def _nothing(piece: PieceIndex) -> None:
    """Nobody gave anything."""


def _nothing_more() -> None:
    """It has that name."""


def _words(error: Exception) -> str:
    return str(error) or "the disk hangs"
