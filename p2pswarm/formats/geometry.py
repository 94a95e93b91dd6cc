"""Where pieces and blocks lie in the stream of bytes: arithmetic of one torrent, of either generation.

The files of a torrent stand end to end, with pad files between them (BEP 47; those of version 2 are virtual).
A block has one number across the torrent, `piece * per_piece + n`.

The one hard thing: a block in which a file ends and its pad begins. Where there are version 1 hashes all of
it is asked for, because they count the pad; without them only its data, as libtorrent 2.1 does on either kind
of connection. A block that is all pad is asked of nobody.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Self

from p2pswarm.formats.ids import BLOCK, PieceIndex

if TYPE_CHECKING:
    from p2pswarm.formats.metainfo import Metainfo

__all__ = ["Geometry"]

_NO_PADS: Sequence[int] = ()


class Geometry:
    """`pads` are (start, end) in the stream, in order; `counts_pads` says that hashes are over them, too."""

    __slots__ = ("_ends", "_starts", "counts_pads", "per_piece", "piece_length", "pieces", "total")

    def __init__(
        self,
        total: int,
        piece_length: int,
        pads: Iterable[tuple[int, int]] = (),
        *,
        counts_pads: bool = True,
    ) -> None:
        self.total = total
        self.piece_length = piece_length
        self.pieces = -(-total // piece_length)
        self.per_piece = -(-piece_length // BLOCK)
        self.counts_pads = counts_pads
        self._starts = self._ends = _NO_PADS
        self._mark(pads)

    @classmethod
    def of(cls, metainfo: "Metainfo") -> Self:
        pads = ((f.offset, f.offset + f.length) for f in metainfo.files if f.pad)
        return cls(metainfo.total, metainfo.piece_length, pads, counts_pads=metainfo.has_v1)

    def _mark(self, pads: Iterable[tuple[int, int]]) -> None:
        starts, ends = array("q"), array("q")
        for start, end in pads:
            if ends and ends[-1] == start:
                ends[-1] = end
            elif start < end:
                starts.append(start)
                ends.append(end)
        if starts:
            self._starts, self._ends = starts, ends

    @property
    def padded(self) -> bool:
        """Whether anything is a pad."""
        return bool(self._starts)

    # Pieces

    def piece_size(self, piece: PieceIndex) -> int:
        """Bytes in the piece, those of pads too."""
        left = self.total - piece * self.piece_length
        return min(left, self.piece_length)

    def data_size(self, piece: PieceIndex) -> int:
        """Bytes before the pad that ends the piece: what version 2 hashes."""
        start, size = piece * self.piece_length, self.piece_size(piece)
        at = bisect_right(self._starts, start + size - 1) - 1
        if at < 0 or self._ends[at] < start + size:
            return size
        return max(0, self._starts[at] - start)

    def content_size(self, piece: PieceIndex) -> int:
        """Bytes in the piece that are of files: what a person counts."""
        size = self.piece_size(piece)
        return (
            size - sum(end - start for start, end in self.pads_in(piece)) if self._starts else size
        )

    @property
    def content_total(self) -> int:
        """Bytes of all files."""
        return self.total - sum(self._ends) + sum(self._starts)

    def asked_size(self, piece: PieceIndex) -> int:
        """Bytes up to which blocks of it are whole."""
        if self.counts_pads or not self._starts:
            # `piece_size`, spelled out: it is asked for each block that lands.
            return min(self.total - piece * self.piece_length, self.piece_length)
        return self.data_size(piece)

    def pads_in(self, piece: PieceIndex) -> list[tuple[int, int]]:
        """The pads in the piece: start and end of each, counted from the piece's own start."""
        if not self._starts:
            return []
        start, size = piece * self.piece_length, self.piece_size(piece)
        at, found = max(0, bisect_right(self._starts, start) - 1), list[tuple[int, int]]()
        while at < len(self._starts) and self._starts[at] < start + size:
            first, last = self._starts[at] - start, self._ends[at] - start
            if last > 0:
                found.append((max(0, first), min(last, size)))
            at += 1
        return found

    # Blocks

    def blocks_in(self, piece: PieceIndex) -> int:
        return -(-self.piece_size(piece) // BLOCK)

    def pad_blocks(self, piece: PieceIndex) -> list[tuple[int, int]]:
        """Runs of blocks, first and end, that are all pad. A piece that is nothing else keeps one to ask for:
        nobody makes such torrents, and it comes the way of all pieces."""
        size, blocks = self.piece_size(piece), self.blocks_in(piece)
        found = list[tuple[int, int]]()
        for start, end in self.pads_in(piece):
            run = -(-start // BLOCK), blocks if end == size else end // BLOCK
            if run == (0, blocks):
                run = 1, blocks
            if run[0] < run[1]:
                found.append(run)
        return found

    def request(self, block: int) -> tuple[PieceIndex, int, int]:
        """piece, begin, length of a block's number, as it is asked for: nothing of what is all pad."""
        piece, n = divmod(block, self.per_piece)
        begin = n * BLOCK
        left = self.asked_size(PieceIndex(piece)) - begin
        return PieceIndex(piece), begin, max(0, min(BLOCK, left))

    def requests(self, blocks: Sequence[int]) -> list[tuple[PieceIndex, int, int]]:
        """The same for many."""
        if self.piece_length % BLOCK or (self._starts and not self.counts_pads):
            return [self.request(block) for block in blocks]
        per, end = self.per_piece, self.total // BLOCK  # from there on a block may be short
        return [
            (PieceIndex(block // per), block % per * BLOCK, BLOCK)
            if block < end
            else self.request(block)
            for block in blocks
        ]

    def fits(self, piece: PieceIndex, begin: int, length: int) -> bool:
        """Whether these bytes of a piece are one of its blocks, as it is asked for."""
        left = self.asked_size(piece) - begin
        return begin % BLOCK == 0 and 0 < length == min(left, BLOCK)
