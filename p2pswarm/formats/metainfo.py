"""Metainfo, version 1: what a `.torrent` says, checked, as values (BEP 3, 12, 19, 27, 47).

Whatever decides bytes, names or privacy is checked, and a fault is a MetainfoError that names the key.
What only decorates (comments, dates) or may be one of many (trackers, web seeds) is dropped where it
is junk. The info-hash is over the original bytes, and they are kept whole in `raw`, unknown keys too.

Of a hybrid torrent (BEP 52) the version 1 half is read: its pad files count in the stream of bytes and
are never files on disk. A torrent without a single byte is refused, as libtorrent does: nobody could fetch
or check anything, so every other room may count on at least one piece.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha1
from pathlib import Path
from typing import Any, Self, TypeVar

from typing_extensions import override

from p2pswarm.errors import DiskError, MetainfoError
from p2pswarm.formats import bencode, paths
from p2pswarm.formats.ids import InfoHash, PieceIndex
from p2pswarm.formats.urls import announce, checked_url, urls_in

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
# Both of all files: what a hostile torrent can make us check takes three seconds, not ten.
MAX_FILES = 200_000
_MAX_PATH_ELEMENTS = 800_000
_MAX_LENGTH = 2**63 - 1  # bytes, one file or all together: what an `off_t` holds
_LAST_DATE = 253402300799  # seconds since 1970: the end of the year 9999
_HASH = 20  # bytes of SHA-1
# Bytes of a `.torrent` read at first: memory for the largest one, for each of thousands, takes its time.
_USUAL_SIZE = 64 << 10

_Given = tuple[tuple[str, ...], int, bool]  # a file's safe path, its length, whether it is a pad
_T = TypeVar("_T", int, bytes, list[Any], dict[bytes, Any])
_WORDS = {int: "an integer", bytes: "a string", list: "a list", dict: "a dictionary"}


@dataclass(frozen=True, slots=True)
class File:
    """One file of a torrent, or a hole (`pad`, BEP 47): zeros in the stream, nothing on disk."""

    path: tuple[str, ...]
    """Safe elements below the download directory, the torrent's own folder among them."""
    length: int
    """Bytes."""
    offset: int
    """Where it starts in the torrent's stream of bytes."""
    pad: bool = False


@dataclass(frozen=True, repr=False)
class Metainfo:
    """A torrent. Made by `from_bytes`, `from_file` or `building.build`, which see that it is consistent."""

    info_hash: InfoHash
    name: str
    """The file, or the folder that all files lie in; safe."""
    files: tuple[File, ...]
    piece_length: int
    """Bytes; the last piece may be shorter."""
    pieces: bytes
    """The SHA-1 of every piece, 20 bytes each."""
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

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a `.torrent`. Raises BencodeError or MetainfoError."""
        torrent, where = bencode.decode_located(data, b"info")
        if not isinstance(torrent, dict):
            raise MetainfoError(f"not a torrent but {_WORDS[type(torrent)]}")
        info = _need(torrent, b"info", dict)
        assert where is not None
        _refuse_unknown_version(info)
        name = paths.safe_path([_preferred(info, b"name", bytes)], "info.name")
        files, renamed = _files(info, name)
        piece_length = _piece_length(info)
        return cls(
            info_hash=InfoHash(sha1(data[slice(*where)], usedforsecurity=False).digest()),
            name=name[0],
            files=files,
            piece_length=piece_length,
            pieces=_pieces(info, _end(files), piece_length),
            private=b"private" in info and _need(info, b"private", int, "info.") != 0,
            trackers=_trackers(torrent),
            web_seeds=tuple(urls_in(torrent.get(b"url-list"))),
            comment=_text(torrent.get(b"comment")),
            created_by=_text(torrent.get(b"created by")),
            creation_date=_date(torrent.get(b"creation date")),
            source=_text(info.get(b"source")),
            raw=bytes(data),
            info_at=where,
            single_file=b"length" in info,
            renamed=renamed,
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
        if torrent.info_hash != sha1(info, usedforsecurity=False).digest():
            raise MetainfoError("info is followed by something else")
        return torrent

    @property
    def info(self) -> memoryview:
        """The info dictionary byte for byte: what the info-hash is of, and what a magnet's peers ask for."""
        return memoryview(self.raw)[slice(*self.info_at)]

    @property
    def total(self) -> int:
        """Bytes of all files, pad files too."""
        return _end(self.files)

    @property
    def piece_count(self) -> int:
        return len(self.pieces) // _HASH

    def piece_offset(self, piece: PieceIndex) -> int:
        """Where the piece starts in the stream of bytes. Raises IndexError."""
        if not 0 <= piece < self.piece_count:
            raise IndexError(f"piece {piece} of {self.piece_count}")
        return piece * self.piece_length

    def piece_size(self, piece: PieceIndex) -> int:
        """Bytes in the piece: `piece_length`, or less for the last one. Raises IndexError."""
        return min(self.piece_length, self.total - self.piece_offset(piece))

    def piece_hash(self, piece: PieceIndex) -> bytes:
        """The SHA-1 that the piece must have. Raises IndexError."""
        at = self.piece_offset(piece) // self.piece_length * _HASH
        return self.pieces[at : at + _HASH]

    def files_as_given(self) -> tuple[File, ...]:
        """The files under the names the torrent gives, twins or not: for data that we did not write."""
        return tuple(
            replace(file, path=self.renamed.get(number, file.path))
            for number, file in enumerate(self.files)
        )

    @override
    def __repr__(self) -> str:
        size = f"{len(self.files)} files, {self.total} bytes, {self.piece_count} pieces"
        return f"<Metainfo {self.info_hash} {self.name!r} {size}>"


