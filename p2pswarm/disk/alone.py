"""A lock for what one program at a time may do; the kernel takes it from the dead. For disk threads."""

import fcntl
import os
from pathlib import Path

from p2pswarm.disk.handles import FILE_FLAGS, disk_error
from p2pswarm.errors import InUseError

__all__ = ["lock_alone"]

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | FILE_FLAGS


def lock_alone(path: Path, otherwise: str) -> int:
    """Keep others off until this descriptor is closed.

    Raises InUseError with the words of `otherwise`, DiskError.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, _FLAGS, 0o600)
    except OSError as error:
        raise disk_error("open", path, error) from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(fd)
        raise InUseError(otherwise) from error
    except OSError as error:
        os.close(fd)
        raise disk_error("lock", path, error) from error
    return fd
