"""Odd and hostile torrents of version 2, made here: what must be refused, and how, and what must not be.

`STRICTER` are those of the hostile that libtorrent reads nevertheless, and why we do not.
"""

from collections.abc import Callable
from typing import Any

from p2pswarm.formats import merkle
from p2pswarm.formats.bencode import MAX_TOKENS
from p2pswarm.formats.files import MAX_FILES
from tests.support.corpus import Bomb, Hostile
from tests.support.generations import PIECE, contents, generation

__all__ = ["BOMBS", "HOSTILE", "ODD", "STRICTER"]

BIG, SMALL = contents(2 * PIECE + 5), contents(100, 1)
FILES = {"a": BIG, "b": SMALL, "d/c": b"tiny", "e": b""}
BIG_ROOT, SMALL_ROOT = (merkle.root(merkle.leaves(data)) for data in (BIG, SMALL))

Torrent = dict[bytes, Any]
Change = Callable[[Torrent], object]


def _v2(change: Change) -> bytes:
    return generation(FILES, change=change)


def _hybrid(change: Change) -> bytes:
    return generation(FILES, v1=True, change=change)


def _info(**keys: Any) -> Change:
    return lambda torrent: torrent[b"info"].update(
        {key.replace("_", " ").encode(): value for key, value in keys.items()}
    )


def _without(key: bytes) -> Change:
    return lambda torrent: torrent[b"info"].pop(key)


def _tree(**nodes: Any) -> Change:
    return lambda torrent: torrent[b"info"][b"file tree"].update(
        {key.encode(): node for key, node in nodes.items()}
    )


def _leaf(name: bytes, **keys: Any) -> Change:
    """Of the file `name` at the top; None takes a key away."""

    def change(torrent: Torrent) -> None:
        leaf = torrent[b"info"][b"file tree"][name][b""]
        for key, value in keys.items():
            leaf[key.replace("_", " ").encode()] = value
            if value is None:
                del leaf[key.replace("_", " ").encode()]

    return change


def _layers(change: Callable[[dict[bytes, Any]], object]) -> Change:
    return lambda torrent: change(torrent[b"piece layers"])


def _listed(change: Callable[[list[Any]], object]) -> Change:
    """The files of version 1: a, its pad, b, its pad, c, its pad, e."""
    return lambda torrent: change(torrent[b"info"][b"files"])


def _at(number: int, **keys: Any) -> Change:
    changes = {key.replace("_", " ").encode(): value for key, value in keys.items()}
    return _listed(lambda files: files[number].update(changes))


def _both(*changes: Change) -> Change:
    return lambda torrent: [change(torrent) for change in changes]


def _swap(files: list[Any]) -> None:
    files[2], files[4] = files[4], files[2]


def _no_pad(files: list[Any]) -> None:
    del files[1][b"attr"]


_LINK = {"attr": b"l", "symlink_path": [b"d", b"c"]}

