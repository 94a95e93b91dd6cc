"""The files of version 2 (BEP 52): a tree of names, laid out as libtorrent does; and what hybrids agree in.

Every file starts at a piece. So that both generations share one stream of bytes and one numbering of pieces,
holes fill the space up to the next piece: in a hybrid its list has pad files, for version 2 alone they are
put in here, after every file that does not end at a piece, the last one too.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from p2pswarm.errors import MetainfoError
from p2pswarm.formats import paths
from p2pswarm.formats.fields import WORDS, need
from p2pswarm.formats.files import MAX_FILES, Given, attributes, counted, length_of
from p2pswarm.formats.merkle import HASH

__all__ = ["agreed", "is_single", "padded", "read_tree"]

_PAD = ".pad"  # the folder that pad files are in, by BEP 47's advice


def is_single(tree: dict[bytes, Any]) -> bool:
    """Whether the tree is one file without a folder; its key is the file's name then."""
    node = next(iter(tree.values()), None)
    return len(tree) == 1 and isinstance(node, dict) and b"" in node


def read_tree(tree: dict[bytes, Any], root: tuple[str, ...]) -> list[Given]:
    """The files below the folder `root` in the tree's order, which is that of the stream; no pads."""
    if b"" in tree:
        raise MetainfoError("info.file tree is a file without a name")
    files = list(counted(_walk(tree, root)))
    if not files:
        raise MetainfoError("info.file tree holds no files")
    return files


def _walk(tree: dict[bytes, Any], root: tuple[str, ...]) -> Iterator[Given]:
    """Without recursion: a generator in a generator costs every file the depth that it lies in.

    A folder that was read is emptied: the tree is larger than what it becomes.
    """
    inside: list[tuple[dict[bytes, Any], Iterator[tuple[bytes, Any]]]]
    inside = [(tree, iter(tree.items()))]
    at: list[bytes] = []
    found = 0
    while inside:
        key, node = next(inside[-1][1], (b"", None))
        if node is None:
            inside.pop()[0].clear()
            del at[-1:]
            continue
        if not isinstance(node, dict) or (b"" in node and len(node) > 1):
            words = "a file and a folder" if isinstance(node, dict) else WORDS[type(node)]
            raise MetainfoError(f"{_where([*at, key])} is {words}")
        if b"" not in node:
            at.append(key)
            inside.append((node, iter(node.items())))
            continue
        found += 1
        if found > MAX_FILES:
            raise MetainfoError(f"info.file tree has more than {MAX_FILES} files")
        yield _file([*at, key], node.pop(b""), root)


def _file(names: list[bytes], entry: object, root: tuple[str, ...]) -> Given:
    try:
        path = root + paths.safe_path(names, ": its path")
        return _entry(path, entry, root)
    except MetainfoError as error:
        raise MetainfoError(f"{_where(names)}{error}") from None


def _entry(path: tuple[str, ...], entry: object, root: tuple[str, ...]) -> Given:
    """A MetainfoError tells what follows the file's own name."""
    if not isinstance(entry, dict):
        raise MetainfoError(f" is {WORDS[type(entry)]}, not a dictionary")
    pad, executable, hidden, link = attributes(entry, root, ".")
    if pad:
        raise MetainfoError(".attr names a pad file, which version 2 does not have")
    length = length_of(entry, ".", link)
    tree = need(entry, b"pieces root", bytes, ".") if length else None
    if tree is not None and (len(tree) != HASH or not any(tree)):
        raise MetainfoError(".pieces root is not the root of a tree")
    return Given(path, length, False, tree, executable, hidden, link)


def _where(names: list[bytes]) -> str:
    return f"info.file tree {paths.shown('/'.join(map(paths.decoded, names)))}"


def padded(files: Sequence[Given], piece_length: int, name: tuple[str, ...]) -> list[Given]:
    """The files, and after each that does not end with a piece a hole up to there."""
    holes: dict[int, Given] = {}  # many are alike, and 200 000 of them would fill the memory
    stream = []
    for file in files:
        stream.append(file)
        if hole := -file.length % piece_length:
            if hole not in holes:
                holes[hole] = Given((*name, _PAD, str(hole)), hole, pad=True)
            stream.append(holes[hole])
    return stream


def agreed(listed: Sequence[Given], tree: Sequence[Given], piece_length: int) -> list[Given]:
    """A hybrid's list of version 1 with what version 2 knows of each file. Raises MetainfoError.

    Both halves must name the same files in the same order, with the same bytes at the same places: else two
    clients would make different things of one torrent. The last file's pad may be missing. Which file is
    executable or hidden version 2 says, as in libtorrent.
    """
    of_v2, offset, expected, stream = iter(tree), 0, 0, []
    for file in listed:
        if not file.pad:
            twin = next(of_v2, None)
            if twin is None or file[:3] != twin[:3] or file.link != twin.link:
                raise _contradiction(file.path)
            if file.length and offset != expected:
                raise MetainfoError(f"{_shown(file.path)} does not start where version 2 says")
            expected += -(-file.length // piece_length) * piece_length
            stream.append(twin)
        else:
            stream.append(file)
        offset += file.length
    if (missed := next(of_v2, None)) is not None:
        raise _contradiction(missed.path)
    last = next((file.length for file in reversed(tree) if file.length), 0)
    if offset not in (expected, expected - -last % piece_length):
        raise MetainfoError("the pad files of versions 1 and 2 reach different ends")
    return stream


def _contradiction(path: tuple[str, ...]) -> MetainfoError:
    return MetainfoError(f"versions 1 and 2 contradict each other at {_shown(path)}")


def _shown(path: tuple[str, ...]) -> str:
    return paths.shown("/".join(path))
