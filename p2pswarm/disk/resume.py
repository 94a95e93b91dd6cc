"""What survives a restart, and never runs ahead of the data.

Two files for each download. `.resume` is a checkpoint: the pieces whose bytes were synced to the disk
*before* it was written, and how their files looked then. `.journal`, while there is something in it, names
the pieces written since. The order is always the same: write the data, then note it; sync the data, then
claim it.

The caller keeps two rules. It gives `checkpoint` only pieces that were stored or verified in this session
or trusted by `load`; and when a check is over it makes a checkpoint, before it goes on.

The one hard thing: a sync that fails loses data although the next sync succeeds (the kernel forgets what
it could not write). From then on every piece that was not safe before is `doubtful`: never claimed again
until it is written again, and verified at the next start.
"""

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha1
from itertools import islice
from pathlib import Path
from random import Random
from threading import Lock

from p2pswarm.disk.checkpoint import CHANGED, Checkpoint, CheckpointFile
from p2pswarm.disk.handles import disk_error
from p2pswarm.disk.journal import Journal
from p2pswarm.disk.layout import Layout
from p2pswarm.disk.locks import Locks
from p2pswarm.disk.storage import PAD, FileStat, Storage
from p2pswarm.errors import DiskClosedError, DiskError, FormatError, InUseError
from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.ids import InfoHash, PieceIndex

__all__ = ["NO_PIECES", "Resume", "ResumeFolder", "Saved", "read_boot_id"]

NO_PIECES: frozenset[PieceIndex] = frozenset()  # the same one for ten thousand torrents
# Trusted pieces to verify all the same; of a small torrent a quarter, because a node may have thousands.
SAMPLES = 16
SAMPLE_BYTES = 64 << 20  # at most this much of them, but one piece at least
MOST_PLACES = 4  # folders that one torrent was in
# Clocks of files differ where the files lie apart: a file may look this much younger than the note of
# its last piece.
SLACK = 2_000_000_000  # nanoseconds


@dataclass(frozen=True, slots=True)
class Saved:
    """What an earlier session left: `trusted` pieces are ours, `to_verify` may be.

    `sample` are some of the trusted ones; if one of them fails, nothing here is true: check everything.
    """

    trusted: Bitfield
    to_verify: list[PieceIndex]
    sample: list[PieceIndex]
    uploaded: int
    """Bytes, in all sessions."""
    downloaded: int
    exact: bool
    """All files look as they did, and no piece was noted since: with just `trusted`, a checkpoint would say
    nothing new."""


class ResumeFolder:
    """Where the memories of one node's downloads lie; whoever opens one has it alone.

    `boot_id` names the time since the machine was started: the system's own unless given, '' where it is
    unknown.
    """

    def __init__(self, path: Path, *, boot_id: str | None = None) -> None:
        self._path = path
        self._locks = Locks(path)
        self._boot_id = read_boot_id() if boot_id is None else boot_id

    def open(self, info_hash: InfoHash, target: Path, *, synced: bool = True) -> "Resume":
        """The memory of this torrent's download into `target`, locked until it is closed.

        `synced` is for data that we write; where it is only read, a power cut may cost its checkpoint (it
        is damaged then, and noticed), never make it claim too much. For disk threads. Raises InUseError,
        DiskError.
        """
        place, key = _place_and_key(info_hash, target)
        path, lock = self._path / key, _sha1(key.encode())
        try:
            self._locks.take(lock)
        except InUseError as error:
            raise InUseError(f"another process works on the download in {target}") from error
        try:
            journal = Journal(f"{path}.journal", info_hash, self._boot_id)
        except BaseException:
            self._locks.give(lock)
            raise
        checkpoint = CheckpointFile(f"{path}.resume", info_hash, place, synced=synced)
        return Resume(checkpoint, journal, self._locks, lock)

    def places(self, info_hash: InfoHash) -> list[Path]:
        """Where this torrent's data was, as far as is remembered here; no more than `MOST_PLACES`."""
        found = []
        for path in islice(self._path.glob(f"{info_hash.hex()}-*.resume"), MOST_PLACES):
            with suppress(FormatError):
                found.append(Path(os.fsdecode(CheckpointFile.target_of(str(path)))))
        return found

    def names(self, info_hash: InfoHash, target: Path) -> Path:
        """Where the names that a person gave the files of this download are kept."""
        return self._path / f"{_place_and_key(info_hash, target)[1]}.names"

    def copy_names(self, info_hash: InfoHash, target: Path, to: Path) -> None:
        """The files go to another folder, and keep those names. Raises DiskError."""
        source, copy = self.names(info_hash, target), self.names(info_hash, to)
        try:
            copy.write_bytes(source.read_bytes())
        except FileNotFoundError:
            copy.unlink(missing_ok=True)
        except OSError as error:
            raise disk_error("write", copy, error) from error

    def forget_names(self, info_hash: InfoHash, target: Path) -> None:
        """There are no files any more. Raises DiskError."""
        path = self.names(info_hash, target)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise disk_error("remove", path, error) from error


