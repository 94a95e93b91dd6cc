"""What a new torrent shall hold: a folder walked in the order of the raw names.

So the same folder gives the same info-hash on every machine. That order, element by element, is also the one
of version 2's tree. Nothing is left out in silence, except what the user named for it.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from p2pswarm.disk.handles import disk_error
from p2pswarm.errors import DiskError, HostError
from p2pswarm.formats import globs, paths
from p2pswarm.formats.metainfo import MAX_FILES

__all__ = ["EVERYTHING", "Choice", "Found", "Links", "find", "named"]

Warn = Callable[[str], None]
_Path = tuple[str, ...]
_EVER = 1 << 63  # nanoseconds: what a link leads to may be another file at any time


class Links(Enum):
    """What becomes of a symbolic link."""

    SKIP = "skip"
    FOLLOW = "follow"
    KEEP = "keep"
    """A link in the torrent, too (BEP 47)."""


class Found(NamedTuple):
    """One file on the disk, and its path in the torrent (empty for a torrent of one file)."""

    path: _Path
    source: str
    size: int
    changed: int
    """Its mtime in nanoseconds."""
    touched: int
    """Nanoseconds: no later it got its bytes and came to its place. Nobody can set that back."""
    executable: bool = False
    link: _Path | None = None
    """Where a link leads, from the torrent's own folder on."""


@dataclass(frozen=True)
class Choice:
    """Which files are taken: none that a glob excludes, unless another includes it (`formats/globs.py`)."""

    exclude: Sequence[str] = ()
    include: Sequence[str] = ()
    links: Links = Links.SKIP


EVERYTHING = Choice()


def find(path: Path, choice: Choice, warn: Warn) -> list[Found]:
    """What is to be shared. `path` itself may be a symbolic link: the user named it.

    Raises DiskError for what cannot be read, HostError for what cannot be shared.
    """
    try:
        here = path.stat()
    except OSError as error:
        raise disk_error("read", path, error) from error
    if stat.S_ISREG(here.st_mode):
        return [_regular((), str(path), here)]
    if not stat.S_ISDIR(here.st_mode):
        raise HostError(f"{path} is neither a file nor a folder")
    walk = _Walk(path, choice, warn)
    root = _Folder(str(path), (), frozenset([_identity(here)]), here.st_ctime_ns, 0)
    found = list(islice(walk.below(root), MAX_FILES + 1))
    for glob in walk.idle():
        warn(f"no file or folder is meant by {paths.shown(glob)}")
    if not found:
        raise HostError(f"{path} holds no files: nothing to share")
    if len(found) > MAX_FILES:
        raise HostError(f"{path} holds more than {MAX_FILES} files: too many for one torrent")
    return found if choice.links is not Links.KEEP else _leading_somewhere(found, warn)


def named(entry: os.DirEntry[str] | Path) -> str:
    """Its name. Raises DiskError where no torrent can hold it."""
    try:
        entry.name.encode()
    except UnicodeEncodeError as error:
        raise DiskError(f"the name {paths.shown(entry.name)} is not UTF-8: rename it") from error
    return entry.name


class _Folder(NamedTuple):
    path: str
    inside: _Path
    """Where it is in the torrent."""
    above: frozenset[tuple[int, int]]
    """It and what it lies in."""
    changed: int
    """Its ctime, which a new entry and a new name set."""
    moved: int
    """No later than this it came to its place. The one that the user names is where it always was."""

    def enter(self, path: str, inside: _Path, here: os.stat_result, *, linked: bool) -> "_Folder":
        """A folder that came to its place left its mark in both: in itself, and in the one it is in."""
        moved = _EVER if linked else max(self.moved, min(here.st_ctime_ns, self.changed))
        above = self.above | {_identity(here)}
        return _Folder(path, inside, above, here.st_ctime_ns, moved)


