"""Metainfo: what a `.torrent` says, checked, as values (BEP 3, 12, 19, 27, 47, 52).

Whatever decides bytes, names or privacy is checked, and a fault is a MetainfoError that names the key. What
only decorates (comments, dates) or may be one of many (trackers, web seeds) is dropped where it is junk. The
info-hash is over the original bytes, and they are kept whole in `raw`, unknown keys too.

Version 1, version 2 or both (a hybrid): one stream of bytes, one numbering of pieces. Pad files count in the
stream and are never files on disk. A torrent without a single byte is refused, as libtorrent does: nobody
could fetch or check anything, so every other room may count on at least one piece.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha1, sha256
from pathlib import Path
from typing import Any, Self

from typing_extensions import override

from p2pswarm.errors import DiskError, MetainfoError
from p2pswarm.formats import bencode, paths
from p2pswarm.formats.fields import WORDS, date, need, preferred, text
from p2pswarm.formats.files import MAX_FILES, File, Given, end, placed, read_v1
from p2pswarm.formats.filetree import agreed, is_single, padded, read_tree
from p2pswarm.formats.ids import InfoHash, PieceIndex
from p2pswarm.formats.layers import check_layers, read_layers
from p2pswarm.formats.merkle import HASH, LEAF, Subtree, piece_height
from p2pswarm.formats.urls import announce, announced, checked_url, urls_in

__all__ = [
    "MAX_FILES",
    "MAX_PIECES",
    "MAX_PIECE_LENGTH",
    "File",
    "Metainfo",
]

MAX_PIECES = 0x200000  # libtorrent's limit
# Bytes. libtorrent's limit, 32767 blocks: a piece lies in memory until it is hashed.
MAX_PIECE_LENGTH = 32767 << 14
_HASH = 20  # bytes of SHA-1
# Bytes of a `.torrent` read at first: memory for the largest one, for each of thousands, takes its time.
_USUAL_SIZE = 64 << 10


@dataclass(frozen=True, repr=False)
class Metainfo:
    """A torrent. Made by `from_bytes`, `from_file` or `building.build`, which see that it is consistent."""

    info_hash: InfoHash
    """Its main name: the SHA-1 of `info`; for version 2 alone, the first 20 bytes of `v2`."""
    name: str
    """The file, or the folder that all files lie in; safe."""
    files: tuple[File, ...]
    piece_length: int
    """Bytes; the last piece may be shorter."""
    pieces: bytes
    """The SHA-1 of every piece, 20 bytes each; none for version 2 alone."""
    private: bool
    """BEP 27: peers may come from the trackers only."""
    trackers: tuple[tuple[str, ...], ...]
    """Tiers of URLs, in the torrent's order (BEP 12); of any scheme."""
    web_seeds: tuple[str, ...]
    """URLs (BEP 19)."""
    comment: str
    created_by: str
    creation_date: int | None
    """Seconds since 1970."""
    source: str
    raw: bytes
    """The torrent as it was read."""
    info_at: tuple[int, int]
    """Where in it the info dictionary is: the first byte, and the first after it."""
    single_file: bool
    renamed: Mapping[int, tuple[str, ...]] = field(default_factory=dict, compare=False)
    """Which files (by their place in `files`) got a number against a twin, and their path without."""
    v2: bytes | None = None
    """The SHA-256 of `info` (BEP 52); None for version 1 alone."""
    layers: Mapping[bytes, bytes] = field(default_factory=dict, compare=False)
    """The hashes of the pieces of version 2, 32 bytes each, by `File.root`; checked. Some may be missing."""

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a `.torrent`. Raises BencodeError or MetainfoError."""
        torrent, where = bencode.decode_located(data, b"info")
        if not isinstance(torrent, dict):
            raise MetainfoError(f"not a torrent but {WORDS[type(torrent)]}")
        info = need(torrent, b"info", dict)
        assert where is not None
        v2 = sha256(data[slice(*where)]).digest() if _has_v2(info) else None
        has_v1 = v2 is None or not info.keys().isdisjoint((b"pieces", b"files", b"length"))
        name, single = _name(info, has_v1)
        piece_length = _piece_length(info, powers=v2 is not None)
        files, renamed = placed(_files(info, name, piece_length, (has_v1, v2 is not None), single))
        count = _piece_count(end(files), piece_length)
        return cls(
            info_hash=InfoHash(_sha1(data[slice(*where)]) if has_v1 or v2 is None else v2[:_HASH]),
            name=name[0],
            files=files,
            piece_length=piece_length,
            pieces=_pieces(info, end(files), count) if has_v1 else b"",
            private=b"private" in info and need(info, b"private", int, "info.") != 0,
            trackers=announced(torrent),
            web_seeds=tuple(urls_in(torrent.get(b"url-list"))),
            comment=text(torrent.get(b"comment")),
            created_by=text(torrent.get(b"created by")),
            creation_date=date(torrent.get(b"creation date")),
            source=text(info.get(b"source")),
            raw=bytes(data),
            info_at=where,
            single_file=single,
            renamed=renamed,
            v2=v2,
            layers={} if v2 is None else read_layers(torrent, files, piece_length),
        )

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read a `.torrent` file of at most 10 MiB. Raises BencodeError, MetainfoError or DiskError."""
        try:
            with path.open("rb") as file:
                data = file.read(_USUAL_SIZE)
                if len(data) == _USUAL_SIZE:
                    data += file.read(bencode.MAX_SIZE + 1 - _USUAL_SIZE)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            reason = getattr(error, "strerror", None) or str(error)
            number = getattr(error, "errno", None) or 0
            raise DiskError(f"cannot read {path}: {reason}", number) from error
        if len(data) > bencode.MAX_SIZE:
            raise MetainfoError(f"larger than {bencode.MAX_SIZE >> 20} MiB, which no torrent is")
        return cls.from_bytes(data)

    @classmethod
    def from_info(
        cls,
        info: bytes,
        *,
        trackers: Sequence[Sequence[str]] = (),
        web_seeds: Sequence[str] = (),
    ) -> Self:
        """A torrent around an info dictionary that peers gave, byte for byte: its hash is its name.

        Raises BencodeError, MetainfoError, and ValueError for a tracker or web seed that is no URL.
        """
        before = bencode.encode(announce(trackers))[1:-1]
        seeds = [checked_url(url).encode() for url in web_seeds]
        after = bencode.encode({b"url-list": seeds})[1:-1] if seeds else b""
        torrent = cls.from_bytes(b"d" + before + b"4:info" + info + after + b"e")
        if torrent.info != info:
            raise MetainfoError("info is followed by something else")
        return torrent

    @property
    def info(self) -> memoryview:
        """The info dictionary byte for byte: what the info-hash is of, and what a magnet's peers ask for."""
        return memoryview(self.raw)[slice(*self.info_at)]

    @property
    def has_v1(self) -> bool:
        """Whether its pieces have SHA-1s: version 1, or a hybrid."""
        return bool(self.pieces)

    @property
    def names(self) -> tuple[InfoHash, ...]:
        """Of its swarms: a hybrid has two (BEP 52), that of version 1 first."""
        if self.v2 is None or not self.has_v1:
            return (self.info_hash,)
        return self.info_hash, InfoHash(self.v2[:_HASH])

    @property
    def total(self) -> int:
        """Bytes of all files, pad files too."""
        return end(self.files)

    @property
    def piece_count(self) -> int:
        return -(-self.total // self.piece_length)

    def piece_offset(self, piece: PieceIndex) -> int:
        """Where the piece starts in the stream of bytes. Raises IndexError."""
        if not 0 <= piece < self.piece_count:
            raise IndexError(f"piece {piece} of {self.piece_count}")
        return piece * self.piece_length

    def piece_size(self, piece: PieceIndex) -> int:
        """Bytes in the piece: `piece_length`, or less for the last one. Raises IndexError."""
        return min(self.piece_length, self.total - self.piece_offset(piece))

    def data_size(self, piece: PieceIndex) -> int:
        """Bytes of the piece that version 2 hashes: up to the end of its file. Without it, all."""
        size = self.piece_size(piece)
        if self.v2 is None:
            return size
        file = self.file_of(piece)
        return min(size, file.offset + file.length - self.piece_offset(piece))

    def piece_hash(self, piece: PieceIndex) -> bytes:
        """The SHA-1 that the piece must have, of a torrent that `has_v1`. Raises IndexError."""
        at = self.piece_offset(piece) // self.piece_length * _HASH
        return self.pieces[at : at + _HASH]

    def piece_root(self, piece: PieceIndex) -> bytes | None:
        """The root of the piece's tree (BEP 52); None where its file's layer is not known, or for version 1.

        Raises IndexError.
        """
        if self.v2 is None:
            return None
        file = self.file_of(piece)
        if file.length <= self.piece_length:
            return file.root
        at = self.piece_in_file(piece) * HASH
        return self.layers.get(file.root or b"", b"")[at : at + HASH] or None

    def file_of(self, piece: PieceIndex) -> File:
        """The file that the piece starts in; in version 2 it has no bytes of another. Raises IndexError."""
        at = self.piece_offset(piece)
        return self._filled[bisect_right(self._filled, at, key=lambda file: file.offset) - 1]

    def subtree(self, piece: PieceIndex) -> Subtree | None:
        """How the piece becomes its `piece_root`; None for version 1. Raises IndexError."""
        if self.v2 is None:
            return None
        return Subtree(
            self.data_size(piece), piece_height(self.file_of(piece).length, self.piece_length)
        )

    def piece_in_file(self, piece: PieceIndex) -> int:
        """Which one of its file's pieces it is, in version 2. Raises IndexError."""
        return piece - self.file_of(piece).offset // self.piece_length

    @cached_property
    def _filled(self) -> list[File]:
        """The files that pieces lie in."""
        return [file for file in self.files if file.length and not file.pad]

    def with_layers(self, layers: Mapping[bytes, bytes]) -> Self:
        """The same torrent with these piece layers too: peers gave them. Raises MetainfoError.

        They are in `raw`, so that they are kept, unless that became larger than a torrent may be.
        """
        check_layers(layers, self.files, self.piece_length)
        known = {**self.layers, **layers}
        torrent = bencode.decode(self.raw)
        del torrent[b"info"]
        torrent[b"piece layers"] = known
        before, after = (
            {k: v for k, v in torrent.items() if (k < b"info") is so} for so in (True, False)
        )
        head = b"d" + bencode.encode(before)[1:-1] + b"4:info"
        raw = b"".join((head, self.info, bencode.encode(after)[1:]))
        if len(raw) > bencode.MAX_SIZE:
            return replace(self, layers=known)
        return replace(self, layers=known, raw=raw, info_at=(len(head), len(head) + len(self.info)))

    def files_as_given(self) -> tuple[File, ...]:
        """The files under the names the torrent gives, twins or not: for data that we did not write."""
        return tuple(
            file._replace(path=self.renamed.get(number, file.path))
            for number, file in enumerate(self.files)
        )

    @override
    def __repr__(self) -> str:
        size = f"{len(self.files)} files, {self.total} bytes, {self.piece_count} pieces"
        return f"<Metainfo {self.info_hash} {self.name!r} {size}>"


def _has_v2(info: dict[bytes, Any]) -> bool:
    """BEP 52: `meta version` is looked at first of all."""
    version = need(info, b"meta version", int, "info.") if b"meta version" in info else 1
    if version > 2:
        raise MetainfoError(f"info.meta version is {version}: newer than can be read")
    if version != 2 and b"file tree" in info:
        raise MetainfoError("info.file tree is there, but info.meta version is not 2")
    return version == 2


def _name(info: dict[bytes, Any], has_v1: bool) -> tuple[tuple[str, ...], bool]:
    """The torrent's name, and whether it is that of one file. In version 2 a file's own key names it."""
    name = preferred(info, b"name", bytes)
    tree = info.get(b"file tree")
    if has_v1 or not isinstance(tree, dict) or not is_single(tree):
        return paths.safe_path([name], "info.name"), b"length" in info
    return paths.safe_path(list(tree), "info.file tree"), True


def _files(
    info: dict[bytes, Any],
    name: tuple[str, ...],
    piece_length: int,
    versions: tuple[bool, bool],
    single: bool,
) -> list[Given]:
    """The files of version 1, of version 2, or what both agree on."""
    listed = read_v1(info, name) if versions[0] else []
    if not versions[1]:
        return listed
    tree = read_tree(need(info, b"file tree", dict, "info."), () if single else name)
    return agreed(listed, tree, piece_length) if versions[0] else padded(tree, piece_length, name)


def _piece_length(info: dict[bytes, Any], *, powers: bool) -> int:
    length = need(info, b"piece length", int, "info.")
    if not 0 < length <= MAX_PIECE_LENGTH:
        raise MetainfoError(f"info.piece length is {length}, not 1 to {MAX_PIECE_LENGTH}")
    if powers and (length < LEAF or length & (length - 1)):
        raise MetainfoError(
            f"info.piece length is {length}: version 2 needs a power of two from {LEAF}"
        )
    return length


def _piece_count(total: int, piece_length: int) -> int:
    count = -(-total // piece_length)
    if count > MAX_PIECES:
        raise MetainfoError(f"{total} bytes are {count} pieces, at most {MAX_PIECES} are read")
    return count


def _pieces(info: dict[bytes, Any], total: int, count: int) -> bytes:
    pieces = need(info, b"pieces", bytes, "info.")
    if len(pieces) % _HASH:
        raise MetainfoError(f"info.pieces has {len(pieces)} bytes, not a multiple of {_HASH}")
    if len(pieces) != count * _HASH:
        raise MetainfoError(
            f"info.pieces holds {len(pieces) // _HASH} hashes, but {total} bytes need {count}"
        )
    return pieces


def _sha1(data: bytes) -> bytes:
    return sha1(data, usedforsecurity=False).digest()
