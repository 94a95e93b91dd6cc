"""The file of a feed: its log and what the DHT said, replaced as a whole and synced.

The one hard thing: a publisher who forgot an entry would sign another one in its place, and be taken for a
liar. So it is on the disk, power cut or not, before anybody else hears of it; and of two programs that
publish with one key at a time, each would sign what the other does not know: the second one is refused. For
disk threads.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from p2pswarm.disk.alone import lock_alone
from p2pswarm.disk.handles import FILE_FLAGS, disk_error, read_kept, sync_folder, write_all

__all__ = ["FeedFile"]

_LONGEST = 12 << 20  # bytes that are read; the largest log has ten megabytes


@dataclass(frozen=True, slots=True)
class FeedFile:
    """One feed's. Other followers may write it too: whoever writes last is remembered."""

    path: Path

    def read(self) -> bytes | None:
        """None where there is none. Raises DiskError."""
        try:
            return read_kept(self.path, _LONGEST)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise disk_error("read", self.path, error) from error

    def lock(self) -> int:
        """Keep other publishers off until this descriptor is closed; the kernel does that for the dead.

        Raises InUseError, DiskError. The file itself is replaced again and again, so another one is locked.
        """
        lock = self.path.with_name(f".{self.path.name}.lock")
        return lock_alone(lock, "another program publishes with this key: end it first")

    def write(self, data: bytes) -> None:
        """Raises DiskError."""
        part = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            _write(part, data)
            part.replace(self.path)
            sync_folder(self.path.parent)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise disk_error("write", self.path, error) from error


def _write(path: Path, data: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | FILE_FLAGS
    fd = os.open(path, flags, 0o666)
    try:
        write_all(fd, 0, memoryview(data))
        os.fsync(fd)
    finally:
        os.close(fd)
