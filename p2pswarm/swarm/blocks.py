"""Buffers for pieces on their way to disk. One of the four rooms that carry the speed.

A piece is put together in one buffer of a bounded pool and leaves it verified and written. Buffers are
used again, last one first, because memory that was never touched before costs more than the copy into it.
When the pool is used up nothing is asked for: that is the whole of the backpressure.

The one hard thing: a buffer belongs to the blocks until its piece is full, then to the disk until the
job is done. Nobody writes into a buffer that is being hashed.
"""

from collections.abc import Container

from p2pswarm.formats.ids import PieceIndex

__all__ = ["Blocks", "BufferPool"]


class BufferPool:
    """The memory of a node for unfinished pieces and for reads: at most `budget` bytes are lent.

    One buffer is always lent to a torrent that has none, whatever others hold, so that nothing can stall.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.lent = 0
        self.refusals = 0  # since the beginning
        self._free: dict[int, list[bytearray]] = {}
        self._kept = 0

    def take(self, size: int, *, sparingly: bool = False, first: bool = False) -> bytearray | None:
        """A buffer of `size` bytes with old content, or None while the budget is used up.

        `sparingly` leaves half of the budget to others; `first` is for whoever has no buffer at all.
        """
        if self.lent + size > self.budget // (1 + sparingly) and self.lent and not first:
            self.refusals += 1
            return None
        self.lent += size
        free = self._free.get(size)
        if free:
            self._kept -= size
            return free.pop()
        self._make_room(size)
        return bytearray(size)

    def give(self, buffer: bytearray) -> None:
        """Back to the pool; the caller may not touch it any more."""
        size = len(buffer)
        self.lent -= size
        self._kept += size
        self._free.setdefault(size, []).append(buffer)

    def _make_room(self, size: int) -> None:
        """Drop idle buffers of other sizes before the memory in all exceeds the budget."""
        for other, free in self._free.items():
            while free and self.lent + self._kept > self.budget and other != size:
                free.pop()
                self._kept -= other


class Blocks:
    """The unfinished pieces of one torrent. Invariant: a piece has a buffer or nothing in memory."""

    def __init__(self, pool: BufferPool, piece_length: int) -> None:
        self._pool = pool
        self._length = piece_length
        self._buffers: dict[PieceIndex, bytearray] = {}

    def __len__(self) -> int:
        return len(self._buffers)

    def __contains__(self, piece: PieceIndex) -> bool:
        return piece in self._buffers

    def open(self, piece: PieceIndex, *, sparingly: bool = False) -> bool:
        """Lease a buffer for this piece; False while there is no memory for one more."""
        first = not self._buffers and not sparingly
        buffer = self._pool.take(self._length, sparingly=sparingly, first=first)
        if buffer is None:
            return False
        self._buffers[piece] = buffer
        return True

    def open_sparingly(self, piece: PieceIndex) -> bool:
        """The same for somebody who may not fill it soon."""
        return self.open(piece, sparingly=True)

    def hole(self, piece: PieceIndex, begin: int, length: int) -> memoryview | None:
        """Where a block belongs; None when the piece is not being put together."""
        buffer = self._buffers.get(piece)
        return None if buffer is None else memoryview(buffer)[begin : begin + length]

    def whole(self, piece: PieceIndex, size: int) -> memoryview:
        """The full piece, for the disk."""
        return memoryview(self._buffers[piece])[:size]

    def drop(self, piece: PieceIndex) -> None:
        """Written, or given up."""
        self._pool.give(self._buffers.pop(piece))

    def drop_all(self, *, but: Container[PieceIndex] = ()) -> None:
        """Give up every piece, except those that somebody else drops."""
        for piece in list(self._buffers):
            if piece not in but:
                self.drop(piece)
