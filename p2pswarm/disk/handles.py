"""Open files: how they are opened safely, and which ones stay open.

Two things are hard. A download never leaves its folder: every folder on the way to a file is opened from
the one above it and symbolic links are refused, so one planted inside the target leads nowhere (the target
itself may be one: the user chose it). And a file is never closed while another thread uses it: each handle
counts its users. All storages of a node share one `Shelf`, so that ten thousand torrents keep no more files
open than one.
"""

import errno
import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from threading import Lock

from p2pswarm.errors import DiskError, DiskFullError

__all__ = [
    "FILE_FLAGS",
    "Handle",
    "OpenFiles",
    "Shelf",
    "disk_error",
    "forget_clean",
    "open_beneath",
    "open_folder",
    "read_kept",
    "sync_folder",
    "write_all",
]

# Without O_NONBLOCK, opening a FIFO that somebody put in the way would wait for ever.
FILE_FLAGS = os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
MOST_OPEN = 256  # files of one node, so that 500 peers fit below the usual limit of 1024 as well
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def disk_error(verb: str, path: str | Path, error: OSError) -> DiskError:
    """What the system said, for the user: 'cannot write PATH: No space left on device'."""
    number = error.errno or 0
    kind = DiskFullError if number in (errno.ENOSPC, errno.EDQUOT) else DiskError
    reason = "a symbolic link is in the way" if number == errno.ELOOP else os.strerror(number)
    return kind(f"cannot {verb} {path}: {reason if number else error}", number)


def read_kept(path: Path, most: int) -> bytes:
    """So much of a file that we wrote; a FIFO in its place is empty. Raises OSError."""
    with open(path, "rb", opener=_opener) as file:
        return file.read(most) or b""


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | FILE_FLAGS)


def write_all(fd: int, at: int, data: memoryview) -> None:
    """Write at `at`, again and again until nothing is left. Raises OSError."""
    while data:
        written = os.pwrite(fd, data, at)
        if not written:
            raise OSError(errno.EIO, "nothing was written")
        data = data[written:]
        at += written


