"""Tiger trees: any part of a file is checked alone, and damage is named.

A leaf is Tiger(0x00, 1 KiB of the file), a node Tiger(0x01, left, right), a node without a sibling is its own
parent (THEX draft, section 2). Of the tree one level is kept, of at most 512 nodes: each stands for a `span`
of the file, a power of two and at least 64 KiB, and what is above follows from them. So a tree takes 12 KiB
at most, and is true when it leads to the root that somebody trusts.
"""

import re
from collections.abc import Iterator
from uuid import UUID

from typing_extensions import override

from p2pswarm.errors import FormatError
from p2pswarm.formats.dime import Record, TypeOf, read_dime, write_dime
from p2pswarm.formats.tiger import TIGER, tiger, tiger_each

__all__ = [
    "LEAST_SPAN",
    "Growing",
    "TigerTree",
    "read_thex",
    "span_for",
    "subtree",
    "write_thex",
]

LEAF = 1024  # bytes
LEAST_SPAN = 64 << 10  # bytes
MOST_NODES = 512
_PAIR = 2 * TIGER
_MOST_XML = 16 << 10  # bytes that are looked at

_BREADTH_FIRST = "http://open-content.net/spec/thex/breadthfirst"
_DIGEST = "http://open-content.net/spec/digest/tiger"
_XML = f"""<?xml version="1.0" encoding="UTF-8"?>\r
<!DOCTYPE hashtree SYSTEM "http://open-content.net/spec/thex/thex.dtd">\r
<hashtree>\r
<file size="{{size}}" segmentsize="1024"/>\r
<digest algorithm="{_DIGEST}" outputsize="24"/>\r
<serializedtree depth="{{depth}}" type="{_BREADTH_FIRST}" uri="{{name}}"/>\r
</hashtree>\r
"""
_ELEMENT = re.compile(r"<(file|digest|serializedtree)\b([^<>]*)", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"(\w+)\s*=\s*(\"[^\"]*\"|'[^']*')")
_EXPECTED = {
    ("file", "segmentsize"): "1024",
    ("digest", "algorithm"): _DIGEST,
    ("digest", "outputsize"): "24",
    ("serializedtree", "type"): _BREADTH_FIRST,
}

Bytes = bytes | bytearray | memoryview


def _leaves(data: Bytes) -> bytes:
    """Of what begins at a leaf."""
    return tiger_each(data, LEAF, b"\0")


def _parents(level: Bytes) -> bytes:
    pairs = len(level) // _PAIR * _PAIR
    alone = level[pairs:]
    return tiger_each(level[:pairs], _PAIR, b"\1") + bytes(alone)


def subtree(data: Bytes) -> bytes:
    """The node above `data`: a whole file, or what a power of two of leaves covers (at the end, less)."""
    return _top(_leaves(data) or tiger(b"\0"))


def _top(level: bytes) -> bytes:
    while len(level) > TIGER:
        level = _parents(level)
    return level


def span_for(size: int) -> int:
    """Bytes for each of our nodes."""
    span = LEAST_SPAN
    while size > MOST_NODES * span:
        span *= 2
    return span


