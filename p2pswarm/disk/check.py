"""Which pieces the files hold: read and hashed, nothing else is believed.

A check of a large torrent takes minutes, so it comes in parts of a few megabytes: between two of them a
thread is free for the pieces of others.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from p2pswarm.disk.hashing import Hashed, Hashing
from p2pswarm.disk.layout import Layout
from p2pswarm.disk.storage import Storage
from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.ids import PieceIndex

if TYPE_CHECKING:
    from p2pswarm.formats.metainfo import Metainfo

__all__ = ["Check"]


class Check:
    """One check of many pieces: threads call `work`, and `got` takes what they bring.

    Pieces of files that are missing or end too early need no reading. So making one looks at the files, and
    raises DiskError when it cannot.
    """

    def __init__(
        self, storage: Storage, metainfo: "Metainfo", pieces: Sequence[PieceIndex]
    ) -> None:
        self._metainfo = metainfo
        missing = _missing(storage, metainfo)
        there = [piece for piece in pieces if not missing[piece]]
        self._hashing = Hashing(storage, metainfo.piece_length, metainfo.total, there)
        self.checked = len(pieces) - len(there)
        self.good = Bitfield(metainfo.piece_count)

    def work(self) -> list[Hashed]:
        """A part of the work; nothing when all is done, or after `stop`."""
        return self._hashing.work()

    def got(self, hashed: Sequence[Hashed]) -> None:
        """What one part found. A piece that cannot be read is not had."""
        self.checked += len(hashed)
        for piece, digest in hashed:
            self.good[piece] = digest == self._metainfo.piece_hash(piece)

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
