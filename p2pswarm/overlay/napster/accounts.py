"""Passwords made up for names at Napster servers, kept so that the next run gets in again.

A server with accounts gives a name to whoever comes first, for good: who forgets the password that it made
up is locked out. Each is a file of its own that only its user may read, and is on the disk before the server
hears of it. Plain calls that block.
"""

import os
import secrets
from pathlib import Path
from urllib.parse import quote

from p2pswarm.disk.handles import FILE_FLAGS, disk_error, write_all
from p2pswarm.errors import HostError
from p2pswarm.formats.ids import Address

__all__ = ["kept_password"]

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | FILE_FLAGS
_MOST = 100  # bytes of a password


def kept_password(folder: Path, server: Address, nick: str) -> str:
    """That of this name at this server, made up when there is none yet. Raises DiskError, HostError."""
    path = folder / f"{quote(nick.lower(), safe='')}@{server.host.lower()}:{server.port}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, _FLAGS, 0o600)
        try:
            text = os.pread(fd, _MOST, 0) or _made_up(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise disk_error("keep a password in", path, error) from error
    password = text.decode("latin-1").strip()
    if not password.isascii() or not password.isprintable() or {" ", '"'} & set(password):
        raise HostError(f"{path} holds no password")
    return password


def _made_up(fd: int) -> bytes:
    password = secrets.token_hex(8).encode()
    write_all(fd, 0, memoryview(password))
    os.fsync(fd)
    return password
