"""The SHA-1 of a piece that is still arriving.

Blocks mostly come in order, so a large piece is hashed a megabyte at a time while its bytes are still in the
processor's cache; when its last block lands, only the rest is left to do. It is done where the blocks land:
a hop into a thread costs more than the half millisecond it would save (docs/performance.md).
"""

from hashlib import sha1

__all__ = ["STRIDE", "Begun"]

STRIDE = 1 << 20  # bytes: fewer are not worth a call


class Begun:
    """`hashed` bytes are in the digest."""

    __slots__ = ("_digest", "hashed")

    def __init__(self) -> None:
        self._digest = sha1(usedforsecurity=False)
        self.hashed = 0

    def take(self, arrived: memoryview) -> None:
        """Hash what is new in `arrived`, the piece from its start without a gap."""
        self._digest.update(arrived[self.hashed :])
        self.hashed = len(arrived)

    def finish(self, piece: memoryview) -> bytes:
        """The digest of the whole piece."""
        self.take(piece)
        return self._digest.digest()
