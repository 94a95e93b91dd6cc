"""A torrent is made: the info dictionary written, and read back, so that what we write we can read.

One list of files makes all three generations (BEP 3, 52): with `pieces` there is a half for version 1, with
roots one for version 2, with both it is a hybrid. The hard thing is that both halves of a hybrid are the same
stream of bytes: files in the order of the tree, each begun at a piece, so zeros stand between them (BEP 47).
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any

from p2pswarm.formats import bencode
from p2pswarm.formats.files import Given
from p2pswarm.formats.filetree import padded
from p2pswarm.formats.ids import InfoHash
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.formats.urls import announce, checked_url

__all__ = ["Generation", "build", "default_piece_length"]


class Generation(Enum):
    """Which versions read a torrent."""

    V1 = "v1"
    HYBRID = "hybrid"
    V2 = "v2"

    @property
    def has_v1(self) -> bool:
        return self is not Generation.V2

    @property
    def has_v2(self) -> bool:
        return self is not Generation.V1


def default_piece_length(total: int) -> int:
    """256 KiB up to 1 GiB; above, the power of two that makes 2000 to 4000 pieces, at most 32 MiB.

    So `info` stays small enough for every client (a 1 TB torrent of 256 KiB pieces has 80 MB of it).
    """
    length = 256 << 10
    if total > 1 << 30:
        while total > 4000 * length and length < 32 << 20:
            length *= 2
    return length


def build(
    *,
    name: str,
    piece_length: int,
    pieces: bytes = b"",
    length: int | None = None,
    files: Iterable[Given | tuple[Sequence[str], int]] = (),
    layers: Mapping[bytes, bytes] | None = None,
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
    """A torrent of one file of `length` bytes, or of `files`, whose paths are below `name`.

    A file with an empty path is the torrent itself. Files with roots come in the order of their tree;
    `layers` are the hashes of their pieces, by root. No pads: those are put in here.

    It is read back, so what we write we can read: raises MetainfoError like `from_bytes`, ValueError
    for a tracker or web seed that is no URL.
    """
    given = [Given(tuple(path), *rest) for path, *rest in files]
    if length is not None:
        given = [Given((), length)]
    info: dict[bytes, object] = {b"name": name.encode(), b"piece length": piece_length}
    torrent: dict[bytes, object] = {b"info": info, **announce(trackers)}
    if any(file.root for file in given):
        info |= {b"meta version": 2, b"file tree": _tree(name, given)}
        torrent[b"piece layers"] = dict(layers or {})
        # As libtorrent does, so that both make the same info-hash: none where there is one file only.
        given = padded(given, piece_length, ()) if len(given) > 1 else given
    if pieces or b"file tree" not in info:
        info |= {b"pieces": pieces, **_listed(given)}
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


def _listed(files: Sequence[Given]) -> dict[bytes, object]:
    """The files as version 1 has them, the pads among them."""
    if files and not files[0].path:
        return {b"length": files[0].length, **_attributes(files[0])}
    return {
        b"files": [
            {b"length": file.length, b"path": _encoded(file.path), **_attributes(file)}
            for file in files
        ]
    }


def _tree(name: str, files: Sequence[Given]) -> dict[bytes, Any]:
    """The files as version 2 has them."""
    tree: dict[bytes, Any] = {}
    for file in files:
        here = tree
        for element in _encoded(file.path or (name,)):
            here = here.setdefault(element, {})
        here[b""] = _attributes(file)
        if file.link is None:
            here[b""][b"length"] = file.length
        if file.root:
            here[b""][b"pieces root"] = file.root
    return tree


def _attributes(file: Given) -> dict[bytes, object]:
    """BEP 47. A link is marked executable, because libtorrent marks it: its mode on Linux is 0777."""
    if file.link is not None:
        return {b"attr": b"xl", b"symlink path": _encoded(file.link)}
    attributes = b"p" * file.pad + b"x" * file.executable + b"h" * file.hidden
    return {b"attr": attributes} if attributes else {}


def _encoded(path: Sequence[str]) -> list[bytes]:
    return [element.encode() for element in path]