def _place_and_key(info_hash: InfoHash, target: Path) -> tuple[bytes, str]:
    place = os.fsencode(os.path.realpath(target))
    return place, f"{info_hash.hex()}-{_sha1(place).hex()[:8]}"


class Resume:
    """The memory of one download into one folder."""

    def __init__(
        self, checkpoint: CheckpointFile, journal: Journal, locks: Locks, lock: bytes
    ) -> None:
        """`lock` is its name among `locks`, and taken."""
        self._checkpoint = checkpoint
        self._journal = journal
        self._locks, self._lock = locks, lock
        self._closed = False
        self._busy = Lock()  # one checkpoint at a time
        self._safe = Bitfield()  # what the last checkpoint claimed; empty before there is one
        self.sync_failed = False
        """Whether the last checkpoint's sync failed: then `unsafe` pieces need a new look."""
        self._doubtful: frozenset[PieceIndex] = NO_PIECES
        self._doubting = Lock()  # a note may come from another thread than a checkpoint
        self.reason = ""
        """Why `load` found nothing to believe, for the log."""

    def load(
        self,
        layout: Layout,
        piece_length: int,
        piece_count: int,
        stats: Sequence[FileStat | None],
        dice: Random,
    ) -> Saved | None:
        """What can be believed, given how the files look now (`Storage.stats`). Once, after `open`.

        None when there is nothing, or nothing undamaged and of this download: `reason` says which. No
        content of the files makes it raise, but what is not believed is struck out at once, and where no
        file is there a download begins: DiskError says that this could not be written.
        """
        try:
            last, mtime = self._checkpoint.read(pieces=piece_count, files=len(stats))
        except FormatError as error:
            self.reason = str(error)
            if not any(stat is not None and stat.size for stat in stats):
                self._begin(Checkpoint(Bitfield(piece_count), list(stats), 0, 0))
            return None
        noted = [piece for piece in self._journal.before if piece < piece_count]
        changes = _Changes(layout, piece_length, piece_count)
        until = max(mtime, self._journal.mtime_ns) + SLACK
        changes.find(last.files, stats, changes.files_of(noted), until)
        self._strike(last, changes, noted)
        trusted, maybe = self._judge(changes, noted)
        sample = dice.sample(list(trusted.pieces()), _samples(trusted.count(), piece_length))
        exact = not noted and last.files == list(stats)
        return Saved(trusted, list(maybe.pieces()), sample, last.uploaded, last.downloaded, exact)

    def _begin(self, empty: Checkpoint) -> None:
        self._journal.restart(empty.pieces, ())
        self._checkpoint.write(empty)

    def _strike(self, last: Checkpoint, changes: "_Changes", noted: list[PieceIndex]) -> None:
        """Before we write to a changed file ourselves, after which it would look as if only we had."""
        lost = changes.changed | changes.gone
        self._journal.strike(piece for piece in noted if lost[piece])
        believed = last.pieces & ~lost
        if believed != last.pieces or changes.files != last.files:
            self._checkpoint.write(
                Checkpoint(believed, changes.files, last.uploaded, last.downloaded)
            )
        self._safe = believed

    def _judge(self, changes: "_Changes", noted: list[PieceIndex]) -> tuple[Bitfield, Bitfield]:
        """Pieces to trust, and pieces to verify."""
        trusted = self._safe.copy()
        maybe = changes.changed.copy()
        into = trusted if self._journal.same_boot else maybe
        into[noted] = True
        trusted &= ~(changes.changed | changes.gone)
        maybe &= ~(trusted | changes.gone)
        return trusted, maybe

    def note(self, piece: PieceIndex) -> None:
        """This piece is verified and written. For disk threads too. Raises DiskError."""
        self._journal.note(piece)
        with self._doubting:
            self._doubtful -= {piece}

    def checkpoint(
        self, bits: Bitfield, storage: Storage, *, uploaded: int, downloaded: int
    ) -> bool:
        """Sync the data, then claim `bits`; for a disk thread. Pieces noted meanwhile stay noted.

        False when it or the storage is closed, and nothing was written. Raises DiskError, DiskFullError:
        then the old checkpoint and all notes are there still, and when it was the sync that failed,
        `unsafe(bits)` are the pieces of which nobody knows what the disk holds.
        """
        with self._busy:
            if self._closed:  # the last checkpoint of a torrent on a disk that hung
                return False
            if self.sync_failed:  # all that was not safe before may be among what was lost
                lost = {*self.unsafe(bits).pieces(), *self._journal.notes()}
                with self._doubting:
                    self._doubtful |= lost
            doubtful = self._doubtful
            try:
                self._sync(storage)
            except DiskClosedError:  # the notes are there still
                return False
            claimed = bits.copy()
            claimed[list(doubtful)] = False
            now = Checkpoint(claimed, storage.stats(), uploaded, downloaded)
            # A note that failed its check must be gone before its file's new looks are recorded.
            self._journal.strike(piece for piece in self._journal.before if not _has(bits, piece))
            self._checkpoint.write(now)
            self._safe = claimed
            self._journal.restart(claimed, doubtful)
            return True

    def adopt(self, last: Checkpoint) -> None:
        """Claim what was safe at another place and is moved to this one. Raises DiskError."""
        with self._busy:
            self._journal.restart(last.pieces, ())
            self._checkpoint.write(last)
            self._safe = last.pieces

    def unsafe(self, bits: Bitfield) -> Bitfield:
        """Those of `bits` that the last checkpoint did not claim (`load` counts as one)."""
        return bits & ~self._safe if self._safe else bits.copy()

    def close(self) -> None:
        """Unlock, after a checkpoint that runs. Writes nothing; may be called twice."""
        with self._busy:
            self._end()

    def forget(self) -> None:
        """Remove both files and close. Raises DiskError."""
        with self._busy:
            try:
                self._checkpoint.remove()
                self._journal.remove()
            finally:
                self._end()

    def _end(self) -> None:
        self._journal.close()
        if not self._closed:  # after that the lock may be somebody else's
            self._closed = True
            self._locks.give(self._lock)

    def _sync(self, storage: Storage) -> None:
        try:
            storage.sync()
        except DiskClosedError:
            raise
        except DiskError:
            self.sync_failed = True
            self._journal.distrust()
            raise
        self.sync_failed = False


