"""Names at Napster servers: who of this user's programs is in under which, and passwords made up for them.

A server with accounts gives a name to whoever comes first, for good: who forgets the password that it made
up is locked out. So each is a file of its own that only its user may read, and is on the disk before the
server hears of it.

And a name is in at one place at a time: who comes later pushes the other out. So the file is locked by who is
in, and who finds it locked (a `search` beside a `share`) comes as the same name with a number behind it,
which has a file, a lock and a password of its own, and is registered once. Where somebody else has registered
that, the next number is tried. Plain calls that block.
"""

import fcntl
import os
import re
import secrets
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import quote

from p2pswarm.disk.handles import FILE_FLAGS, disk_error, sync_folder, write_all
from p2pswarm.errors import HostError, InUseError
from p2pswarm.formats.ids import Address

__all__ = ["MOST_AT_ONCE", "Held"]

MOST_AT_ONCE = 9  # programs with one name
LONGEST_NICK = 32  # of servers like ours
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | FILE_FLAGS
_MOST = 100  # bytes of a password


class Held:
    """A name that nobody else on this machine comes in under until `close`, and its password.

    `fresh`: the password was made up just now, so the name may be somebody else's at the server.
    """

    def __init__(
        self, nick: str, password: str, fd: int, path: Path, beside: Callable[[], "Held"]
    ) -> None:
        self.nick, self.password = nick, password
        self.fresh = False
        self._fd: int | None = fd
        self._path, self._beside = path, beside

    @classmethod
    def take(
        cls, folder: Path, server: Address, nick: str, password: str = "", *, first: int = 1
    ) -> "Held":
        """That name, or the next one that is free. The password is made up, and kept, where none is given.

        Raises DiskError, HostError, InUseError.
        """
        for number in range(first, MOST_AT_ONCE + 1):
            name = _numbered(nick, number)
            path = folder / f"{quote(name.lower(), safe='')}@{server.host.lower()}:{server.port}"
            try:
                folder.mkdir(parents=True, exist_ok=True)
                fd = os.open(path, _FLAGS, 0o600)
            except OSError as error:
                raise disk_error("open", path, error) from error
            beside = partial(cls.take, folder, server, nick, first=number + 1)
            told = password if number == 1 else ""  # of that name alone
            held = cls(name, told, fd, path, beside)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                held._know_password(fd)
            except BlockingIOError:
                held.close()
            except OSError as error:
                held.close()
                raise disk_error("use", path, error) from error
            except HostError:
                held.close()
                raise
            else:
                return held
        raise InUseError(f"{MOST_AT_ONCE} programs of this machine are in as {nick} already")

    def _know_password(self, fd: int) -> None:
        """Raises OSError, HostError."""
        self.password = self.password or _kept(fd, self._path)
        if not self.password:
            self.password = _made_up(fd, self._path.parent)
            self.fresh = True

    def instead(self) -> "Held":
        """The next one that is free: the server says that this one, which is fresh, is somebody else's.

        Raises DiskError, HostError, InUseError; then this one is still held.
        """
        assert self._fd is not None
        other = self._beside()
        try:
            os.ftruncate(self._fd, 0)  # so that it is fresh the next time, too
        except OSError as error:
            other.close()
            raise disk_error("write", self._path, error) from error
        self.close()
        return other

    def close(self) -> None:
        """May be called twice."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)


def _numbered(nick: str, number: int) -> str:
    if number == 1:
        return nick
    tail = f"-{number}"
    return nick[: LONGEST_NICK - len(tail)] + tail


def _kept(fd: int, path: Path) -> str:
    """Empty where there is none. Raises OSError, HostError."""
    password = os.pread(fd, _MOST, 0).strip().decode("latin-1")
    if not re.fullmatch(r"[!#-~]*", password):
        raise HostError(f"{path} holds no password")
    return password


def _made_up(fd: int, folder: Path) -> str:
    """Kept, too. Raises OSError."""
    password = secrets.token_hex(8)
    os.ftruncate(fd, 0)
    write_all(fd, 0, memoryview(password.encode()))
    os.fsync(fd)
    sync_folder(folder)
    return password
