"""The wanted pieces by how many peers have them, so that the rarest are found first. Sans-IO.

A *bucket* is a bitfield for each number of copies: "the rarest that this peer has" is a few calls into C,
however many pieces and peers there are. They are filled when first asked for, which a seed never does.

Invariant, tested by `check()`: once they are filled, every wanted piece stands in the bucket of its count.
"""

from bitarray.util import any_and

from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.ids import PieceIndex

__all__ = ["Rarity"]


class Rarity:
    """Of one torrent: `counts` of all pieces, and those `wanted` that are not started."""

    __slots__ = ("_buckets", "_sizes", "_stale", "counts", "wanted")

    def __init__(self, pieces: int) -> None:
        self.counts = [0] * pieces
        self.wanted = Bitfield.full(pieces)
        self._buckets: list[Bitfield] = []
        self._sizes: list[int] = []  # pieces in each bucket: most are empty
        self._stale = True

    def lay_out(self, wanted: Bitfield) -> None:
        """All of that has changed."""
        self.wanted = wanted
        self._stale = True

    def insert(self, piece: PieceIndex) -> None:
        """It is wanted and not started."""
        self.wanted[piece] = 1
        if not self._stale:
            self._list(piece)

    def remove(self, piece: PieceIndex) -> None:
        """It is started, or had, or cannot be judged."""
        self.wanted[piece] = 0
        if not self._stale:
            self._unlist(piece)

    def recount(self, piece: PieceIndex, change: int) -> None:
        """One more peer has it, or one fewer."""
        listed = not self._stale and self.wanted[piece]
        if listed:
            self._unlist(piece)
        self.counts[piece] += change
        if listed:
            self._list(piece)

    def recount_all(self, have: Bitfield, change: int) -> None:
        """The same, of all that it has."""
        counts = self.counts
        for piece in have.pieces():
            counts[piece] += change
        if not self._stale:
            self._shift(have, change)

    def rarest(self, have: Bitfield) -> Bitfield:
        """The bucket that comes first of those with a piece of `have`. There has to be one."""
        if self._stale:
            self._fill()
        filled = (bucket for size, bucket in zip(self._sizes, self._buckets, strict=True) if size)
        return next(bucket for bucket in filled if any_and(have, bucket))

    def _fill(self) -> None:
        counts = self.counts
        buckets = [Bitfield(len(counts)) for _ in range(max(counts) + 1)]
        for piece in self.wanted.pieces():
            buckets[counts[piece]][piece] = 1
        self._buckets, self._sizes = buckets, [bucket.count() for bucket in buckets]
        self._stale = False

    def _shift(self, have: Bitfield, by: int) -> None:
        """Those of `have` that are listed change by one bucket, up or down, all in one go."""
        buckets = self._buckets
        if by > 0 and self._sizes[-1]:
            self._add_bucket()
        filled = [count for count, size in enumerate(self._sizes) if size]
        for count in reversed(filled) if by > 0 else filled:
            moving = buckets[count] & have
            buckets[count] ^= moving
            buckets[count + by] |= moving
            moved = moving.count()
            self._sizes[count] -= moved
            self._sizes[count + by] += moved
        while len(buckets) > 1 and not self._sizes[-1]:
            buckets.pop()
            self._sizes.pop()

    def _add_bucket(self) -> None:
        self._buckets.append(Bitfield(len(self.counts)))
        self._sizes.append(0)

    def _list(self, piece: PieceIndex) -> None:
        count = self.counts[piece]
        while len(self._buckets) <= count:
            self._add_bucket()
        self._buckets[count][piece] = 1
        self._sizes[count] += 1

    def _unlist(self, piece: PieceIndex) -> None:
        count = self.counts[piece]
        self._buckets[count][piece] = 0
        self._sizes[count] -= 1

    def check(self) -> None:
        """Assert the invariant."""
        if self._stale:
            return
        for count, (size, bucket) in enumerate(zip(self._sizes, self._buckets, strict=True)):
            assert size == bucket.count()
            assert not any_and(bucket, ~self.wanted)
            assert all(self.counts[piece] == count for piece in bucket.pieces())
        assert sum(self._sizes) == self.wanted.count()