class _Changes:
    """Which pieces lie in files that are not as they were, and which in files that are gone."""

    def __init__(self, layout: Layout, piece_length: int, piece_count: int) -> None:
        self.changed = Bitfield(piece_count)
        self.gone = Bitfield(piece_count)
        self.files: list[FileStat | None] = []  # as before, or CHANGED
        self._layout = layout
        self._piece_length = piece_length

    def files_of(self, pieces: Iterable[PieceIndex]) -> set[int]:
        size = self._piece_length
        files: set[int] = set()
        for piece in pieces:
            start = piece * size
            files.update(self._layout.files_of(start, min(size, self._layout.total - start)))
        return files

    def find(
        self,
        before: Sequence[FileStat | None],
        now: Sequence[FileStat | None],
        written: set[int],
        until: int,
    ) -> None:
        """`written` are the files that had pieces written after `before`, and until `until`."""
        self.files = list(before)
        for file, (was, is_) in enumerate(zip(before, now, strict=True)):
            start, end = self._layout.bytes_of(file)
            if start == end:
                continue
            pieces = slice(start // self._piece_length, (end - 1) // self._piece_length + 1)
            if is_ is None:
                self.gone[pieces] = True
            elif not _unchanged(was, is_, end - start, until if file in written else None):
                self.changed[pieces] = True
                self.files[file] = CHANGED


def _unchanged(was: FileStat | None, now: FileStat, length: int, until: int | None) -> bool:
    """Whether nobody but us can have written here; `until` is when we did last, None if we did not."""
    if now == PAD == was:
        return True
    if now.size < length:
        return False
    if until is None:
        return now == was
    return now.mtime_ns <= until and (was is None or was.mtime_ns <= now.mtime_ns)


def _samples(trusted: int, piece_length: int) -> int:
    most = min(SAMPLES, SAMPLE_BYTES // piece_length, trusted // 4)
    return min(max(1, most), trusted)


def _has(bits: Bitfield, piece: int) -> bool:
    return piece < len(bits) and bool(bits[piece])


def _sha1(data: bytes) -> bytes:
    return sha1(data, usedforsecurity=False).digest()


def read_boot_id() -> str:
    """What Linux calls the time since the last start; '' on systems that do not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
