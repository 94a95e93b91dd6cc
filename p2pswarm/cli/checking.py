"""`verify`: is what lies on the disk what the torrent says?"""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from p2pswarm.cli.exits import CommandError, Exit
from p2pswarm.cli.making import hashing, load
from p2pswarm.cli.options import DataPath, Progress, TorrentArgument
from p2pswarm.cli.report import Report
from p2pswarm.cli.running import Stop, run
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


def verify(torrent: TorrentArgument, where: DataPath, progress: Progress) -> Exit:
    """Compare the data on the disk with a torrent, and list what differs."""
    with Report(progress) as report:
        from p2pswarm.disk.locate import locate

        metainfo = load(torrent)
        root, files, _ = locate(metainfo, where.data)
        if (code := run(partial(_verify, metainfo, root, files, progress, report))) is Exit.OK:
            report.result(str(where.data), path=str(where.data))
    return code


async def _verify(
    metainfo: "Metainfo",
    root: Path,
    files: Sequence["File"],
    progress: Progress,
    report: Report,
    stop: Stop,
) -> Exit:
    from p2pswarm.disk.storage import FileStorage

    storage = FileStorage(root, files, writable=False)
    have = await stop.unless(_hashed(metainfo, storage, report))
    faults = list(faults_of(metainfo, files, storage.stats(), have))
    if not faults:
        return Exit.OK
    for fault in faults if progress.json else faults[:_FAULTS_SHOWN]:
        report.result(f"{fault.kind}\t{fault.path}", kind=fault.kind, path=fault.path)
    raise _not_right(faults, len(files))


async def _hashed(metainfo: "Metainfo", storage: "FileStorage", report: Report) -> "Bitfield":
    from p2pswarm.disk.pool import DiskPool

    show = hashing(metainfo.name, "checking", report)
    length, total = metainfo.piece_length, metainfo.total
    pool = DiskPool()
    try:
        return await pool.check(
            storage,
            metainfo,
            map(PieceIndex, range(metainfo.piece_count)),
            lambda done: show(min(done * length, total), total),
        )
    finally:
        storage.close()
        await pool.aclose()


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
    if file.pad:
        return ""
    if stat is None:
        return "missing"
    if stat.size == file.length:
        return ""
    return "shorter" if stat.size < file.length else "longer"


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
