"""Who we are in a network from one session to the next: the servent GUID by which others find us again.

Hits that somebody keeps name it, and only by it a push finds a firewalled host. Two programs of one user
must not have the same, or each would get the other's pushes: so the file is locked by who has it, and who
finds it locked (a `search` beside a `share`) takes a GUID for this session alone. Plain calls that block.
"""

import fcntl
import logging
import os
from pathlib import Path

from p2pswarm.disk.handles import FILE_FLAGS, disk_error

__all__ = ["Identity"]

log = logging.getLogger(__name__)

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | FILE_FLAGS
_SIZE = 16  # bytes


class Identity:
    """A `guid` that is nobody else's until `close`."""

    def __init__(self, guid: bytes, fd: int | None = None) -> None:
        self.guid = guid
        self._fd = fd

    @classmethod
    def take(cls, path: Path, fresh: bytes, network: str) -> "Identity":
        """The one that is kept there. Where there is none it is `fresh`; where none can be, for now only.

        `network` is for the log.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(path, _FLAGS, 0o600)
        except OSError as error:
            log.warning(
                "who we are in %s is not remembered: %s", network, disk_error("use", path, error)
            )
            return cls(fresh)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return cls(_kept(fd) or _keep(fd, fresh), fd)
        except BlockingIOError:
            os.close(fd)
        except OSError as error:
            log.warning(
                "who we are in %s is not remembered: %s", network, disk_error("use", path, error)
            )
            os.close(fd)
        return cls(fresh)

    def close(self) -> None:
        """May be called twice."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)


def _kept(fd: int) -> bytes:
    """Empty where there is none. Raises OSError."""
    guid = os.pread(fd, _SIZE + 1, 0)
    return guid if len(guid) == _SIZE and any(guid) else b""


def _keep(fd: int, guid: bytes) -> bytes:
    """Raises OSError."""
    os.ftruncate(fd, 0)
    os.pwrite(fd, guid, 0)
    return guid
