"""Open files: how they are opened safely, and which ones stay open.

Two things are hard. A download never leaves its folder: every folder on the way to a file is opened from
the one above it and symbolic links are refused, so one planted inside the target leads nowhere (the target
itself may be one: the user chose it). And a file is never closed while another thread uses it: `OpenFiles`
counts the users of each handle.
"""

import errno
import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock

from p2pswarm.errors import DiskError, DiskFullError

__all__ = [
    "FILE_FLAGS",
    "Handle",
    "OpenFiles",
    "disk_error",
    "open_beneath",
    "open_folder",
    "write_all",
]

# Without O_NONBLOCK, opening a FIFO that somebody put in the way would wait for ever.
FILE_FLAGS = os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def disk_error(verb: str, path: str | Path, error: OSError) -> DiskError:
    """What the system said, for the user: 'cannot write PATH: No space left on device'."""
    number = error.errno or 0
    kind = DiskFullError if number in (errno.ENOSPC, errno.EDQUOT) else DiskError
    reason = "a symbolic link is in the way" if number == errno.ELOOP else os.strerror(number)
    return kind(f"cannot {verb} {path}: {reason if number else error}", number)


def write_all(fd: int, at: int, data: memoryview) -> None:
    """Write at `at`, again and again until nothing is left. Raises OSError."""
    while data:
        written = os.pwrite(fd, data, at)
        if not written:
            raise OSError(errno.EIO, "nothing was written")
        data = data[written:]
        at += written


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

    __slots__ = ("dropped", "fd", "file", "uses", "writable")

    def __init__(self, file: int, fd: int, writable: bool) -> None:
        self.file = file
        self.fd = fd
        self.writable = writable
        self.uses = 1
        self.dropped = False


class OpenFiles:
    """The open files of one storage, the least recently used one first.

    Invariant: a handle is in `_open` or dropped; whoever finds it dropped and unused, closes it. Files are
    opened and closed outside the lock, so the loop never waits for a thread's disk here.
    """

    def __init__(self, opener: Callable[[int, bool], int], limit: int) -> None:
        self._opener = opener
        self._limit = limit
        self._lock = Lock()
        self._open: OrderedDict[int, Handle] = OrderedDict()
        self._written: set[int] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._open)

    def acquire(self, file: int, *, writing: bool) -> Handle:
        """An open handle, good for writing if asked. Raises DiskError."""
        handle = self.acquire_if_open(file, writing=writing)
        if handle is None:
            handle = Handle(file, self._open_or_make_room(file, writing), writing)
            self._add(handle)
        return handle

    def acquire_if_open(self, file: int, *, writing: bool = False) -> Handle | None:
        with self._lock:
            handle = self._open.get(file)
            if handle is None or handle.writable < writing:
                return None
            self._open.move_to_end(file)
            handle.uses += 1
            return handle

    def release(self, handle: Handle, *, wrote: bool) -> None:
        with self._lock:
            handle.uses -= 1
            if wrote:
                self._written.add(handle.file)
            last = handle.dropped and not handle.uses
        if last:
            _close(handle)

    def take_written(self) -> set[int]:
        """The files that were written since the last call; now they count as not written."""
        with self._lock:
            written, self._written = self._written, set()
            return written

    def put_back_written(self, files: set[int]) -> None:
        with self._lock:
            self._written |= files

    def drop(self, file: int) -> None:
        """Whoever acquires it next opens it anew."""
        with self._lock:
            handle = self._open.pop(file, None)
            unused = self._drop([handle]) if handle is not None else []
        for handle in unused:
            _close(handle)

    def close(self) -> None:
        """Close what is unused now and the rest when its users are done. May be called twice."""
        with self._lock:
            self._closed = True
        self._shrink(0)

    def _open_or_make_room(self, file: int, writing: bool) -> int:
        try:
            return self._opener(file, writing)
        except DiskError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE) or not self._open:
                raise
        # The process has too many open; ours are easily had again.
        self._shrink(len(self._open) // 2)
        return self._opener(file, writing)

    def _add(self, handle: Handle) -> None:
        with self._lock:
            before = self._open.pop(handle.file, None)
            self._open[handle.file] = handle
            unused = self._drop([before]) if before is not None else []
            limit = 0 if self._closed else self._limit
        for old in unused:
            _close(old)
        if len(self._open) > limit:
            self._shrink(limit)

    def _shrink(self, limit: int) -> None:
        with self._lock:
            surplus = max(0, len(self._open) - limit)
            unused = self._drop([self._open.popitem(last=False)[1] for _ in range(surplus)])
        for handle in unused:
            _close(handle)

    def _drop(self, handles: Sequence[Handle]) -> list[Handle]:
        """Mark as dropped, and return those that the caller closes once the lock is open again."""
        for handle in handles:
            handle.dropped = True
        return [handle for handle in handles if not handle.uses]


def _close(handle: Handle) -> None:
    try:
        os.close(handle.fd)
    except OSError as error:  # a network file system may tell only now that a write was lost
        raise disk_error("close", f"file number {handle.file}", error) from error
