"""`move`: the files of a torrent that no node works on go to another folder, and what is known of them with
them."""

from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from p2pswarm.cli.exits import CommandError, Exit
from p2pswarm.cli.making import hashing, load
from p2pswarm.cli.options import DataPath, Progress, TorrentArgument
from p2pswarm.cli.placing import Memory, MovingTo
from p2pswarm.cli.report import Report

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from p2pswarm.disk.locate import Place
    from p2pswarm.disk.resume import Resume, ResumeFolder
    from p2pswarm.disk.storage import FileStat
    from p2pswarm.formats.metainfo import Metainfo

__all__ = ["move"]


def move(
    torrent: TorrentArgument,
    where: DataPath,
    to: MovingTo,
    memory: Memory,
    progress: Progress,
) -> Exit:
    """Move the files of a torrent to another folder, and print where they are then."""
    from p2pswarm.disk.locate import locate
    from p2pswarm.disk.resume import ResumeFolder

    with Report(progress) as report:
        metainfo = load(torrent)
        if not where.data.exists():
            raise CommandError(f"{where.data} does not exist", Exit.ERROR)
        resumes = ResumeFolder(memory.data_dir / "resume")
        show = hashing(metainfo.name, "moving", report)
        path = _moved(metainfo, locate(metainfo, where.data), to.to, resumes, show)
        report.result(str(path), path=str(path))
    return Exit.OK


def _moved(
    metainfo: "Metainfo",
    place: "Place",
    to: Path,
    resumes: "ResumeFolder",
    show: "Callable[[int, int], None]",
) -> Path:
    """Both places are locked meanwhile: no node begins to work there."""
    from p2pswarm.disk.moving import Moving
    from p2pswarm.disk.parts import parts_name
    from p2pswarm.disk.renaming import renamed

    name, home = metainfo.info_hash, place.path  # a file alone may have another name there
    files = renamed(resumes.names(name, home), place.root, place.files, ())
    place = place.named(files, alone=metainfo.single_file)
    elsewhere = place.path.name != metainfo.name and not _is_there(place)
    if place.path.is_dir() == metainfo.single_file or elsewhere:
        raise CommandError(f"{place.path} does not hold {metainfo.name}", Exit.ERROR)
    moving = Moving(place, to, besides=[parts_name(name)])
    new_home = moving.target.root / home.name
    old = resumes.open(name, home)
    try:
        new = resumes.open(name, new_home)
        try:
            resumes.copy_names(name, home, new_home)
            for done in moving.steps(_claim(metainfo, place, old, new)):
                show(done, moving.total)
            old.forget()
            moving.clean()
            resumes.forget_names(name, home)
        finally:
            new.close()
    finally:
        old.close()
    return moving.target.path


def _is_there(place: "Place") -> bool:
    """Whether most of its files are: the folder above one that was moved already is another folder, and all
    that lies in it would go along."""
    from p2pswarm.disk.moving import stats_of

    looks = [
        look is not None
        for look, file in zip(stats_of(place), place.files, strict=True)
        if file.length and not file.pad
    ]
    return 2 * sum(looks) >= len(looks)


def _claim(
    metainfo: "Metainfo", place: "Place", old: "Resume", new: "Resume"
) -> "Callable[[Sequence[FileStat | None]], None]":
    """What the old place's memory says and is to be trusted, said of the new place."""
    from p2pswarm.disk.checkpoint import Checkpoint
    from p2pswarm.disk.layout import Layout
    from p2pswarm.disk.moving import stats_of

    layout = Layout([file.length for file in metainfo.files])
    size, count = metainfo.piece_length, metainfo.piece_count
    saved = old.load(layout, size, count, stats_of(place), Random())

    def claim(looks: "Sequence[FileStat | None]") -> None:
        if saved is not None and not saved.to_verify:  # else all is looked at again there
            new.adopt(Checkpoint(saved.trusted, [*looks], saved.uploaded, saved.downloaded))

    return claim
