"""The `.torrent` files that this tracker hands out: those of one folder, and those given in memory.

A name that somebody asks for is looked up among the names that are there; it never becomes a path. Only
plain files are listed, no links, so nothing outside the folder can be reached. All of it is synchronous
and runs in a thread.
"""

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from p2pswarm.errors import FormatError
from p2pswarm.formats.bencode import MAX_SIZE
from p2pswarm.formats.ids import InfoHash
from p2pswarm.formats.metainfo import Metainfo

__all__ = ["Hosted", "Library"]

_SUFFIX = ".torrent"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Hosted:
    """A torrent on offer: `name` with its suffix, `total` bytes of content."""

    name: str
    info_hash: InfoHash
    total: int


class Library:
    """What is on offer. What a file says is read once, and again when its size or time changes."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._given: dict[str, tuple[Hosted, bytes]] = {}
        self._read: dict[str, tuple[tuple[int, int], Hosted | None]] = {}

    def host(self, name: str, data: bytes) -> str:
        """Offer a torrent from memory, before one of that name in the folder; the name it has here.

        Raises BencodeError or MetainfoError when it is none, ValueError for a name that is a path.
        """
        if "/" in name or not _may_be_named(name):
            raise ValueError(f"{name!r} cannot be the name of a torrent")
        name = name if name.endswith(_SUFFIX) else name + _SUFFIX
        self._given[name] = (_describe(name, data), bytes(data))
        return name

    def index(self) -> list[Hosted]:
        """Everything on offer, by name."""
        offers = {hosted.name: hosted for hosted in self._scan()}
        offers |= {name: hosted for name, (hosted, _) in self._given.items()}
        return [offers[name] for name in sorted(offers)]

    def data(self, name: str) -> bytes | None:
        """The bytes of a torrent on offer, else None."""
        if name in self._given:
            return self._given[name][1]
        offered = any(hosted.name == name for hosted in self._scan())
        return _read(self._folder / name) if offered and self._folder is not None else None

    def _scan(self) -> Iterator[Hosted]:
        """The folder's torrents; forgets files that are gone, and says once why one is no torrent."""
        if self._folder is None:
            return
        before, self._read = self._read, {}
        with os.scandir(self._folder) as entries:
            found = [entry for entry in entries if _may_be_torrent(entry)]
        for entry in found:
            stat = entry.stat(follow_symlinks=False)
            stamp = (stat.st_size, stat.st_mtime_ns)
            known = before.get(entry.name)
            if known is None or known[0] != stamp:
                known = (stamp, self._look(entry.name))
            self._read[entry.name] = known
            if known[1] is not None:
                yield known[1]

    def _look(self, name: str) -> Hosted | None:
        assert self._folder is not None
        try:
            data = _read(self._folder / name)
            return None if data is None else _describe(name, data)
        except FormatError as error:
            _log.warning("%r is not offered: %s", name, error)
            return None


def _may_be_torrent(entry: os.DirEntry[str]) -> bool:
    """A plain file of bearable size with a name that can stand in a URL."""
    name = entry.name
    if name.startswith(".") or not name.endswith(_SUFFIX) or not _may_be_named(name):
        return False
    return (
        entry.is_file(follow_symlinks=False)
        and entry.stat(follow_symlinks=False).st_size <= MAX_SIZE
    )


def _may_be_named(name: str) -> bool:
    """No control characters and nothing but UTF-8; narrow spaces and joiners are in real names."""
    try:
        return all(byte >= 0x20 and byte != 0x7F for byte in name.encode())
    except UnicodeEncodeError:
        return False


def _describe(name: str, data: bytes) -> Hosted:
    metainfo = Metainfo.from_bytes(data)
    return Hosted(name, metainfo.info_hash, metainfo.total)


def _read(path: Path) -> bytes | None:
    """The file, unless it has become a link, too big, or unreadable since it was listed."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        _log.warning("%r cannot be read: %s", path.name, error.strerror)
        return None
    with os.fdopen(handle, "rb") as file:
        data = file.read(MAX_SIZE + 1)
    return data if len(data) <= MAX_SIZE else None
