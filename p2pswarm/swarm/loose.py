"""The data of a file that nobody has piece hashes of, but for what search networks told.

To the torrent it is data like any other: pieces, memory, resume, disks that are full. Only what a piece must
hash to is not known. What a network tells decides what is believed:

- A tiger tree: every piece is checked as it arrives, and damage is named.
- The SHA-1: the whole is hashed when all of it is here; is it another file, nothing of it is kept. So it is
  also with a tree, whose root may be the claim of one of the hosts.
- Napster's MD5 of the beginning: the first piece must have it; the rest is what came.

Whoever sent a bad piece is to blame. What the bytes are worth, `verified_by` says. They are served only where
every piece can be checked: of others no honest peer could tell what they are.
"""

import logging
from collections.abc import Callable, Iterable, Set
from contextlib import suppress
from dataclasses import replace
from functools import partial
from hashlib import sha1 as new_sha1
from random import Random

from typing_extensions import override

from p2pswarm.disk.begun import Begun
from p2pswarm.disk.digests import MD5_SPAN, beginning_has
from p2pswarm.disk.hashing import Expected
from p2pswarm.disk.pool import DiskPool, Stored
from p2pswarm.disk.resume import Resume, Saved
from p2pswarm.disk.storage import FileStat, Storage
from p2pswarm.errors import DiskError, TargetExistsError
from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.building import build
from p2pswarm.formats.ids import PieceIndex
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.formats.thex import TigerTree, span_for
from p2pswarm.swarm.whole import WholeData

__all__ = ["LooseData", "loose_metainfo"]

log = logging.getLogger(__name__)

LEAST_PIECE = (
    1 << 20
)  # bytes: the MD5's span lies in the first piece, unless a tag before it is huge
MOST_PIECES = 100_000
MOST_PIECE = 16 << 20  # bytes, of memory; the spans of a tree are larger from 8 GiB on
MOST_NAMED = 1000  # damaged ranges that are told
_SOUND, _NO_HASH = b"\1" * 20, bytes(20)


