"""The hashes of a new torrent's pieces as they come, in any order, and the trees that they make.

Two strings hold them, because two million pieces as objects would take half a gigabyte.
"""

from typing import TYPE_CHECKING

from p2pswarm.disk.hashing import PieceHash
from p2pswarm.formats import merkle
from p2pswarm.formats.ids import PieceIndex

if TYPE_CHECKING:
    from p2pswarm.formats.metainfo import File, Metainfo

__all__ = ["Tally"]

_SHA1 = 20  # bytes


class Tally:
    """`plan` is the torrent with hashes of nothing: it says which are wanted, and of which files."""

    def __init__(self, plan: "Metainfo") -> None:
        self._plan = plan
        self._sha1s = bytearray(plan.piece_count * _SHA1 if plan.has_v1 else 0)
        self._roots = bytearray(plan.piece_count * merkle.HASH if plan.v2 else 0)

    def put(self, piece: PieceIndex, found: PieceHash) -> None:
        """A piece is hashed."""
        if found.sha1 is not None:
            self._sha1s[piece * _SHA1 : (piece + 1) * _SHA1] = found.sha1
        if found.root is not None:
            self._roots[piece * merkle.HASH : (piece + 1) * merkle.HASH] = found.root

    @property
    def pieces(self) -> bytes:
        """The SHA-1 of every piece."""
        return bytes(self._sha1s)

    def tree(self, file: "File") -> tuple[bytes | None, bytes]:
        """The file's root, and its piece layer where it has one. No root for what has no byte."""
        if not self._roots or not file.length:
            return None, b""
        length = self._plan.piece_length
        first, count = file.offset // length, -(-file.length // length)
        layer = bytes(self._roots[first * merkle.HASH : (first + count) * merkle.HASH])
        if count == 1:
            return layer, b""
        return merkle.root(layer, merkle.height(length // merkle.LEAF)), layer
