"""Trees of any data, and messages of any bytes."""

from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.errors import FormatError
from p2pswarm.formats.dime import MAX_DIME, Record, TypeOf, read_dime, write_dime
from p2pswarm.formats.thex import (
    LEAST_SPAN,
    Growing,
    TigerTree,
    levels_of,
    read_thex,
    span_for,
    subtree,
    write_thex,
)
from p2pswarm.formats.urns import base32
from tests.support.tiger import naive_root, needs_tiger

pytestmark = needs_tiger()

SIZES = st.integers(0, 5000) | st.integers(0, 400_000)
DATA = Random(6).randbytes(1_000_000)
TREE = "http://open-content.net/spec/thex/breadthfirst"


@pytest.mark.parametrize(
    ("data", "root"),
    [
        (b"", "LWPNACQDBZRYXW3VHJVCJ64QBZNGHOHHHZWCLNQ"),
        (b"\0", "VK54ZIEEVTWNAUI5D5RDFIL37LX2IQNSTAXFKSA"),
        (b"A" * 1024, "L66Q4YVNAFWVS23X2HJIRA5ZJ7WXR3F26RSASFA"),
        (b"A" * 1025, "PZMRYHGY6LTBEH63ZWAHDORHSYTLO4LEFUIKHWY"),
    ],
)
def test_vectors_of_the_draft(data: bytes, root: str) -> None:
    assert base32(TigerTree.of(data).root) == root


