"""Trees, layers and torrents against what libtorrent made of the same bytes (data/make_trees.py)."""

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from p2pswarm.formats import bencode, merkle
from p2pswarm.formats.ids import PieceIndex
from p2pswarm.formats.metainfo import Metainfo
from tests.support.generations import contents, generation, layer_of

CASES = json.loads((Path(__file__).parent / "data" / "trees.json").read_text())["cases"]
EACH = pytest.mark.parametrize("case", CASES)


def files_of(case: dict[str, Any]) -> list[bytes]:
    return [contents(length, number) for number, length in enumerate(case["lengths"])]


@EACH
def test_the_roots_and_layers_are_libtorrents(case: dict[str, Any]) -> None:
    length = case["piece_length"]
    for data, expected in zip(files_of(case), case["roots"], strict=True):
        if not data:
            assert expected == ""
            continue
        root = merkle.root(merkle.leaves(data))
        assert root.hex() == expected
        layer = case["layers"].get(expected, "")
        assert layer == (layer_of(data, length).hex() if len(data) > length else "")
        pieces = [data[at : at + length] for at in range(0, len(data), length)]
        subtrees = [
            merkle.Subtree(len(piece), merkle.piece_height(len(data), length)) for piece in pieces
        ]
        roots = [tree.root(piece) for tree, piece in zip(subtrees, pieces, strict=True)]
        assert b"".join(roots).hex() == (layer or expected)


@EACH
def test_its_torrents_are_read(case: dict[str, Any]) -> None:
    metainfo = Metainfo.from_bytes(b64decode(case["torrent"]))
    assert (metainfo.v2 or b"").hex() == case["v2"]
    assert metainfo.info_hash.hex() == (case["v1"] or case["v2"][:40])
    assert metainfo.has_v1 is (case["v1"] is not None)
    assert [["/".join(f.path), f.length, f.offset] for f in metainfo.files] == case["stream"]
    assert {root.hex(): layer.hex() for root, layer in metainfo.layers.items()} == case["layers"]
    pieces = map(PieceIndex, range(metainfo.piece_count))
    assert all(metainfo.piece_root(piece) is not None for piece in pieces)


@pytest.mark.parametrize("case", [case for case in CASES if len(case["lengths"]) > 1])
def test_written_plainly_they_have_the_same_names(case: dict[str, Any]) -> None:
    files = {f"f{number}": data for number, data in enumerate(files_of(case))}
    ours = generation(files, v1=bool(case["v1"]), piece_length=case["piece_length"])
    theirs = bencode.decode(b64decode(case["torrent"]))
    assert bencode.decode(ours)[b"info"] == theirs[b"info"]
    assert Metainfo.from_bytes(ours).v2 == bytes.fromhex(case["v2"])
