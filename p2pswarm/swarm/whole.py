"""A file that can be verified as a whole only: read and hashed when all of it is here, some MiB at a time."""

from hashlib import sha1 as new_sha1

from p2pswarm.disk.storage import Storage
from p2pswarm.formats.thex import Growing, TigerTree

__all__ = ["Proof", "Whole"]

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
