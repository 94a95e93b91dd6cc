"""The room for a download taken before its first byte comes.

So a disk that is too small says so at the start and not at nine tenths, and a file lies in few stretches.
Where a file system cannot do it, the C library touches every block, which takes as long as writing.
"""

import os

__all__ = ["preallocate"]


def preallocate(fd: int, length: int) -> None:
    """Blocks for all bytes of an open file. Raises OSError, ENOSPC above all."""
    if length and hasattr(os, "posix_fallocate"):  # macOS has none
        os.posix_fallocate(fd, 0, length)
