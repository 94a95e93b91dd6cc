"""A range of one file into another, the cheapest way that the file system knows.

Shared blocks first (a "reflink": FICLONERANGE, on Btrfs, XFS, bcachefs), which takes no room and hardly any
time; then `copy_file_range`, where the kernel or the server of a network file system does it; then read
and write. The one hard thing: each of the first two says in its own words that it cannot, and only then is
the next one tried; a disk that is full or broken is an error at once.

What was copied is not verified here, and may have changed while it was copied: whoever believes it, hashes
the copy.
"""

import errno
import os
import struct
from collections.abc import Callable
from enum import Enum
from fcntl import ioctl

from p2pswarm.disk.handles import write_all

__all__ = ["Way", "copy_range"]

# linux/fs.h: _IOW(0x94, 13, struct file_clone_range), as all but a few old machines number it; on those the
# call says ENOTTY, and the bytes are copied.
_FICLONERANGE = 0x4020940D
_CLONE_RANGE = struct.Struct("=qQQQ")  # source, its offset, length, offset in the target
_BLOCK = 4096  # bytes; a file system with larger ones refuses, and the bytes are copied
_BUFFER = 1 << 20  # bytes read at once

# Another file system, one without the call, offsets that are no multiple of its blocks, a swap file, an
# immutable file; a kernel or a sandbox that forbids it.
_CANNOT = {
    errno.EXDEV,
    errno.EOPNOTSUPP,
    errno.ENOTSUP,
    errno.ENOTTY,
    errno.ENOSYS,
    errno.EINVAL,
    errno.ETXTBSY,
    errno.EPERM,
    errno.EBADF,
}
_Step = Callable[[int, int, int, int, int], int]


class Way(Enum):
    """How bytes came from one file into another, the cheapest first."""

    SHARED = "shared"
    """The blocks are the same; no byte was copied."""
    KERNEL = "kernel"
    COPIED = "copied"
    """Read and written by us."""


def copy_range(source: int, target: int, offset: int, length: int, *, to: int | None = None) -> Way:
    """Exactly these bytes of the open file `source` into `target`, at the same offset unless told `to`.

    How most of it was done. Raises OSError, EIO when the source ends too early; then any part of it may
    be written.
    """
    at = offset if to is None else to
    head, middle = _whole_blocks(source, offset, length, at)
    if not middle or not _share(source, target, offset + head, middle, at + head):
        return _copy(source, target, offset, length, at)
    tail = head + middle
    _copy(source, target, offset, head, at)
    _copy(source, target, offset + tail, length - tail, at + tail)
    return Way.SHARED


def _whole_blocks(source: int, offset: int, length: int, at: int) -> tuple[int, int]:
    """Bytes before the first whole block, and in whole blocks: only these can be shared. The last block of
    a file counts as whole."""
    if (offset - at) % _BLOCK:
        return 0, 0
    head = -offset % _BLOCK
    end = offset + length
    if end < os.fstat(source).st_size:
        end -= end % _BLOCK
    return head, max(0, end - offset - head)


def _copy(source: int, target: int, offset: int, length: int, at: int) -> Way:
    done = _repeat(_in_kernel, source, target, offset, length, at)
    if done == length:
        return Way.KERNEL
    if _repeat(_by_hand, source, target, offset + done, length - done, at + done) < length - done:
        raise OSError(errno.EIO, "the file that is copied is shorter than it was")
    return Way.COPIED


def _share(source: int, target: int, offset: int, length: int, at: int) -> bool:
    """All of it or nothing."""
    if not hasattr(os, "copy_file_range"):  # not Linux, where the number means something else
        return False
    try:
        ioctl(target, _FICLONERANGE, _CLONE_RANGE.pack(source, offset, length, at))
    except OSError as error:
        if error.errno in _CANNOT:
            return False
        raise
    return True


def _repeat(step: _Step, source: int, target: int, offset: int, length: int, at: int) -> int:
    """How many bytes came before `step` had no more."""
    done = 0
    while done < length:
        n = step(source, target, offset + done, length - done, at + done)
        if not n:
            break
        done += n
    return done


def _in_kernel(source: int, target: int, offset: int, length: int, at: int) -> int:
    """0 where it cannot: some file systems of the kernel say the same at a source that seems empty."""
    if not hasattr(os, "copy_file_range"):
        return 0
    try:
        return os.copy_file_range(source, target, length, offset, at)
    except OSError as error:
        if error.errno in _CANNOT:
            return 0
        raise


def _by_hand(source: int, target: int, offset: int, length: int, at: int) -> int:
    data = os.pread(source, min(length, _BUFFER), offset)
    write_all(target, at, memoryview(data))
    return len(data)
