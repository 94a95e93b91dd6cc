"""The data of a file that nobody has hashes of, but for what a search network told.

To the torrent it is data like any other: pieces, memory, resume, disks that are full. Only what a piece must
hash to is not known, so a piece is what came, except the first: it must begin as the network said (Napster's
MD5 of the beginning), or whoever sent it is to blame. What the rest is worth, `verified_by` says.

Nothing of it is served: no honest peer could check it either.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from hashlib import sha1
from random import Random

from typing_extensions import override

from p2pswarm.disk.digests import MD5_SPAN, beginning_has
from p2pswarm.disk.pool import DiskPool
from p2pswarm.disk.resume import Resume, Saved
from p2pswarm.disk.storage import FileStat, Storage
from p2pswarm.errors import TargetExistsError
from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.ids import PieceIndex
from p2pswarm.formats.metainfo import Metainfo, build
from p2pswarm.swarm.data import TorrentData

__all__ = ["LooseData", "loose_metainfo"]

LEAST_PIECE = (
    1 << 20
)  # bytes: the MD5's span lies in the first piece, unless a tag before it is huge
MOST_PIECES = 100_000
_NO_HASH = bytes(20)


def loose_metainfo(name: str, size: int, md5: bytes | None) -> Metainfo:
    """A torrent without hashes; its own identity is no secret and no proof. Raises MetainfoError."""
    piece_length = LEAST_PIECE
    while size > MOST_PIECES * piece_length:
        piece_length *= 2
    return build(
        name=name,
        piece_length=piece_length,
        pieces=_NO_HASH * -(-size // piece_length),
        length=size,
        source=f"loose {md5.hex() if md5 else ''}",
    )


class LooseData(TorrentData):
    """`md5` is what the network said of the beginning; None when it said nothing."""

    shareable = False

    def __init__(
        self,
        metainfo: Metainfo,
        storage: Storage,
        disk: DiskPool,
        resume: Resume,
        *,
        writable: bool,
        dice: Random,
        md5: bytes | None,
    ) -> None:
        super().__init__(metainfo, storage, disk, resume, writable=writable, dice=dice)
        self._md5 = md5
        self._begins_well: bool | None = None  # None: nobody can tell

    @property
    @override
    def verified_by(self) -> str:
        if self._begins_well:
            return f"its size and the MD5 of its first {MD5_SPAN} bytes only"
        return "its size only"

    @override
    def _remember(self, looks: list[FileStat | None]) -> Saved | None:
        """What an earlier session stored, if the file looks as it left it; its beginning can be verified."""
        saved = super()._remember(looks)
        if saved is None:
            return None
        trusted = saved.trusted.copy()
        doubtful = [PieceIndex(0)] if trusted[0] else []
        trusted[0] = False
        return replace(saved, trusted=trusted, to_verify=doubtful, sample=[])

    @override
    def _strange(self, looks: list[FileStat | None]) -> set[PieceIndex]:
        if any(look is not None and look.size for look in looks):
            name = self._metainfo.name
            raise TargetExistsError(f"{name} exists, and nobody can tell whether it is this file")
        return set()

    @override
    async def check(self, pieces: Iterable[int], progress: Callable[[int, int], None]) -> Bitfield:
        """Nobody can tell: what is in doubt is fetched again."""
        self._doubtful -= set(map(PieceIndex, pieces))
        return Bitfield(self._metainfo.piece_count)

    @override
    def _expected(self, piece: PieceIndex, data: memoryview) -> bytes:
        if piece == 0 and not self._is_beginning(data):
            return _NO_HASH
        return sha1(data, usedforsecurity=False).digest()

    def _is_beginning(self, data: memoryview) -> bool:
        """False when it contradicts the network. For the loop, and the thread that recalls before it."""
        if self._md5 is not None:
            self._begins_well = beginning_has(data, self._metainfo.total, self._md5)
        return self._begins_well is not False
