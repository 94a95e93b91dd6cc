"""A torrent is made: the info dictionary written, and read back, so that what we write we can read.

One list of files makes all three generations (BEP 3, 52): with `pieces` there is a half for version 1, with
roots one for version 2, with both it is a hybrid. The hard thing is that both halves of a hybrid are the same
stream of bytes: files in the order of the tree, each begun at a piece, so zeros stand between them (BEP 47).
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from p2pswarm.formats import bencode
from p2pswarm.formats.ids import InfoHash
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.formats.urls import announce, checked_url

__all__ = ["Entry", "build", "default_piece_length", "padded"]


class Entry(NamedTuple):
    """A file as the torrent shall name it."""

    path: Sequence[str]
    """Below the torrent's own folder; empty where the torrent is this one file."""
    length: int
    root: bytes = b""
    """The root of its tree (`pieces root`); none without a half for version 2, or without a byte."""
    layer: bytes = b""
    """The hashes of its pieces, joined; none where it has one piece."""
    executable: bool = False
    link: Sequence[str] | None = None
    """Of a symbolic link: what it leads to, below the torrent's own folder. Its length is 0."""
    pad: bool = False


def default_piece_length(total: int) -> int:
    """256 KiB up to 1 GiB; above, the power of two that makes 2000 to 4000 pieces, at most 32 MiB.

    So `info` stays small enough for every client (a 1 TB torrent of 256 KiB pieces has 80 MB of it).
    """
    length = 256 << 10
    if total > 1 << 30:
        while total > 4000 * length and length < 32 << 20:
            length *= 2
    return length


def padded(files: Sequence[Entry], piece_length: int) -> Iterator[Entry]:
    """The files with zeros up to the end of the piece between them, as a stream of version 2 has them.

    libtorrent's rule, so that both make the same info-hash: after every file that ends inside of a piece, the
    last one too; none where there is one file only.
    """
    for file in files:
        yield file
        rest = -file.length % piece_length
        if rest and len(files) > 1:
            yield Entry((".pad", str(rest)), rest, pad=True)


def build(
    *,
    name: str,
    piece_length: int,
    pieces: bytes = b"",
    length: int | None = None,
    files: Iterable[Entry | tuple[Sequence[str], int]] = (),
    trackers: Sequence[Sequence[str]] = (),
    web_seeds: Sequence[str] = (),
    private: bool = False,
    comment: str = "",
    source: str = "",
    similar: Sequence[InfoHash] = (),
    collections: Sequence[str] = (),
    created_by: str = "",
    creation_date: int | None = None,
) -> Metainfo:
    """A torrent of one file of `length` bytes, or of `files`; those with roots in the order of their tree.

    It is read back, so what we write we can read: raises MetainfoError like `from_bytes`, ValueError
    for a tracker or web seed that is no URL.
    """
    entries = [Entry(*file) for file in files] if length is None else [Entry((), length)]
    info: dict[bytes, object] = {b"name": name.encode(), b"piece length": piece_length}
    torrent: dict[bytes, object] = {b"info": info, **announce(trackers)}
    if any(entry.root for entry in entries):
        info |= {b"meta version": 2, b"file tree": _tree(name, entries)}
        torrent[b"piece layers"] = {entry.root: entry.layer for entry in entries if entry.layer}
        entries = list(padded(entries, piece_length))
    if pieces or b"file tree" not in info:
        info |= {b"pieces": pieces, **_listed(entries)}
    info |= _said(private, source, similar, collections)
    if web_seeds:
        torrent[b"url-list"] = [checked_url(url).encode() for url in web_seeds]
    for key, text in ((b"comment", comment), (b"created by", created_by)):
        if text:
            torrent[key] = text.encode()
    if creation_date is not None:
        torrent[b"creation date"] = creation_date
    return Metainfo.from_bytes(bencode.encode(torrent))


def _said(
    private: bool, source: str, similar: Sequence[InfoHash], collections: Sequence[str]
) -> dict[bytes, object]:
    """What `info` says beside the files. BEP 38 stands here, as in libtorrent: so it is known by magnets."""
    said: dict[bytes, object] = {}
    if private:
        said[b"private"] = 1
    if source:
        said[b"source"] = source.encode()
    if similar:
        said[b"similar"] = [bytes(name) for name in similar]
    if collections:
        said[b"collections"] = [text.encode() for text in collections]
    return said


def _listed(entries: Sequence[Entry]) -> dict[bytes, object]:
    """The files as version 1 has them, the pads among them."""
    if entries and not entries[0].path:
        return {b"length": entries[0].length, **_attributes(entries[0])}
    return {
        b"files": [
            {b"length": entry.length, b"path": _encoded(entry.path), **_attributes(entry)}
            for entry in entries
        ]
    }


def _tree(name: str, entries: Sequence[Entry]) -> dict[bytes, Any]:
    """The files as version 2 has them."""
    tree: dict[bytes, Any] = {}
    for entry in entries:
        here = tree
        for element in _encoded(entry.path or (name,)):
            here = here.setdefault(element, {})
        here[b""] = _attributes(entry)
        if entry.link is None:
            here[b""][b"length"] = entry.length
        if entry.root:
            here[b""][b"pieces root"] = entry.root
    return tree


def _attributes(entry: Entry) -> dict[bytes, object]:
    """BEP 47. A link is marked executable, because libtorrent marks it: its mode on Linux is 0777."""
    if entry.link is not None:
        return {b"attr": b"xl", b"symlink path": _encoded(entry.link)}
    attributes = b"p" * entry.pad + b"x" * entry.executable
    return {b"attr": attributes} if attributes else {}


def _encoded(path: Sequence[str]) -> list[bytes]:
    return [element.encode() for element in path]