def forget_clean(fd: int) -> None:
    """After a sync that failed: what the kernel could not write counts as clean, and would be read again as
    if it were on the disk."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def sync_folder(path: Path) -> None:
    """Until then a power cut may take back the names of new files. Raises OSError."""
    fd = os.open(path, _FOLDER)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def open_beneath(root: Path, path: Sequence[str], flags: int, *, create: bool = False) -> int:
    """Open the file `path` inside `root`; with `create`, make it and the folders on the way.

    Modes are what the user's umask leaves of 0666 and 0777. Raises OSError.
    """
    folder = open_folder(root, path[:-1], create=create)
    try:
        flags |= FILE_FLAGS | os.O_NOFOLLOW | (os.O_CREAT if create else 0)
        return os.open(path[-1], flags, 0o666, dir_fd=folder)
    finally:
        os.close(folder)


def open_folder(root: Path, folders: Sequence[str], create: bool) -> int:
    """Open a folder beneath `root`, one step at a time, never through a symbolic link."""
    here = os.open(root, _FOLDER)
    for name in folders:
        try:
            below = _enter(here, name, create)
        finally:
            os.close(here)
        here = below
    return here


def _enter(folder: int, name: str, create: bool) -> int:
    try:
        return os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
    except FileNotFoundError:
        if not create:
            raise
    with suppress(FileExistsError):  # another thread was faster
        os.mkdir(name, 0o777, dir_fd=folder)
    return os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)


class Handle:
    """One open file, and how many threads use it at this moment."""

    __slots__ = ("dropped", "fd", "file", "owner", "uses", "writable")

    def __init__(self, owner: "OpenFiles", file: int, fd: int, writable: bool) -> None:
        self.owner = owner
        self.file = file
        self.fd = fd
        self.writable = writable
        self.uses = 1
        self.dropped = False


class Shelf:
    """The open files of all storages of a node, at most `limit`, the least recently used one first.

    Its lock guards the lists of its storages too. Invariant: a handle is here and in its owner's list, or
    dropped; whoever finds it dropped and unused, closes it. Files are opened and closed outside the lock, so
    the loop never waits for a thread's disk here.
    """

    def __init__(self, limit: int = MOST_OPEN) -> None:
        self.lock = Lock()
        self.limit = limit
        self._handles: OrderedDict[Handle, None] = OrderedDict()

    def put(self, handle: Handle) -> None:
        handle.owner.handles[handle.file] = handle
        self._handles[handle] = None

    def use(self, handle: Handle) -> None:
        handle.uses += 1
        self._handles.move_to_end(handle)

    def drop(self, handles: Iterable[Handle]) -> list[Handle]:
        """Take these off; those that are returned, the caller closes once the lock is open again."""
        dropped = list(handles)
        for handle in dropped:
            handle.dropped = True
            del handle.owner.handles[handle.file], self._handles[handle]
        return [handle for handle in dropped if not handle.uses]

    def drop_all_but(self, limit: int) -> list[Handle]:
        """The same with the oldest ones, so that `limit` are left."""
        return self.drop(list(islice(self._handles, max(0, len(self._handles) - limit))))

    def make_room(self) -> bool:
        """The process has too many open; half of ours are easily had again. False when there are none."""
        with self.lock:
            before = len(self._handles)
            unused = self.drop_all_but(before // 2)
        for handle in unused:
            _close(handle)
        return before > 0


class OpenFiles:
    """The open files of one storage. `handles` and `lost` are the shelf's to change."""

    def __init__(self, opener: Callable[[int, bool], int], shelf: Shelf) -> None:
        self._opener = opener
        self._shelf = shelf
        self.handles: dict[int, Handle] = {}
        self._written: set[int] = set()
        self.lost: DiskError | None = None  # a file that was closed said that a write was lost
        self.closed = False

    def __len__(self) -> int:
        return len(self.handles)

    def acquire(self, file: int, *, writing: bool) -> Handle:
        """An open handle, good for writing if asked. Raises DiskError."""
        handle = self.acquire_if_open(file, writing=writing)
        if handle is None:
            handle = Handle(self, file, self._open_or_make_room(file, writing), writing)
            self._add(handle)
        return handle

    def acquire_if_open(self, file: int, *, writing: bool = False) -> Handle | None:
        with self._shelf.lock:
            handle = self.handles.get(file)
            if handle is None or handle.writable < writing:
                return None
            self._shelf.use(handle)
            return handle

    def release(self, handle: Handle, *, wrote: bool) -> None:
        with self._shelf.lock:
            handle.uses -= 1
            if wrote:
                self._written.add(handle.file)
            last = handle.dropped and not handle.uses
        if last:
            _close(handle)

    def take_written(self) -> set[int]:
        """The files that were written since the last call; now they count as not written.

        Raises DiskError, once, when closing one of them failed: nobody knows what the disk holds of it.
        """
        with self._shelf.lock:
            lost, self.lost = self.lost, None
            if lost is not None:
                raise lost
            written, self._written = self._written, set()
            return written

    def put_back_written(self, files: set[int]) -> None:
        with self._shelf.lock:
            self._written |= files

    def drop(self, file: int) -> None:
        """Whoever acquires it next opens it anew."""
        with self._shelf.lock:
            handle = self.handles.get(file)
            unused = self._shelf.drop([handle]) if handle is not None else []
        for handle in unused:
            _close(handle)

    def close(self) -> None:
        """Close what is unused now and the rest when its users are done. May be called twice.

        Raises DiskError when a write was lost.
        """
        with self._shelf.lock:
            self.closed = True
            unused = self._shelf.drop(list(self.handles.values()))
        for handle in unused:
            _close(handle)
        if self.lost is not None:
            raise self.lost

    def _open_or_make_room(self, file: int, writing: bool) -> int:
        try:
            return self._opener(file, writing)
        except DiskError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE) or not self._shelf.make_room():
                raise
        return self._opener(file, writing)

    def _add(self, handle: Handle) -> None:
        with self._shelf.lock:
            before = self.handles.get(handle.file)
            unused = self._shelf.drop([before]) if before is not None else []
            self._shelf.put(handle)
            if self.closed:
                self._shelf.drop([handle])  # whoever uses it closes it
            unused += self._shelf.drop_all_but(self._shelf.limit)
        for old in unused:
            _close(old)


def _close(handle: Handle) -> None:
    try:
        os.close(handle.fd)
    except OSError as error:  # a network file system may tell only now that a write was lost
        handle.owner.lost = disk_error("close", f"file number {handle.file}", error)
