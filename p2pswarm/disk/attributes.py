"""What a torrent says of a file beside its bytes (BEP 47): that it can be run, or is a symbolic link.

`hidden` is left alone: on Unix a name says it, and elsewhere it would hide from a person what a stranger
sent. A link is made when everything else is here, and nothing is ever written through one. Its target was
found to be inside the torrent; the text of the link is relative, so that the folder may be moved.
"""

import errno
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from p2pswarm.disk.handles import disk_error, open_folder

__all__ = ["allow_running", "make_link", "relative"]

log = logging.getLogger(__name__)

_CANNOT = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS}  # FAT and its kin have no links


def allow_running(fd: int) -> None:
    """Whoever may read it may run it. Raises OSError."""
    mode = os.fstat(fd).st_mode
    os.fchmod(fd, (mode & 0o7777) | (mode & 0o444) >> 2)


def make_link(root: Path, path: Sequence[str], target: Sequence[str]) -> None:
    """Both below `root`. What is there already stays. Raises DiskError."""
    try:
        folder = open_folder(root, path[:-1], create=True)
        try:
            os.symlink(relative(path, target), path[-1], dir_fd=folder)
        finally:
            os.close(folder)
    except FileExistsError:
        pass
    except OSError as error:
        where = root.joinpath(*path)
        if error.errno not in _CANNOT:
            raise disk_error("link", where, error) from error
        log.warning("%s: symbolic links cannot be made here", where)


def relative(path: Sequence[str], target: Sequence[str]) -> str:
    """The target as the folder of `path` sees it."""
    here = path[:-1]
    same = 0
    while same < min(len(here), len(target)) and here[same] == target[same]:
        same += 1
    return "/".join([*[".."] * (len(here) - same), *target[same:]]) or "."
