"""Which local files may hold which file of a torrent. Sans-IO: names and sizes in, a short list out.

Nothing here is believed: names and sizes only say where to look first, and hashes decide. The same root
(BEP 52) is as good as found; then come the same path, the same name, any file of the same size, and at
last the same path with another size: a newer or older one, of which parts may have stayed.

The one hard thing: a torrent of 200 000 equal sizes beside a folder of as many must not become a table of
all pairs. So what is kept is kept by size, name and path, a few of each, and pairs are made when asked for.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from p2pswarm.formats.metainfo import File

__all__ = ["Candidate", "Candidates"]

MOST_ALIKE = 4  # kept of one path or name: more folders than these rarely hold the same file
MOST_OF_SIZE = 64  # kept of one size
MOST_TRIED = 16  # for one file of the torrent


class Candidate(NamedTuple):
    """A file on this machine, at `path` below `folder`; `changed` is its mtime in ns."""

    folder: Path
    path: tuple[str, ...]
    size: int
    changed: int


_Kept = defaultdict[object, list[Candidate]]


class Candidates:
    """Built for the files of one torrent; `add` takes what was seen, `of` says what is worth a look."""

    def __init__(self, files: Sequence["File"]) -> None:
        self._files = files
        real = [file for file in files if file.length and not file.pad]
        self._sizes = {file.length for file in real}
        # A folder may be the torrent's own, under any name, or hold it.
        self._paths = {path for file in real for path in _paths(file)}
        self._by_path: _Kept = defaultdict(list)
        self._by_name: _Kept = defaultdict(list)
        self._by_size: _Kept = defaultdict(list)
        self._by_root: _Kept = defaultdict(list)

    def add(self, found: Candidate, root: bytes | None = None) -> None:
        """A file that was seen; `root` is its pieces root, where somebody verified that."""
        if found.path in self._paths:
            _keep(self._by_path, found.path, found, MOST_ALIKE)
        if found.size in self._sizes:
            _keep(self._by_name, (found.path[-1], found.size), found, MOST_ALIKE)
            _keep(self._by_size, found.size, found, MOST_OF_SIZE)
            if root is not None:
                _keep(self._by_root, root, found, MOST_ALIKE)

    def wants(self, size: int) -> bool:
        """Whether a file of the torrent has so many bytes."""
        return size in self._sizes

    def __bool__(self) -> bool:
        return bool(self._by_path or self._by_size)

    def of(self, number: int) -> list[Candidate]:
        """Where this file of the torrent may be, the likeliest first; pad files are nowhere."""
        file = self._files[number]
        if file.pad or not file.length:
            return []
        return list(islice(dict.fromkeys(self._ranked(file)), MOST_TRIED))

    def is_namesake(self, number: int, candidate: Candidate) -> bool:
        """Whether it has the path of this file: then parts of it may be the same where others are not."""
        return candidate.path in _paths(self._files[number])

    def _ranked(self, file: "File") -> Iterator[Candidate]:
        root = file.root
        if root is not None:
            yield from self._by_root.get(root, ())
        alike = [each for path in _paths(file) for each in self._by_path.get(path, ())]
        yield from (each for each in alike if each.size == file.length)
        yield from self._by_name.get((file.path[-1], file.length), ())
        yield from islice(self._by_size.get(file.length, ()), MOST_TRIED - 2 * MOST_ALIKE)
        yield from alike


def _paths(file: "File") -> Iterator[tuple[str, ...]]:
    yield file.path
    if len(file.path) > 1:
        yield file.path[1:]


def _keep(table: _Kept, key: object, found: Candidate, most: int) -> None:
    kept = table[key]
    if len(kept) < most:
        kept.append(found)
