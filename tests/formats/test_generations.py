"""Version 2 and hybrids: one stream for both, the trees, the layers, and halves that disagree."""

from collections.abc import Callable
from hashlib import sha1, sha256
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.errors import FormatError, MetainfoError
from p2pswarm.formats import bencode, merkle
from p2pswarm.formats.files import File
from p2pswarm.formats.ids import PieceIndex
from p2pswarm.formats.metainfo import Metainfo
from tests.support.generations import PIECE, contents, generation, layer_of

BIG, SMALL, TINY = contents(2 * PIECE + 5), contents(PIECE, 1), b"tiny"
FILES = {"a": BIG, "d/b": SMALL, "d/c": TINY, "empty": b""}
Torrent = dict[bytes, Any]


def read(data: bytes) -> Metainfo:
    return Metainfo.from_bytes(data)


def tree(torrent: Torrent) -> Any:
    return torrent[b"info"][b"file tree"]


def listed(torrent: Torrent) -> Any:
    return torrent[b"info"][b"files"]


def entry(torrent: Torrent) -> Any:
    return tree(torrent)[b"a"][b""]


def root(data: bytes) -> bytes:
    return merkle.root(merkle.leaves(data))


def pad(length: int, offset: int) -> File:
    return File(("t", ".pad", str(length)), length, offset, pad=True)


def test_version_2_alone_has_holes_up_to_the_next_piece() -> None:
    data = generation(FILES)
    metainfo = read(data)
    assert metainfo.files == (
        File(("t", "a"), len(BIG), 0, root=root(BIG)),
        pad(PIECE - 5, len(BIG)),
        File(("t", "d", "b"), PIECE, 3 * PIECE, root=root(SMALL)),
        File(("t", "d", "c"), 4, 4 * PIECE, root=root(TINY)),
        pad(PIECE - 4, 4 * PIECE + 4),
        File(("t", "empty"), 0, 5 * PIECE),
    )
    digest = sha256(metainfo.info).digest()
    assert (metainfo.v2, metainfo.info_hash) == (digest, digest[:20])
    assert metainfo.names == (metainfo.info_hash,)
    assert (metainfo.has_v1, metainfo.pieces, metainfo.single_file) == (False, b"", False)
    assert (metainfo.piece_count, metainfo.total) == (5, 5 * PIECE)


def test_a_hybrid_is_the_same_stream_under_two_names() -> None:
    v2, hybrid = read(generation(FILES)), read(generation(FILES, v1=True))
    assert hybrid.files == v2.files
    assert hybrid.layers == v2.layers
    assert hybrid.info_hash == sha1(hybrid.info).digest()
    assert hybrid.v2 == sha256(hybrid.info).digest()
    assert hybrid.names == (hybrid.info_hash, hybrid.v2[:20])
    assert hybrid.has_v1
    assert len(hybrid.pieces) == 5 * 20


def test_the_last_pad_of_a_hybrid_may_be_missing() -> None:
    metainfo = read(generation({"a": TINY, "b": TINY}, v1=True, change=lambda t: listed(t).pop()))
    assert metainfo.total == PIECE + 4
    assert metainfo.piece_size(PieceIndex(1)) == 4


@pytest.mark.parametrize("v1", [False, True])
def test_a_piece_has_bytes_of_one_file(v1: bool) -> None:
    metainfo = read(generation(FILES, v1=v1))
    pieces = list(map(PieceIndex, range(5)))
    assert [metainfo.piece_size(piece) for piece in pieces] == [PIECE] * 5
    assert [metainfo.data_size(piece) for piece in pieces] == [PIECE, PIECE, 5, PIECE, 4]
    assert [metainfo.file_of(piece).path[-1] for piece in pieces] == ["a", "a", "a", "b", "c"]
    assert [metainfo.piece_in_file(piece) for piece in pieces] == [0, 1, 2, 0, 0]
    layer = layer_of(BIG)
    assert [metainfo.piece_root(piece) for piece in pieces] == [
        layer[:32], layer[32:64], layer[64:], root(SMALL), root(TINY),
    ]  # fmt: skip


def test_version_1_has_nothing_of_it() -> None:
    metainfo = read(
        bencode.encode(
            {b"info": {b"name": b"f", b"piece length": 4, b"length": 5, b"pieces": bytes(40)}}
        )
    )
    assert metainfo.v2 is None
    assert metainfo.names == (metainfo.info_hash,)
    assert metainfo.data_size(PieceIndex(1)) == 1
    assert metainfo.piece_root(PieceIndex(1)) is None


def test_a_tree_of_one_file_is_that_file() -> None:
    metainfo = read(generation({"one": TINY}))
    assert (metainfo.name, metainfo.single_file) == ("one", True)
    assert metainfo.files[0].path == ("one",)
    assert not read(generation({"d/one": TINY})).single_file

    def alone(torrent: Torrent) -> None:
        torrent[b"info"] |= {b"length": 4, b"name": b"one", b"pieces": bytes(20)}

    hybrid = read(generation({"one": TINY}, change=alone))
    assert hybrid.files == (File(("one",), 4, 0, root=root(TINY)),)


def test_layers_come_later_and_are_kept() -> None:
    full = read(generation(FILES, change=lambda t: t.update({b"comment": b"x", b"zz": 5})))
    bare = Metainfo.from_info(bytes(full.info), trackers=[["http://a.example/"]])
    assert bare.names == full.names
    assert bare.layers == {}
    assert bare.piece_root(PieceIndex(0)) is None
    assert bare.piece_root(PieceIndex(4)) == root(TINY)
    again = bare.with_layers(full.layers)
    assert again.piece_root(PieceIndex(2)) == full.piece_root(PieceIndex(2))
    assert read(again.raw) == again
    assert read(again.raw).layers == full.layers
    assert again.info == full.info
    assert again.trackers == bare.trackers
    with pytest.raises(MetainfoError, match="does not lead to it"):
        bare.with_layers({root(BIG): layer_of(contents(len(BIG), 7))})


