"""`share`: torrent, tracker and seed in one process, and the line that the other side types.

The only room that starts the tracker. Its address is in the torrent, so `--host` must be one that the other
side reaches; the default is the address this machine would send from.
"""

import asyncio
import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from p2pswarm.cli.exits import Exit
from p2pswarm.cli.health import beating
from p2pswarm.cli.making import hashing
from p2pswarm.cli.options import PathArgument, Progress, Sharing
from p2pswarm.cli.report import Report
from p2pswarm.cli.running import Stop, StoppedError, run
from p2pswarm.cli.transfer import seed_until_stopped
from p2pswarm.config import Settings

if TYPE_CHECKING:
    from p2pswarm.formats.metainfo import Metainfo
    from tracker.app import TrackerService

__all__ = ["share"]

_INTERVAL = 60  # seconds between announces: the few peers of one share find each other soon


def share(path: PathArgument, sharing: Sharing, settings: Settings, progress: Progress) -> Exit:
    """Give a file or folder to whoever types the printed line, until stopped."""
    with Report(progress) as report:
        work = partial(_share, path, sharing, settings, report)
        return run(work, at_once=report.abandon, when_stopped=Exit.OK)


async def _share(
    path: Path, sharing: Sharing, settings: Settings, report: Report, stop: Stop
) -> Exit:
    from p2pswarm.node import Node
    from tracker.app import TrackerService
    from tracker.config import TrackerSettings

    tracker = TrackerService(
        TrackerSettings(host=settings.bind, port=sharing.tracker_port, interval=_INTERVAL)
    )
    await tracker.start()
    try:
        announce = _as_reached(tracker.url, sharing.host)
        metainfo = await asyncio.to_thread(_make, path, announce, report, stop)
        async with Node(settings) as node, beating(node, report):
            _tell(tracker, metainfo, sharing.host, report)
            await seed_until_stopped(node, metainfo, path, report, stop)
    finally:
        await tracker.aclose()
    return Exit.OK


def _make(path: Path, announce: str, report: Report, stop: Stop) -> "Metainfo":
    """Runs in a thread; Ctrl-C ends it at the next piece."""
    from p2pswarm.disk.create import create

    show = hashing(path.resolve().name, "hashing", report)

    def progress(done: int, total: int) -> None:
        if stop.requested:
            raise StoppedError
        show(done, total)

    return create(path, trackers=[announce], progress=progress, warn=report.note)


def _tell(
    tracker: "TrackerService", metainfo: "Metainfo", host: str | None, report: Report
) -> None:
    url = _as_reached(tracker.host(metainfo.name, metainfo.raw), host)
    command = shlex.join(["p2pswarm", "get", url])
    report.note("on the other machine, type:")
    report.result(command, command=command, url=url, info_hash=metainfo.info_hash.hex())


def _as_reached(url: str, host: str | None) -> str:
    """The tracker's URL with the host that the user names instead of the one it guessed."""
    if host is None:
        return url
    parts = urlsplit(url)
    return parts._replace(netloc=f"{f'[{host}]' if ':' in host else host}:{parts.port}").geturl()
