"""Where the bytes of a torrent are kept: plain synchronous files; tests have another in memory.

Called by `DiskPool` only, from the loop or from several disk threads at once; errors come out as
DiskError, foreign ones stop here. Files are sparse: the first write gives a file its full length, blocks
appear as pieces arrive. The one hard thing: a file that was there once and is gone or shorter later is an
error and never made anew, because its pieces are counted as had; until `forget` says that they are not.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterable, Sequence, Set
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple, Protocol

from typing_extensions import override

from p2pswarm.disk.attributes import allow_running, make_link
from p2pswarm.disk.copying import Way, copy_range
from p2pswarm.disk.handles import (
    FILE_FLAGS,
    OpenFiles,
    Shelf,
    disk_error,
    forget_clean,
    open_beneath,
    open_folder,
    write_all,
)
from p2pswarm.disk.layout import Layout
from p2pswarm.disk.parts import PartFile
from p2pswarm.disk.preallocating import preallocate
from p2pswarm.errors import DiskClosedError, DiskError

if TYPE_CHECKING:
    from p2pswarm.formats.metainfo import File

__all__ = ["NO_FILES", "PAD", "FileStat", "FileStorage", "Parts", "Storage"]

NO_FILES: Set[int] = frozenset()
Parts = Callable[[Path, Layout], PartFile]  # beside the files that lie below this folder

_NOWAIT = getattr(os, "RWF_NOWAIT", 0)  # Linux only
_NO_NOWAIT = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}  # tmpfs says the first
_GONE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}
_fdatasync = getattr(os, "fdatasync", os.fsync)  # macOS has only the second


class FileStat(NamedTuple):
    """What tells that a file was changed: bytes, and nanoseconds since 1970."""

    size: int
    mtime_ns: int


PAD = FileStat(0, 0)
"""What stands for a pad file (BEP 47): nothing on the disk, and it never changes."""


class Storage(Protocol):
    """The bytes of one torrent; offsets count from its first byte."""

    @property
    def nowait(self) -> bool:
        """Whether `read_into(wait=False)` can tell what is cached; False once it turned out it cannot."""

    def prepare(self) -> None:
        """Create folders and empty files. May be called again. Raises DiskError."""

    def write(self, offset: int, data: memoryview | bytearray | bytes) -> None:
        """Write all of `data`. Raises DiskError, DiskFullError; then any part of it may be written."""

    def take(self, offset: int, length: int, source: int, at: int) -> Way:
        """The same with bytes of an open file, from `at` on, the cheapest way there is."""

    def read(self, offset: int, length: int) -> bytes:
        """Exactly these bytes. Raises DiskError, also when a file is shorter than it should be."""

    def read_into(self, offset: int, into: Sequence[memoryview], *, wait: bool = True) -> bool:
        """Fill `into`, one after the other. With `wait=False` only from open files and the page cache: False
        says it would have to wait, and `into` holds anything. Raises DiskError as `read` does."""

    def stats(self) -> list[FileStat | None]:
        """One for each file: None where none is, `PAD` for a pad file. Raises DiskError."""

    def watch(self, looks: Sequence[FileStat | None]) -> None:
        """From here on a file should look like this, one for each file as `stats` gives them: reading one
        that does not raises DiskError. The next `write` ends it."""

    def forget(self, files: Iterable[int]) -> None:
        """Somebody else changed these, and nothing of them is counted as had: open them anew, and make
        them anew when they are gone."""

    def empty(self) -> None:
        """Throw away all that the files hold; the next write makes them anew. Raises DiskError."""

    def sync(self) -> None:
        """Return when all that was written before the call is on the disk. Raises DiskError, and
        DiskClosedError when it was closed first: of many files, each costs a turn of the disk."""

    @property
    def parts(self) -> PartFile | None:
        """Where bytes of unwanted files are kept; None where no file is unwanted."""

    def skip(self, files: Set[int], parts: Parts, *, but: Set[int] = NO_FILES) -> None:
        """These are not wanted: as far as they are not there yet, they are kept aside from here on. Never
        those of `but`, which are being written. Raises DiskError."""

    def want(self, skipped: Set[int]) -> None:
        """All but `skipped` are wanted: what is aside of them becomes a file. Raises DiskError."""

    def preallocate(self) -> None:
        """Take the room for all that is wanted. Raises DiskFullError, DiskError."""

    def relocate(self, root: Path) -> None:
        """The files were moved: they lie below another folder from here on."""

    def rename(self, number: int, file: "File", act: Callable[[], None]) -> None:
        """`act` gives a file another name; nobody looks for it meanwhile. What that raises goes through."""

    def link(self) -> None:
        """Everything is here: make the wanted symbolic links (BEP 47). Raises DiskError."""

    def close(self) -> None:
        """Close the files; one that a thread still uses closes when that is over."""


class FileStorage:
    """Real files; `root.joinpath(*file.path)` is where each one lies.

    Writable, it creates what is missing and refuses symbolic links inside `root`. Not writable, it reads
    what the user already has, wherever links lead. Few files stay open: as many as `shelf` has room for.
    """

    def __init__(
        self, root: Path, files: Sequence["File"], *, writable: bool, shelf: Shelf | None = None
    ) -> None:
        for file in files:
            _check_path(file.path)
        self._root = root
        self._files = files
        self._writable = writable
        self._layout = Layout([file.length for file in files])
        self._open = OpenFiles(self._open_file, Shelf() if shelf is None else shelf)
        self._naming = Lock()  # a file is not where `_files` says while somebody holds it
        self._seen: set[int] = set()  # files that had their full length at some time
        self._shrunk: dict[
            int, int
        ] = {}  # files that somebody has cut since, and to how many bytes
        self._looks: Sequence[FileStat | None] | None = None  # how nobody may change them
        self._skipped: Set[int] = NO_FILES  # are not made
        self.parts: PartFile | None = None
        self.nowait = bool(_NOWAIT)

    @override
    def __repr__(self) -> str:
        mode = "rw" if self._writable else "ro"
        return f"<FileStorage {self._root} {mode} {len(self._files)} files, {len(self._open)} open>"

    def prepare(self) -> None:
        if not self._writable:
            return
        try:
            self._root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error("create", self._root, error) from error
        made = [n for n, file in enumerate(self._files) if not file.pad and n not in self._skipped]
        for folders in sorted({self._files[number].path[:-1] for number in made}):
            self._make_folder(folders)
        for number in made:
            if not self._files[number].length and self._files[number].link is None:
                os.close(self._open_file(number, writing=True))

    def write(self, offset: int, data: memoryview | bytearray | bytes) -> None:
        self._looks = None
        view = memoryview(data)
        spans = self._layout.spans(offset, len(view))
        if len(spans) == 1:
            self._write_part(spans[0].file, spans[0].offset, view)
            return
        at = 0
        for file, start, length in spans:
            self._write_part(file, start, view[at : at + length])
            at += length

    def take(self, offset: int, length: int, source: int, at: int) -> Way:
        self._looks = None
        ways = [Way.SHARED]
        for file, start, size in self._layout.spans(offset, length):
            ways.append(self._take_part(file, start, size, source, at))
            at += size
        return max(ways, key=list(Way).index)

    def read(self, offset: int, length: int) -> bytes:
        data = bytearray(length)
        self.read_into(offset, [memoryview(data)])
        return bytes(data)

    def read_into(self, offset: int, into: Sequence[memoryview], *, wait: bool = True) -> bool:
        read = self._read_part if wait else self._peek_part
        spans = self._layout.spans(offset, sum(map(len, into)))
        if len(spans) == 1:
            return read(spans[0].file, spans[0].offset, into)
        at = 0
        for file, start, length in spans:
            if not read(file, start, _stretch(into, at, length)):
                return False
            at += length
        return True

    def stats(self) -> list[FileStat | None]:
        return [self._stat(number) for number in range(len(self._files))]

    def watch(self, looks: Sequence[FileStat | None]) -> None:
        self._looks = looks

    def forget(self, files: Iterable[int]) -> None:
        for file in files:
            self._open.drop(file)
            self._seen.discard(file)
            self._shrunk.pop(file, None)
            parts = self._aside(file)
            if parts is not None:
                parts.forget()

    def skip(self, files: Set[int], parts: Parts, *, but: Set[int] = NO_FILES) -> None:
        self._skipped = files
        if self.parts is None:
            if not files:
                return
            self.parts = parts(self._root, self._layout)
        absent = {number for number in files - but if self._may_be_aside(number)}
        self.parts.files |= absent

    def want(self, skipped: Set[int]) -> None:
        self._skipped = skipped
        if self.parts is not None:
            self.parts.take_back(self.parts.files - skipped, self._write_file)
            self.sync()  # before the only other copy goes
            if not self.parts.files:
                self.parts.remove()

    def preallocate(self) -> None:
        for number, file in enumerate(self._files):
            if not file.pad and file.length and number not in self._skipped:
                handle = self._open.acquire(number, writing=True)
                try:
                    preallocate(handle.fd, file.length)
                except OSError as error:
                    raise disk_error("make room for", self._path(number), error) from error
                finally:
                    self._open.release(handle, wrote=True)

    def relocate(self, root: Path) -> None:
        self._root = root
        if self.parts is not None:
            self.parts.relocate(root)
        for number in range(len(self._files)):
            self._open.drop(number)

    def rename(self, number: int, file: "File", act: Callable[[], None]) -> None:
        with self._naming:
            act()
            self._files = [*self._files[:number], file, *self._files[number + 1 :]]

    def link(self) -> None:
        for number, file in enumerate(self._files):
            if file.link is not None and number not in self._skipped:
                make_link(self._root, file.path, file.link)

    def _aside(self, number: int) -> PartFile | None:
        """What keeps the bytes of an unwanted file."""
        parts = self.parts
        return parts if parts is not None and number in parts.files else None

    def _may_be_aside(self, number: int) -> bool:
        file = self._files[number]
        return bool(file.length) and not file.pad and self._stat(number) is None

    def empty(self) -> None:
        for number, file in enumerate(self._files):
            if not file.pad:
                self._empty_file(number)
        self.forget(range(len(self._files)))

    def sync(self) -> None:
        """A file whose sync failed counts as written still, and its clean pages are dropped: the kernel
        forgets what it could not write, so the next read has to show what is really on the disk."""
        if self.parts is not None:
            self.parts.sync()
        written = self._open.take_written()
        try:
            for file in sorted(written):
                if self._open.closed:
                    raise DiskClosedError("closed before all was on the disk")
                self._sync_file(file)
                written.discard(file)
        finally:
            self._open.put_back_written(written)

    def close(self) -> None:
        self._open.close()

    def _path(self, number: int) -> Path:
        return self._root.joinpath(*self._files[number].path)

    def _write_part(self, number: int, at: int, data: memoryview) -> None:
        if self._files[number].pad:
            return
        parts = self._aside(number)
        if parts is not None and parts.write(number, at, data):
            return
        self._write_file(number, at, data)

    def _write_file(self, number: int, at: int, data: memoryview) -> None:
        self._refuse_read_only(number)
        handle = self._open.acquire(number, writing=True)
        try:
            self._notice_cut(number, handle.fd)
            write_all(handle.fd, at, data)
        except OSError as error:
            raise disk_error("write", self._path(number), error) from error
        finally:
            self._open.release(handle, wrote=True)

    def _take_part(self, number: int, to: int, length: int, source: int, at: int) -> Way:
        if self._files[number].pad:
            return Way.SHARED
        parts = self._aside(number)
        if parts is not None and parts.write(number, to, _taken(source, length, at)):
            return Way.COPIED
        self._refuse_read_only(number)
        handle = self._open.acquire(number, writing=True)
        try:
            self._notice_cut(number, handle.fd)
            return copy_range(source, handle.fd, at, length, to=to)
        except OSError as error:
            raise disk_error("write", self._path(number), error) from error
        finally:
            self._open.release(handle, wrote=True)

    def _refuse_read_only(self, number: int) -> None:
        if not self._writable:
            text = f"cannot write {self._path(number)}: it is shared read-only"
            raise DiskError(text, errno.EROFS)

    def _notice_cut(self, number: int, fd: int) -> None:
        """Somebody made the file shorter, and what we write next may hide it: `stats` will tell."""
        size = os.fstat(fd).st_size
        if size < self._files[number].length:
            self._shrunk[number] = min(size, self._shrunk.get(number, size))

    def _read_part(self, number: int, at: int, into: Sequence[memoryview]) -> bool:
        if self._files[number].pad:
            for part in into:
                part[:] = bytes(len(part))
            return True
        parts = self._aside(number)
        if parts is not None and parts.read(number, at, into):
            return True
        handle = self._open.acquire(number, writing=False)
        try:
            whole = _read_all(handle.fd, at, into)
            self._check_look(number, handle.fd)
        except OSError as error:
            raise disk_error("read", self._path(number), error) from error
        finally:
            self._open.release(handle, wrote=False)
        if not whole:
            raise _short(self._path(number))
        return True

    def _check_look(self, number: int, fd: int) -> None:
        """After the read: what was changed before it shows, and what is changed later does not matter."""
        looks = self._looks
        if looks is not None:
            now = os.fstat(fd)
            if (now.st_size, now.st_mtime_ns) != looks[number]:
                raise DiskError(f"{self._path(number)} was changed by somebody else")

    def _peek_part(self, number: int, at: int, into: Sequence[memoryview]) -> bool:
        if self._files[number].pad:
            return self._read_part(number, at, into)
        if self._aside(number) is not None:
            return False
        handle = self._open.acquire_if_open(number)
        if handle is None:  # opening may wait for the disk
            return False
        try:
            if os.preadv(handle.fd, into, at, _NOWAIT) < sum(map(len, into)):
                return False
            self._check_look(number, handle.fd)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno not in _NO_NOWAIT:
                raise disk_error("read", self._path(number), error) from error
            self.nowait = False
            return False
        finally:
            self._open.release(handle, wrote=False)
        return True

    def _empty_file(self, number: int) -> None:
        handle = self._open.acquire(number, writing=True)
        try:
            os.ftruncate(handle.fd, 0)
        except OSError as error:
            raise disk_error("empty", self._path(number), error) from error
        finally:
            self._open.release(handle, wrote=False)

    def _sync_file(self, number: int) -> None:
        handle = self._open.acquire(number, writing=True)
        try:
            _fdatasync(handle.fd)
        except OSError as error:
            forget_clean(handle.fd)
            raise disk_error("sync", self._path(number), error) from error
        finally:
            self._open.release(handle, wrote=False)

    def _stat(self, number: int) -> FileStat | None:
        if self._files[number].pad:
            return PAD
        parts = self._aside(number)
        if parts is not None:
            kept = parts.look(number)
            return FileStat(*kept) if kept is not None else None
        try:
            with self._naming:
                found = self._path(number).stat(follow_symlinks=not self._writable)
        except OSError as error:
            if error.errno in _GONE:
                return None
            raise disk_error("look at", self._path(number), error) from error
        size = min(found.st_size, self._shrunk.get(number, found.st_size))
        return FileStat(size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None

    def _make_folder(self, folders: tuple[str, ...]) -> None:
        try:
            os.close(open_folder(self._root, folders, create=True))
        except OSError as error:
            raise disk_error("create", self._root.joinpath(*folders), error) from error

    def _open_file(self, number: int, writing: bool) -> int:
        """Raises DiskError."""
        # Asked before the file is looked at: another thread may be making it now.
        seen = number in self._seen
        try:
            fd = self._open_descriptor(number, writing, create=writing and not seen)
        except OSError as error:
            raise disk_error("open", self._path(number), error) from error
        try:
            self._vet(number, fd, writing, seen)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _open_descriptor(self, number: int, writing: bool, *, create: bool) -> int:
        if not self._writable:
            return os.open(self._path(number), os.O_RDONLY | FILE_FLAGS)
        flags = os.O_RDWR if writing else os.O_RDONLY
        with self._naming:
            return open_beneath(self._root, self._files[number].path, flags, create=create)

    def _vet(self, number: int, fd: int, writing: bool, seen: bool) -> None:
        """Only a regular file will do, and one that is written has its full length."""
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise DiskError(f"{self._path(number)} is not a regular file")
        if not writing:
            return
        if found.st_size < self._files[number].length:
            if seen:
                raise _short(self._path(number))
            self._lengthen(number, fd)
        if not seen and self._files[number].executable:
            self._allow_running(number, fd)
        self._seen.add(number)

    def _allow_running(self, number: int, fd: int) -> None:
        try:
            allow_running(fd)
        except OSError as error:
            raise disk_error("change", self._path(number), error) from error

    def _lengthen(self, number: int, fd: int) -> None:
        try:
            os.ftruncate(fd, self._files[number].length)
        except OSError as error:
            raise disk_error("create", self._path(number), error) from error


def _check_path(path: Sequence[str]) -> None:
    """The last line of defence; `formats.metainfo` gives only safe names. Raises ValueError."""
    for name in path:
        if name in ("", ".", "..") or "/" in name or "\0" in name:
            raise ValueError(f"the path {path!r} is not safe")
    if not path:
        raise ValueError("a file without a name")


def _read_all(fd: int, at: int, into: Sequence[memoryview]) -> bool:
    """False when the file ends before `into` is full."""
    wanted, got = sum(map(len, into)), 0
    while got < wanted:
        n = os.preadv(fd, _stretch(into, got, wanted - got) if got else into, at + got)
        if not n:
            return False
        got += n
    return True


def _taken(source: int, length: int, at: int) -> memoryview:
    """Bytes of an open file of somebody else. Raises DiskError."""
    try:
        return memoryview(os.pread(source, length, at))
    except OSError as error:
        raise disk_error("read", "a file to be re-used", error) from error


def _stretch(views: Sequence[memoryview], start: int, length: int) -> list[memoryview]:
    """These bytes of `views`, which follow each other."""
    found: list[memoryview] = []
    for view in views:
        if start < len(view) and length:
            part = view[start : start + length]
            found.append(part)
            length -= len(part)
        start = max(0, start - len(view))
    return found


def _short(path: Path) -> DiskError:
    return DiskError(f"{path} is shorter than it should be")
