"""The `.torrent` files that this tracker hands out: those of one folder, and those given in memory.

A name that somebody asks for is looked up among the names that are there; it never becomes a path. Only
plain files are listed, no links, so nothing outside the folder can be reached. All of it is synchronous
and runs in a thread.
"""

import logging
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from stat import S_ISREG

from p2pswarm.errors import FormatError
from p2pswarm.formats.bencode import MAX_SIZE
from p2pswarm.formats.ids import InfoHash
from p2pswarm.formats.magnet import Magnet
from p2pswarm.formats.metainfo import Metainfo

__all__ = ["Hosted", "Library", "TakenError"]

_SUFFIX = ".torrent"
MOST_KEPT = 10_000  # torrents, beyond which no upload is taken
MOST_NAME = 200  # bytes of a name before its suffix, so that it fits into any file system
MOST_TRACKERS = 3  # in a magnet link

_log = logging.getLogger(__name__)


class TakenError(Exception):
    """It cannot be put beside what is here: it is here, its name is, or there is no room."""


@dataclass(frozen=True, slots=True)
class Hosted:
    """A torrent on offer: `name` with its suffix, `total` bytes of content in so many `files`."""

    name: str
    info_hash: InfoHash
    total: int
    title: str
    """What the torrent calls itself."""
    searched: str
    """Both names, in one case."""
    swarms: tuple[InfoHash, ...]
    """A hybrid has two."""
    files: int
    magnet: str
    added: float
    """Seconds since 1970."""


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
        self._given[name] = (_describe(name, data, time.time()), bytes(data))
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
        offered = self._is_as_it_was(name) or any(each.name == name for each in self._scan())
        return _read(self._folder / name) if offered and self._folder is not None else None

    def _is_as_it_was(self, name: str) -> bool:
        """Whether it was on offer, and has not changed since: then the others need no look."""
        known = self._read.get(name)
        if known is None or known[1] is None or self._folder is None:
            return False
        try:
            now = (self._folder / name).stat(follow_symlinks=False)
        except OSError:
            return False
        return S_ISREG(now.st_mode) and (now.st_size, now.st_mtime_ns) == known[0]

    def keep(self, data: bytes) -> Hosted:
        """Put a torrent into the folder, under the name that it gives itself, beside whatever is there.

        Raises BencodeError, MetainfoError, TakenError, OSError.
        """
        assert self._folder is not None
        new = _describe("", data, time.time())
        here = self.index()
        for hosted in here:
            if not {*hosted.swarms}.isdisjoint(new.swarms):
                raise TakenError(f"it is here already: {hosted.name}")
        if len(here) >= MOST_KEPT:
            raise TakenError("there are as many torrents here as there may be")
        for name in _names_for(new):
            if self._put(self._folder / name, data):
                return replace(new, name=name)
        raise TakenError(f"there is another {new.title} here")

    def _put(self, path: Path, data: bytes) -> bool:
        """Whether the name was free. Nobody sees half of a file, and none is written over."""
        unfinished = path.with_name(f".{secrets.token_hex(8)}.part")
        handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(handle)
            path.hardlink_to(unfinished)
        except FileExistsError:
            return False
        finally:
            unfinished.unlink()
        return True

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
                known = (stamp, self._look(entry.name, stat.st_mtime))
            self._read[entry.name] = known
            if known[1] is not None:
                yield known[1]

    def _look(self, name: str, added: float) -> Hosted | None:
        assert self._folder is not None
        try:
            data = _read(self._folder / name)
            return None if data is None else _describe(name, data, added)
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


def _describe(name: str, data: bytes, added: float) -> Hosted:
    metainfo = Metainfo.from_bytes(data)
    return Hosted(
        name,
        metainfo.info_hash,
        total=sum(file.length for file in metainfo.files if not file.pad),
        title=metainfo.name,
        searched=f"{name} {metainfo.name}".casefold(),
        swarms=metainfo.names,
        files=sum(not file.pad for file in metainfo.files),
        magnet=_magnet(metainfo),
        added=added,
    )


def _magnet(metainfo: Metainfo) -> str:
    """Short enough to be kept for each of thousands: with the first trackers only."""
    first = tuple(url for tier in metainfo.trackers for url in tier)[:MOST_TRACKERS]
    version_1 = metainfo.info_hash if metainfo.has_v1 else None
    return str(Magnet(version_1, metainfo.v2, metainfo.name, first))


def _names_for(new: Hosted) -> Iterator[str]:
    """Names for its file: what it calls itself where that can be, and with a part of its hash."""
    short = new.title.encode()[:MOST_NAME].decode(errors="ignore")
    if short and not short.startswith(".") and _may_be_named(short):
        stem = short.removesuffix(_SUFFIX)
        yield stem + _SUFFIX
        yield f"{stem} {new.info_hash.hex()[:8]}{_SUFFIX}"
    yield new.info_hash.hex() + _SUFFIX


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
