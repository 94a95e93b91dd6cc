"""What is known of the trees of one torrent (BEP 52): piece layers, and leaves of pieces at work. Sans-IO.

A file of more than one piece has a layer of piece hashes, which stands outside the info dictionary: the
torrent of a magnet begins without, and learns it in chunks of 512, each with its own proof. The leaves of a
piece lead to its hash in that layer.

The one hard thing: nothing is believed that does not lead to a root, and what leads there is true whoever
said it. So what peers say needs no vote and no trust, and a liar is known by one answer.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple, Self

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats import merkle
from p2pswarm.formats.ids import BLOCK, PieceIndex
from p2pswarm.formats.merkle import HASH
from p2pswarm.wire.hashes import MOST_HASHES, Hashes, HashRange

if TYPE_CHECKING:
    from p2pswarm.formats.metainfo import Metainfo

__all__ = ["Forest", "Learned", "Tree"]


class Learned(NamedTuple):
    """What an answer brought: pieces that can be judged from now on, those whose leaves are known."""

    pieces: list[PieceIndex]
    leaves: list[PieceIndex]


class Tree:
    """Of one file. `base` is the layer of its piece hashes, `top` that of its root."""

    __slots__ = ("base", "blocks", "computed", "first", "layer", "missing", "pieces", "root", "top")

    def __init__(self, root: bytes, first: PieceIndex, length: int, piece_length: int) -> None:
        self.root = root
        self.first = first
        self.blocks = -(-length // BLOCK)
        self.pieces = -(-length // piece_length)
        self.base = merkle.piece_height(length, piece_length)
        self.top = merkle.height(self.blocks)
        self.layer: bytes | bytearray = root  # piece hashes, as far as they are known
        self.missing: set[int] | frozenset[int] = frozenset()  # chunks of it that are not
        self.computed: dict[int, bytes] | None = None  # of pieces good by SHA-1, until it is known

    @property
    def chunk(self) -> int:
        """Hashes of the layer that are asked for together."""
        return min(MOST_HASHES, 1 << merkle.height(self.pieces))

    def lacks_layer(self) -> None:
        """Nobody told it yet."""
        self.layer = bytearray(self.pieces * HASH)
        self.missing = set(range(-(-self.pieces // self.chunk)))
        self.computed = {}

    def hash_of(self, piece: PieceIndex) -> bytes | None:
        """What the piece must be; None while that is not known."""
        n = piece - self.first
        if self.missing and n // self.chunk in self.missing:
            return None
        return bytes(self.layer[n * HASH : (n + 1) * HASH])

    def blocks_of(self, piece: PieceIndex) -> int:
        """Blocks with data in the piece."""
        return min(self.blocks - ((piece - self.first) << self.base), 1 << self.base)


class Forest:
    """Invariant: `layer` of a tree is true wherever it is not missing, and so are all leaves kept."""

    def __init__(
        self,
        files: Iterable[tuple[bytes, int, int]],
        piece_length: int,
        layers: Mapping[bytes, bytes],
    ) -> None:
        """`files`: root, offset and length of each that has a root; `layers` are verified."""
        self.lacking: set[bytes] = set()  # roots of trees with chunks missing
        self._trees: list[Tree] = []
        self._roots: dict[bytes, list[Tree]] = {}
        for root, offset, length in files:
            tree = Tree(root, PieceIndex(offset // piece_length), length, piece_length)
            self._trees.append(tree)
            self._roots.setdefault(root, []).append(tree)
            if tree.pieces > 1 and root in layers:
                tree.layer = layers[root]
            elif tree.pieces > 1:
                tree.lacks_layer()
                self.lacking.add(root)
        self._firsts = [tree.first for tree in self._trees]
        self._leaves: dict[PieceIndex, bytearray] = {}
        self._gaps: dict[PieceIndex, set[int]] = {}  # first leaves of chunks that did not come yet

    @classmethod
    def of(cls, metainfo: "Metainfo") -> Self:
        files = ((f.root, f.offset, f.length) for f in metainfo.files if f.root is not None)
        return cls(files, metainfo.piece_length, metainfo.layers)

    # What is known

    def tree_of(self, piece: PieceIndex) -> Tree | None:
        """None for a piece without data."""
        at = bisect_right(self._firsts, piece) - 1
        if at < 0 or piece >= self._trees[at].first + self._trees[at].pieces:
            return None
        return self._trees[at]

    def tree(self, root: bytes) -> Tree | None:
        """Files of the same root have the same tree: any of them."""
        return self._roots[root][0] if root in self._roots else None

    def twins(self, root: bytes) -> list[Tree]:
        """All files of this root."""
        return self._roots.get(root, [])

    def expected(self, piece: PieceIndex) -> bytes | None:
        """The root of the piece's blocks; None while that is not known."""
        tree = self.tree_of(piece)
        return tree.hash_of(piece) if tree is not None else None

    def unknown(self) -> Iterator[PieceIndex]:
        """Pieces that cannot be judged yet."""
        for tree in self._trees:
            for chunk in tree.missing:
                first = tree.first + chunk * tree.chunk
                end = min(first + tree.chunk, tree.first + tree.pieces)
                yield from map(PieceIndex, range(first, end))

    def layers(self) -> dict[bytes, bytes]:
        """By root: the layers that are complete."""
        full = (tree for tree in self._trees if tree.pieces > 1 and not tree.missing)
        return {tree.root: bytes(tree.layer) for tree in full}

    def root_of(self, piece: PieceIndex, leaves: bytes | bytearray) -> bytes:
        """The root of these blocks of a piece."""
        tree = self.tree_of(piece)
        assert tree is not None
        return merkle.root(leaves, 0, tree.base)

    # What to ask for

    def layer_ranges(self) -> Iterator[HashRange]:
        """All chunks of layers that are missing."""
        for root in self.lacking:
            tree = self._roots[root][0]
            for chunk in sorted(tree.missing):
                proof = max(0, tree.top - tree.base - 1)
                yield HashRange(root, tree.base, chunk * tree.chunk, tree.chunk, proof)

    def leaf_ranges(self, piece: PieceIndex) -> list[HashRange]:
        """The leaves of a piece whose own hash is known; none where that is the only leaf."""
        tree = self.tree_of(piece)
        if tree is None or tree.hash_of(piece) is None:
            return []
        blocks = tree.blocks_of(piece)
        if blocks < 2:
            return []
        length = min(MOST_HASHES, 1 << merkle.height(blocks))
        first = (piece - tree.first) << tree.base
        starts = range(first, first + blocks, length)
        return [HashRange(tree.root, 0, start, length, tree.base - 1) for start in starts]

    # What comes

    def learn(self, answer: Hashes) -> Learned:
        """Raises RemoteProtocolError for hashes that do not lead to what is known."""
        asked = answer.range
        tree = self.tree(asked.root)
        assert tree is not None
        if asked.base == 0 and tree.base:
            return Learned([], self._learn_leaves(tree, answer))
        self._prove(answer, tree.top, tree.root, asked.first)
        pieces = list[PieceIndex]()
        for twin in self._roots[asked.root]:
            pieces += self._learn_chunk(twin, asked.first // tree.chunk, answer.run)
        if not tree.missing:
            self.lacking.discard(asked.root)
        return Learned(pieces, [])

    def _learn_chunk(self, tree: Tree, chunk: int, run: bytes) -> list[PieceIndex]:
        """Of one file; which pieces these are. The layer may have followed from pieces meanwhile."""
        first = chunk * tree.chunk
        end = min(first + tree.chunk, tree.pieces)
        if isinstance(tree.missing, set) and isinstance(tree.layer, bytearray):
            tree.layer[first * HASH : end * HASH] = run[: (end - first) * HASH]
            tree.missing.discard(chunk)
        return [PieceIndex(tree.first + n) for n in range(first, end)]

    def _learn_leaves(self, tree: Tree, answer: Hashes) -> list[PieceIndex]:
        asked = answer.range
        piece = PieceIndex(tree.first + (asked.first >> tree.base))
        known = tree.hash_of(piece)
        assert known is not None
        inside = asked.first & ((1 << tree.base) - 1)
        self._prove(answer, tree.base, known, inside)
        pieces = [PieceIndex(twin.first + piece - tree.first) for twin in self._roots[tree.root]]
        for piece in pieces:
            self._keep_leaves(piece, inside, answer.run)
        return [piece for piece in pieces if self.leaves(piece) is not None]

    def _keep_leaves(self, piece: PieceIndex, inside: int, run: bytes) -> None:
        leaves = self._leaves.get(piece)
        if leaves is not None:
            end = min(inside * HASH + len(run), len(leaves))
            leaves[inside * HASH : end] = run[: end - inside * HASH]
            self._gaps[piece].discard(inside)

    @staticmethod
    def _prove(answer: Hashes, top: int, root: bytes, index: int) -> None:
        asked = answer.range
        layer = asked.base + merkle.height(asked.length)
        node = merkle.root(answer.run, asked.base, layer)
        index //= asked.length
        proved = merkle.climbed(node, index, answer.uncles)
        if proved != root or layer + len(answer.uncles) != top:
            raise RemoteProtocolError("hashes that do not lead to their root")

    # Leaves of pieces at work

    def watch(self, piece: PieceIndex) -> list[HashRange]:
        """Leaves of this piece are kept when they come: what to ask for."""
        ranges = self.leaf_ranges(piece)
        if not ranges or piece in self._leaves:
            return []
        tree = self.tree_of(piece)
        assert tree is not None
        self._leaves[piece] = bytearray(tree.blocks_of(piece) * HASH)
        self._gaps[piece] = {asked.first & ((1 << tree.base) - 1) for asked in ranges}
        return ranges

    def leaves(self, piece: PieceIndex) -> bytearray | None:
        """All leaves of a piece that is watched, once they are known."""
        return self._leaves.get(piece) if not self._gaps.get(piece, True) else None

    def forget(self, piece: PieceIndex) -> None:
        """The piece is done, or given up."""
        self._leaves.pop(piece, None)
        self._gaps.pop(piece, None)

    # Layers that follow from what we have

    def compute(self, piece: PieceIndex, root: bytes) -> bool:
        """A piece that is good by its SHA-1 has this root. False when that contradicts the tree."""
        tree = self.tree_of(piece)
        if tree is None:
            return True
        known = tree.hash_of(piece)
        if known is not None or tree.computed is None:
            return known in (root, None)
        tree.computed[piece - tree.first] = root
        if len(tree.computed) < tree.pieces:
            return True
        layer = b"".join(tree.computed[n] for n in range(tree.pieces))
        if merkle.root(layer, tree.base) != tree.root:
            return False
        tree.layer, tree.missing, tree.computed = layer, frozenset(), None
        if not any(twin.missing for twin in self._roots[tree.root]):
            self.lacking.discard(tree.root)
        return True

    def contradicted(self, pieces: Iterable[PieceIndex]) -> PieceIndex | None:
        """A piece that is good by its SHA-1, and is not what these new hashes say."""
        for piece in pieces:
            tree = self.tree_of(piece)
            computed = tree.computed.get(piece - tree.first) if tree and tree.computed else None
            if computed is not None and computed != self.expected(piece):
                return piece
        return None