class _Walk:
    def __init__(self, root: Path, choice: Choice, warn: Warn) -> None:
        self._root = root
        self._choice = choice
        self._warn = warn
        self._met: set[str] = set()

    def idle(self) -> list[str]:
        """The globs that have meant nothing so far: mistyped, as a rule."""
        choice = self._choice
        return [glob for glob in (*choice.exclude, *choice.include) if glob not in self._met]

    def below(self, folder: _Folder) -> Iterator[Found]:
        """The files in it."""
        if len(folder.inside) >= paths.MAX_ELEMENTS:
            raise HostError(f"{folder.path} lies deeper than {paths.MAX_ELEMENTS} folders")
        for entry in _entries(folder.path):
            path = (*folder.inside, named(entry))
            if self._means(self._choice.exclude, path) and not self._choice.include:
                continue  # a folder, too, with all in it
            if entry.is_symlink() and self._choice.links is not Links.FOLLOW:
                yield from self._link(entry, path)
            elif (here := self._stat(entry)) is not None:
                yield from self._one(entry, path, here, folder)

    def _takes(self, path: _Path) -> bool:
        choice = self._choice
        return not self._means(choice.exclude, path) or self._means(choice.include, path)

    def _means(self, wanted: Sequence[str], path: _Path) -> bool:
        met = [glob for glob in wanted if globs.matches(glob, path)]
        self._met.update(met)
        return bool(met)

    def _one(
        self,
        entry: os.DirEntry[str],
        path: _Path,
        here: os.stat_result,
        folder: _Folder,
    ) -> Iterator[Found]:
        linked = entry.is_symlink()
        if stat.S_ISREG(here.st_mode):
            if self._takes(path):
                file = _regular(path, entry.path, here)
                moved = _EVER if linked else folder.moved
                yield file._replace(touched=max(file.touched, moved))
        elif not stat.S_ISDIR(here.st_mode):
            self._warn(f"skipped: {entry.path} is neither a file nor a folder")
        elif _identity(here) in folder.above:
            self._warn(f"skipped: {entry.path} is a symbolic link to a folder that it lies in")
        else:
            yield from self.below(folder.enter(entry.path, path, here, linked=linked))

    def _link(self, entry: os.DirEntry[str], path: _Path) -> Iterator[Found]:
        if not self._takes(path):
            return
        if self._choice.links is Links.SKIP:
            self._warn(f"skipped: {entry.path} is a symbolic link")
            return
        try:
            here = entry.stat(follow_symlinks=False)
            target = _inside(path, os.readlink(entry.path))  # noqa: PTH115 - as it is written
        except OSError as error:
            raise disk_error("read", entry.path, error) from error
        if target is None:
            self._warn(f"skipped: {entry.path} is a symbolic link that leads out of {self._root}")
        else:
            yield Found(path, entry.path, 0, here.st_mtime_ns, here.st_ctime_ns, link=target)

    def _stat(self, entry: os.DirEntry[str]) -> os.stat_result | None:
        """None for what is skipped."""
        try:
            return entry.stat()
        except OSError as error:
            if not entry.is_symlink():
                raise disk_error("read", entry.path, error) from error
            self._warn(f"skipped: {entry.path} is a symbolic link that leads nowhere")
            return None


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        raise disk_error("read", folder, error) from error


def _inside(path: _Path, target: str) -> _Path | None:
    """Where the link at `path` leads, read as text; None for the way out of the torrent's folder."""
    if target.startswith("/"):
        return None
    where = list(path[:-1])
    for element in target.split("/"):
        if element == "..":
            if not where:
                return None
            where.pop()
        elif element not in {"", "."}:
            where.append(element)
    return tuple(where) or None


def _leading_somewhere(found: list[Found], warn: Warn) -> list[Found]:
    """Without the links that lead to nothing in the torrent, in a circle, or to a folder they lie in."""
    there = {file.path[:count] for file in found for count in range(1, len(file.path) + 1)}
    links = {file.path: file.link for file in found if file.link is not None}
    kept = []
    for file in found:
        end = _end(file.path, links)
        if end in there and (file.link is None or file.path[: len(end)] != end):
            kept.append(file)
        else:
            warn(f"skipped: {file.source} is a symbolic link to nothing that the torrent can hold")
    return kept


def _end(path: _Path, links: Mapping[_Path, _Path]) -> _Path:
    """Where one comes by links of links; nowhere in a circle."""
    for _ in range(len(links) + 1):
        if path not in links:
            return path
        path = links[path]
    return ()


def _regular(path: _Path, source: str, here: os.stat_result) -> Found:
    if not os.access(source, os.R_OK):
        raise disk_error("read", source, PermissionError(errno.EACCES, "not readable"))
    executable = bool(here.st_mode & stat.S_IXUSR)
    return Found(path, source, here.st_size, here.st_mtime_ns, here.st_ctime_ns, executable)


def _identity(here: os.stat_result) -> tuple[int, int]:
    return here.st_dev, here.st_ino
