"""`verify`: is what lies on the disk what the torrent says?"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from p2pswarm.cli.exits import CommandError, Exit
from p2pswarm.cli.making import hashing, load
from p2pswarm.cli.options import DataPath, Progress, TorrentArgument
from p2pswarm.cli.placing import Memory
from p2pswarm.cli.report import Report
from p2pswarm.cli.text import counted
from p2pswarm.formats.ids import PieceIndex

if TYPE_CHECKING:
    from p2pswarm.disk.storage import FileStat, FileStorage
    from p2pswarm.formats.bitfield import Bitfield
    from p2pswarm.formats.metainfo import File, Metainfo

__all__ = ["Fault", "faults_of", "verify"]

_FAULTS_SHOWN = 20


class Fault(NamedTuple):
    """What is wrong with one file: 'missing', 'shorter', 'longer' or 'damaged'."""

    path: str
    kind: str


def verify(torrent: TorrentArgument, where: DataPath, memory: Memory, progress: Progress) -> Exit:
    """Compare the data on the disk with a torrent, and list what differs."""
    from p2pswarm.disk.locate import locate
    from p2pswarm.disk.renaming import recalled
    from p2pswarm.disk.resume import ResumeFolder
    from p2pswarm.disk.storage import FileStorage

    with Report(progress) as report:
        metainfo = load(torrent)
        _need_hashes(metainfo)
        root, files, path = locate(metainfo, where.data)
        resumes = ResumeFolder(memory.data_dir / "resume")
        files = recalled(resumes.names(metainfo.info_hash, path), root, files)
        with closing(FileStorage(root, files, writable=False)) as storage:
            have = _hashed(metainfo, storage, report)
            faults = [*faults_of(metainfo, files, storage.stats(), have), *_bad_links(root, files)]
        for fault in faults if progress.json else faults[:_FAULTS_SHOWN]:
            report.result(f"{fault.kind}\t{fault.path}", kind=fault.kind, path=fault.path)
        if faults:
            raise _not_right(faults, sum(not file.pad for file in files))
        report.result(str(where.data), path=str(where.data))
    return Exit.OK


def _need_hashes(metainfo: "Metainfo") -> None:
    """The piece layers of version 2 stand beside `info`, and may be missing. Raises CommandError."""
    from p2pswarm.disk.hashing import Expected

    pieces = map(PieceIndex, range(metainfo.piece_count))
    if not metainfo.has_v1 and any(Expected.of(metainfo, piece) is None for piece in pieces):
        raise CommandError(
            f"{metainfo.name} lacks piece layers, so nobody can tell which pieces are right",
            Exit.BAD_TORRENT,
        )


def _hashed(metainfo: "Metainfo", storage: "FileStorage", report: Report) -> "Bitfield":
    """Which pieces are there. Without an event loop: nothing else has to go on meanwhile."""
    from p2pswarm.disk.check import Check
    from p2pswarm.disk.hashing import in_threads

    show = hashing(metainfo.name, "checking", report)
    count, total = metainfo.piece_count, sum(f.length for f in metainfo.files if not f.pad)
    check = Check(storage, metainfo, list(map(PieceIndex, range(count))))
    with closing(in_threads(check, os.cpu_count() or 1)) as parts:
        for part in parts:
            check.got(part)
            show(total * check.checked // count, total)
    return check.good


def faults_of(
    metainfo: "Metainfo",
    files: Sequence["File"],
    stats: Sequence["FileStat | None"],
    have: "Bitfield",
) -> Iterator[Fault]:
    """Which files are wrong, from their sizes and the pieces that hashed right.

    A bad piece across several files condemns all of them, unless one is missing or too short: then that one
    explains it. Pad files are not on the disk.
    """
    bad = ~have
    kinds = [_size_fault(file, stat) for file, stat in zip(files, stats, strict=True)]
    for file, kind in zip(files, kinds, strict=True):
        if kind in ("missing", "shorter"):
            bad[_pieces_of(metainfo, file)] = 0
    for file, kind in zip(files, kinds, strict=True):
        if not kind and not file.pad and bad[_pieces_of(metainfo, file)].any():
            kind = "damaged"
        if kind:
            yield Fault("/".join(file.path), kind)


def _size_fault(file: "File", stat: "FileStat | None") -> str:
    if file.pad or file.link:  # these have no bytes of their own
        return ""
    if stat is None:
        return "missing"
    if stat.size == file.length:
        return ""
    return "shorter" if stat.size < file.length else "longer"


def _bad_links(root: Path, files: Sequence["File"]) -> Iterator[Fault]:
    """Symbolic links (BEP 47) have no bytes by which they could be hashed."""
    for file in files:
        if file.link is None:
            continue
        here = root.joinpath(*file.path)
        if not os.path.lexists(here):
            yield Fault("/".join(file.path), "missing")
        elif not here.is_symlink() or _target(file, here) != file.link:
            yield Fault("/".join(file.path), "damaged")


def _target(file: "File", here: Path) -> tuple[str, ...]:
    """Where the link leads, as the torrent names it; read as text, it is not followed."""
    return Path(os.path.normpath(Path(*file.path[:-1], here.readlink()))).parts


def _pieces_of(metainfo: "Metainfo", file: "File") -> slice:
    if not file.length:
        return slice(0, 0)
    length = metainfo.piece_length
    return slice(file.offset // length, -(-(file.offset + file.length) // length))


def _not_right(faults: Sequence[Fault], files: int) -> CommandError:
    kinds = Counter(fault.kind for fault in faults)
    counts = ", ".join(f"{number} {kind}" for kind, number in kinds.items())
    more = len(faults) - _FAULTS_SHOWN
    rest = f"; --json lists {more} more" if more > 0 else ""
    return CommandError(
        f"{len(faults)} of {counted(files, 'file')} not as in the torrent ({counts}){rest}",
        Exit.BAD_DATA,
    )
