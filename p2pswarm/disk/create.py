"""A file or folder becomes a torrent: walk, rehearse, hash on all cores, look again.

The same input gives the same info-hash on every machine, and without a date the same bytes. The rehearsal
builds the torrent with empty hashes: a name that no torrent can hold, or a list of files that is too long, is
told before the hashing and not an hour later. The last look finds what changed meanwhile.
"""

import logging
import os
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from itertools import accumulate
from pathlib import Path

from p2pswarm.disk.gathering import EVERYTHING, Choice, Found, find, named
from p2pswarm.disk.handles import disk_error
from p2pswarm.disk.hashing import Hashing, in_threads
from p2pswarm.disk.storage import FileStorage
from p2pswarm.errors import BencodeError, DiskError, HostError, MetainfoError
from p2pswarm.formats import bencode
from p2pswarm.formats.building import Entry, build, default_piece_length
from p2pswarm.formats.ids import InfoHash, PieceIndex
from p2pswarm.formats.metainfo import File, Metainfo

__all__ = ["MAX_PIECE_LENGTH", "MIN_PIECE_LENGTH", "create"]

log = logging.getLogger(__name__)

MIN_PIECE_LENGTH = 16 << 10  # bytes: one block
MAX_PIECE_LENGTH = 32 << 20  # bytes: a piece lies in a peer's memory until it is checked

_CREATED_BY = "p2pswarm"
_HASH = 20  # bytes of SHA-1


def create(
    path: Path,
    *,
    trackers: Sequence[str | Sequence[str]] = (),
    piece_length: int | None = None,
    private: bool = False,
    comment: str = "",
    source: str = "",
    choice: Choice = EVERYTHING,
    web_seeds: Sequence[str] = (),
    similar: Sequence[InfoHash] = (),
    collections: Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
    warn: Callable[[str], None] | None = None,
    now: int | None = None,
    workers: int | None = None,
) -> Metainfo:
    """A torrent of the file or folder `path`, named like it. Nothing is written.

    A tracker is a URL, a tier of its own, or a sequence of URLs, one tier. `progress` is called in this
    thread with (bytes hashed, bytes in all); what it raises ends the work. `warn` hears what is skipped
    unasked: symbolic links (unless followed or kept), loops of them, sockets and pipes. `now`, seconds since
    1970, becomes the creation date.

    Raises DiskError for what cannot be read or changes meanwhile, HostError for what cannot be shared,
    ValueError for a piece length that is no power of two from 16 KiB to 32 MiB or a URL that is none.
    """
    warn = warn or _log_warning
    _check_piece_length(piece_length)
    found = find(path, choice, warn)
    total = sum(file.size for file in found)
    if not total:
        raise HostError(f"{path} holds no bytes: nothing to share")
    piece_length = piece_length or default_piece_length(total)
    torrent = partial(
        build,
        name=named(path.resolve()),
        piece_length=piece_length,
        files=[Entry(f.path, f.size, executable=f.executable, link=f.link) for f in found],
        trackers=[[tier] if isinstance(tier, str) else tier for tier in trackers],
        web_seeds=[_as_folder(url) if found[0].path else url for url in web_seeds],
        private=private,
        comment=comment,
        source=source,
        similar=similar,
        collections=collections,
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


def _as_folder(url: str) -> str:
    """BEP 19: to a web seed of a folder clients append the torrent's name and the file's path."""
    return url if url.endswith("/") else f"{url}/"


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


def _hash(
    path: Path,
    found: Sequence[Found],
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


def _storage(path: Path, found: Sequence[Found]) -> FileStorage:
    if not found[0].path:
        path, found = path.parent, [found[0]._replace(path=(path.name,))]
    offsets = accumulate((file.size for file in found), initial=0)
    files = [File(file.path, file.size, at) for file, at in zip(found, offsets, strict=False)]
    return FileStorage(path, files, writable=False)


def _look_again(found: Sequence[Found]) -> None:
    """A file that changed while it was hashed has hashes of nothing. Raises DiskError."""
    for file in found:
        try:
            here = Path(file.source).stat(follow_symlinks=file.link is None)
        except OSError as error:
            raise disk_error("read", file.source, error) from error
        if (here.st_size, here.st_mtime_ns) != (file.size, file.changed):
            raise _changed(file.source)


def _changed(source: str) -> DiskError:
    return DiskError(f"{source} changed while it was hashed: try again when it rests")