def _need(table: dict[bytes, Any], key: bytes, kind: type[_T], where: str = "") -> _T:
    """`table[key]`, which must be there and of this kind; `where` is the table's own name."""
    value = table.get(key)
    if isinstance(value, kind):
        return value
    name = where + key.decode()
    if value is None:
        raise MetainfoError(f"{name} is missing")
    raise MetainfoError(f"{name} is {_WORDS[type(value)]}, not {_WORDS[kind]}")


def _preferred(table: dict[bytes, Any], key: bytes, kind: type[_T], where: str = "info.") -> _T:
    """`key.utf-8` where a client of the days before UTF-8 wrote both, else `key`."""
    utf8 = key + b".utf-8"
    return _need(table, utf8 if utf8 in table else key, kind, where)


def _refuse_unknown_version(info: dict[bytes, Any]) -> None:
    """BEP 52: first of all. A hybrid has both halves; without `pieces` there is nothing for us."""
    version = _need(info, b"meta version", int, "info.") if b"meta version" in info else 1
    if version > 2:
        raise MetainfoError(f"info.meta version is {version}: newer than can be read")
    if b"pieces" not in info and (version == 2 or b"file tree" in info):
        raise MetainfoError("a version 2 torrent (BEP 52): only version 1 can be read yet")


def _files(
    info: dict[bytes, Any], root: tuple[str, ...]
) -> tuple[tuple[File, ...], dict[int, tuple[str, ...]]]:
    """The files in order, and under which number which got another path."""
    if (b"length" in info) == (b"files" in info):
        both = "both length and files" if b"length" in info else "neither length nor files"
        raise MetainfoError(f"info has {both}")
    if b"length" in info:
        given = [(root, _length(info, "info."), _is_pad(info, "info."))]
    else:
        given = list(_listed(_need(info, b"files", list, "info."), root))
        info[b"files"] = []  # the list is as large as what it became, and is not read again
    total = sum(length for _, length, _ in given)
    if not 0 < total <= _MAX_LENGTH:
        raise MetainfoError(f"the files have {total} bytes together, not 1 to 2^63 - 1")
    return _placed(given)


def _listed(entries: list[Any], root: tuple[str, ...]) -> Iterator[_Given]:
    if not 0 < len(entries) <= MAX_FILES:
        raise MetainfoError(f"info.files has {len(entries)} entries, not 1 to {MAX_FILES}")
    elements = 0
    for number, entry in enumerate(entries):
        try:
            file = _entry(entry, root)
        except MetainfoError as error:
            raise MetainfoError(f"info.files[{number}]{error}") from None
        elements += len(file[0])
        if elements > _MAX_PATH_ELEMENTS:
            raise MetainfoError(f"more than {_MAX_PATH_ELEMENTS} path elements up to file {number}")
        yield file