def loose_metainfo(
    name: str,
    size: int,
    md5: bytes | None,
    *,
    sha1: bytes | None = None,
    tree: TigerTree | None = None,
) -> Metainfo:
    """A torrent without hashes; its own identity is no secret and no proof. Raises MetainfoError.

    With a SHA-1 that alone decides which download it is: a tree may be found today and not tomorrow.
    """
    piece_length = LEAST_PIECE
    while size > MOST_PIECES * piece_length:
        piece_length *= 2
    if sha1 is not None or tree is not None:
        piece_length = max(piece_length, min(span_for(size), MOST_PIECE))
    return build(
        name=name,
        piece_length=piece_length,
        pieces=_NO_HASH * -(-size // piece_length),
        length=size,
        source=_identity(md5, sha1, tree),
    )


def _identity(md5: bytes | None, sha1: bytes | None, tree: TigerTree | None) -> str:
    if sha1 is not None:
        return f"loose sha1 {sha1.hex()}"
    if tree is not None:
        return f"loose tth {tree.root.hex()}"
    return f"loose {md5.hex() if md5 else ''}"


class LooseData(WholeData):
    """`md5` is what the network said of the beginning, `sha1` and `tree` of the whole; None: nothing."""

    swarms = False

    def __init__(
        self,
        metainfo: Metainfo,
        storage: Storage,
        disk: DiskPool,
        resume: Resume,
        *,
        writable: bool,
        dice: Random,
        md5: bytes | None = None,
        sha1: bytes | None = None,
        tree: TigerTree | None = None,
    ) -> None:
        by_piece = tree is not None and tree.span <= metainfo.piece_length
        super().__init__(
            metainfo,
            storage,
            disk,
            resume,
            writable=writable,
            dice=dice,
            sha1=sha1,
            tree=None if by_piece else tree,
        )
        self._md5 = md5
        self._begins_well: bool | None = None  # None: nobody can tell
        self._tree = tree if by_piece else None
        self._named: set[range] = set()  # damage that was told
        self.shareable = by_piece

    @property
    @override
    def verified_by(self) -> str:
        by = [self._whole.name] if self._whole.known and self.proven else []
        if self._tree is not None:
            by.append("its tiger tree")
        if by:
            return " and ".join(by)
        if self._begins_well:
            return f"its size and the MD5 of its first {MD5_SPAN} bytes only"
        return "its size only"

    @override
    def _remember(self, looks: list[FileStat | None]) -> Saved | None:
        """What an earlier session stored, if the file looks as it left it; what can be verified is."""
        saved = super()._remember(looks)
        if saved is None:
            return None
        trusted, doubtful = saved.trusted.copy(), list[PieceIndex]()
        if self._tree is not None:  # there was perhaps none when these came
            doubtful = list((trusted | self._bits(saved.to_verify)).pieces())
            trusted.setall(0)
        elif trusted[0]:
            doubtful.append(PieceIndex(0))
            trusted[0] = False
        return replace(saved, trusted=trusted, to_verify=doubtful, sample=[])

    def _bits(self, pieces: Iterable[PieceIndex]) -> Bitfield:
        bits = Bitfield(self._metainfo.piece_count)
        for piece in pieces:
            bits[piece] = True
        return bits

    @override
    def _strange(self, looks: list[FileStat | None]) -> set[PieceIndex]:
        if self._tree is not None:
            return super()._strange(looks)
        if any(look is not None and look.size for look in looks):
            name = self._metainfo.name
            raise TargetExistsError(f"{name} exists, and nobody can tell whether it is this file")
        return set()

    @override
    async def check(self, pieces: Iterable[int], progress: Callable[[int, int], None]) -> Bitfield:
        """Without a tree nobody can tell: what is in doubt is fetched again."""
        chosen = sorted(map(PieceIndex, pieces))
        good = Bitfield(self._metainfo.piece_count)
        if self._tree is not None:
            for done, piece in enumerate(chosen, 1):
                good |= await self._run(self._verify, {piece})
                progress(done, len(chosen))
        self._watching.checked(chosen)
        return good

    @override
    def store(
        self,
        piece: PieceIndex,
        data: memoryview,
        done: Callable[[Stored | DiskError], None],
        *,
        begun: Begun | None = None,
        leaves: bytes | None = None,
        digests: bool,
    ) -> None:
        if self._tree is not None:
            begun = _ByTree(partial(self._is_sound, piece))
        super().store(piece, data, done, begun=begun, leaves=leaves, digests=digests)

    @override
    def _wanted(self, piece: PieceIndex, data: memoryview) -> Expected:
        if self._tree is not None:
            return Expected(_SOUND)
        if piece == 0 and not self._is_beginning(data):
            return Expected(_NO_HASH)
        return Expected(new_sha1(data, usedforsecurity=False).digest())

    @override
    def _verify(self, pieces: Set[PieceIndex]) -> Bitfield:
        if self._tree is None:
            return super()._verify(pieces)
        meta, good = self._metainfo, Bitfield(self._metainfo.piece_count)
        for piece in sorted(pieces):
            with suppress(DiskError):
                data = self._storage.read(meta.piece_offset(piece), meta.piece_size(piece))
                good[piece] = self._is_sound(piece, memoryview(data))
        return good

    def _is_sound(self, piece: PieceIndex, data: memoryview) -> bool:
        """Whether it fits the tree; which bytes do not is told, once. For disk threads too."""
        assert self._tree is not None
        wrong = self._tree.wrong(self._metainfo.piece_offset(piece), data)
        for part in wrong:
            if part not in self._named and len(self._named) < MOST_NAMED:
                self._named.add(part)
                text = "%s: bytes %d-%d do not match the tiger tree"
                log.warning(text, self._metainfo.name, part.start, part.stop - 1)
        return not wrong

    def _is_beginning(self, data: memoryview) -> bool:
        """False when it contradicts the network. For the loop, and the thread that recalls before it."""
        if self._md5 is not None:
            self._begins_well = beginning_has(data, self._metainfo.total, self._md5)
        return self._begins_well is not False


class _ByTree(Begun):
    """The verdict of the tree in place of a hash, found where the piece would be hashed: in a disk thread."""

    __slots__ = ("_is_sound",)

    def __init__(self, is_sound: Callable[[memoryview], bool]) -> None:
        super().__init__()
        self._is_sound = is_sound

    @override
    def finish(self, piece: memoryview) -> bytes:
        return _SOUND if self._is_sound(piece) else _NO_HASH
