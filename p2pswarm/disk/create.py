"""A file or folder becomes a torrent: walk, rehearse, hash on all cores, look again.

The same input gives the same info-hash on every machine, and without a date the same bytes. The rehearsal
builds the torrent with empty hashes: a name that no torrent can hold, or a list of files that is too long, is
told before the hashing and not an hour later. The last look finds what changed meanwhile.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from p2pswarm.disk.gathering import EVERYTHING, Choice, Found, find, named
from p2pswarm.disk.handles import disk_error
from p2pswarm.disk.hashing import Hashing, PieceHash, in_threads
from p2pswarm.disk.recalling import recalled, sample
from p2pswarm.disk.rehearsing import given, rehearsed
from p2pswarm.disk.storage import FileStorage
from p2pswarm.disk.tally import Tally
from p2pswarm.errors import DiskError, HostError
from p2pswarm.formats.building import Generation, build, default_piece_length
from p2pswarm.formats.ids import InfoHash, PieceIndex
from p2pswarm.formats.metainfo import Metainfo

__all__ = ["MAX_PIECE_LENGTH", "MIN_PIECE_LENGTH", "create"]

log = logging.getLogger(__name__)

MIN_PIECE_LENGTH = 16 << 10  # bytes: one block
MAX_PIECE_LENGTH = 32 << 20  # bytes: a piece lies in a peer's memory until it is checked

_CREATED_BY = "p2pswarm"


def create(
    path: Path,
    *,
    generation: Generation = Generation.V1,
    trackers: Sequence[str | Sequence[str]] = (),
    piece_length: int | None = None,
    private: bool = False,
    comment: str = "",
    source: str = "",
    choice: Choice = EVERYTHING,
    web_seeds: Sequence[str] = (),
    similar: Sequence[InfoHash] = (),
    collections: Sequence[str] = (),
    reuse: Metainfo | None = None,
    progress: Callable[[int, int], None] | None = None,
    warn: Callable[[str], None] | None = None,
    now: int | None = None,
    workers: int | None = None,
    dice: Random | None = None,
) -> Metainfo:
    """A torrent of the file or folder `path`, named like it. Nothing is written.

    A tracker is a URL, a tier of its own, or a sequence of URLs, one tier. `reuse` is an older torrent of the
    same folder: what it knows of files untouched since then is not hashed again (`disk/recalling.py`),
    and its piece length is taken. `progress` is called in this thread with (bytes hashed, bytes to hash);
    what it raises ends the work. `warn` hears what is skipped unasked: symbolic links (unless followed or
    kept), loops of them, sockets and pipes. `now`, seconds since 1970, becomes the creation date.

    Raises DiskError for what cannot be read or changes meanwhile, HostError for what cannot be shared,
    ValueError for a piece length that is no power of two from 16 KiB to 32 MiB or a URL that is none.
    """
    warn = warn or _log_warning
    _check_piece_length(piece_length)
    if piece_length is None and reuse is not None and _is_piece_length(reuse.piece_length):
        piece_length = reuse.piece_length
    began = time.time()
    found = find(path, choice, warn)
    total = sum(file.size for file in found)
    if not total:
        raise HostError(f"{path} holds no bytes: nothing to share")
    piece_length = piece_length or default_piece_length(total)
    torrent = partial(
        build,
        name=named(Path(os.path.realpath(path))),
        piece_length=piece_length,
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
    plan = rehearsed(path, found, torrent, piece_length, generation, warn)
    reading = _Reading(path, found, plan, workers or os.cpu_count() or 1, progress)
    known = {} if reuse is None else dict(recalled(plan, found, reuse, began))
    if reuse is not None and not known:
        warn("nothing is taken from the old torrent: it knows no piece of what was untouched since")
    tally = _tallied(reading, plan, known, dice or Random(), warn)
    _look_again(found)
    return torrent(pieces=tally.pieces, **_with_trees(found, plan, tally))


def _is_piece_length(length: int) -> bool:
    return MIN_PIECE_LENGTH <= length <= MAX_PIECE_LENGTH and not length & (length - 1)


def _check_piece_length(length: int | None) -> None:
    if length is not None and not _is_piece_length(length):
        raise ValueError(
            f"a piece length of {length}: a power of two from 16 KiB to 32 MiB is needed"
        )


def _log_warning(text: str) -> None:
    log.warning("%s", text)


def _as_folder(url: str) -> str:
    """BEP 19: to a web seed of a folder clients append the torrent's name and the file's path."""
    return url if url.endswith("/") else f"{url}/"


def _tallied(
    reading: "_Reading",
    plan: Metainfo,
    known: dict[PieceIndex, PieceHash],
    dice: Random,
    warn: Callable[[str], None],
) -> Tally:
    """All hashes: those that are `known`, as long as a sample of them is true, and those that are read."""
    tally, doubted, lies = Tally(plan), set(sample(list(known), dice)), 0
    for piece, hashes in known.items():
        tally.put(piece, hashes)
    every = map(PieceIndex, range(plan.piece_count))
    for piece, hashes in reading.of([p for p in every if p not in known or p in doubted]):
        lies += piece in doubted and hashes != known[piece]
        tally.put(piece, hashes)
    if lies:
        warn(f"the old torrent is not of these files: {lies} of {len(doubted)} pieces differ")
        for piece, hashes in reading.of([p for p in known if p not in doubted]):
            tally.put(piece, hashes)
    elif known:
        warn(f"{len(known)} of {plan.piece_count} pieces known, {len(doubted)} of them read again")
    return tally


class _Reading:
    """Reads pieces of what was found, and hashes them."""

    def __init__(
        self,
        path: Path,
        found: Sequence[Found],
        plan: Metainfo,
        workers: int,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self._path, self._found = path, found
        self._plan = plan
        self._workers = workers
        self._progress = progress

    def of(self, pieces: Sequence[PieceIndex]) -> Iterator[tuple[PieceIndex, PieceHash]]:
        """These pieces, in any order. Raises DiskError."""
        plan, storage, done = self._plan, self._storage(), 0
        total = sum(map(plan.data_size, pieces))
        subtrees = None if plan.v2 is None else plan.subtree
        hashing = Hashing(
            storage, plan.piece_length, plan.total, pieces, sha1=plan.has_v1, subtrees=subtrees
        )
        with closing(storage), closing(in_threads(hashing, self._workers)) as parts:
            for part in parts:
                for piece, hashes in part:
                    if isinstance(hashes, DiskError):
                        _look_again(self._found)  # what was changed meanwhile is why
                        raise hashes
                    yield piece, hashes
                done += sum(plan.data_size(piece) for piece, _ in part)
                if self._progress:
                    self._progress(done, total)

    def _storage(self) -> FileStorage:
        """The files under the names that they have here, where the torrent has them."""
        path, real = self._path, iter(self._found)
        names = [file.path if file.pad else next(real).path for file in self._plan.files]
        if not self._found[0].path:
            path, names[0] = path.parent, (path.name,)
        files = [
            file._replace(path=name) for file, name in zip(self._plan.files, names, strict=True)
        ]
        return FileStorage(path, files, writable=False)


def _with_trees(found: Sequence[Found], plan: Metainfo, tally: Tally) -> dict[str, Any]:
    """The files and layers of the finished torrent, as `build` takes them."""
    files, layers = [], {}
    for file, placed in zip(found, (f for f in plan.files if not f.pad), strict=True):
        root, layer = tally.tree(placed)
        files.append(given(file, root))
        if root is not None and layer:
            layers[root] = layer
    return {"files": files, "layers": layers}


def _look_again(found: Sequence[Found]) -> None:
    """A file that changed while it was hashed has hashes of nothing. Raises DiskError."""
    for file in found:
        try:
            here = Path(file.source).stat(follow_symlinks=file.link is None)
        except OSError as error:
            raise disk_error("read", file.source, error) from error
        size = here.st_size if file.link is None else 0
        if (size, here.st_mtime_ns) != (file.size, file.changed):
            raise _changed(file.source)


def _changed(source: str) -> DiskError:
    return DiskError(f"{source} changed while it was hashed: try again when it rests")
