"""Merkle trees of version 2: any block of a file is checked alone (BEP 52).

A leaf is the SHA-256 of a block of 16 KiB (a file's last block as short as it is), a node the SHA-256 of its
two children. A layer is its hashes joined, 32 bytes each, without what lies beyond the end of the file;
layers are counted from the leaves, which are layer 0. The hard thing is what stands beyond the end: zero
bytes, not hashes of zeros, so every layer has its own filling (`ZERO`).
"""

from hashlib import sha256
from typing import NamedTuple

from p2pswarm.formats.ids import BLOCK

__all__ = [
    "HASH",
    "LEAF",
    "ZERO",
    "Subtree",
    "climbed",
    "height",
    "leaf",
    "leaves",
    "parents",
    "piece_height",
    "proof",
    "root",
]

LEAF = BLOCK
HASH = 32  # bytes of SHA-256
_PAIR = 2 * HASH
_TALLEST = 64  # layers: more than files of 2^63 bytes have

Bytes = bytes | bytearray | memoryview


def _zeros() -> tuple[bytes, ...]:
    zeros = [bytes(HASH)]
    for _ in range(_TALLEST):
        zeros.append(sha256(zeros[-1] * 2).digest())
    return tuple(zeros)


ZERO = _zeros()
"""By layer: the node below which no byte of the file is."""


def leaf(block: Bytes) -> bytes:
    """The leaf of one block."""
    return sha256(block).digest()


def leaves(data: Bytes) -> bytes:
    """The leaves of what begins at a block."""
    view = memoryview(data)
    return b"".join([sha256(view[at : at + LEAF]).digest() for at in range(0, len(view), LEAF)])


def height(count: int) -> int:
    """How many layers above `count` nodes their root stands."""
    return max(0, count - 1).bit_length()


def piece_height(length: int, piece_length: int) -> int:
    """The layer of the piece hashes of a file; for one of at most one piece, the layer of its root."""
    return height(-(-min(length, piece_length) // LEAF))


class Subtree(NamedTuple):
    """The part of a file's tree below one piece."""

    size: int
    """Bytes of the piece that are hashed: up to the end of the file."""
    height: int
    """The layer that its root stands in."""

    def root(self, piece: Bytes) -> bytes:
        """Of the piece; what is beyond its bytes in a file is left out."""
        return self.above(leaves(memoryview(piece)[: self.size]))

    def above(self, leaves: bytes) -> bytes:
        """Of the leaves of the piece."""
        return root(leaves, 0, self.height)


def parents(nodes: Bytes, layer: int) -> bytes:
    """The layer above `nodes`, which are of `layer`; the last one may have its sibling beyond the end."""
    if len(nodes) % _PAIR:
        nodes = b"".join((nodes, ZERO[layer]))
    view = memoryview(nodes)
    return b"".join([sha256(view[at : at + _PAIR]).digest() for at in range(0, len(view), _PAIR)])


def root(nodes: Bytes, layer: int = 0, top: int | None = None) -> bytes:
    """The node of layer `top` above `nodes` of `layer`; without `top`, the first that is above all."""
    if top is None:
        top = layer + height(len(nodes) // HASH)
    while len(nodes) > HASH:
        nodes, layer = parents(nodes, layer), layer + 1
    node = bytes(nodes) or ZERO[layer]
    for zero in ZERO[layer:top]:
        node = sha256(node + zero).digest()
    return node


def proof(
    nodes: Bytes, first: int, count: int, layer: int = 0, top: int | None = None
) -> list[bytes]:
    """The uncles of the `count` nodes (a power of two) from `first`, a multiple of it: what leads to `root`.

    From below: first the sibling of the node above the run, last the one below the node of layer `top`.
    """
    if top is None:
        top = layer + height(len(nodes) // HASH)
    start, uncles = layer + height(count), list[bytes]()
    for at in range(layer, top):
        if at >= start:
            sibling = ((first >> (at - layer)) ^ 1) * HASH
            uncles.append(bytes(nodes[sibling : sibling + HASH]) or ZERO[at])
        nodes = parents(nodes, at)
    return uncles


def climbed(node: bytes, index: int, uncles: list[bytes]) -> bytes:
    """What `uncles` make of the node with this number in its layer: the root, if all of them are true."""
    for uncle in uncles:
        node = sha256(uncle + node if index & 1 else node + uncle).digest()
        index >>= 1
    return node