HOSTILE: dict[str, Hostile] = {
    # the tree
    "tree-a-list": Hostile(_v2(_info(file_tree=[])), "info.file tree is a list"),
    "tree-empty": Hostile(_v2(_info(file_tree={})), "holds no files"),
    "tree-of-empty-folders": Hostile(_v2(_info(file_tree={b"d": {b"d": {}}})), "holds no files"),
    "tree-a-file": Hostile(_v2(_info(file_tree={b"": {b"length": 1}})), "without a name"),
    "tree-missing": Hostile(_hybrid(_without(b"file tree")), "info.file tree is missing"),
    "no-bytes": Hostile(_v2(_info(file_tree={b"e": {b"": {b"length": 0}}})), "have 0 bytes"),
    "version-missing": Hostile(_v2(_without(b"meta version")), "meta version is not 2"),
    "version-1": Hostile(_hybrid(_info(meta_version=1)), "meta version is not 2"),
    "version-3": Hostile(_v2(_info(meta_version=3)), "newer than can be read"),
    "node-a-string": Hostile(_v2(_tree(a=b"x")), "'a' is a string"),
    "leaf-a-string": Hostile(_v2(_tree(a={b"": b"x"})), "'a' is a string"),
    "file-and-folder": Hostile(
        _v2(_tree(a={b"": {b"length": 0}, b"x": {}})), "'a' is a file and a folder"
    ),
    # a file
    "length-missing": Hostile(_v2(_leaf(b"b", length=None)), "'b'.length is missing"),
    "length-negative": Hostile(_v2(_leaf(b"b", length=-1)), "'b'.length is -1"),
    "length-a-string": Hostile(_v2(_leaf(b"b", length=b"1")), "'b'.length is a string"),
    "length-2^63": Hostile(_v2(_leaf(b"b", length=1 << 63)), "'b'.length is 9223372036854775808"),
    "length-of-too-many-pieces": Hostile(_v2(_leaf(b"b", length=1 << 40)), "pieces, at most"),
    "root-missing": Hostile(_v2(_leaf(b"b", pieces_root=None)), "'b'.pieces root is missing"),
    "root-short": Hostile(_v2(_leaf(b"b", pieces_root=b"r" * 31)), "not the root of a tree"),
    "root-long": Hostile(_v2(_leaf(b"b", pieces_root=b"r" * 33)), "not the root of a tree"),
    "root-zero": Hostile(_v2(_leaf(b"b", pieces_root=bytes(32))), "not the root of a tree"),
    "root-an-integer": Hostile(_v2(_leaf(b"b", pieces_root=5)), "pieces root is an integer"),
    "pad-in-the-tree": Hostile(_v2(_leaf(b"b", attr=b"p")), "'b'.attr names a pad file"),
    # piece length
    "piece-length-8-KiB": Hostile(_v2(_info(piece_length=8192)), "power of two"),
    "piece-length-48-KiB": Hostile(_v2(_info(piece_length=49152)), "power of two"),
    "piece-length-odd": Hostile(_hybrid(_info(piece_length=PIECE + 1)), "power of two"),
    "piece-length-2^29": Hostile(_v2(_info(piece_length=1 << 29)), "piece length is 536870912"),
    # layers
    "layer-wrong": Hostile(
        _v2(_layers(lambda layers: layers.update({BIG_ROOT: b"x" * 96}))), "does not lead to it"
    ),
    "layer-short": Hostile(
        _v2(_layers(lambda layers: layers.update({BIG_ROOT: b"x" * 64}))), "has not 3 hashes"
    ),
    "layer-odd": Hostile(
        _v2(_layers(lambda layers: layers.update({BIG_ROOT: b"x" * 97}))), "has not 3 hashes"
    ),
    "layer-an-integer": Hostile(
        _v2(_layers(lambda layers: layers.update({BIG_ROOT: 5}))), "has not 3 hashes"
    ),
    "layer-of-nothing": Hostile(
        _v2(_layers(lambda layers: layers.update({b"q" * 32: b"x" * 64}))), "which no file needs"
    ),
    "layer-of-a-short-root": Hostile(
        _v2(_layers(lambda layers: layers.update({b"q": b"x" * 64}))), "which no file needs"
    ),
    "layer-of-a-small-file": Hostile(
        _v2(_layers(lambda layers: layers.update({SMALL_ROOT: SMALL_ROOT}))), "which no file needs"
    ),
    # halves of a hybrid
    "halves-differ-in-a-name": Hostile(_hybrid(_at(2, path=[b"B"])), "at 't/B'"),
    "halves-differ-in-a-folder": Hostile(_hybrid(_at(4, path=[b"c"])), "at 't/c'"),
    "halves-differ-in-a-size": Hostile(
        _hybrid(_both(_at(2, length=99), _at(3, length=PIECE - 99))), "at 't/b'"
    ),
    "halves-differ-in-order": Hostile(_hybrid(_listed(_swap)), "at 't/d/c'"),
    "halves-differ-in-number": Hostile(_hybrid(_listed(lambda files: files.pop())), "at 't/e'"),
    "half-has-more": Hostile(
        _hybrid(_listed(lambda files: files.append({b"length": 0, b"path": [b"z"]}))), "at 't/z'"
    ),
    "pad-that-is-none": Hostile(_hybrid(_listed(_no_pad)), "at 't/.pad"),
    "pad-too-short": Hostile(
        _hybrid(_both(_at(1, length=PIECE - 6), _at(5, length=PIECE - 3))), "'t/b' does not start"
    ),
    "pad-of-a-piece-more": Hostile(
        _hybrid(
            _both(
                _at(1, length=2 * PIECE - 5),
                lambda torrent: torrent[b"info"].update({b"pieces": bytes(20 * 6)}),
            )
        ),
        "'t/b' does not start",
    ),
    "pad-beyond-the-end": Hostile(
        _hybrid(
            _both(
                _listed(lambda files: files.append({**files[1], b"length": PIECE})),
                lambda torrent: torrent[b"info"].update({b"pieces": bytes(20 * 6)}),
            )
        ),
        "different ends",
    ),
    "half-of-one-file": Hostile(
        _v2(_info(length=len(BIG), pieces=bytes(60))), "contradict each other at 't'"
    ),
    "half-without-hashes": Hostile(_hybrid(_without(b"pieces")), "info.pieces is missing"),
    # names and links
    "name-climbs": Hostile(_v2(_tree(**{"..": {b"": {b"length": 0}}})), "would lead out"),
    "name-with-a-slash": Hostile(_v2(_tree(**{"x/y": {b"": {b"length": 0}}})), "slash"),
    "name-empty-below": Hostile(_v2(_tree(f={b"g": {b"": b""}})), "is a string"),
    "link-climbs": Hostile(
        _v2(_leaf(b"e", attr=b"l", symlink_path=[b"..", b"x"])), "'e'.symlink path: '..'"
    ),
    "link-nowhere": Hostile(_v2(_leaf(b"e", attr=b"l")), "'e'.symlink path is missing"),
    "link-empty": Hostile(_v2(_leaf(b"e", attr=b"l", symlink_path=[])), "has 0 elements"),
    "link-of-integers": Hostile(_v2(_leaf(b"e", attr=b"l", symlink_path=[5])), "not a string"),
    "link-to-itself": Hostile(_v2(_leaf(b"e", attr=b"l", symlink_path=[b"e"])), "in a circle"),
    "link-with-bytes": Hostile(_v2(_leaf(b"b", **_LINK)), "'b'.length is not 0"),
    "link-of-one-half": Hostile(_hybrid(_leaf(b"e", **_LINK)), "at 't/e'"),
    "attr-an-integer": Hostile(_v2(_leaf(b"b", attr=1)), "'b'.attr is an integer"),
}

