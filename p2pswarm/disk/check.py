"""Which pieces the files hold: read and hashed, nothing else is believed.

A check of a large torrent takes minutes, so it comes in parts of a few megabytes: between two of them a
thread is free for the pieces of others.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from p2pswarm.disk.hashing import Expected, Hashed, Hashing, PieceHash
from p2pswarm.disk.layout import Layout
from p2pswarm.disk.storage import Storage
from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.ids import PieceIndex

if TYPE_CHECKING:
    from p2pswarm.formats.metainfo import Metainfo

__all__ = ["Check"]


class Check:
    """One check of many pieces: threads call `work`, and `got` takes what they bring.

    What a piece must be `expect` says, or the torrent. Pieces of files that are missing or end too early need
    no reading, nor do those whose hash nobody knows. So making one looks at the files, and raises DiskError
    when it cannot.
    """

    def __init__(
        self,
        storage: Storage,
        metainfo: "Metainfo",
        pieces: Sequence[PieceIndex],
        expect: Callable[[PieceIndex], Expected | None] | None = None,
    ) -> None:
        self._expect = expect or partial(Expected.of, metainfo)
        missing = _missing(storage, metainfo)
        there = [piece for piece in pieces if not missing[piece]]
        if not metainfo.has_v1:
            there = [piece for piece in there if self._expect(piece) is not None]
        self._hashing = Hashing(
            storage,
            metainfo.piece_length,
            metainfo.total,
            there,
            sha1=metainfo.has_v1,
            subtrees=metainfo.subtree if metainfo.v2 is not None else None,
        )
        self.checked = len(pieces) - len(there)
        self.good = Bitfield(metainfo.piece_count)

    def work(self) -> list[Hashed]:
        """A part of the work; nothing when all is done, or after `stop`."""
        return self._hashing.work()

    def got(self, hashed: Sequence[Hashed]) -> None:
        """What one part found. A piece that cannot be read is not had."""
        self.checked += len(hashed)
        for piece, found in hashed:
            expected = self._expect(piece)
            if expected is not None and isinstance(found, PieceHash):
                self.good[piece] = expected.fits(found)

    def stop(self) -> None:
        self._hashing.stop()


def _missing(storage: Storage, metainfo: "Metainfo") -> Bitfield:
    layout = Layout([file.length for file in metainfo.files])
    size = metainfo.piece_length
    missing = Bitfield(metainfo.piece_count)
    for number, found in enumerate(storage.stats()):
        if metainfo.files[number].pad:
            continue
        start, end = layout.bytes_of(number)
        start += min(found.size, end - start) if found is not None else 0
        if start < end:
            missing[start // size : (end - 1) // size + 1] = True
    if storage.parts is not None:
        for number in storage.parts.files:
            first, last = storage.parts.inside(number)
            missing[first : max(first, last)] = True
    return missing
