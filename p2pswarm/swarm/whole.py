"""Data that must be one certain file as a whole, whatever its pieces say.

What a piece must hash to may be unknown, or come from the very host that claimed a SHA-1 for it: then the
whole is read and hashed when all of it is here, some MiB at a time. If it is another file, nothing
that came is kept.
"""

from collections.abc import Callable
from hashlib import sha1 as new_sha1
from random import Random

from typing_extensions import override

from p2pswarm.disk.begun import Begun
from p2pswarm.disk.pool import DiskPool, Stored
from p2pswarm.disk.resume import Resume
from p2pswarm.disk.storage import Storage
from p2pswarm.errors import DiskError, HashMismatchError
from p2pswarm.formats.ids import PieceIndex
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.formats.thex import Growing, TigerTree
from p2pswarm.swarm.data import TorrentData

__all__ = ["Proof", "Whole", "WholeData"]

STEP = 16 << 20  # bytes: between two steps a disk thread is free for others
_BUFFER = 256 << 10  # bytes


class Whole:
    """What a file must hash to: its SHA-1, or else the root of a tiger tree; perhaps neither is `known`."""

    def __init__(self, sha1: bytes | None, tree: TigerTree | None) -> None:
        self.sha1 = sha1
        self.tree = tree
        self.known = sha1 is not None or tree is not None
        self.name = "its SHA-1" if sha1 is not None else "its tiger tree"

    def proof(self, storage: Storage, size: int) -> "Proof":
        return Proof(self, storage, size)


class Proof:
    """`step` in disk threads, one at a time, until it says whether the file is the right one."""

    def __init__(self, whole: Whole, storage: Storage, size: int) -> None:
        self.at = 0
        """Bytes that are hashed."""
        self._whole = whole
        self._storage = storage
        self._size = size
        self._sha1 = new_sha1(usedforsecurity=False)
        self._growing = Growing(size)

    def step(self) -> bool | None:
        """None while there is more to do. Raises DiskError."""
        end = min(self.at + STEP, self._size)
        buffer = memoryview(bytearray(_BUFFER))
        while self.at < end:
            part = buffer[: end - self.at]
            self._storage.read_into(self.at, [part])
            if self._whole.sha1 is not None:
                self._sha1.update(part)
            else:
                self._growing.update(part)
            self.at += len(part)
        return self._right() if self.at == self._size else None

    def _right(self) -> bool:
        if self._whole.sha1 is not None:
            return self._sha1.digest() == self._whole.sha1
        return self._whole.tree is None or self._growing.finish().root == self._whole.tree.root


class WholeData(TorrentData):
    """`sha1` or `tree` is what networks said of the whole; None: nothing, and the pieces are enough."""

    def __init__(
        self,
        metainfo: Metainfo,
        storage: Storage,
        disk: DiskPool,
        resume: Resume,
        *,
        writable: bool,
        dice: Random,
        sha1: bytes | None = None,
        tree: TigerTree | None = None,
    ) -> None:
        super().__init__(metainfo, storage, disk, resume, writable=writable, dice=dice)
        self._whole = Whole(sha1, tree)
        self._stores = 0  # pieces so far: a proof is of what was there when it began
        self.proven = not self._whole.known

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
        self.proven = not self._whole.known
        self._stores += 1
        super().store(piece, data, done, begun=begun, leaves=leaves, digests=digests)

    @override
    async def prove(self, progress: Callable[[int, int], None]) -> None:
        meta, stores = self._metainfo, self._stores
        proof = self._whole.proof(self._storage, meta.total)
        while (right := await self._run(proof.step)) is None:
            progress(proof.at // meta.piece_length, meta.piece_count)
        if stores != self._stores:  # somebody changed the file meanwhile, and we mended it
            return
        if right:
            self.proven = True
            return
        what, fate = "is there", "it is left alone"
        if self._stores:
            what, fate = "came", "nothing of it is kept"
        raise HashMismatchError(
            f"what {what} is not {meta.name}: {self._whole.name} is another; {fate}"
        )

    @override
    async def empty(self) -> None:
        """A file that was there before anything came may be somebody's own, and a claim is no reason."""
        if self._stores:
            await super().empty()
