"""The hashes by which networks know a file, computed some megabytes at a time.

Napster's MD5 covers the first 299008 bytes after an ID3v2 tag; it is cheap and weak. The rest needs every
byte: SHA-1 of the whole, and of each piece for a torrent, and the tiger tree. That torrent is made of nothing
but the bytes: its name is their SHA-1, so everybody who shares them, under any name, is in one swarm.
"""

from hashlib import md5, sha1
from itertools import product
from typing import NamedTuple

from p2pswarm.disk.reading import Reading
from p2pswarm.formats.building import build, default_piece_length
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.formats.thex import Growing, TigerTree
from p2pswarm.formats.tiger import available

__all__ = ["MD5_SPAN", "Digesting", "Digests", "beginning_has", "napster_md5", "torrent_of"]

MD5_SPAN = 299008  # bytes, as the Napster client had it
_SPANS = (MD5_SPAN, 300000, 300032)  # what other clients made of it
# Bytes of an ID3v2 head: "ID3", version, flags, four bytes of length with seven bits each
_ID3 = 10
_FOOTER = 0x10  # the flag of a second head at the tag's end, which its length leaves out
_BUFFER = 256 << 10  # bytes: stays in the processor's cache while it is hashed again


def napster_md5(file: Reading) -> bytes:
    """Raises DiskError."""
    head = memoryview(bytearray(min(_ID3, file.size)))
    file.read_into(0, head)
    at = min(_tag_end(bytes(head)), file.size)
    data = memoryview(bytearray(min(MD5_SPAN, file.size - at)))
    file.read_into(at, data)
    return md5(data, usedforsecurity=False).digest()


def beginning_has(data: memoryview, size: int, digest: bytes) -> bool | None:
    """Whether a file of `size` bytes that begins with `data` has this MD5, as any client makes it.

    None when `data` does not reach far enough to tell.
    """
    tag = min(_tag_end(bytes(data[:_ID3])), size)
    too_short = False
    for start, span in product({tag, 0}, _SPANS):
        end = min(start + span, size)
        too_short |= end > len(data)
        if end <= len(data) and md5(data[start:end], usedforsecurity=False).digest() == digest:
            return True
    return None if too_short else False


def _tag_end(head: bytes) -> int:
    """Where the music begins (ID3v2.4, section 3.1)."""
    if len(head) < _ID3 or head[:3] != b"ID3" or any(byte & 0x80 for byte in head[6:10]):
        return 0
    length = 0
    for byte in head[6:10]:
        length = length << 7 | byte
    return _ID3 + length + (_ID3 if head[5] & _FOOTER else 0)


class Digests(NamedTuple):
    """What every byte was needed for. `pieces` are 20 bytes for each piece of the torrent; `tree` is None
    where this machine has no Tiger."""

    sha1: bytes
    pieces: bytes
    tree: TigerTree | None = None


class Digesting:
    """One file being hashed: `step` until it gives the result, in any thread, one step at a time."""

    def __init__(self, file: Reading) -> None:
        self._file = file
        self._at = 0
        self._whole = sha1(usedforsecurity=False)
        self._piece = sha1(usedforsecurity=False)
        self._pieces = bytearray()
        self._piece_length = default_piece_length(file.size)
        self._room = self._piece_length  # bytes that the current piece still takes
        self._alone = file.size <= self._piece_length  # then its hash is that of the whole
        self._tree = Growing(file.size) if available() else None

    def step(self, most: int) -> Digests | None:
        """Hash at most so many bytes more; None while there is more to do. Raises DiskError."""
        end = min(self._at + most, self._file.size)
        buffer = memoryview(bytearray(min(end - self._at, _BUFFER)))
        while self._at < end:
            part = buffer[: end - self._at]
            self._file.read_into(self._at, part)
            self._update(part)
            self._at += len(part)
        if self._at < self._file.size:
            return None
        self._file.check()  # a file that changed meanwhile has hashes of nothing
        return self._finished()

    def _update(self, data: memoryview) -> None:
        self._whole.update(data)
        if self._tree is not None:
            self._tree.update(data)
        while data and not self._alone:
            self._piece.update(data[: self._room])
            taken = min(self._room, len(data))
            data = data[taken:]
            self._room -= taken
            if not self._room:
                self._end_piece()

    def _end_piece(self) -> None:
        self._pieces += self._piece.digest()
        self._piece = sha1(usedforsecurity=False)
        self._room = self._piece_length

    def _finished(self) -> Digests:
        whole = self._whole.digest()
        tree = None if self._tree is None else self._tree.finish()
        if self._alone:
            return Digests(whole, whole, tree)
        if self._room < self._piece_length:
            self._end_piece()
        return Digests(whole, bytes(self._pieces), tree)


def torrent_of(digests: Digests, size: int) -> Metainfo:
    """The one torrent of these bytes. Raises MetainfoError when there are too many pieces for one."""
    return build(
        name=digests.sha1.hex(),
        piece_length=default_piece_length(size),
        pieces=digests.pieces,
        length=size,
    )
