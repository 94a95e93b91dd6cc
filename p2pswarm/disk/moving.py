"""A torrent's files moved to another folder, so that at every instant one place holds all of them.

On one file system that is a rename. Onto another one the files are copied beside their new place under a
name of ours, synced, read again and compared, and renamed together; only then the old ones go. Before a
rename `claim` is told how the files look, and writes what is known of them for the new place: as long as
they are not there, it claims nothing.

The one hard thing is whoever pulls the plug. A move that is begun again finds a copy half made, which it
makes anew, or the copy and the old files both whole: then it only takes the old ones away.
"""

import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from p2pswarm.disk.copying import copy_range
from p2pswarm.disk.handles import disk_error, open_beneath, sync_folder
from p2pswarm.disk.locate import Place
from p2pswarm.disk.storage import PAD, FileStat
from p2pswarm.errors import HostError, TargetExistsError
from p2pswarm.formats.metainfo import File

__all__ = ["Claim", "Moving", "stats_of"]

STEP = 8 << 20  # bytes copied between two looks at the world

Claim = Callable[[Sequence[FileStat | None]], None]
"""Told how the files will look at their new place."""


class Moving:
    """`for done in moving.steps(claim): ...`, for disk threads, one step at a time; then `clean`.

    `besides` are files in the same folder that belong to the download. Raises HostError, TargetExistsError.
    """

    def __init__(self, place: Place, to: Path, *, besides: Sequence[str] = ()) -> None:
        name = place.path.name
        self.target = Place(to, tuple(_renamed(place.files, name)), to / name)
        self._place = place
        self._fresh = Place(
            to, tuple(_renamed(place.files, f".{name}.moving")), to / f".{name}.moving"
        )
        self._besides = [each for each in besides if os.path.lexists(place.root / each)]
        self._copied = False
        real, new = Path(os.path.realpath(place.path)), Path(os.path.realpath(to))
        if not os.path.lexists(place.path):  # also a single file that got another name
            raise HostError(f"{place.path} is not there: it cannot be moved")
        if to.exists() and not to.is_dir():
            raise HostError(f"{to} is not a folder")
        if new == real.parent:
            raise HostError(f"{place.path} is in {to} already")
        if new.is_relative_to(real):
            raise HostError(f"{place.path} cannot be moved into itself")

    @property
    def total(self) -> int:
        """Bytes, where they have to be copied."""
        return sum(file.length for file in self._place.files if not file.pad)

    def steps(self, claim: Claim) -> Iterator[int]:
        """Bytes that were copied so far; at the end all is at `target`.

        Raises DiskError, TargetExistsError.
        """
        try:
            self.target.root.mkdir(parents=True, exist_ok=True)
            yield from self._move(claim)
            self._move_besides()
            sync_folder(self._place.root)
        except OSError as error:
            raise disk_error("move", self._place.path, error) from error

    def _move(self, claim: Claim) -> Iterator[int]:
        if os.path.lexists(self.target.path):  # by a move that was stopped at its end
            yield from self._compared(self.target)
            self._copied = True
            claim(stats_of(self.target))
            return
        _sync_files(self._place)
        claim(stats_of(self._place))
        if not self._rename(self._place.path, self.target.path):
            yield from self._copy(claim)

    def clean(self) -> None:
        """Take the old files away, now that the new ones are believed. Raises DiskError."""
        try:
            if self._copied:
                self._remove_old()
        except OSError as error:
            raise disk_error("remove", self._place.path, error) from error

    def _rename(self, old: Path, new: Path) -> bool:
        """False where another file system begins."""
        try:
            old.rename(new)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            return False
        sync_folder(new.parent)
        return True

    def _copy(self, claim: Claim) -> Iterator[int]:
        try:
            yield from self._copy_all(claim)
        except OSError:  # on a disk that is full it would stay so
            with suppress(OSError):
                self._discard_copy()
            raise

    def _discard_copy(self) -> None:
        fresh = self._fresh.path
        if fresh.is_dir() and not fresh.is_symlink():
            shutil.rmtree(fresh)
        else:
            fresh.unlink(missing_ok=True)

    def _copy_all(self, claim: Claim) -> Iterator[int]:
        fresh = self._fresh
        self._discard_copy()
        if self._place.path.is_dir():
            fresh.path.mkdir()
        done = 0
        for old, new in zip(self._place.files, fresh.files, strict=True):
            for copied in self._copy_file(old, new):
                done += copied
                yield done
        yield from self._compared(fresh)
        _sync_folders(fresh)
        claim(stats_of(fresh))
        fresh.path.rename(self.target.path)
        sync_folder(self.target.root)
        self._copied = True

    def _copy_file(self, old: File, new: File) -> Iterator[int]:
        path = self._place.root.joinpath(*old.path)
        if old.pad or not os.path.lexists(path):
            return
        if path.is_symlink():  # of the torrent itself (BEP 47), and it leads to another file of it
            self._copy_link(path, new)
            return
        source = open_beneath(self._place.root, old.path, os.O_RDONLY)
        try:
            target = open_beneath(self._fresh.root, new.path, os.O_RDWR, create=True)
            try:
                yield from _copy_bytes(source, target)
            finally:
                os.close(target)
        finally:
            os.close(source)

    def _copy_link(self, path: Path, new: File) -> None:
        link = self._fresh.root.joinpath(*new.path)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path.readlink())

    def _compared(self, other: Place) -> Iterator[int]:
        """Whether `other` holds the same bytes; TargetExistsError where it does not."""
        yield 0
        for one, two in zip(self._place.files, other.files, strict=True):
            a, b = self._place.root.joinpath(*one.path), other.root.joinpath(*two.path)
            if one.pad or not os.path.lexists(a):
                continue
            for same in _compare(a, b):
                if not same:
                    raise _in_the_way(other.path, a, b)
                yield self.total

    def _move_besides(self) -> None:
        for name in self._besides:
            old, new = self._place.root / name, self.target.root / name
            if not self._rename(old, new):
                shutil.copyfile(old, new, follow_symlinks=False)
                shutil.copystat(old, new, follow_symlinks=False)
                _sync_file(new)  # what is claimed of it must not outlive it in a power cut
                sync_folder(new.parent)
                old.unlink()

    def _remove_old(self) -> None:
        """Files of the torrent only, and folders that are empty then."""
        folders: set[Path] = set()
        for file in self._place.files:
            path = self._place.root.joinpath(*file.path)
            if not file.pad:
                path.unlink(missing_ok=True)
                folders.update(path.parents[: len(file.path) - 1])
        for folder in sorted(folders, key=lambda each: len(each.parts), reverse=True):
            with suppress(OSError):  # something else lies in it
                folder.rmdir()
        sync_folder(self._place.root)


