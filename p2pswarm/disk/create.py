"""A file or folder becomes a torrent: walk, rehearse, hash on all cores, look again.

The walk is in the order of the raw names, so the same input gives the same info-hash on every machine.
The rehearsal builds the torrent with empty hashes: a name that no torrent can hold, or a list of files
that is too long, is told before the hashing and not an hour later. The last look finds what changed
meanwhile.
"""

import errno
import logging
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, NamedTuple

from p2pswarm.disk.handles import disk_error
from p2pswarm.disk.hashing import Hashing, in_threads
from p2pswarm.disk.storage import FileStorage
from p2pswarm.errors import BencodeError, DiskError, HostError, MetainfoError
from p2pswarm.formats import bencode, paths
from p2pswarm.formats.building import build, default_piece_length
from p2pswarm.formats.ids import PieceIndex
from p2pswarm.formats.metainfo import MAX_FILES, File, Metainfo

__all__ = ["MAX_PIECE_LENGTH", "MIN_PIECE_LENGTH", "create"]

log = logging.getLogger(__name__)

MIN_PIECE_LENGTH = 16 << 10  # bytes: one block
MAX_PIECE_LENGTH = 32 << 20  # bytes: a piece lies in a peer's memory until it is checked

_CREATED_BY = "p2pswarm"
_HASH = 20  # bytes of SHA-1


class _Found(NamedTuple):
    """One file on the disk, and its path in the torrent (empty for a torrent of one file)."""

    path: tuple[str, ...]
    source: str
    size: int
    changed: int  # mtime, nanoseconds


