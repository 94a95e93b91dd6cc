"""The part file: what a download has to keep of files that nobody wants.

A piece that lies in two files is fetched whole when one of them is wanted. The other file's bytes of it
stand in `.HASH.parts` beside the files, so that no unwanted file ever appears. Only a piece that two files
share can be there, so each such piece has a place known beforehand: the file needs no table, and nothing in
it has to be written in an order.

The one hard thing: a file that becomes wanted takes its bytes back while threads store pieces. Whoever reads
or writes here does it under the lock, and looks under it whether the file is still aside.
"""

import os
import stat
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Lock

from p2pswarm.disk.handles import FILE_FLAGS, disk_error, forget_clean, write_all
from p2pswarm.disk.layout import Layout
from p2pswarm.errors import DiskError

__all__ = ["PartFile", "parts_name"]

_FLAGS = os.O_RDWR | os.O_NOFOLLOW | FILE_FLAGS

Write = Callable[[int, int, memoryview], None]  # which file, where in it, what


def parts_name(info_hash: bytes) -> str:
    """The part file's name in the folder that the download goes to."""
    return f".{info_hash.hex()}.parts"


class PartFile:
    """`files` are aside: their bytes are here and nowhere else. For disk threads."""

    def __init__(self, root: Path, layout: Layout, *, name: str, piece_length: int) -> None:
        self._path = root / name
        self._layout = layout
        self._length = piece_length
        self._shared = _shared(layout, piece_length)  # pieces; the n-th has the n-th place
        self._size = len(self._shared) * piece_length
        self._lock = Lock()
        self._seen = False  # it had its full length at some time, and pieces in it count as had
        self._written = False  # since the last sync
        self.files: frozenset[int] = frozenset()

    def inside(self, file: int) -> tuple[int, int]:
        """The first piece that is this file's alone, and the first after those: of a file that is aside
        they are nowhere."""
        start, end = self._layout.bytes_of(file)
        last = -(-end // self._length) if end == self._layout.total else end // self._length
        return -(-start // self._length), last

    def write(self, file: int, at: int, data: memoryview) -> bool:
        """False when the file is not aside. Raises DiskError."""
        with self._lock:
            if file not in self.files:
                return False
            fd = self._open(create=not self._seen)
            try:
                done = 0
                for place, length in self._places(file, at, len(data)):
                    write_all(fd, place, data[done : done + length])
                    done += length
                self._written = True
            except OSError as error:
                raise disk_error("write", self._path, error) from error
            finally:
                os.close(fd)
            return True

    def read(self, file: int, at: int, into: Sequence[memoryview]) -> bool:
        """The same for reading."""
        with self._lock:
            if file not in self.files:
                return False
            for part in into:
                part[:] = self._read(file, at, len(part))
                at += len(part)
            return True

    def look(self, file: int) -> tuple[int, int] | None:
        """Bytes and time of last change, as if the file lay here alone; None when nothing of it can."""
        changed = self._look()
        start, end = self._layout.bytes_of(file)
        return (end - start, changed) if changed is not None else None

    def take_back(self, files: frozenset[int], write: Write) -> None:
        """These are real files from here on: `write` is given what was here of them. Raises DiskError."""
        with self._lock:
            for file in sorted(files & self.files):
                self._give(file, write)
                self.files -= {file}

    def sync(self) -> None:
        """Raises DiskError."""
        with self._lock:
            if not self._written:
                return
            fd = self._open(create=False)
            try:
                os.fsync(fd)
                self._written = False
            except OSError as error:
                forget_clean(fd)
                raise disk_error("sync", self._path, error) from error
            finally:
                os.close(fd)

    def forget(self) -> None:
        """Somebody else changed it, and nothing in it counts as had."""
        self._seen = False

    def relocate(self, root: Path) -> None:
        """It was moved into another folder."""
        self._path = root / self._path.name

    def remove(self) -> None:
        """When nothing is aside any more. Raises DiskError."""
        with self._lock:
            self._seen = self._written = False
            try:
                self._path.unlink(missing_ok=True)
            except OSError as error:
                raise disk_error("remove", self._path, error) from error

    def _give(self, file: int, write: Write) -> None:
        start, end = self._layout.bytes_of(file)
        if self._look() is None:
            return
        for piece in {start // self._length, (end - 1) // self._length}:
            if self._place(piece) is not None:
                first = max(start, piece * self._length)
                length = min(end, (piece + 1) * self._length) - first
                data = self._read(file, first - start, length)
                write(file, first - start, memoryview(data))

    def _read(self, file: int, at: int, length: int) -> bytes:
        data = b""
        fd = self._open(create=False)
        try:
            for place, size in self._places(file, at, length):
                data += os.pread(fd, size, place)
        except OSError as error:
            raise disk_error("read", self._path, error) from error
        finally:
            os.close(fd)
        if len(data) < length:
            raise DiskError(f"{self._path} is shorter than it should be")
        return data

    def _places(self, file: int, at: int, length: int) -> Iterator[tuple[int, int]]:
        """Where these bytes of a file are here, piece by piece. Raises DiskError where they cannot be."""
        at += self._layout.bytes_of(file)[0]
        while length:
            piece, begin = divmod(at, self._length)
            place = self._place(piece)
            if place is None:
                raise DiskError(f"piece {piece} is of an unwanted file, and not kept")
            size = min(length, self._length - begin)
            yield place + begin, size
            at += size
            length -= size

    def _place(self, piece: int) -> int | None:
        n = bisect_left(self._shared, piece)
        here = n < len(self._shared) and self._shared[n] == piece
        return n * self._length if here else None

    def _open(self, *, create: bool) -> int:
        """Raises DiskError."""
        try:
            fd = os.open(self._path, _FLAGS | (os.O_CREAT if create else 0), 0o666)
        except OSError as error:
            raise disk_error("open", self._path, error) from error
        try:
            self._vet(os.fstat(fd), fd, create=create)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _vet(self, found: os.stat_result, fd: int, *, create: bool) -> None:
        if not stat.S_ISREG(found.st_mode):
            raise DiskError(f"{self._path} is not a regular file")
        if found.st_size < self._size:
            if not create:
                raise DiskError(f"{self._path} is shorter than it should be")
            try:
                os.ftruncate(fd, self._size)
            except OSError as error:
                raise disk_error("create", self._path, error) from error
        self._seen = True

    def _look(self) -> int | None:
        """When it was changed last, in nanoseconds since 1970; None when it is not there whole."""
        try:
            found = self._path.stat(follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise disk_error("look at", self._path, error) from error
        whole = stat.S_ISREG(found.st_mode) and found.st_size >= self._size > 0
        return found.st_mtime_ns if whole else None


def _shared(layout: Layout, piece_length: int) -> tuple[int, ...]:
    """The pieces in which one file ends and another begins."""
    ends = (layout.bytes_of(file)[1] for file in range(len(layout)))
    inside = (end for end in ends if end % piece_length and end < layout.total)
    return tuple(sorted({end // piece_length for end in inside}))
