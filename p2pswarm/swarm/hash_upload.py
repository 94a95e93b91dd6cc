"""Hashes of version 2, given to others (BEP 52): pieces of layers as they are known, leaves by reading.

Nobody keeps the leaves of all blocks: a terabyte has two gigabytes of them. So the pieces that a request for
leaves lies in are read and hashed by a disk thread, and kept for a while. What cannot be answered truly is
rejected, and so is whoever asks for more than he downloads.

The one hard thing: one small request may cost megabytes of reading. So one is worked on at a time, few of a
peer wait, and each peer has a credit in bytes, which grows with what it takes of us.
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from functools import partial
from typing import Protocol

from p2pswarm.errors import DiskError
from p2pswarm.formats import merkle
from p2pswarm.formats.ids import PieceIndex
from p2pswarm.formats.merkle import HASH, ZERO
from p2pswarm.swarm.forest import Forest, Tree
from p2pswarm.swarm.picker import PiecePicker
from p2pswarm.wire.hashes import Hashes, HashRange, HashReject

__all__ = ["HashPeer", "HashUpload", "answer"]

MOST_WAITING = 16  # requests of one peer; libtorrent sends two
CREDIT = 64 << 20  # bytes that are read for a peer who took nothing yet
KEPT = 1 << 20  # bytes of leaves: those of half a gigabyte
LAYER_COST = 1 << 20  # bytes that hashes of a layer count as, for each so many pieces of its file:
LAYER_UNIT = 1 << 14

Read = Callable[[PieceIndex], bytes]
Answer = tuple[bytes, dict[PieceIndex, bytes]]
"""The hashes, and leaves of pieces that are known now."""


class HashPeer(Protocol):
    """Who asks."""

    @property
    def uploaded(self) -> int: ...
    def send(self, *buffers: bytes | memoryview) -> bool: ...


class HashHome(Protocol):
    """What this needs of the torrent."""

    picker: PiecePicker

    def work_out(
        self, job: Callable[[Read], Answer | None], done: Callable[[Answer | None], None]
    ) -> None: ...


class HashUpload:
    """Of one torrent."""

    def __init__(self, home: HashHome) -> None:
        self._home = home
        self._waiting: dict[HashPeer, deque[HashRange]] = {}
        self._spent: dict[HashPeer, int] = {}
        self._busy = False
        self._kept: OrderedDict[PieceIndex, bytes] = OrderedDict()
        self._size = 0  # bytes in `_kept`

    def asked(self, peer: HashPeer, asked: HashRange, forest: Forest) -> None:
        """It gets hashes or a reject, in the order of its requests."""
        waiting = self._waiting.setdefault(peer, deque())
        if len(waiting) >= MOST_WAITING:
            peer.send(HashReject(asked).encode())
            return
        waiting.append(asked)
        self._next(forest)

    def gone(self, peer: HashPeer) -> None:
        self._waiting.pop(peer, None)
        self._spent.pop(peer, None)

    def _next(self, forest: Forest) -> None:
        """Peers have their turn one after the other."""
        while not self._busy and self._waiting:
            peer = next(iter(self._waiting))
            waiting = self._waiting.pop(peer)
            asked = waiting.popleft()
            if waiting:
                self._waiting[peer] = waiting
            self._serve(peer, asked, forest)

    def _serve(self, peer: HashPeer, asked: HashRange, forest: Forest) -> None:
        tree = forest.tree(asked.root)
        pieces = _pieces(tree, asked) if tree is not None else None
        if tree is None or pieces is None or not self._may_cost(peer, tree, pieces):
            peer.send(HashReject(asked).encode())
            return
        self._busy = True
        kept = {
            piece: self._kept[piece] for piece in map(PieceIndex, pieces) if piece in self._kept
        }
        job = partial(answer, tree, asked, pieces, kept)
        self._home.work_out(job, partial(self._done, peer, asked, forest))

    def _may_cost(self, peer: HashPeer, tree: Tree, pieces: range) -> bool:
        """Whether these can be hashed, and the peer has credit for it."""
        fresh = [piece for piece in map(PieceIndex, pieces) if piece not in self._kept]
        picker = self._home.picker
        if not all(picker.have[piece] for piece in fresh):
            return False
        cost = len(fresh) * picker.geometry.piece_length + tree.pieces // LAYER_UNIT * LAYER_COST
        spent = self._spent.get(peer, 0) + cost
        if spent > CREDIT + 2 * peer.uploaded:
            return False
        self._spent[peer] = spent
        return True

    def _done(self, peer: HashPeer, asked: HashRange, forest: Forest, found: Answer | None) -> None:
        self._busy = False
        if found is None:
            peer.send(HashReject(asked).encode())
        else:
            peer.send(Hashes(asked, found[0]).encode())
            for piece, leaves in found[1].items():
                self._keep(piece, leaves)
        self._next(forest)

    def _keep(self, piece: PieceIndex, leaves: bytes) -> None:
        self._size += len(leaves) - len(self._kept.pop(piece, b""))
        self._kept[piece] = leaves
        while self._size > KEPT and len(self._kept) > 1:
            self._size -= len(self._kept.popitem(last=False)[1])


def _pieces(tree: Tree, asked: HashRange) -> range | None:
    """Pieces whose leaves it takes, none for hashes of a layer; None for what is not to be answered."""
    known = asked.well_formed and not tree.missing
    proof = asked.proof <= max(0, tree.top - asked.base - 1)
    inside = asked.first + asked.length <= 1 << max(0, tree.top - asked.base)
    if not (known and proof and inside):
        return None
    if asked.base == tree.base and (tree.pieces > 1 or not tree.base):
        return range(0)
    if asked.base:
        return None
    end = -(-(asked.first + asked.length) >> tree.base)
    return range(tree.first + (asked.first >> tree.base), tree.first + min(end, tree.pieces))


def answer(
    tree: Tree, asked: HashRange, pieces: range, kept: dict[PieceIndex, bytes], read: Read
) -> Answer | None:
    """The run, and the uncles that are asked for; None where the files are not what they should be.

    For a disk thread.
    """
    first, length = asked.first, asked.length
    if asked.base == tree.base:
        run = bytes(tree.layer[first * HASH : (first + length) * HASH])
        uncles = merkle.proof(tree.layer, first, length, tree.base)
        return _whole(run, asked, uncles), {}
    try:
        leaves = {
            each: kept.get(each) or _leaves(tree, each, read) for each in map(PieceIndex, pieces)
        }
    except (DiskError, ValueError):
        return None
    width = 1 << tree.base
    row = b"".join(each + bytes(width * HASH - len(each)) for each in leaves.values())
    inside = first % width
    run = row[inside * HASH : (inside + length) * HASH]
    above = max(1, length >> tree.base)
    uncles = (
        merkle.proof(row[: width * HASH], inside, length, 0, tree.base) if length < width else []
    )
    uncles += merkle.proof(tree.layer, first >> tree.base, above, tree.base)
    return _whole(run, asked, uncles), leaves


def _whole(run: bytes, asked: HashRange, uncles: list[bytes]) -> bytes:
    missing = asked.length - len(run) // HASH
    return b"".join([run, ZERO[asked.base] * missing, *uncles[: asked.uncles]])


def _leaves(tree: Tree, piece: PieceIndex, read: Read) -> bytes:
    """Raises DiskError, ValueError."""
    leaves = merkle.leaves(read(piece))
    if merkle.root(leaves, 0, tree.base) != tree.hash_of(piece):
        raise ValueError(f"piece {piece} is not what it was")
    return leaves