STRICTER = {
    "length-2^63": "it is in no file system, and wraps in libtorrent",
    "half-without-hashes": "a half of version 1 that nobody can check",
    "name-climbs": "such names are refused in every torrent, not mended: see formats/paths.py",
    "name-with-a-slash": "the same",
    "link-climbs": "the same for where a link leads",
    "link-nowhere": "no other client could make what this one means",
    "link-empty": "the same",
    "link-to-itself": "nothing can be opened through it",
    "link-with-bytes": "one that does not know links would count these bytes",
    "link-of-one-half": "clients of version 1 would make another thing of it",
    "attr-an-integer": "wrong kinds are refused in version 1 too",
}

ODD: dict[str, bytes] = {
    "version-2": _v2(lambda torrent: None),
    "hybrid": _hybrid(lambda torrent: None),
    "one-file": generation({"f": SMALL}),
    "one-file-in-a-folder": generation({"d/f": SMALL}),
    "one-file-of-many-pieces": generation({"f": BIG}),
    "pieces-of-one-block": generation(FILES, piece_length=1 << 14),
    "hybrid-of-one-file": generation(
        {"t": SMALL},
        change=_info(length=len(SMALL), pieces=bytes(20)),
    ),
    "no-layers": _v2(lambda torrent: torrent.pop(b"piece layers")),
    "layers-empty": _v2(_layers(dict.clear)),
    "layers-a-string": _v2(lambda torrent: torrent.update({b"piece layers": b"x"})),
    "empty-folder": _v2(_tree(f={})),
    "empty-file-with-a-root": _v2(_leaf(b"e", pieces_root=b"r" * 32)),
    "twins": _v2(_tree(A={b"": {b"length": 0}})),
    "executable-and-hidden": _v2(_leaf(b"b", attr=b"xh")),
    "executable-in-one-half": _hybrid(_leaf(b"b", attr=b"x")),
    "executable-in-the-other-half": _hybrid(_at(2, attr=b"x")),
    "link": _v2(_leaf(b"e", **_LINK)),
    "link-without-length": _v2(_leaf(b"e", length=None, **_LINK)),
    "link-that-dangles": _v2(_leaf(b"e", attr=b"l", symlink_path=[b"no", b"where"])),
    "link-in-both-halves": _hybrid(_both(_leaf(b"e", **_LINK), _at(6, **_LINK))),
    "last-pad-missing": generation(
        {"a": SMALL, "b": SMALL}, v1=True, change=_listed(lambda files: files.pop())
    ),
    "pads-of-other-names": _hybrid(_both(_at(1, path=[b"x", b"y"]), _at(3, path=[b"x", b"y"]))),
    "pad-after-the-empty-file": _hybrid(_listed(lambda files: files.append(files.pop(5)))),
    "same-file-twice": generation({"a": BIG, "b": BIG}),
}

_BEFORE = b"d4:infod9:file tree"
_AFTER = b"12:meta versioni2e4:name1:t12:piece lengthi16384ee"
_ROOTED = b"d0:d6:lengthi1e11:pieces root32:" + b"r" * 32 + b"ee"
_EMPTY = b"d0:d6:lengthi0eee"
_LINKED = b"d0:d4:attr1:l6:lengthi0e12:symlink pathl1:aeee"

BOMBS = {
    "files": Bomb(_BEFORE + b"d", b"7:%07d" + _ROOTED, b"e" + _AFTER + b"e", 9),
    "empty-files": Bomb(
        _BEFORE + b"d1:a" + _ROOTED, b"7:%07d" + _EMPTY, b"e" + _AFTER + b"e", MAX_TOKENS // MAX_FILES
    ),
    "too-many-files": Bomb(_BEFORE + b"d1:a" + _ROOTED, b"7:%07d" + _EMPTY, b"e" + _AFTER + b"e", 6),
    "latin-files": Bomb(
        _BEFORE + b"d1:a" + _ROOTED, b"8:\xe9%07dd2:\xe9ad2:\xe9b" + _EMPTY + b"ee",
        b"e" + _AFTER + b"e", MAX_TOKENS // MAX_FILES,
    ),
    "deep-files": Bomb(
        _BEFORE + b"d1:a" * 90 + b"d", b"7:%07d" + _ROOTED, b"e" * 91 + _AFTER + b"e", 9
    ),
    "empty-folders": Bomb(_BEFORE + b"d1:a" + _ROOTED, b"7:%07dde", b"e" + _AFTER + b"e", 3),
    "links": Bomb(
        _BEFORE + b"d1:a" + _ROOTED, b"7:%07d" + _LINKED, b"e" + _AFTER + b"e", MAX_TOKENS // MAX_FILES
    ),
}  # fmt: skip
