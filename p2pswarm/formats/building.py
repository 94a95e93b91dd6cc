"""A torrent is made: the info dictionary written, and read back, so that what we write we can read."""

from collections.abc import Sequence

from p2pswarm.formats import bencode
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.formats.urls import announce, checked_url

__all__ = ["build", "default_piece_length"]


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
    pieces: bytes,
    length: int | None = None,
    files: Sequence[tuple[Sequence[str], int]] = (),
    trackers: Sequence[Sequence[str]] = (),
    web_seeds: Sequence[str] = (),
    private: bool = False,
    comment: str = "",
    source: str = "",
    created_by: str = "",
    creation_date: int | None = None,
) -> Metainfo:
    """A torrent of one file of `length` bytes, or of `files` (path below `name`, bytes).

    It is read back, so what we write we can read: raises MetainfoError like `from_bytes`, ValueError
    for a tracker or web seed that is no URL.
    """
    info: dict[bytes, object] = {
        b"name": name.encode(),
        b"piece length": piece_length,
        b"pieces": pieces,
    }
    if length is not None:
        info[b"length"] = length
    else:
        info[b"files"] = [
            {b"length": size, b"path": [element.encode() for element in path]}
            for path, size in files
        ]
    if private:
        info[b"private"] = 1
    if source:
        info[b"source"] = source.encode()
    torrent: dict[bytes, object] = {b"info": info, **announce(trackers)}
    if web_seeds:
        torrent[b"url-list"] = [checked_url(url).encode() for url in web_seeds]
    for key, text in ((b"comment", comment), (b"created by", created_by)):
        if text:
            torrent[key] = text.encode()
    if creation_date is not None:
        torrent[b"creation date"] = creation_date
    return Metainfo.from_bytes(bencode.encode(torrent))
