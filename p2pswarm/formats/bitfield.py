"""Which pieces somebody has: one bit a piece, the first piece in the highest bit (BEP 3)."""

from collections.abc import Iterator
from typing import Self

from bitarray import bitarray

from p2pswarm.errors import FormatError
from p2pswarm.formats.ids import PieceIndex

__all__ = ["Bitfield"]


class Bitfield(bitarray):
    """`field[piece]` is 0 or 1; `count()`, `all()` and the operators `& | ~` are bitarray's own.

    `Bitfield(n)` is `n` pieces, none of them had. Big-endian, as bitarrays are by default.
    """

    @classmethod
    def full(cls, pieces: int) -> Self:
        field = cls(pieces)
        field.setall(True)
        return field

    @classmethod
    def from_wire(cls, data: bytes, pieces: int) -> Self:
        """Read a bitfield message's payload. Raises FormatError for a wrong length or set spare bits."""
        if len(data) != (pieces + 7) // 8:
            raise FormatError(f"a bitfield of {len(data)} bytes for {pieces} pieces")
        field = cls()
        field.frombytes(data)
        if field[pieces:].any():
            raise FormatError("a bitfield with spare bits set")
        del field[pieces:]
        return field

    def to_wire(self) -> bytes:
        return self.tobytes()

    def pieces(self) -> Iterator[PieceIndex]:
        """The set ones in rising order."""
        return map(PieceIndex, self.search(1))

    def runs(self) -> Iterator[tuple[int, int]]:
        """Rows of set ones: the first, and the first behind it."""
        start = self.find(1)
        while start >= 0:
            end = self.find(0, start)
            end = len(self) if end < 0 else end
            yield start, end
            start = self.find(1, end)