def _entry(entry: object, root: tuple[str, ...]) -> _Given:
    """One file of many. A MetainfoError tells what follows the entry's own name."""
    if not isinstance(entry, dict):
        raise MetainfoError(f" is {_WORDS[type(entry)]}, not a dictionary")
    pad = _is_pad(entry, ".")
    length = _length(entry, ".")
    path = _preferred(entry, b"path", list, ".")
    if not {bytes}.issuperset(map(type, path)):
        raise MetainfoError(".path holds something that is not a string")
    return root + paths.safe_path(path, ".path"), length, pad


def _placed(given: list[_Given]) -> tuple[tuple[File, ...], dict[int, tuple[str, ...]]]:
    """Pad files all have the same few names; they are never written, so they are left alone."""
    fresh = iter(paths.without_twins([path for path, _, pad in given if not pad]))
    files, renamed, offset = [], {}, 0
    for number, (old, length, pad) in enumerate(given):
        path = old if pad else next(fresh)
        if path != old:
            renamed[number] = old
        files.append(File(path, length, offset, pad))
        offset += length
    return tuple(files), renamed


def _length(table: dict[bytes, Any], where: str) -> int:
    length = _need(table, b"length", int, where)
    if not 0 <= length <= _MAX_LENGTH:
        raise MetainfoError(f"{where}length is {length}, not 0 to 2^63 - 1")
    return length


def _is_pad(table: dict[bytes, Any], where: str) -> bool:
    """BEP 47. Executable and hidden make no difference here; a link would need a target to check."""
    if b"attr" not in table:
        return False
    attributes = _need(table, b"attr", bytes, where)
    if b"l" in attributes:
        raise MetainfoError(f"{where}attr names a symbolic link: these cannot be made yet")
    return b"p" in attributes


def _end(files: Sequence[File]) -> int:
    return files[-1].offset + files[-1].length


def _piece_length(info: dict[bytes, Any]) -> int:
    length = _need(info, b"piece length", int, "info.")
    if not 0 < length <= MAX_PIECE_LENGTH:
        raise MetainfoError(f"info.piece length is {length}, not 1 to {MAX_PIECE_LENGTH}")
    return length


def _pieces(info: dict[bytes, Any], total: int, piece_length: int) -> bytes:
    pieces = _need(info, b"pieces", bytes, "info.")
    count = -(-total // piece_length)
    if count > MAX_PIECES:
        raise MetainfoError(f"{total} bytes are {count} pieces, at most {MAX_PIECES} are read")
    if len(pieces) % _HASH:
        raise MetainfoError(f"info.pieces has {len(pieces)} bytes, not a multiple of {_HASH}")
    if len(pieces) != count * _HASH:
        raise MetainfoError(
            f"info.pieces holds {len(pieces) // _HASH} hashes, but {total} bytes need {count}"
        )
    return pieces


def _trackers(torrent: dict[bytes, Any]) -> tuple[tuple[str, ...], ...]:
    """BEP 12: `announce-list`, where it holds any URL, in place of `announce`. No URL twice."""
    listed = torrent.get(b"announce-list")
    seen: set[str] = set()
    tiers = []
    for tier in listed if isinstance(listed, list) else ():
        urls = [url for url in urls_in(tier) if url not in seen]
        seen.update(urls)
        if urls:
            tiers.append(tuple(urls))
    alone = tuple(urls_in(torrent.get(b"announce")))
    return tuple(tiers) or ((alone,) if alone else ())


def _text(value: object) -> str:
    """One printable line: these go to a terminal."""
    text = paths.decoded(value) if isinstance(value, bytes) else ""
    if not text.isprintable():
        text = "".join(char if char.isprintable() else " " for char in text)
    return text.strip()


def _date(value: object) -> int | None:
    return value if isinstance(value, int) and 0 <= value <= _LAST_DATE else None
