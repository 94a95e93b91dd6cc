"""What a shared folder holds, found some files at a time.

A folder is somebody's home or a disk of a million songs, so a walk is cut into steps that each take a disk
thread for milliseconds, and holds open only the folders on the way down. Hidden files and folders (unless
asked for), empty files and everything that is no regular file are left out. Symbolic links are never
followed, so nothing outside of the folder can be reached from it.
"""

import logging
import os
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from p2pswarm.disk.handles import disk_error
from p2pswarm.formats.paths import MAX_ELEMENTS

__all__ = ["Seen", "Walk"]

log = logging.getLogger(__name__)

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Seen(NamedTuple):
    """A file: the folder it lies in, as elements below the root, its name, its bytes, its mtime in ns."""

    folder: tuple[str, ...]
    name: str
    size: int
    changed: int


class Walk:
    """`while seen := walk.step(1000): ...`, each step in any thread, one at a time.

    The folders it has open go with it: a walk is dropped when it is not wanted any more.
    """

    def __init__(self, root: Path, *, hidden: bool = False) -> None:
        self._files = _all(
            root, hidden
        )  # knows nothing of us, so that it is closed when we are dropped

    def step(self, most: int) -> list[Seen]:
        """The next files; none when all were seen. Raises DiskError when the root cannot be read."""
        return list(islice(self._files, most))


def _all(root: Path, hidden: bool) -> Iterator[Seen]:
    try:
        here = root.stat()  # may be a symbolic link: the user named it
        if stat.S_ISREG(here.st_mode):
            yield Seen((), root.name, here.st_size, here.st_mtime_ns)
            return
        folder = os.open(root, _FOLDER)
    except OSError as error:
        raise disk_error("read", root, error) from error
    yield from _below(root, folder, (), hidden)


def _below(root: Path, folder: int, path: tuple[str, ...], hidden: bool) -> Iterator[Seen]:
    """The files in an open folder, which is closed at the end, and in those below it."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") and not hidden:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    yield from _enter(root, folder, (*path, entry.name), hidden)
                else:
                    yield from _file(entry, path)
    except OSError as error:
        log.warning("left out: %s", disk_error("read", root.joinpath(*path), error))
    finally:
        os.close(folder)


def _enter(root: Path, above: int, path: tuple[str, ...], hidden: bool) -> Iterator[Seen]:
    if len(path) >= MAX_ELEMENTS:
        log.warning("left out: %s lies too deep", root.joinpath(*path))
        return
    try:
        # Not through a link that took the folder's place since it was listed.
        folder = os.open(path[-1], _FOLDER | os.O_NOFOLLOW, dir_fd=above)
    except OSError as error:
        log.warning("left out: %s", disk_error("read", root.joinpath(*path), error))
        return
    yield from _below(root, folder, path, hidden)


def _file(entry: os.DirEntry[str], path: tuple[str, ...]) -> Iterator[Seen]:
    try:
        here = entry.stat(follow_symlinks=False)
    except FileNotFoundError:  # gone since it was listed
        return
    if stat.S_ISREG(here.st_mode) and here.st_size:
        yield Seen(path, entry.name, here.st_size, here.st_mtime_ns)
