"""Torrents of version 2 and hybrids with true hashes, written plainly, and changed where a test says so."""

from collections.abc import Callable, Mapping
from hashlib import sha1
from typing import Any

from p2pswarm.formats import merkle
from p2pswarm.formats.bencode import encode

__all__ = ["PIECE", "contents", "generation", "layer_of", "stream_of"]

PIECE = 1 << 15  # two blocks


def contents(length: int, seed: int = 0) -> bytes:
    """Bytes without a period of a block."""
    return b"".join(sha1(b"%d %d" % (seed, n)).digest() for n in range(length // 20 + 1))[:length]


def layer_of(data: bytes, piece_length: int = PIECE) -> bytes:
    """The hashes of a file's pieces."""
    top = merkle.height(piece_length // merkle.LEAF)
    pieces = [data[at : at + piece_length] for at in range(0, len(data), piece_length)]
    return b"".join(merkle.root(merkle.leaves(piece), 0, top) for piece in pieces)


def stream_of(files: Mapping[str, bytes], piece_length: int = PIECE) -> bytes:
    """The files with pads up to the next piece, the last one's too."""
    return b"".join(data + bytes(-len(data) % piece_length) for data in files.values())


def generation(
    files: Mapping[str, bytes],
    *,
    v1: bool = False,
    piece_length: int = PIECE,
    change: Callable[[dict[bytes, Any]], object] = lambda torrent: None,
) -> bytes:
    """A torrent `t` of these files, whose names are sorted: of version 2, or with `v1` a hybrid.

    `change` gets the torrent before it is written.
    """
    tree: dict[bytes, Any] = {}
    layers = {}
    for name, data in files.items():
        folder = tree
        *folders, last = name.encode().split(b"/")
        for each in folders:
            folder = folder.setdefault(each, {})
        entry: dict[bytes, Any] = {b"length": len(data)}
        if data:
            entry[b"pieces root"] = merkle.root(merkle.leaves(data))
        if len(data) > piece_length:
            layers[entry[b"pieces root"]] = layer_of(data, piece_length)
        folder[last] = {b"": entry}
    info = {b"file tree": tree, b"meta version": 2, b"name": b"t", b"piece length": piece_length}
    if v1:
        info |= _first_half(files, piece_length)
    torrent = {b"info": info, b"piece layers": layers}
    change(torrent)
    return encode(torrent)


def _first_half(files: Mapping[str, bytes], piece_length: int) -> dict[bytes, Any]:
    listed = []
    for name, data in files.items():
        listed.append({b"length": len(data), b"path": name.encode().split(b"/")})
        if hole := -len(data) % piece_length:
            listed.append({b"attr": b"p", b"length": hole, b"path": [b".pad", b"%d" % hole]})
    stream = stream_of(files, piece_length)
    starts = range(0, len(stream), piece_length)
    hashes = [sha1(stream[at : at + piece_length]).digest() for at in starts]
    return {b"files": listed, b"pieces": b"".join(hashes)}