def create(
    path: Path,
    *,
    trackers: Sequence[str | Sequence[str]] = (),
    piece_length: int | None = None,
    private: bool = False,
    comment: str = "",
    source: str = "",
    follow_symlinks: bool = False,
    web_seeds: Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
    warn: Callable[[str], None] | None = None,
    now: int | None = None,
    workers: int | None = None,
) -> Metainfo:
    """A torrent of the file or folder `path`, named like it. Nothing is written.

    A tracker is a URL, a tier of its own, or a sequence of URLs, one tier. `progress` is called in this
    thread with (bytes hashed, bytes in all); what it raises ends the work. `warn` hears what is skipped:
    symbolic links (unless followed), loops of them, sockets and pipes. `now`, seconds since 1970,
    becomes the creation date.

    Raises DiskError for what cannot be read or changes meanwhile, HostError for what cannot be shared,
    ValueError for a piece length that is no power of two from 16 KiB to 32 MiB or a URL that is none.
    """
    warn = warn or _log_warning
    _check_piece_length(piece_length)
    found = _find(path, follow_symlinks, warn)
    total = sum(file.size for file in found)
    if not total:
        raise HostError(f"{path} holds no bytes: nothing to share")
    piece_length = piece_length or default_piece_length(total)
    torrent = partial(
        build,
        name=_name(path.resolve()),
        piece_length=piece_length,
        **_contents(found),
        trackers=[[tier] if isinstance(tier, str) else tier for tier in trackers],
        web_seeds=web_seeds,
        private=private,
        comment=comment,
        source=source,
        created_by=_CREATED_BY,
        creation_date=now,
    )
    _rehearse(path, torrent, -(-total // piece_length), warn)
    hashes = _hash(path, found, piece_length, workers or os.cpu_count() or 1, progress)
    _look_again(found)
    return torrent(pieces=hashes)


def _check_piece_length(length: int | None) -> None:
    if length is None:
        return
    if not MIN_PIECE_LENGTH <= length <= MAX_PIECE_LENGTH or length & (length - 1):
        raise ValueError(
            f"a piece length of {length}: a power of two from 16 KiB to 32 MiB is needed"
        )


def _log_warning(text: str) -> None:
    log.warning("%s", text)


def _contents(found: Sequence[_Found]) -> dict[str, Any]:
    if not found[0].path:
        return {"length": found[0].size}
    return {"files": [(file.path, file.size) for file in found]}


def _rehearse(
    path: Path, torrent: Callable[..., Metainfo], pieces: int, warn: Callable[[str], None]
) -> None:
    """Find what no torrent can hold while it costs nothing. Raises HostError."""
    if pieces * _HASH > bencode.MAX_SIZE:
        raise HostError(f"{path} makes {pieces} pieces: choose a larger piece length")
    try:
        rehearsed = torrent(pieces=bytes(pieces * _HASH))
    except BencodeError as error:
        raise HostError(f"{path} makes a torrent of more than 10 MiB: {error}") from error
    except MetainfoError as error:
        raise HostError(f"{path} cannot be shared: {error}") from error
    for number, given in rehearsed.renamed.items():
        saved = rehearsed.files[number].path[-1]
        warn(
            f"{'/'.join(given)} has a twin on systems blind to case: peers will save it as {saved}"
        )


def _find(path: Path, follow: bool, warn: Callable[[str], None]) -> list[_Found]:
    """What is to be shared. `path` itself may be a symbolic link: the user named it."""
    try:
        here = path.stat()
    except OSError as error:
        raise disk_error("read", path, error) from error
    if stat.S_ISREG(here.st_mode):
        return [_regular((), str(path), here)]
    if not stat.S_ISDIR(here.st_mode):
        raise HostError(f"{path} is neither a file nor a folder")
    walk = _walk(str(path), (), {_identity(here)}, follow, warn)
    found = list(islice(walk, MAX_FILES + 1))
    if not found:
        raise HostError(f"{path} holds no files: nothing to share")
    if len(found) > MAX_FILES:
        raise HostError(f"{path} holds more than {MAX_FILES} files: too many for one torrent")
    return found


def _walk(
    folder: str,
    below: tuple[str, ...],
    above: set[tuple[int, int]],
    follow: bool,
    warn: Callable[[str], None],
) -> Iterator[_Found]:
    """The files in `folder`, which is `below` in the torrent; `above` is it and what it lies in."""
    if len(below) >= paths.MAX_ELEMENTS:
        raise HostError(f"{folder} lies deeper than {paths.MAX_ELEMENTS} folders")
    for entry in _entries(folder):
        path = (*below, _name(entry))
        here = _stat(entry, follow, warn)
        if here is None:
            continue
        if stat.S_ISREG(here.st_mode):
            yield _regular(path, entry.path, here)
        elif not stat.S_ISDIR(here.st_mode):
            warn(f"skipped: {entry.path} is neither a file nor a folder")
        elif _identity(here) in above:
            warn(f"skipped: {entry.path} is a symbolic link to a folder that it lies in")
        else:
            yield from _walk(entry.path, path, above | {_identity(here)}, follow, warn)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        raise disk_error("read", folder, error) from error


def _name(entry: os.DirEntry[str] | Path) -> str:
    try:
        entry.name.encode()
    except UnicodeEncodeError as error:
        raise DiskError(f"the name {paths.shown(entry.name)} is not UTF-8: rename it") from error
    return entry.name


def _stat(
    entry: os.DirEntry[str], follow: bool, warn: Callable[[str], None]
) -> os.stat_result | None:
    """None for what is skipped."""
    link = entry.is_symlink()
    if link and not follow:
        warn(f"skipped: {entry.path} is a symbolic link")
        return None
    try:
        return entry.stat()
    except OSError as error:
        if not link:
            raise disk_error("read", entry.path, error) from error
        warn(f"skipped: {entry.path} is a symbolic link that leads nowhere")
        return None


def _regular(path: tuple[str, ...], source: str, here: os.stat_result) -> _Found:
    if not os.access(source, os.R_OK):
        raise disk_error("read", source, PermissionError(errno.EACCES, "not readable"))
    return _Found(path, source, here.st_size, here.st_mtime_ns)


def _identity(here: os.stat_result) -> tuple[int, int]:
    return here.st_dev, here.st_ino


def _hash(
    path: Path,
    found: Sequence[_Found],
    piece_length: int,
    workers: int,
    progress: Callable[[int, int], None] | None,
) -> bytes:
    """The SHA-1 of every piece. Raises DiskError."""
    storage, total = _storage(path, found), sum(file.size for file in found)
    count, done = -(-total // piece_length), 0
    hashes = bytearray(count * _HASH)
    hashing = Hashing(storage, piece_length, total, map(PieceIndex, range(count)))
    with closing(storage), closing(in_threads(hashing, workers)) as parts:
        for part in parts:
            for piece, digest in part:
                if isinstance(digest, DiskError):
                    _look_again(found)  # what was changed meanwhile is why
                    raise digest
                hashes[piece * _HASH : (piece + 1) * _HASH] = digest.sha1 or b""
            done += len(part)
            if progress:
                progress(min(done * piece_length, total), total)
    return bytes(hashes)


def _storage(path: Path, found: Sequence[_Found]) -> FileStorage:
    if not found[0].path:
        path, found = path.parent, [found[0]._replace(path=(path.name,))]
    offsets = accumulate((file.size for file in found), initial=0)
    files = [File(file.path, file.size, at) for file, at in zip(found, offsets, strict=False)]
    return FileStorage(path, files, writable=False)


def _look_again(found: Sequence[_Found]) -> None:
    """A file that changed while it was hashed has hashes of nothing. Raises DiskError."""
    for file in found:
        try:
            here = Path(file.source).stat()
        except OSError as error:
            raise disk_error("read", file.source, error) from error
        if (here.st_size, here.st_mtime_ns) != (file.size, file.changed):
            raise _changed(file.source)


def _changed(source: str) -> DiskError:
    return DiskError(f"{source} changed while it was hashed: try again when it rests")
