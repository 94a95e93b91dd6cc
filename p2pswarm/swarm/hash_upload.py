"""Hashes of version 2, given to others (BEP 52): pieces of layers as they are known, leaves by reading.

Nobody keeps the leaves of all blocks: a terabyte has two gigabytes of them. So the pieces that a request for
leaves lies in are read and hashed by a disk thread, and kept for a while. What cannot be answered truly is
rejected, and so is whoever asks for more than he downloads.

The one hard thing: one small request may cost megabytes of reading, and its answer is three hundred times as
large, beyond any limit of upload. So one is worked on at a time, few of a peer wait, and each peer has a
credit in bytes, which grows with what it takes of us. The upper part of a large tree is worked out once.
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Protocol

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
ANSWER_COST = 8  # times its bytes
PIECE_COST = 16  # bytes, for each piece of a tree whose upper part is worked out
MOST_TOPS = 8  # upper parts that are kept, of at most 128 KiB

Read = Callable[[PieceIndex], bytes]


class Answer(NamedTuple):
    """The hashes; and leaves of pieces, and the upper part of the tree, that are known now."""

    hashes: bytes
    leaves: dict[PieceIndex, bytes]
    top: bytes


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
        self._tops: OrderedDict[bytes, bytes] = OrderedDict()  # by root

    def asked(self, peer: HashPeer, asked: HashRange, forest: Forest) -> bool:
        """It gets hashes or a reject. False for what no honest peer asks: too much, or what cannot be."""
        tree, waiting = forest.tree(asked.root), self._waiting.get(peer, ())
        if tree is None or not _can_be(tree, asked) or len(waiting) >= MOST_WAITING:
            peer.send(HashReject(asked).encode())
            return False
        self._waiting.setdefault(peer, deque()).append(asked)
        self._next(forest)
        return True

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
        pieces = _pieces(tree, asked) if tree is not None and not tree.missing else None
        if tree is None or pieces is None or not self._may_cost(peer, tree, asked, pieces):
            peer.send(HashReject(asked).encode())
            return
        self._busy = True
        kept = {
            piece: self._kept[piece] for piece in map(PieceIndex, pieces) if piece in self._kept
        }
        job = partial(answer, tree, asked, pieces, kept, self._tops.get(tree.root, b""))
        self._home.work_out(job, partial(self._done, peer, asked, forest))

    def _may_cost(self, peer: HashPeer, tree: Tree, asked: HashRange, pieces: range) -> bool:
        """Whether these can be hashed, and the peer has credit for it."""
        fresh = [piece for piece in map(PieceIndex, pieces) if piece not in self._kept]
        picker = self._home.picker
        if not all(picker.have[piece] for piece in fresh):
            return False
        cost = len(fresh) * picker.geometry.piece_length
        cost += (asked.length + asked.uncles) * HASH * ANSWER_COST
        if _has_top(tree) and tree.root not in self._tops:
            cost += tree.pieces * PIECE_COST
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
            peer.send(Hashes(asked, found.hashes).encode())
            for piece, leaves in found.leaves.items():
                self._keep(piece, leaves)
            self._keep_top(asked.root, found.top)
        self._next(forest)

    def _keep_top(self, root: bytes, top: bytes) -> None:
        if top:
            self._tops[root] = top
            self._tops.move_to_end(root)
            if len(self._tops) > MOST_TOPS:
                self._tops.popitem(last=False)

    def _keep(self, piece: PieceIndex, leaves: bytes) -> None:
        self._size += len(leaves) - len(self._kept.pop(piece, b""))
        self._kept[piece] = leaves
        while self._size > KEPT and len(self._kept) > 1:
            self._size -= len(self._kept.popitem(last=False)[1])


def _can_be(tree: Tree, asked: HashRange) -> bool:
    """Whether the tree has such hashes, and somebody might give them."""
    proof = asked.proof <= max(0, tree.top - asked.base - 1)
    inside = asked.first + asked.length <= 1 << max(0, tree.top - asked.base)
    given = not asked.base or (asked.base == tree.base and tree.pieces > 1)
    return asked.well_formed and proof and inside and given


def _pieces(tree: Tree, asked: HashRange) -> range:
    """Pieces whose leaves it takes, none for hashes of a layer."""
    if asked.base == tree.base:
        return range(0)
    end = -(-(asked.first + asked.length) >> tree.base)
    return range(tree.first + (asked.first >> tree.base), tree.first + min(end, tree.pieces))


def answer(
    tree: Tree,
    asked: HashRange,
    pieces: range,
    kept: dict[PieceIndex, bytes],
    top: bytes,
    read: Read,
) -> Answer | None:
    """The run, and the uncles that are asked for; None where the files are not what they should be.

    For a disk thread.
    """
    first, length = asked.first, asked.length
    if _has_top(tree):
        top = top or _top(tree)
    if asked.base == tree.base:
        run = bytes(tree.layer[first * HASH : (first + length) * HASH])
        return Answer(_whole(run, asked, _uncles(tree, first, length, top)), {}, top)
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
    uncles += _uncles(tree, first >> tree.base, above, top)
    return Answer(_whole(run, asked, uncles), leaves, top)


def _has_top(tree: Tree) -> bool:
    return tree.pieces > tree.chunk


def _split(tree: Tree) -> int:
    """The layer that the upper part of the tree begins with: one node for each chunk of piece hashes."""
    return tree.base + merkle.height(tree.chunk)


def _top(tree: Tree) -> bytes:
    step, split = tree.chunk * HASH, _split(tree)
    starts = range(0, len(tree.layer), step)
    return b"".join(merkle.root(tree.layer[at : at + step], tree.base, split) for at in starts)


def _uncles(tree: Tree, first: int, count: int, top: bytes) -> list[bytes]:
    """Of a run of piece hashes: those in its chunk, then those above it."""
    if not top:
        return merkle.proof(tree.layer, first, count, tree.base)
    chunk, inside = divmod(first, tree.chunk)
    part = tree.layer[chunk * tree.chunk * HASH : (chunk + 1) * tree.chunk * HASH]
    below = merkle.proof(part, inside, count, tree.base, _split(tree))
    return below + merkle.proof(top, chunk, 1, _split(tree))


def _whole(run: bytes, asked: HashRange, uncles: list[bytes]) -> bytes:
    missing = asked.length - len(run) // HASH
    return b"".join([run, ZERO[asked.base] * missing, *uncles[: asked.uncles]])


def _leaves(tree: Tree, piece: PieceIndex, read: Read) -> bytes:
    """Raises DiskError, ValueError."""
    leaves = merkle.leaves(read(piece))
    if merkle.root(leaves, 0, tree.base) != tree.hash_of(piece):
        raise ValueError(f"piece {piece} is not what it was")
    return leaves
