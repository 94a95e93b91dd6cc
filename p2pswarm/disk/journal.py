"""The journal of one download: the numbers of the pieces that were written since the last checkpoint.

A header, then four bytes a piece, each one small write after the piece itself was written. No sync: after
a SIGKILL the page cache holds both, and after a power cut the header's boot id is another one, so that
nothing in the journal is believed unseen. There is a file only while there are notes, open from the first
of them to the next checkpoint, so that ten thousand torrents at rest cost neither.

Notes that count go only when the file is replaced or removed as a whole, so there is no instant at which one
is lost or one that was struck out comes back. In place we only add a note, over one that was torn, or take
the belief from all of them (`distrust`), and begin anew a file in which nothing counts: a foreign or a
damaged one.
"""

import os
import struct
from collections.abc import Collection, Iterable, Sequence
from hashlib import sha1
from pathlib import Path
from threading import Lock
from zlib import crc32

from p2pswarm.disk.handles import FILE_FLAGS, disk_error, write_all
from p2pswarm.errors import LocalProtocolError
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
    """`before` is what earlier sessions noted, `same_boot` whether it can be believed.

    Invariant: the file has `_end` bytes that count, under a header that says `_stamp`; none when that is 0.
    """

    def __init__(self, path: str, info_hash: InfoHash, boot_id: str) -> None:
        """`boot_id` is '' where nobody knows it: then no note is ever believed. Raises DiskError."""
        self._path = path
        self._fd: int | None = None
        self._closed = False
        self._info_hash = info_hash
        self._boot = self._stamp = _digest(boot_id)
        self._lock = Lock()
        self._end = 0  # where the next note goes
        self._new: list[PieceIndex] = []  # noted since the last restart
        self.before: list[PieceIndex] = []
        self.mtime_ns = 0  # of the last note, nanoseconds since 1970; 0 when there is no journal
        try:
            self._read()
        except FileNotFoundError:
            pass
        except OSError as error:
            raise disk_error("read", path, error) from error
        self.same_boot = self._stamp == self._boot != _UNKNOWN

    def note(self, piece: PieceIndex) -> None:
        """This piece is written. Raises DiskError: then it is not noted."""
        with self._lock:
            try:
                write_all(self._opened(), self._end, memoryview(_NOTE.pack(piece)))
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
            if self._end:
                try:  # in place, which needs no room on the disk
                    write_all(self._opened(), 0, memoryview(self._header(_UNKNOWN)))
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
        """No note is taken after this. May be called twice."""
        with self._lock:
            self._closed = True
            self._close_file()

    def remove(self) -> None:
        """Delete the file. Raises DiskError."""
        try:
            Path(self._path).unlink(missing_ok=True)
        except OSError as error:
            raise disk_error("remove", self._path, error) from error

    def _read(self) -> None:
        """What a journal of this download holds is then known. Raises OSError."""
        fd = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | FILE_FLAGS)
        try:
            found = os.fstat(fd)
            data = os.pread(fd, min(found.st_size, _MAX_SIZE), 0)
        finally:
            os.close(fd)
        whole = len(data) - len(data) % _NOTE.size  # the rest is a note that was torn
        stamp = data[36:56]
        if whole < _HEADER.size or data[: _HEADER.size] != self._header(stamp):
            return
        self._stamp = stamp
        self._end = whole
        notes = _NOTE.iter_unpack(data[_HEADER.size : whole])
        self.before = [PieceIndex(piece) for (piece,) in notes]
        self.mtime_ns = found.st_mtime_ns

    def _header(self, stamp: bytes) -> bytes:
        start = _HEADER.pack(_MAGIC, self._info_hash, stamp, 0)[: -_NOTE.size]
        return start + _NOTE.pack(crc32(start))

    def _opened(self) -> int:
        """The file, with a header. Raises OSError."""
        if self._closed:
            raise LocalProtocolError(f"{self._path} is used after it was closed")
        if self._fd is None:
            self._fd = os.open(self._path, _FLAGS, 0o666)
        if not self._end:
            os.ftruncate(self._fd, 0)
            write_all(self._fd, 0, memoryview(self._header(self._stamp)))
            self._end = _HEADER.size
        return self._fd

    def _replace(self, notes: Sequence[PieceIndex], stamp: bytes) -> None:
        """Put a new file in the place of the old one, or none when there is nothing to note."""
        data = self._header(stamp) + b"".join(map(_NOTE.pack, notes)) if notes else b""
        try:
            if notes:
                _put_in_place(self._path, data)
            elif self._end:
                Path(self._path).unlink(missing_ok=True)
        except OSError as error:
            raise disk_error("write", self._path, error) from error
        self._close_file()
        self._end, self._stamp = len(data), stamp

    def _close_file(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)


def _digest(boot_id: str) -> bytes:
    if not boot_id:
        return _UNKNOWN
    return sha1(boot_id.encode(), usedforsecurity=False).digest()


def _put_in_place(path: str, data: bytes) -> None:
    fresh = Path(path + ".new")
    fd = os.open(fresh, _FLAGS | os.O_TRUNC, 0o666)
    try:
        write_all(fd, 0, memoryview(data))
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    finally:
        os.close(fd)