@given(SIZES, st.lists(st.integers(0, 200_000), max_size=5))
def test_a_tree_grown_in_any_steps_has_the_naive_root(size: int, cuts: list[int]) -> None:
    data = DATA[:size]
    growing = Growing(size)
    edges = [0, *sorted(min(cut, size) for cut in cuts), size]
    for start, end in pairwise(edges):
        growing.update(memoryview(data)[start:end])
    tree = growing.finish()
    assert tree.root == naive_root(data) == subtree(data)
    assert {tree} == {TigerTree.of(data)}
    assert len(tree) == max(1, -(-size // LEAST_SPAN))
    assert all(tree.verify(n, data[n * tree.span :][: tree.span]) for n in range(len(tree)))


@given(st.integers(1, 400_000), st.data())
def test_a_flipped_byte_is_named_within_its_span(size: int, draw: st.DataObject) -> None:
    tree = TigerTree.of(DATA[:size])
    at = draw.draw(st.integers(0, size - 1))
    data = bytearray(DATA[:size])
    data[at] ^= draw.draw(st.integers(1, 255))
    start = at // LEAST_SPAN * LEAST_SPAN
    assert tree.wrong(0, data) == [range(start, min(start + LEAST_SPAN, size))]
    assert tree.wrong(start, data[start : start + LEAST_SPAN]) == tree.wrong(0, data)


def test_neighbours_are_named_together() -> None:
    tree, data = TigerTree.of(DATA), bytearray(DATA)
    for at in (70_000, 140_000, 999_999):
        data[at] ^= 1
    assert tree.wrong(0, data) == [range(65536, 196608), range(983040, 1_000_000)]
    assert tree.wrong(0, DATA) == []
    assert not tree.verify(0, DATA[:65535])


def test_a_large_file_has_larger_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    assert span_for(32 << 20) == 65536
    assert span_for((32 << 20) + 1) == 131072
    monkeypatch.setattr("p2pswarm.formats.thex.MOST_NODES", 4)
    tree = TigerTree.of(DATA)
    assert (len(tree), tree.span, tree.root) == (4, 262144, naive_root(DATA))
    assert tree.wrong(262144, DATA[262144:]) == []
    assert repr(tree) == f"<TigerTree {tree.root.hex()[:8]} of 1000000 bytes, 4 x 262144>"


def test_bytes_that_are_missing_or_too_many_are_no_tree() -> None:
    for length in (99_999, 100_001):
        growing = Growing(100_000)
        growing.update(DATA[:length])
        with pytest.raises(FormatError, match="of 100000 bytes"):
            growing.finish()
    with pytest.raises(FormatError):
        TigerTree(100_000, bytes(24 * 3))


# Messages


@given(SIZES)
def test_a_message_comes_back(size: int) -> None:
    tree = TigerTree.of(DATA[:size])
    assert read_thex(write_thex(tree), size, tree.root) == tree


def test_the_message_to_the_byte() -> None:
    tree = TigerTree.of(DATA)
    described, nodes = read_dime(write_thex(tree))
    name = nodes.id.decode()
    assert (described.kind, described.type, described.id) == (TypeOf.MEDIA, b"text/xml", b"")
    assert (nodes.kind, nodes.type) == (TypeOf.URI, TREE.encode())
    assert name.startswith("uuid:")
    assert described.data.decode().replace("\r\n", "") == (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<!DOCTYPE hashtree SYSTEM "http://open-content.net/spec/thex/thex.dtd"><hashtree>'
        '<file size="1000000" segmentsize="1024"/>'
        '<digest algorithm="http://open-content.net/spec/digest/tiger" outputsize="24"/>'
        f'<serializedtree depth="4" type="{TREE}" uri="{name}"/></hashtree>'
    )
    assert len(nodes.data) == 24 * (1 + 2 + 4 + 8 + 16)
    assert nodes.data[:24] == tree.root
    assert nodes.data[-24 * 16 :] == tree.nodes
    head = write_thex(tree)[:12]
    assert head[:10] == bytes([0x0C, 0x10, 0, 0, 0, 0, 0, 8, 0, 0])


def full(data: bytes) -> bytes:
    """Every level of the tree, down to the leaves."""
    spans = [span for span, _ in levels_of(len(data))]
    return b"".join(
        subtree(data[at : at + span])
        for span in reversed(spans)
        for at in range(0, len(data), span)
    )


def message(nodes: bytes, xml: str = "", kind: str = TREE) -> bytes:
    return write_dime(
        [
            Record(TypeOf.MEDIA, b"text/xml", b"", xml.encode()),
            Record(TypeOf.URI, kind.encode(), b'"uuid:odd', nodes),
        ]
    )


@pytest.mark.parametrize(("levels", "count"), [(1, 1), (2, 2), (3, 4), (4, 7), (5, 7), (99, 7)])
def test_as_many_levels_as_there_are(levels: int, count: int) -> None:
    """Of 400 000 bytes: 1, 2, 4, 7 nodes; below that there is more than we keep."""
    data = DATA[:400_000]
    root, everything = naive_root(data), full(data)
    nodes = everything[: 24 * sum(min(7, 1 << n) if n < 4 else 13 for n in range(levels))]
    tree = read_thex(message(nodes if levels < 99 else everything), len(data), root)
    assert (tree.root, len(tree)) == (root, count)
    assert tree.wrong(0, data) == []


@pytest.mark.parametrize(
    "xml",
    [
        "<hashtree><file size='5' segmentsize='1024'/></hashtree>",
        '<FILE segmentsize = "2048" />',
        '<digest algorithm="http://www.w3.org/2000/09/xmldsig#sha1" outputsize="20"/>',
        '<serializedtree depth="3" type="depthfirst"/>',
    ],
)
def test_a_description_of_something_else_is_refused(xml: str) -> None:
    tree = TigerTree.of(DATA)
    assert read_thex(message(tree.root, '<file size="1000000"'), 1_000_000, tree.root)
    with pytest.raises(FormatError, match="a tree "):
        read_thex(message(tree.root, xml), 1_000_000, tree.root)


def test_a_tree_of_another_file_is_refused() -> None:
    tree = TigerTree.of(DATA)
    with pytest.raises(FormatError, match="no tiger tree of this file"):
        read_thex(write_thex(tree), 1_000_000, bytes(24))
    nodes = bytearray(read_dime(write_thex(tree))[1].data)
    nodes[-1] ^= 1
    with pytest.raises(FormatError, match="does not lead to its root"):
        read_thex(message(bytes(nodes)), 1_000_000, tree.root)
    with pytest.raises(FormatError, match="no tiger tree of this file"):
        read_thex(message(b"short"), 1_000_000, tree.root)
    with pytest.raises(FormatError, match="no tiger tree"):
        read_thex(message(b"", kind="http://edonkey2000.com/spec/md4-hashset"), 5, bytes(24))


def test_entities_are_not_expanded() -> None:
    tree = TigerTree.of(DATA)
    bomb = '<!DOCTYPE a [<!ENTITY a "&b;&b;"><!ENTITY b "&a;&a;">]><file size="&a;"/>'
    with pytest.raises(FormatError, match="a tree of &a; bytes"):
        read_thex(message(tree.root, bomb), 1_000_000, tree.root)
    long = "<file " * 100_000
    assert read_thex(message(tree.root, long), 1_000_000, tree.root).root == tree.root


def test_a_description_of_the_same_type_is_not_taken_for_the_tree() -> None:
    tree = TigerTree.of(DATA)
    described, nodes = read_dime(write_thex(tree))
    odd = write_dime([replace(described, type=TREE.encode()), nodes])
    assert read_thex(odd, 1_000_000, tree.root) == tree


# DIME


def test_chunks_are_joined_and_the_last_padding_may_be_missing() -> None:
    head, middle, last = (
        bytes([0x0D, 0x10, 0, 0, 0, 0, 0, 1, 0, 0, 0, 3]) + b"t\0\0\0abc\0",
        bytes([0x09, 0x00, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]) + b"d\0\0\0",
        bytes([0x0A, 0x00, 0, 4, 0, 0, 0, 0, 0, 0, 0, 2]) + b"optsef",
    )
    assert read_dime(head + middle + last) == [Record(1, b"t", b"", b"abcdef")]
    for broken in (
        head,
        head + head,
        middle,
        head[:-4],
        last + head,
        b"",
        bytes(12),
        head[:15],
        b"\x0f" + head[1:],
    ):
        with pytest.raises(FormatError):
            read_dime(broken)


def test_a_message_is_bounded() -> None:
    empty = bytes([0x08, 0x40, *bytes(10)])
    for data in (empty * 2000, bytes(MAX_DIME + 1)):
        with pytest.raises(FormatError):
            read_dime(data)


RECORDS = st.lists(
    st.builds(Record, st.integers(1, 4), st.binary(max_size=9), st.binary(max_size=9), st.binary()),
    min_size=1,
    max_size=5,
)


@given(RECORDS, st.binary(max_size=8))
def test_records_come_back(records: list[Record], behind: bytes) -> None:
    assert read_dime(write_dime(records) + behind) == records


@settings(max_examples=500)
@given(st.binary() | st.binary().map(lambda tail: b"\x0c\x10" + tail), st.integers(0, 1 << 40))
def test_any_bytes_are_a_tree_or_a_format_error(data: bytes, size: int) -> None:
    with pytest.raises(FormatError):
        read_thex(data, size, bytes(24))


@given(st.integers(0, 2000), st.integers(0, 255), st.integers(0, 400_000))
def test_a_damaged_message_is_true_or_refused(at: int, byte: int, size: int) -> None:
    tree = TigerTree.of(DATA[:size])
    data = bytearray(write_thex(tree))
    data[at % len(data)] = byte
    with suppress(FormatError):
        assert read_thex(bytes(data), size, tree.root).wrong(0, DATA[:size]) == []
