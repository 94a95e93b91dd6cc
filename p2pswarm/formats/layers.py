"""Piece layers (BEP 52): the hashes of the pieces of version 2, which stand outside the info dictionary.

Nothing but the file's root vouches for a layer, so each is checked against it. A file of at most one piece
has none: its root is its piece's hash. A torrent that peers gave has none at first, and one may have some of
them.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from p2pswarm.errors import MetainfoError
from p2pswarm.formats import merkle
from p2pswarm.formats.files import File

__all__ = ["check_layers", "read_layers"]


def read_layers(
    torrent: dict[bytes, Any], files: Iterable[File], piece_length: int
) -> dict[bytes, bytes]:
    """`piece layers`, checked; none where it is no dictionary, as in libtorrent. Raises MetainfoError."""
    layers = torrent.pop(b"piece layers", None)
    if not isinstance(layers, dict):
        return {}
    check_layers(layers, files, piece_length)
    return layers


def check_layers(layers: Mapping[bytes, object], files: Iterable[File], piece_length: int) -> None:
    """Each must be of a file with more than one piece and lead to its root. Raises MetainfoError."""
    counts = {
        f.root: -(-f.length // piece_length) for f in files if f.root and f.length > piece_length
    }
    layer_at = merkle.height(piece_length // merkle.LEAF)
    for root, layer in layers.items():
        if root not in counts:
            raise MetainfoError(f"piece layers has one of {root[:32].hex()}, which no file needs")
        if not isinstance(layer, bytes) or len(layer) != counts[root] * merkle.HASH:
            raise MetainfoError(f"the piece layer of {root.hex()} has not {counts[root]} hashes")
        if merkle.root(layer, layer_at) != root:
            raise MetainfoError(f"the piece layer of {root.hex()} does not lead to it")
