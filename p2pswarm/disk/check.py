"""Which pieces the files hold: read and hashed, nothing else is believed.

A check of a large torrent takes minutes, so it is cut into jobs of a few megabytes: between two of them a
thread is free for the pieces of others.
"""

from collections.abc import Iterable
from hashlib import sha1
from typing import TYPE_CHECKING

from p2pswarm.disk.layout import Layout
from p2pswarm.disk.storage import Storage
from p2pswarm.errors import DiskError
from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.ids import PieceIndex

if TYPE_CHECKING:
    from p2pswarm.formats.metainfo import Metainfo

__all__ = ["Check"]

CHUNK = 256 << 10  # bytes read at once: they stay in the processor's cache until they are hashed
SLICE = 8 << 20  # bytes read in one job


class Check:
    """One check of many pieces. Threads call `work`; the loop gives `got` what they bring back."""

    def __init__(
        self, storage: Storage, metainfo: "Metainfo", pieces: Iterable[PieceIndex]
    ) -> None:
        self.good = Bitfield(metainfo.piece_count)
        self.checked = 0
        self._storage = storage
        self._metainfo = metainfo
        self._pieces = list(pieces)
        self._next = iter(self._pieces)
        self._stopped = False

    def skip_missing(self) -> None:
        """Pieces of files that are missing or end too early need no reading. Raises DiskError."""
        layout = Layout([file.length for file in self._metainfo.files])
        size = self._metainfo.piece_length
        missing = Bitfield(self._metainfo.piece_count)
        for number, found in enumerate(self._storage.stats()):
            if self._metainfo.files[number].pad:
                continue
            start, end = layout.bytes_of(number)
            start += min(found.size, end - start) if found is not None else 0
            if start < end:
                missing[start // size : (end - 1) // size + 1] = True
        there = [piece for piece in self._pieces if not missing[piece]]
        self.checked = len(self._pieces) - len(there)
        self._next = iter(there)

    def work(self) -> tuple[int, list[PieceIndex]]:
        """Check pieces until `SLICE` bytes are read: how many, and which of them are good."""
        buffer = memoryview(bytearray(CHUNK))
        count, good, left = 0, [], SLICE
        while left > 0 and not self._stopped:
            piece = next(self._next, None)  # threads share the iterator of a list, which is atomic
            if piece is None:
                break
            if self._is_good(piece, buffer):
                good.append(piece)
            count += 1
            left -= self._metainfo.piece_size(piece)
        return count, good

    def got(self, outcome: tuple[int, list[PieceIndex]]) -> bool:
        """Add up what one job found; whether there may be more to do."""
        count, good = outcome
        self.checked += count
        for piece in good:
            self.good[piece] = True
        return count > 0

    def stop(self) -> None:
        self._stopped = True

    def _is_good(self, piece: PieceIndex, buffer: memoryview) -> bool:
        at = self._metainfo.piece_offset(piece)
        end = at + self._metainfo.piece_size(piece)
        digest = sha1(usedforsecurity=False)
        while at < end and not self._stopped:
            part = buffer[: min(CHUNK, end - at)]
            try:
                self._storage.read_into(at, [part])
            except DiskError:
                return False
            digest.update(part)
            at += len(part)
        return at == end and digest.digest() == self._metainfo.piece_hash(piece)