def test_a_torrent_may_have_some_of_its_layers() -> None:
    other = contents(2 * PIECE, 3)
    metainfo = read(
        generation({"a": BIG, "b": other}, change=lambda t: t[b"piece layers"].pop(root(BIG)))
    )
    assert metainfo.piece_root(PieceIndex(0)) is None
    assert metainfo.piece_root(PieceIndex(3)) == layer_of(other)[:32]


def link(target: list[bytes]) -> Callable[[Torrent], None]:
    def change(torrent: Torrent) -> None:
        tree(torrent)[b"empty"][b""].update({b"attr": b"lx", b"symlink path": target})

    return change


def test_attributes() -> None:
    def mark(torrent: Torrent) -> None:
        entry(torrent)[b"attr"] = b"hx?"

    file = read(generation(FILES, change=mark)).files[0]
    assert (file.executable, file.hidden, file.link) == (True, True, None)
    linked = read(generation(FILES, change=link([b"d", b"b"]))).files[-1]
    assert (linked.link, linked.length, linked.root) == (("t", "d", "b"), 0, None)


def chained(*pairs: tuple[bytes, list[bytes]]) -> bytes:
    """Links of version 1."""
    files: list[Torrent] = [{b"length": 1, b"path": [b"real", b"a"]}]
    files += [
        {b"attr": b"l", b"length": 0, b"path": path.split(b"/"), b"symlink path": target}
        for path, target in pairs
    ]
    info = {b"name": b"t", b"piece length": 1, b"pieces": bytes(20), b"files": files}
    return bencode.encode({b"info": info})


def test_links_may_lead_to_links() -> None:
    data = chained((b"l.so", [b"l.so.1"]), (b"l.so.1", [b"now", b"a"]), (b"now", [b"real"]))
    assert [file.link for file in read(data).files] == [
        None, ("t", "l.so.1"), ("t", "now", "a"), ("t", "real"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "data",
    [
        chained((b"x", [b"x"])),
        chained((b"x", [b"y"]), (b"y", [b"z"]), (b"z", [b"x"])),
        chained((b"x", [b"y", b"a"]), (b"y", [b"x"])),
        chained((b"d/x", [b"d"])),
        chained((b"d/x", [b"y"]), (b"y", [b"d"])),
        chained(*((b"%d" % n, [b"%d" % (n + 1)]) for n in range(60))),
    ],
)
def test_no_link_leads_in_a_circle(data: bytes) -> None:
    with pytest.raises(MetainfoError, match="in a circle"):
        read(data)


def test_a_link_to_a_renamed_twin_leads_to_it() -> None:
    files = [(b"twin", [b"real"]), (b"TWIN", [b"real"]), (b"to", [b"TWIN"])]
    assert [f.link for f in read(chained(*files)).files][-1] == ("t", "TWIN (2)")


KEYS = st.sampled_from(
    [b"", b"a", b"b", b"..", b"x/y", b"length", b"pieces root", b"attr", b"\xff"]
)
JUNK = st.recursive(
    st.integers(-2, 1 << 64) | st.sampled_from([b"", b"l", b"p", b"r" * 32, bytes(32), [b"a"]]),
    lambda inner: st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
LEAVES = st.fixed_dictionaries(
    {b"length": st.sampled_from([0, 1, PIECE, 3 * PIECE])},
    optional={
        b"pieces root": st.sampled_from([b"r" * 32, bytes(32)]),
        b"attr": st.sampled_from([b"x", b"p", b"l"]),
        b"symlink path": st.sampled_from([[b"a"], [b"b", b"a"], [b".."]]),
    },
)
TREES = st.recursive(
    st.fixed_dictionaries({b"": LEAVES}) | JUNK,
    lambda inner: st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)
CHANGED = st.sampled_from(
    [b"file tree", b"meta version", b"piece length", b"files", b"pieces", b"length", b"name"]
)


@settings(max_examples=150)
@given(
    st.booleans(),
    st.booleans(),
    TREES,
    st.dictionaries(CHANGED, JUNK, max_size=1),
    st.dictionaries(st.sampled_from([root(BIG), b"r" * 32]), JUNK, max_size=2) | st.none() | JUNK,
)
def test_any_values_give_a_torrent_or_our_error(
    v1: bool, whole: bool, nodes: object, changes: Torrent, layers: object
) -> None:
    def change(torrent: Torrent) -> None:
        tree(torrent)[b"d"] = nodes
        torrent[b"info"] |= changes
        if not whole:
            torrent[b"piece layers"] = b"" if layers is None else layers

    try:
        metainfo = read(generation(FILES, v1=v1, change=change))
    except FormatError:
        return
    pieces = list(map(PieceIndex, range(metainfo.piece_count)))
    assert sum(map(metainfo.piece_size, pieces)) == metainfo.total
    real = [file for file in metainfo.files if not file.pad]
    assert sum(map(metainfo.data_size, pieces)) == sum(file.length for file in real)
    assert all(metainfo.subtree(piece) is not None for piece in pieces)
    assert all(".." not in (*file.path, *(file.link or ())) for file in metainfo.files)
    assert read(metainfo.with_layers({}).raw).files == metainfo.files


def test_a_part_of_one_is_our_error() -> None:
    data = generation(FILES, v1=True)
    for cut in range(0, len(data), 7):
        with pytest.raises(FormatError):
            read(data[:cut])
