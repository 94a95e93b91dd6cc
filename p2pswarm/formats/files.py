"""The files of a torrent, end to end in one stream of bytes; and how version 1 lists them (BEP 3, 47).

The hard thing is that a list may be hostile: its length, its names, the sum of its sizes and its links all
come from a stranger, and a list of 200 000 must be judged in three seconds.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from p2pswarm.errors import MetainfoError
from p2pswarm.formats import paths
from p2pswarm.formats.fields import WORDS, need, preferred
from p2pswarm.formats.links import refuse_loops

__all__ = [
    "MAX_FILES",
    "MAX_LENGTH",
    "File",
    "Given",
    "attributes",
    "counted",
    "end",
    "placed",
    "read_v1",
]

# Both of all files: what a hostile torrent can make us check takes three seconds, not ten.
MAX_FILES = 200_000
_MAX_PATH_ELEMENTS = 800_000
MAX_LENGTH = 2**63 - 1  # bytes, one file or all together: what an `off_t` holds


class File(NamedTuple):
    """One file of a torrent, or a hole (`pad`, BEP 47): zeros in the stream, nothing on disk."""

    path: tuple[str, ...]
    """Safe elements below the download directory, the torrent's own folder among them."""
    length: int
    """Bytes."""
    offset: int
    """Where it starts in the torrent's stream of bytes."""
    pad: bool = False
    root: bytes | None = None
    """Of its tree of hashes (BEP 52, `pieces root`); None for version 1, an empty file, a pad, a link."""
    executable: bool = False
    hidden: bool = False
    link: tuple[str, ...] | None = None
    """What it leads to if it is a symbolic link (BEP 47), without bytes: a path like `path`."""


class Given(NamedTuple):
    """A file as it is listed, not placed yet; its path is safe but may have a twin."""

    path: tuple[str, ...]
    length: int
    pad: bool = False
    root: bytes | None = None
    executable: bool = False
    hidden: bool = False
    link: tuple[str, ...] | None = None


Placed = tuple[tuple[File, ...], dict[int, tuple[str, ...]]]
"""The files in order, and under which number which got another path: what that was before."""


def read_v1(info: dict[bytes, Any], name: tuple[str, ...]) -> list[Given]:
    """What `length` or `files` list, in order."""
    if (b"length" in info) == (b"files" in info):
        both = "both length and files" if b"length" in info else "neither length nor files"
        raise MetainfoError(f"info has {both}")
    if b"length" in info:
        pad, executable, hidden, _ = attributes(info, (), "info.")
        return [Given(name, length_of(info, "info."), pad, None, executable, hidden)]
    listed = list(counted(_listed(need(info, b"files", list, "info."), name)))
    info[b"files"] = []  # the list is as large as what it became, and is not read again
    return listed


def _listed(entries: list[Any], root: tuple[str, ...]) -> Iterator[Given]:
    if not 0 < len(entries) <= MAX_FILES:
        raise MetainfoError(f"info.files has {len(entries)} entries, not 1 to {MAX_FILES}")
    for number, entry in enumerate(entries):
        try:
            yield _entry(entry, root)
        except MetainfoError as error:
            raise MetainfoError(f"info.files[{number}]{error}") from None


def _entry(entry: object, root: tuple[str, ...]) -> Given:
    """One file of many. A MetainfoError tells what follows the entry's own name."""
    if not isinstance(entry, dict):
        raise MetainfoError(f" is {WORDS[type(entry)]}, not a dictionary")
    pad, executable, hidden, link = attributes(entry, root, ".")
    length = length_of(entry, ".", link)
    path = preferred(entry, b"path", list, ".")
    if not {bytes}.issuperset(map(type, path)):
        raise MetainfoError(".path holds something that is not a string")
    return Given(root + paths.safe_path(path, ".path"), length, pad, None, executable, hidden, link)


def counted(files: Iterable[Given]) -> Iterator[Given]:
    """The same, as long as there are not too many names in all of them."""
    elements = 0
    for number, file in enumerate(files):
        elements += len(file.path) + len(file.link or ())
        if elements > _MAX_PATH_ELEMENTS:
            raise MetainfoError(f"more than {_MAX_PATH_ELEMENTS} path elements up to file {number}")
        yield file


def placed(given: Sequence[Given]) -> Placed:
    """Pad files all have the same few names; they are never written, so they are left alone."""
    total = sum(file.length for file in given)
    if not 0 < total <= MAX_LENGTH:
        raise MetainfoError(f"the files have {total} bytes together, not 1 to 2^63 - 1")
    fresh = iter(paths.without_twins([file.path for file in given if not file.pad]))
    files, renamed, offset = [], {}, 0
    for number, (old, length, pad, root, executable, hidden, link) in enumerate(given):
        path = old if pad else next(fresh)
        if path != old:
            renamed[number] = old
        files.append(File(path, length, offset, pad, root, executable, hidden, link))
        offset += length
    if any(file.link for file in files):
        files = _linked(files, renamed)
    return tuple(files), renamed


def _linked(files: Sequence[File], renamed: dict[int, tuple[str, ...]]) -> list[File]:
    """Links that lead to a file which got a number lead to it still."""
    if renamed:
        taken = {file.path for file in files}
        moved = {old: files[number].path for number, old in renamed.items() if old not in taken}
        files = [file._replace(link=moved.get(file.link or (), file.link)) for file in files]
    refuse_loops({file.path: file.link for file in files if file.link is not None})
    return list(files)


def length_of(table: dict[bytes, Any], where: str, link: tuple[str, ...] | None = None) -> int:
    """Bytes of a file. Of a link nothing need be said, and only 0 makes sense."""
    if link is not None:
        if table.get(b"length", 0) != 0:
            raise MetainfoError(f"{where}length is not 0, but attr names a symbolic link")
        return 0
    length = need(table, b"length", int, where)
    if not 0 <= length <= MAX_LENGTH:
        raise MetainfoError(f"{where}length is {length}, not 0 to 2^63 - 1")
    return length


def attributes(
    table: dict[bytes, Any], root: tuple[str, ...], where: str
) -> tuple[bool, bool, bool, tuple[str, ...] | None]:
    """BEP 47: whether it is a pad, executable, hidden, and where it leads if it is a link."""
    if b"attr" not in table:
        return False, False, False, None
    attr = need(table, b"attr", bytes, where)
    link = _link(table, root, where) if b"l" in attr else None
    if link is not None and b"p" in attr:
        raise MetainfoError(f"{where}attr names a pad file and a symbolic link")
    return b"p" in attr, b"x" in attr, b"h" in attr, link


def _link(table: dict[bytes, Any], root: tuple[str, ...], where: str) -> tuple[str, ...]:
    target = need(table, b"symlink path", list, where)
    if not root:
        raise MetainfoError(
            f"{where}attr names a symbolic link, but a torrent of one file has no other"
        )
    if not {bytes}.issuperset(map(type, target)):
        raise MetainfoError(f"{where}symlink path holds something that is not a string")
    return root + paths.safe_path(target, f"{where}symlink path")


def end(files: Sequence[File]) -> int:
    """Where the stream ends."""
    return files[-1].offset + files[-1].length
