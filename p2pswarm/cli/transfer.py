"""`seed` and `get`: a torrent given, a torrent fetched."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from p2pswarm.cli.choosing import Choosing, selection_of
from p2pswarm.cli.codes import taken
from p2pswarm.cli.exits import CommandError, Exit, UsageError, exit_code
from p2pswarm.cli.following import Goal, Patience, follow, plain, telling
from p2pswarm.cli.health import beating
from p2pswarm.cli.magnets import link, looked_for, read_magnet
from p2pswarm.cli.making import load
from p2pswarm.cli.options import (
    Asking,
    DataPath,
    Download,
    Meeting,
    Output,
    Progress,
    SourceArgument,
    TorrentArgument,
)
from p2pswarm.cli.placing import Placing
from p2pswarm.cli.report import Report
from p2pswarm.cli.running import Stop, run
from p2pswarm.cli.text import counted
from p2pswarm.config import Settings, format_size
from p2pswarm.errors import DiskFullError, RemoteError
from p2pswarm.formats.code import Code, is_code
from p2pswarm.formats.ids import Address

if TYPE_CHECKING:
    from p2pswarm.formats.magnet import Magnet
    from p2pswarm.formats.metainfo import Metainfo
    from p2pswarm.node import Node
    from p2pswarm.swarm.selection import Selection
    from p2pswarm.swarm.status import Status
    from p2pswarm.swarm.torrent import Torrent

__all__ = [
    "checked",
    "complete",
    "get",
    "refuse_incomplete",
    "seed",
    "seed_until_stopped",
    "stopped_code",
]


def seed(torrent: TorrentArgument, where: DataPath, settings: Settings, progress: Progress) -> Exit:
    """Check the data of a torrent and give it to whoever asks, until stopped."""
    with Report(progress) as report:
        metainfo = load(torrent)
        work = partial(_seed, metainfo, where.data, settings, report)
        return run(work, at_once=report.abandon, when_stopped=Exit.OK)


async def _seed(
    metainfo: "Metainfo", data: Path, settings: Settings, report: Report, stop: Stop
) -> Exit:
    from p2pswarm.node import Node

    async with Node(settings) as node, beating(node, report):
        await seed_until_stopped(node, metainfo, data, report, stop)
    return Exit.OK


async def seed_until_stopped(
    node: "Node",
    metainfo: "Metainfo",
    data: Path,
    report: Report,
    stop: Stop,
    peers: Sequence[Address] = (),
    meanwhile: AbstractAsyncContextManager[None] | None = None,
) -> None:
    """`peers` are where others reach us, for the magnet link that is printed; `meanwhile` begins after it.

    Raises CommandError when the data is not complete, StoppedError when Ctrl-C came too early.
    """
    torrent = await stop.unless(node.add(metainfo, data=data))
    async with telling(torrent, report, stop):
        if not await follow(torrent, report, stop, checked):
            return
        refuse_incomplete(torrent, data)
        report.event("listening", port=node.port)
        report.note(f"seeding {metainfo.name} on port {node.port}, Ctrl-C ends it")
        magnet = link(metainfo, peers)
        report.result(magnet, magnet=magnet, info_hash=metainfo.info_hash.hex())
        async with meanwhile or nullcontext():
            await follow(torrent, report, stop, lambda _, __: False)


def checked(status: "Status", now: float) -> bool:
    """What is there is known."""
    from p2pswarm.swarm.events import Checking

    return not isinstance(status.state, Checking)


def complete(status: "Status", now: float) -> bool:
    """Every piece is here."""
    from p2pswarm.swarm.events import Seeding

    return isinstance(status.state, Seeding)


def refuse_incomplete(torrent: "Torrent", data: Path) -> None:
    """Raises CommandError."""
    status = torrent.status()
    if status.have < status.pieces:
        bad = status.pieces - status.have
        raise CommandError(
            f"{data}: {bad} of {status.pieces} pieces ({format_size(status.total - status.done)}) "
            "are missing or damaged, see p2pswarm verify",
            Exit.BAD_DATA,
        )


def get(
    source: SourceArgument,
    asking: Asking,
    meeting: Meeting,
    output: Output,
    download: Download,
    choosing: Choosing,
    placing: Placing,
    settings: Settings,
    progress: Progress,
) -> Exit:
    """Fetch the data of a torrent, and print where it lies. Goes on where it was stopped."""
    with Report(progress) as report:
        placing.check()
        torrent = _meant(source, asking.code)
        chosen = selection_of(choosing), choosing.rename
        wanted = Wanted(output.output or Path(), download, placing, *chosen)
        work = partial(_get, torrent, meeting.rendezvous, wanted, settings, report)
        return run(work, at_once=report.abandon)


def _meant(source: str, typed: str) -> "str | Code | Magnet | Metainfo":
    """What is to be fetched; a URL is a text. Raises UsageError, FormatError, OSError."""
    if not source and not typed:
        missing = "Missing argument 'TORRENT'. (see p2pswarm get --help)"
        raise UsageError(f"{missing}, or --code to be asked for a code")
    if not source or (is_code(source) and not Path(source).exists()):
        return Code.parse(source or typed)
    if source.lower().startswith(("http://", "https://")):
        return source
    return read_magnet(source) or load(Path(source))


class Wanted(NamedTuple):
    """What `get` was asked for, beside the torrent."""

    folder: Path
    download: Download
    placing: Placing
    select: "Selection | None"
    rename: Sequence[tuple[str, str]]


async def _get(
    source: "str | Code | Magnet | Metainfo",
    rendezvous: str | None,
    wanted: Wanted,
    settings: Settings,
    report: Report,
    stop: Stop,
) -> Exit:
    from p2pswarm.node import Node

    download = wanted.download
    async with Node(settings) as node, beating(node, report):
        if isinstance(source, Code):
            source = await taken(source, rendezvous, node, report, stop)
        torrent = await _added(node, source, wanted, report, stop)
        async with telling(torrent, report, stop):
            report.event("listening", port=node.port)
            patience = Patience(download.timeout)
            if not await follow(torrent, report, stop, complete, patience):
                _tell_files(torrent, report)
                return stopped_code(torrent.error)
            _tell_files(torrent, report)
            _tell_skipped(torrent, report)
            _tell_reused(torrent.status(), report)
            if wanted.placing.move_to is not None:
                await stop.unless(torrent.move(wanted.placing.move_to))
            path = torrent.status().path
            report.result(str(path), path=str(path))
            goal = Goal(download)
            if not goal.at_once:
                await follow(torrent, report, stop, goal.reached)
    return Exit.OK


def _tell_files(torrent: "Torrent", report: Report) -> None:
    """What is here of each file, for programs."""
    if report.tells_events:
        report.event("files", files=[plain(file) for file in torrent.files()])


def _tell_skipped(torrent: "Torrent", report: Report) -> None:
    """How much was left out, where something was."""
    skipped = [file.length for file in torrent.files() if file.priority == "skipped"]
    if skipped:
        left_out = counted(len(skipped), "file")
        report.note(f"{left_out} ({format_size(sum(skipped))}) not wanted, and left out")


def _tell_reused(status: "Status", report: Report) -> None:
    if status.reused:
        here, there = format_size(status.reused), format_size(status.downloaded)
        report.note(f"{here} came from this machine, {there} from others")


async def _added(
    node: "Node",
    source: "str | Magnet | Metainfo",
    wanted: Wanted,
    report: Report,
    stop: Stop,
) -> "Torrent":
    from p2pswarm.formats.magnet import Magnet

    add = partial(
        node.add,
        source,
        save_to=wanted.folder,
        peers=wanted.download.peer,
        reuse=wanted.placing.reuse,
        preallocate=wanted.placing.preallocate,
        select=wanted.select,
        rename=wanted.rename,
    )
    try:
        if isinstance(source, Magnet):
            return await looked_for(node, add(), wanted.download.timeout, report, stop)
        return await stop.unless(add())
    except RemoteError as error:  # of the URL; it does not name itself
        raise CommandError(f"{source}: {error}", exit_code(error)) from error


def stopped_code(error: Exception | None) -> Exit:
    """How a download ends that Ctrl-C found in the state `error`."""
    return Exit.DISK_FULL if isinstance(error, DiskFullError) else Exit.STOPPED