def _copy_bytes(source: int, target: int) -> Iterator[int]:
    """Bytes, step by step; at the end they are on the disk."""
    found = os.fstat(source)
    os.ftruncate(target, found.st_size)
    for start in range(0, found.st_size, STEP):
        length = min(STEP, found.st_size - start)
        copy_range(source, target, start, length)
        yield length
    os.fchmod(target, stat.S_IMODE(found.st_mode))
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))
    os.fsync(target)
    if hasattr(os, "posix_fadvise"):  # so that what is compared comes from the disk
        os.posix_fadvise(target, 0, 0, os.POSIX_FADV_DONTNEED)


def _renamed(files: Sequence[File], name: str) -> Iterator[File]:
    for file in files:
        yield file._replace(path=(name, *file.path[1:]))


def stats_of(place: Place) -> list[FileStat | None]:
    """As `FileStorage.stats` gives them."""
    return [_stat(place.root, file) for file in place.files]


def _stat(root: Path, file: File) -> FileStat | None:
    if file.pad:
        return PAD
    try:
        found = root.joinpath(*file.path).lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return FileStat(found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None


def _in_the_way(folder: Path, old: Path, new: Path) -> TargetExistsError:
    if not os.path.lexists(new):
        return TargetExistsError(f"{folder} exists and is not a copy: {new} is missing")
    return TargetExistsError(f"{new} exists and is not the same as {old}")


def _compare(one: Path, other: Path) -> Iterator[bool]:
    """Step by step, until they differ."""
    if one.is_symlink() or other.is_symlink():
        yield one.is_symlink() and other.is_symlink() and one.readlink() == other.readlink()
        return
    try:
        with one.open("rb", buffering=0) as a, other.open("rb", buffering=0) as b:
            found, copied = os.fstat(a.fileno()), os.fstat(b.fileno())
            if os.path.samestat(found, copied):  # by a link on the way, or a folder mounted twice
                raise HostError(f"{other} and {one} are the same file: neither can go")
            yield found.st_size == copied.st_size
            while data := a.read(STEP):
                yield data == b.read(len(data))
    except FileNotFoundError:
        yield False


def _sync_files(place: Place) -> None:
    """What was written lately is on the disk before anything is claimed of it."""
    for file in place.files:
        path = place.root.joinpath(*file.path)
        if not file.pad and path.is_file() and not path.is_symlink():
            _sync_file(path)


def _sync_file(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _sync_folders(place: Place) -> None:
    folders = {
        folder
        for file in place.files
        for folder in place.root.joinpath(*file.path).parents[: len(file.path)]
    }
    for folder in folders:
        if folder.is_dir():
            sync_folder(folder)
