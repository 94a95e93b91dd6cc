"""Buffers for pieces on their way to disk. One of the four rooms that carry the speed.

A piece is put together in one buffer of a bounded pool and leaves it verified and written. Its memory is
*promised* before anything is asked for, and when the pool is used up nothing is asked for: that is the whole
of the backpressure. The buffer itself is fetched when the first block lands, and the one that was given
back last goes first: what the processor's caches still hold costs a fraction of what they do not.

The one hard thing: a buffer belongs to the blocks until its piece is full, then to the disk until the
job is done. Nobody writes into a buffer that is being hashed.
"""

from collections.abc import Container, Iterable

from p2pswarm.formats.geometry import Geometry
from p2pswarm.formats.ids import PieceIndex

__all__ = ["Blocks", "BufferPool"]


class BufferPool:
    """The memory of a node for unfinished pieces and for reads: at most `budget` bytes are lent.

    One buffer is always lent to a torrent that has none, whatever others hold, so that nothing can stall.
    Invariant: `_used` of the `lent` bytes are buffers in somebody's hands, the rest is promised.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.lent = 0
        self.refusals = 0  # since the beginning
        self._used = 0
        self._free: dict[int, list[memoryview]] = {}
        self._kept = 0  # bytes in `_free`

    @property
    def memory(self) -> int:
        """Bytes that the buffers take, lent and idle ones."""
        return self._used + self._kept

    def promise(self, size: int, *, sparingly: bool = False, first: bool = False) -> bool:
        """Whether `fetch` may be called for a buffer of `size` bytes; not while the budget is used up.

        `sparingly` leaves half of the budget to others; `first` is for whoever has no buffer at all.
        """
        if self.lent + size > self.budget // (1 + sparingly) and self.lent and not first:
            self.refusals += 1
            return False
        self.lent += size
        return True

    def fetch(self, size: int) -> memoryview:
        """A buffer that was promised, with old content."""
        self._used += size
        free = self._free.get(size)
        if free:
            self._kept -= size
            return free.pop()
        self._make_room()
        return memoryview(bytearray(size))

    def take(self, size: int) -> memoryview | None:
        """A buffer at once, or None while the budget is used up."""
        return self.fetch(size) if self.promise(size) else None

    def release(self, size: int) -> None:
        """A promise is not needed any more."""
        self.lent -= size

    def give(self, buffer: memoryview) -> None:
        """Back to the pool; the caller may not touch it any more."""
        size = len(buffer)
        self.lent -= size
        self._used -= size
        if self.memory + size <= self.budget:
            self._kept += size
            self._free.setdefault(size, []).append(buffer)

    def _make_room(self) -> None:
        """Drop idle buffers, of other sizes as it happens, before the memory in all exceeds the budget."""
        for size, free in self._free.items():
            while free and self.memory > self.budget:
                free.pop()
                self._kept -= size


class Blocks:
    """The unfinished pieces of one torrent. Invariant: each has a buffer, or a promise (None) of one."""

    def __init__(self, pool: BufferPool, geometry: Geometry) -> None:
        self._pool = pool
        self._geometry = geometry
        self._length = geometry.piece_length
        self._buffers: dict[PieceIndex, memoryview | None] = {}

    def __len__(self) -> int:
        return len(self._buffers)

    def __contains__(self, piece: PieceIndex) -> bool:
        return piece in self._buffers

    def open(self, piece: PieceIndex, *, sparingly: bool = False) -> bool:
        """Reserve memory for this piece; False while there is none for one more."""
        first = not self._buffers and not sparingly
        if not self._pool.promise(self._length, sparingly=sparingly, first=first):
            return False
        self._buffers[piece] = None
        return True

    def open_sparingly(self, piece: PieceIndex) -> bool:
        """The same for somebody who may not fill it soon."""
        return self.open(piece, sparingly=True)

    def put(self, piece: PieceIndex, begin: int, blocks: Iterable[memoryview]) -> None:
        """Copy neighbours, the first of them at `begin`, to their places in a piece that is open."""
        buffer = self._buffers[piece]
        if buffer is None:
            buffer = self._buffers[piece] = self._pool.fetch(self._length)
        for data in blocks:
            end = begin + len(data)
            buffer[begin:end] = data
            begin = end

    def whole(self, piece: PieceIndex, size: int) -> memoryview:
        """The full piece, for the disk. It has at least one block; pads are zeros, whatever came."""
        buffer = self._buffers[piece]
        assert buffer is not None
        for start, end in self._geometry.pads_in(piece):
            buffer[start:end] = bytes(end - start)
        return buffer[:size]

    def drop(self, piece: PieceIndex) -> None:
        """Written, or given up."""
        buffer = self._buffers.pop(piece)
        if buffer is None:
            self._pool.release(self._length)
        else:
            self._pool.give(buffer)

    def drop_all(self, *, but: Container[PieceIndex] = ()) -> None:
        """Give up every piece, except those that somebody else drops."""
        for piece in list(self._buffers):
            if piece not in but:
                self.drop(piece)
