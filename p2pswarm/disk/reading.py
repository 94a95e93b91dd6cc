"""One file of ours, open to be read by a stranger's request, and only while it is what it was.

It is opened below the folder that the user named, never through a symbolic link, and refused when its size or
time is not what was indexed.
"""

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from p2pswarm.disk.handles import disk_error, open_beneath
from p2pswarm.errors import DiskError

__all__ = ["Reading"]


class Reading:
    """Made and used in disk threads. Closed when nobody holds it any more, or sooner by `close`.

    `size` and `changed` (mtime in ns) are what the file must have. Raises DiskError.
    """

    def __init__(self, root: Path, path: Sequence[str], size: int, changed: int) -> None:
        self.fd = -1
        self.size = size
        self._name = root.joinpath(*path)
        self._as_it_was = (size, changed)
        try:
            self.fd = open_beneath(root, path, os.O_RDONLY)
        except OSError as error:
            raise disk_error("read", self._name, error) from error
        self.check()

    def check(self) -> None:
        """Raises DiskError when somebody changed it."""
        try:
            here = os.fstat(self.fd)
        except OSError as error:
            raise disk_error("look at", self._name, error) from error
        if not stat.S_ISREG(here.st_mode) or (here.st_size, here.st_mtime_ns) != self._as_it_was:
            raise DiskError(f"{self._name} is not what it was")

    def read_into(self, at: int, buffer: memoryview) -> None:
        """Fill the buffer with what is there from `at` on. Raises DiskError."""
        while buffer:
            try:
                count = os.preadv(self.fd, [buffer], at)
            except OSError as error:
                raise disk_error("read", self._name, error) from error
            if not count:
                raise DiskError(f"{self._name} is shorter than it was")
            buffer = buffer[count:]
            at += count

    def close(self) -> None:
        """May be called twice."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    # A request may be cancelled while a thread opens its file; then nobody is left to close it.
    __del__ = close
