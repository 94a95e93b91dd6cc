"""Names at Napster servers: who of this user's programs is in under which, and passwords made up for them.

A server with accounts gives a name to whoever comes first, for good: who forgets the password that it made
up is locked out. So each is a file of its own that only its user may read, and is on the disk before the
server hears of it.

And a name is in at one place at a time: who comes later pushes the other out. So the file is locked by who is
in, and who finds it locked (a `search` beside a `share`) comes as the same name with a number behind it,
which has a file, a lock and a password of its own, and is registered once. Plain calls that block.
"""

import fcntl
import os
import secrets
from pathlib import Path
from urllib.parse import quote

from p2pswarm.disk.handles import FILE_FLAGS, disk_error, write_all
from p2pswarm.errors import HostError, InUseError
from p2pswarm.formats.ids import Address

__all__ = ["MOST_AT_ONCE", "Held"]

MOST_AT_ONCE = 9  # programs with one name
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | FILE_FLAGS
_MOST = 100  # bytes of a password


class Held:
    """A name that nobody else on this machine comes in under until `close`, and its password."""

    def __init__(self, nick: str, password: str, fd: int) -> None:
        self.nick, self.password = nick, password
        self._fd: int | None = fd

    @classmethod
    def take(cls, folder: Path, server: Address, nick: str, password: str = "") -> "Held":
        """That name, or the next one that is free. The password is made up, and kept, where none is given.

        Raises DiskError, HostError, InUseError.
        """
        names = [nick, *(f"{nick}-{number}" for number in range(2, MOST_AT_ONCE + 1))]
        for name in names:
            path = folder / f"{quote(name.lower(), safe='')}@{server.host.lower()}:{server.port}"
            try:
                folder.mkdir(parents=True, exist_ok=True)
                fd = os.open(path, _FLAGS, 0o600)
            except OSError as error:
                raise disk_error("open", path, error) from error
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                told = password if name == nick else ""  # of that name alone
                return cls(name, told or _kept(fd, path), fd)
            except BlockingIOError:
                os.close(fd)
            except OSError as error:
                os.close(fd)
                raise disk_error("use", path, error) from error
            except HostError:
                os.close(fd)
                raise
        raise InUseError(f"{MOST_AT_ONCE} programs of this machine are in as {nick} already")

    def close(self) -> None:
        """May be called twice."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)


def _kept(fd: int, path: Path) -> str:
    """Raises OSError, HostError."""
    password = (os.pread(fd, _MOST, 0) or _made_up(fd)).decode("latin-1").strip()
    if not password.isascii() or not password.isprintable() or {" ", '"'} & set(password):
        raise HostError(f"{path} holds no password")
    return password


def _made_up(fd: int) -> bytes:
    password = secrets.token_hex(8).encode()
    write_all(fd, 0, memoryview(password))
    os.fsync(fd)
    return password
