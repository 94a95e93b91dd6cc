"""The journal of one download: the numbers of the pieces that were written since the last checkpoint.

A header, then four bytes a piece, each one small write after the piece itself was written. No sync: after
a SIGKILL the page cache holds both, and after a power cut the header's boot id is another one, so that
nothing in the journal is believed unseen. While it is open it is locked, which is what keeps two processes
off one download. It is only ever replaced as a whole (a new file, locked, then renamed), so there is no
instant at which a note is lost or one that was struck out comes back.
"""

import fcntl
import os
import struct
from collections.abc import Collection, Iterable
from hashlib import sha1
from pathlib import Path
from threading import Lock
from typing import Self
from zlib import crc32

from p2pswarm.disk.handles import FILE_FLAGS, disk_error, write_all
from p2pswarm.errors import InUseError, LocalProtocolError
from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.ids import InfoHash, PieceIndex

__all__ = ["Journal"]

# Magic, info-hash, SHA-1 of the boot id, CRC of all that. Its length and a note's are multiples of four,
# so no note crosses the edge of a disk block and a disk that is full tears none.
_HEADER = struct.Struct(">16s20s20sI")
_NOTE = struct.Struct(">I")
_MAGIC = b"p2pswarm notes 1"
_UNKNOWN = bytes(20)  # instead of a boot id's SHA-1: believe nothing unseen
_MAX_SIZE = 64 << 20  # bytes read at most: 16 million notes
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | FILE_FLAGS


