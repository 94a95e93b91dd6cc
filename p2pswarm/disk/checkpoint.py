"""A checkpoint as bytes: what `.resume` holds, and how it gets there in one piece.

Bencoded, with a SHA-1 over all of it, so that a bit that flipped on the disk, or a file that never got there
whole, is noticed and never claims a piece.
"""

import os
import struct
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha1
from pathlib import Path
from typing import Any, Self

from p2pswarm.disk.handles import FILE_FLAGS, disk_error, sync_folder, write_all
from p2pswarm.disk.storage import FileStat
from p2pswarm.errors import FormatError
from p2pswarm.formats import bencode
from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.ids import InfoHash

__all__ = ["CHANGED", "Checkpoint", "CheckpointFile"]

VERSION = 1
_MAX_SIZE = 64 << 20  # bytes; a million files need 16 MiB
_STAT = struct.Struct(">qq")  # bytes, or -1 where no file was; nanoseconds
_INT64 = (1 << 63) - 1

CHANGED = FileStat(0, _INT64)
"""Stands for a file that was found changed and is not verified yet: no file ever looks like this."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The pieces that are safe on the disk, how each file looked, and the bytes carried in all sessions."""

    pieces: Bitfield
    files: list[FileStat | None]
    uploaded: int
    downloaded: int

    def encode(self, info_hash: InfoHash, target: bytes) -> bytes:
        body = bencode.encode(
            {
                b"downloaded": self.downloaded,
                b"files": b"".join(map(_pack, self.files)),
                b"info_hash": bytes(info_hash),
                b"pieces": self.pieces.to_wire(),
                b"target": target,
                b"uploaded": self.uploaded,
                b"version": VERSION,
            }
        )
        return bencode.encode({b"body": body, b"sha1": _sha1(body)})

    @classmethod
    def decode(
        cls, data: bytes, info_hash: InfoHash, target: bytes, *, pieces: int, files: int
    ) -> Self:
        """Read one of this download, which has so many pieces and files.

        Raises FormatError, whose text says why these bytes are none.
        """
        outer = _dictionary(data)
        body = _need(outer, b"body", bytes)
        if _sha1(body) != outer.get(b"sha1"):
            raise FormatError("it is damaged")
        inner = _dictionary(body)
        if inner.get(b"version") != VERSION:
            raise FormatError("another version of this program wrote it")
        if inner.get(b"info_hash") != info_hash or inner.get(b"target") != target:
            raise FormatError("it belongs to another download")
        return cls(
            Bitfield.from_wire(_need(inner, b"pieces", bytes), pieces),
            _unpack(_need(inner, b"files", bytes), files),
            _need(inner, b"uploaded", int),
            _need(inner, b"downloaded", int),
        )


class CheckpointFile:
    """The `.resume` of one download. What it says already is not written again.

    Not `synced`, a power cut may cost its content, old and new.
    """

    def __init__(self, path: str, info_hash: InfoHash, target: bytes, *, synced: bool) -> None:
        self._path = path
        self._info_hash = info_hash
        self._target = target
        self._synced = synced
        self._says = b""  # the SHA-1 of its content, where we know it

    def read(self, *, pieces: int, files: int) -> tuple[Checkpoint, int]:
        """The checkpoint and the file's mtime in nanoseconds. Raises FormatError, also for want of one."""
        data, mtime = _read(self._path)
        checkpoint = Checkpoint.decode(
            data, self._info_hash, self._target, pieces=pieces, files=files
        )
        self._says = _sha1(data)
        return checkpoint, mtime

    def write(self, checkpoint: Checkpoint) -> None:
        """Replace the file in one step that survives a power cut: before it the old one is whole, after it
        the new one. Raises DiskError, DiskFullError; then one of them is there."""
        data = checkpoint.encode(self._info_hash, self._target)
        says = _sha1(data)
        if says == self._says:
            return
        self._says = b""
        fresh = Path(self._path + ".new")
        try:
            _write(fresh, data, synced=self._synced)
            fresh.replace(self._path)
            if self._synced:
                sync_folder(fresh.parent)
        except OSError as error:
            with suppress(OSError):  # the first error is the one to tell
                fresh.unlink(missing_ok=True)
            raise disk_error("write", self._path, error) from error
        self._says = says

    @staticmethod
    def target_of(path: str) -> bytes:
        """Where the data of any checkpoint lies. Raises FormatError."""
        data, _ = _read(path)
        return bytes(_need(_dictionary(_need(_dictionary(data), b"body", bytes)), b"target", bytes))

    def remove(self) -> None:
        """Raises DiskError."""
        try:
            Path(self._path).unlink(missing_ok=True)
        except OSError as error:
            raise disk_error("remove", self._path, error) from error


def _read(path: str) -> tuple[bytes, int]:
    try:
        fd = os.open(path, os.O_RDONLY | FILE_FLAGS)
        try:
            found = os.fstat(fd)
            return os.read(fd, min(found.st_size, _MAX_SIZE)), found.st_mtime_ns
        finally:
            os.close(fd)
    except FileNotFoundError as error:
        raise FormatError("there is none") from error
    except OSError as error:
        raise FormatError(f"it cannot be read: {error.strerror}") from error


def _write(path: Path, data: bytes, *, synced: bool) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(path, flags, 0o666)
    try:
        write_all(fd, 0, memoryview(data))
        if synced:
            os.fsync(fd)
    finally:
        os.close(fd)


def _sha1(data: bytes) -> bytes:
    return sha1(data, usedforsecurity=False).digest()


def _dictionary(data: bytes) -> dict[bytes, Any]:
    value = bencode.decode(data, max_size=_MAX_SIZE)
    if not isinstance(value, dict):
        raise FormatError("it is something else")
    return value


def _need(values: dict[bytes, Any], key: bytes, kind: type) -> Any:
    value = values.get(key)
    if not isinstance(value, kind):
        raise FormatError(f"it has no {key.decode()}")
    return value


def _pack(stat: FileStat | None) -> bytes:
    if stat is None:
        return _STAT.pack(-1, 0)
    return _STAT.pack(stat.size, max(-_INT64, min(stat.mtime_ns, _INT64)))


def _unpack(data: bytes, files: int) -> list[FileStat | None]:
    if len(data) != files * _STAT.size:
        raise FormatError(f"its list of files has {len(data)} bytes for {files} files")
    return [FileStat(*pair) if pair[0] >= 0 else None for pair in _STAT.iter_unpack(data)]
