"""What a node has, as it tells its parent; and what it has no longer.

The one hard thing: an empty `Unshare` withdraws everything, so `Unshare.pack` of nothing says nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from struct import Struct, error as StructError  # noqa: N812  its name in the library
from typing import ClassVar, NamedTuple, Self

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.formats.ids import InfoHash
from p2pswarm.wire.supernode.frames import MOST, Frame, FrameKind
from p2pswarm.wire.supernode.packing import MAX_SIZE, pack_text, read_text

__all__ = ["MAX_NAME", "Share", "SharedFile", "Unshare", "pack_file", "read_file"]

MAX_NAME = 255  # bytes, as in most file systems
_BITS = _SHA1, _TTH, _INFO_HASH = 1, 2, 4
_ALL = sum(_BITS)
_SIZES = (20, 24, 20)
_HEAD = Struct(">IQBB")
_NUMBER = 4


class SharedFile(NamedTuple):
    """A file that a node gives."""

    number: int
    """The node's own, by which it is asked for."""
    size: int
    name: str
    sha1: bytes | None = None
    tth: bytes | None = None
    info_hash: InfoHash | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """Files that a node gives from now on; one of a known number takes the place of the old one."""

    kind: ClassVar[FrameKind] = FrameKind.SHARE

    files: tuple[SharedFile, ...]

    def encode(self) -> Frame:
        """Raises LocalProtocolError."""
        return Frame(self.kind, b"".join(map(pack_file, self.files)))

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Raises RemoteProtocolError."""
        files: list[SharedFile] = []
        at = 0
        while at < len(body):
            file, at = read_file(body, at)
            files.append(file)
        return cls(tuple(files))

    @classmethod
    def pack(cls, files: Iterable[SharedFile]) -> Iterator[Self]:
        """As many as it takes."""
        batch: list[SharedFile] = []
        room = MOST[cls.kind]
        for file in files:
            size = len(pack_file(file))
            if size > room:
                yield cls(tuple(batch))
                batch, room = [], MOST[cls.kind]
            batch.append(file)
            room -= size
        if batch:
            yield cls(tuple(batch))


@dataclass(frozen=True, slots=True)
class Unshare:
    """Files that a node gives no longer; none at all stands for all of them."""

    kind: ClassVar[FrameKind] = FrameKind.UNSHARE

    numbers: tuple[int, ...] = ()

    def encode(self) -> Frame:
        """Raises LocalProtocolError."""
        try:
            body = Struct(f">{len(self.numbers)}I").pack(*self.numbers)
        except StructError as error:
            raise LocalProtocolError(f"a file that has no number: {error}") from error
        return Frame(self.kind, body)

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Raises RemoteProtocolError."""
        if len(body) % _NUMBER:
            raise RemoteProtocolError(f"{len(body)} bytes are no list of numbers")
        return cls(Struct(f">{len(body) // _NUMBER}I").unpack(body))

    @classmethod
    def pack(cls, numbers: Iterable[int]) -> Iterator[Self]:
        """As many as it takes: none for no numbers."""
        rest = iter(numbers)
        while batch := tuple(islice(rest, MOST[cls.kind] // _NUMBER)):
            yield cls(batch)


def pack_file(file: SharedFile) -> bytes:
    """Raises LocalProtocolError."""
    text = pack_text(file.name, MAX_NAME)
    if not text or not 0 <= file.number < 1 << 32 or not 0 <= file.size <= MAX_SIZE:
        raise LocalProtocolError(f"{file} cannot be told")
    flags, hashes = 0, b""
    for bit, size, value in zip(_BITS, _SIZES, file[3:], strict=True):
        if value is not None and len(value) != size:
            raise LocalProtocolError(f"{file} has a hash of {len(value)} bytes")
        if value is not None:
            flags, hashes = flags | bit, hashes + value
    return _HEAD.pack(file.number, file.size, flags, len(text)) + hashes + text


def read_file(data: bytes, at: int) -> tuple[SharedFile, int]:
    """The one that begins at `at`, and where it ends. Raises RemoteProtocolError."""
    try:
        number, size, flags, length = _HEAD.unpack_from(data, at)
    except StructError as error:
        raise RemoteProtocolError("a file that is cut off") from error
    at += _HEAD.size
    if size > MAX_SIZE or flags > _ALL or not length:
        raise RemoteProtocolError(f"a file of {size} bytes with {flags:#x} and no name of {length}")
    sha1 = tth = info_hash = None
    if flags & _SHA1:
        sha1, at = data[at : at + 20], at + 20
    if flags & _TTH:
        tth, at = data[at : at + 24], at + 24
    end = at + length + (20 if flags & _INFO_HASH else 0)
    if end > len(data):
        raise RemoteProtocolError("a file that is cut off")
    if flags & _INFO_HASH:
        info_hash, at = InfoHash(data[at : at + 20]), at + 20
    return SharedFile(number, size, read_text(data[at:end]), sha1, tth, info_hash), end