class Journal:
    """Opened locked; `before` is what earlier sessions noted, `same_boot` whether it can be believed."""

    def __init__(self, path: Path, fd: int, info_hash: InfoHash, boot_id: str) -> None:
        self._path = path
        self._fd: int | None = fd
        self._info_hash = info_hash
        self._boot = _digest(boot_id)
        self._stamp = _UNKNOWN  # what the header in the file says
        self._lock = Lock()
        self._end = 0  # where the next note goes
        self._new: list[PieceIndex] = []  # noted since the last restart
        self.before: list[PieceIndex] = []
        self.mtime_ns = 0  # of the last note, nanoseconds since 1970; 0 when there was no journal
        if not self._read(fd):
            self._begin(fd)
        self.same_boot = self._stamp == self._boot != _UNKNOWN

    @classmethod
    def open(cls, path: Path, info_hash: InfoHash, boot_id: str) -> Self:
        """`boot_id` is '' where nobody knows it: then no note is ever believed.

        Raises InUseError, DiskError.
        """
        try:
            fd = _open_locked(path)
        except BlockingIOError as error:
            raise InUseError(f"another process holds {path}") from error
        except OSError as error:
            raise disk_error("open", path, error) from error
        try:
            return cls(path, fd, info_hash, boot_id)
        except OSError as error:
            os.close(fd)
            raise disk_error("use", path, error) from error

    def note(self, piece: PieceIndex) -> None:
        """This piece is written. Raises DiskError: then it is not noted."""
        with self._lock:
            fd = self._need_open()
            try:
                write_all(fd, self._end, memoryview(_NOTE.pack(piece)))
            except OSError as error:
                raise disk_error("write", self._path, error) from error
            self._end += _NOTE.size
            self._new.append(piece)

    def notes(self) -> list[PieceIndex]:
        """What was noted since the last restart."""
        with self._lock:
            return self._new.copy()

    def strike(self, bad: Iterable[PieceIndex]) -> None:
        """Take pieces that turned out bad out of `before`. Raises DiskError."""
        with self._lock:
            struck = set(bad)
            kept = [piece for piece in self.before if piece not in struck]
            if len(kept) < len(self.before):
                self._replace([*kept, *self._new], self._stamp)
                self.before = kept

    def distrust(self) -> None:
        """Believe none of these notes unseen, here or after a crash: a sync failed. Raises DiskError."""
        with self._lock:
            fd = self._need_open()
            try:  # in place, which needs no room on the disk
                write_all(fd, 0, memoryview(self._header(_UNKNOWN)))
            except OSError as error:
                raise disk_error("write", self._path, error) from error
            self._stamp = _UNKNOWN

    def restart(self, claimed: Bitfield, doubtful: Collection[PieceIndex]) -> None:
        """Begin anew: only notes that are not `claimed` elsewhere stay, and the doubtful pieces.

        A note is carried over once: what is still not claimed the next time was lost in between.
        While there are doubtful pieces, no note is believed. Raises DiskError.
        """
        with self._lock:
            late = {piece for piece in self._new if not claimed[piece]}
            self._replace(sorted(late.union(doubtful)), _UNKNOWN if doubtful else self._boot)
            self._new = []
            self.before = []

    def close(self) -> None:
        """Unlock. May be called twice."""
        with self._lock:
            fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def remove(self) -> None:
        """Delete the file and close. Raises DiskError."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            raise disk_error("remove", self._path, error) from error
        finally:
            self.close()

    def _read(self, fd: int) -> bool:
        """Whether there is a journal of this download; what it holds is then known."""
        data = os.pread(fd, min(os.fstat(fd).st_size, _MAX_SIZE), 0)
        whole = len(data) - len(data) % _NOTE.size  # the rest is a note that was torn
        stamp = data[36:56]
        if whole < _HEADER.size or data[: _HEADER.size] != self._header(stamp):
            return False
        self._stamp = stamp
        self._end = whole
        notes = _NOTE.iter_unpack(data[_HEADER.size : whole])
        self.before = [PieceIndex(piece) for (piece,) in notes]
        self.mtime_ns = os.fstat(fd).st_mtime_ns
        return True

    def _begin(self, fd: int) -> None:
        os.ftruncate(fd, 0)
        write_all(fd, 0, memoryview(self._header(self._boot)))
        self._stamp = self._boot
        self._end = _HEADER.size

    def _header(self, stamp: bytes) -> bytes:
        start = _HEADER.pack(_MAGIC, self._info_hash, stamp, 0)[: -_NOTE.size]
        return start + _NOTE.pack(crc32(start))

    def _need_open(self) -> int:
        if self._fd is None:
            raise LocalProtocolError(f"{self._path} is used after it was closed")
        return self._fd

    def _replace(self, notes: Iterable[PieceIndex], stamp: bytes) -> None:
        """Put a new file in the place of the old one: at every instant there is one, and it is locked."""
        self._need_open()
        data = self._header(stamp) + b"".join(map(_NOTE.pack, notes))
        fresh = self._path.with_name(self._path.name + ".new")
        try:
            fd = _put_in_place(fresh, self._path, data)
        except OSError as error:
            raise disk_error("write", self._path, error) from error
        old, self._fd, self._end, self._stamp = self._fd, fd, len(data), stamp
        if old is not None:
            os.close(old)


def _digest(boot_id: str) -> bytes:
    if not boot_id:
        return _UNKNOWN
    return sha1(boot_id.encode(), usedforsecurity=False).digest()


def _open_locked(path: Path) -> int:
    """Raises BlockingIOError when somebody else has the lock."""
    while True:
        fd = os.open(path, _FLAGS, 0o666)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(path, fd):
                return fd
        except OSError:
            os.close(fd)
            raise
        os.close(fd)  # it was replaced or removed before we had the lock


def _is_at(path: Path, fd: int) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False


def _put_in_place(fresh: Path, path: Path, data: bytes) -> int:
    """Write a new file, locked before anybody else can see it under `path`."""
    fd = os.open(fresh, _FLAGS | os.O_TRUNC, 0o666)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        write_all(fd, 0, memoryview(data))
        fresh.replace(path)
    except OSError:
        os.close(fd)
        fresh.unlink(missing_ok=True)
        raise
    return fd