def levels_of(size: int) -> Iterator[tuple[int, int]]:
    """The levels of a file's tree from its leaves up: bytes below a node, and how many nodes there are."""
    span = LEAF
    while (count := max(1, -(-size // span))) > 1:
        yield span, count
        span *= 2
    yield span, 1


class TigerTree:
    """Of a file of `size` bytes: one level of nodes, 24 bytes each in a row, and the root they lead to.

    Raises FormatError when a file of this size has no level of so many nodes.
    """

    __slots__ = ("nodes", "root", "size", "span")

    def __init__(self, size: int, nodes: bytes) -> None:
        spans = [span for span, count in levels_of(size) if count * TIGER == len(nodes)]
        if not spans:
            raise FormatError(f"no tiger tree of {size} bytes has {len(nodes) // TIGER} nodes")
        self.size = size
        self.nodes = nodes
        self.span = max(spans[0], LEAST_SPAN) if len(nodes) == TIGER else spans[0]
        self.root = _top(nodes)

    @classmethod
    def of(cls, data: Bytes) -> "TigerTree":
        """For what is in memory already."""
        growing = Growing(len(data))
        growing.update(data)
        return growing.finish()

    def __len__(self) -> int:
        return len(self.nodes) // TIGER

    def verify(self, index: int, data: Bytes) -> bool:
        """Whether this is what the node stands for: `span` bytes, or what is left of the file."""
        node = self.nodes[index * TIGER : (index + 1) * TIGER]
        length = min(self.span, self.size - index * self.span)
        return len(data) == length and subtree(data) == node

    def wrong(self, offset: int, data: Bytes) -> list[range]:
        """Which bytes of the file are not what they must be, by spans, neighbours together.

        `data` begins with a span, at `offset`, and ends with one or with the file.
        """
        view, ranges = memoryview(data), list[range]()
        for at in range(0, len(view), self.span):
            start, part = offset + at, view[at : at + self.span]
            if self.verify(start // self.span, part):
                continue
            if ranges and ranges[-1].stop == start:
                start = ranges.pop().start
            ranges.append(range(start, offset + at + len(part)))
        return ranges

    def levels(self) -> list[bytes]:
        """From the root down to the nodes that are kept."""
        levels = [self.nodes]
        while len(levels[0]) > TIGER:
            levels.insert(0, _parents(levels[0]))
        return levels

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, TigerTree) and (
            (self.size, self.nodes) == (other.size, other.nodes)
        )

    @override
    def __hash__(self) -> int:
        return hash(self.root)

    @override
    def __repr__(self) -> str:
        return f"<TigerTree {self.root.hex()[:8]} of {self.size} bytes, {len(self)} x {self.span}>"


class Growing:
    """The tree of a file whose bytes come in order, in parts of any size; its size is known before.

    Invariant: a level holds at most one node that has no parent yet, but for the last level, which is kept.
    """

    def __init__(self, size: int) -> None:
        self._size = self._left = size
        height = (span_for(size) // LEAF).bit_length() - 1
        self._levels = [bytearray() for _ in range(height + 1)]
        self._rest = bytearray()  # the beginning of a leaf

    def update(self, data: Bytes) -> None:
        """Raises HostError where Tiger is not available."""
        view = memoryview(data)
        self._left -= len(view)
        if self._rest:
            missing = LEAF - len(self._rest)
            self._rest += view[:missing]
            view = view[missing:]
            if len(self._rest) < LEAF:
                return
            self._grow(_leaves(self._rest))
        whole = len(view) // LEAF * LEAF
        self._rest = bytearray(view[whole:])
        self._grow(_leaves(view[:whole]))

    def _grow(self, nodes: bytes) -> None:
        for level in self._levels[:-1]:
            level += nodes
            pairs = len(level) // _PAIR * _PAIR
            nodes = _parents(level[:pairs])
            del level[:pairs]
        self._levels[-1] += nodes

    def finish(self) -> TigerTree:
        """Raises FormatError when the bytes were not as many as was said."""
        if self._left:
            raise FormatError(f"a tiger tree of {self._size} bytes lacks {self._left} of them")
        self._grow(_leaves(self._rest) if self._size else tiger(b"\0"))
        nodes = b""
        for level in self._levels[:-1]:
            nodes = _parents(level + nodes)
        return TigerTree(self._size, bytes(self._levels[-1] + nodes))


def write_thex(tree: TigerTree) -> bytes:
    """The message that `application/dime` carries (THEX draft, section 3): what it is, then the nodes."""
    levels, name = tree.levels(), f"uuid:{UUID(bytes=tree.root[:16])}"
    text = _XML.format(size=tree.size, depth=len(levels) - 1, name=name)
    described = Record(TypeOf.MEDIA, b"text/xml", b"", text.encode("ascii"))
    nodes = Record(
        TypeOf.URI, _BREADTH_FIRST.encode("ascii"), name.encode("ascii"), b"".join(levels)
    )
    return write_dime([described, nodes])


def read_thex(message: bytes, size: int, root: bytes) -> TigerTree:
    """The tree of a file that we know so much of, in whatever detail it comes.

    A tree that leads to another root is no tree of this file. Raises FormatError, HostError.
    """
    records = read_dime(message)
    for record in records:
        if record.type.partition(b";")[0].strip().lower() in (b"text/xml", b"application/xml"):
            _check_description(record.data, size)
    for record in records:  # Phex gives the description the same type
        is_tree = record.type.lower() == _BREADTH_FIRST.encode("ascii")
        if is_tree and record.data[:TIGER] == root:
            return _breadth_first(record.data, size, root)
    raise FormatError("no tiger tree of this file in this message")


def _check_description(xml: bytes, size: int) -> None:
    """What is said must fit; what is not said may be missing, because the root proves everything.

    Not parsed as XML: the documents name a DTD, some are cut off, and entities are a stranger's program.
    """
    said = {
        (element.lower(), name.lower()): value[1:-1]
        for element, inside in _ELEMENT.findall(xml[:_MOST_XML].decode("utf-8", "replace"))
        for name, value in _ATTRIBUTE.findall(inside)
    }
    for what, expected in _EXPECTED.items():
        found = said.get(what, expected)
        if found.lower() != expected:
            raise FormatError(
                f"a tree with {' '.join(what)} {found[:80]!r}, which is not {expected}"
            )
    if said.get(("file", "size"), str(size)) != str(size):
        raise FormatError(f"a tree of {said['file', 'size'][:20]} bytes for a file of {size}")


def _breadth_first(data: bytes, size: int, root: bytes) -> TigerTree:
    """The last level that is here in full, but no finer one than we keep (section 3.3); first comes the root.

    How deep it reaches is counted: by programs that say it, the root counts or does not.
    """
    nodes, at = b"", 0
    for span, count in reversed(list(levels_of(size))):
        end = at + count * TIGER
        if end > len(data) or (nodes and span < span_for(size)):
            break
        nodes, at = data[at:end], end
    tree = TigerTree(size, nodes)
    if tree.root != root:
        raise FormatError("a tiger tree that does not lead to its root")
    return tree
