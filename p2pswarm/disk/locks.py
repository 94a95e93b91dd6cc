"""Who works on which download: one lock each, all of them in a few files.

A lock is one byte of a file that has none. So ten thousand locks need no more descriptors than ten, and the
kernel takes back those of a process that dies. On Linux they belong to the opened file (`F_OFD_SETLK`), so
two nodes of one process keep each other off too; elsewhere to the process.
"""

import fcntl
import os
import struct
import sys
from pathlib import Path
from threading import Lock

from p2pswarm.disk.handles import FILE_FLAGS, disk_error
from p2pswarm.errors import InUseError

__all__ = ["Locks"]

FILES = 16  # for each new lock the kernel looks through all others of its file
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | FILE_FLAGS
_FLOCK = struct.Struct("hhqqi4x")  # Linux: type, from where, start, length, process


class Locks:
    """The locks of one node in one folder. For disk threads; a file is open while it holds a lock."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._guard = Lock()
        self._files: dict[int, int] = {}  # number -> descriptor
        self._held: dict[int, set[int]] = {}  # number -> which bytes

    def take(self, name: bytes) -> None:
        """Lock what has this name, a digest. Raises InUseError, DiskError."""
        number, at = _place(name)
        with self._guard:
            held = self._held.setdefault(number, set())
            try:
                if at in held:  # the kernel would give it to us again
                    raise InUseError("this node holds it")
                self._lock(number, at)
                held.add(at)
            finally:
                self._close_unused(number)

    def give(self, name: bytes) -> None:
        """Unlock it. May be called twice. Raises DiskError: then it is free once its file is closed."""
        number, at = _place(name)
        with self._guard:
            if at in self._held.get(number, ()):
                self._held[number].discard(at)
                try:
                    _lock_byte(self._files[number], fcntl.F_UNLCK, at)
                except OSError as error:
                    raise disk_error("unlock", self._path(number), error) from error
                finally:
                    self._close_unused(number)

    def _lock(self, number: int, at: int) -> None:
        if number not in self._files:
            self._files[number] = self._open(number)
        try:
            _lock_byte(self._files[number], fcntl.F_WRLCK, at)
        except (BlockingIOError, PermissionError) as error:
            raise InUseError("somebody else holds it") from error
        except OSError as error:
            raise disk_error("lock", self._path(number), error) from error

    def _open(self, number: int) -> int:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error("create", self._folder, error) from error
        try:
            return os.open(self._path(number), _FLAGS, 0o666)
        except OSError as error:
            raise disk_error("open", self._path(number), error) from error

    def _close_unused(self, number: int) -> None:
        if not self._held[number]:
            del self._held[number]
            fd = self._files.pop(number, None)
            if fd is not None:
                os.close(fd)

    def _path(self, number: int) -> Path:
        return self._folder / f"locks-{number:x}"


def _place(name: bytes) -> tuple[int, int]:
    """Which file, and which of its 2^56 bytes."""
    return name[0] % FILES, int.from_bytes(name[1:8], "big")


def _lock_byte(fd: int, how: int, at: int) -> None:
    if sys.platform == "linux":  # elsewhere `F_OFD_SETLK` may be there, and takes another struct
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _FLOCK.pack(how, os.SEEK_SET, at, 1, 0))
    else:
        lock = fcntl.LOCK_UN if how == fcntl.F_UNLCK else fcntl.LOCK_EX | fcntl.LOCK_NB
        fcntl.lockf(fd, lock, 1, at)
