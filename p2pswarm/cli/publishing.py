"""`publish`: a folder given as the newest release of a feed.

The publisher's log lies beside the key, because whoever has the one needs the other: a key with a log that is
forgotten signs a second release 1, which is a lie to everybody who has the first.
"""

import asyncio
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from p2pswarm.cli.exits import Exit
from p2pswarm.cli.feeds import facts, news_of
from p2pswarm.cli.following import follow as watch, telling
from p2pswarm.cli.health import beating
from p2pswarm.cli.keyfile import key_in, warn_of_readers
from p2pswarm.cli.making import called, hashing
from p2pswarm.cli.options import KeyArgument, Linking, PathArgument, Progress, Salted
from p2pswarm.cli.report import Report
from p2pswarm.cli.running import Stop, StoppedError, run
from p2pswarm.cli.transfer import checked, refuse_incomplete
from p2pswarm.config import Settings
from p2pswarm.formats.feed import FeedName

if TYPE_CHECKING:
    from p2pswarm.formats.metainfo import Metainfo
    from p2pswarm.formats.signing import SigningKey

__all__ = ["publish"]


def publish(
    keyfile: KeyArgument,
    path: PathArgument,
    salted: Salted,
    linking: Linking,
    settings: Settings,
    progress: Progress,
) -> Exit:
    """Give a folder as the newest release of a feed, until stopped; prints the link to the feed.

    The same folder again is the same release; a changed one is the next. All releases are in the log beside
    KEYFILE: keep both, a key whose log is lost cannot be used again.
    """
    salt, known = salted.salt.encode(), keyfile.exists()
    key = key_in(keyfile)
    log = keyfile.with_name(f"{keyfile.name}{'.' if salt else ''}{salt.hex()}.feed")
    with Report(progress) as report:
        warn_of_readers(keyfile, report)
        if known and not log.exists():  # nobody may be there who could tell what it signed
            report.note(
                f"{log} is missing: if this key published before, end this and bring it back"
            )
        work = partial(_publish, key, log, path, salt, linking, settings, report)
        return run(work, at_once=report.abandon, when_stopped=Exit.OK)


async def _publish(
    key: "SigningKey",
    log: Path,
    path: Path,
    salt: bytes,
    linking: Linking,
    settings: Settings,
    report: Report,
    stop: Stop,
) -> Exit:
    from p2pswarm.disk.feeds import FeedFile
    from p2pswarm.formats.feed_link import FeedLink
    from p2pswarm.node import Node
    from p2pswarm.publishing import release

    name = FeedName(key.public, salt)
    link = FeedLink(name, linking.peer)
    metainfo = await asyncio.to_thread(_make, path, report, stop)
    async with Node(settings) as node, beating(node, report):
        torrent = await stop.unless(node.add(metainfo, data=path))
        async with telling(torrent, report, stop):
            if not await watch(torrent, report, stop, checked):
                return Exit.OK
            refuse_incomplete(torrent, path)  # before anything is signed
            async with news_of(
                node, link, FeedFile(log), report, peers=linking.peer, strict=True
            ) as news:
                report.note("looking for what was released before")
                entry = await stop.unless(release(news, key, metainfo, int(time.time())))
                report.event("listening", port=node.port)
                report.note(f"release {entry.sequence} of this feed, Ctrl-C ends it")
                report.result(str(link), link=str(link), **facts(entry))
                await watch(torrent, report, stop, lambda _, __: False)
    return Exit.OK


def _make(path: Path, report: Report, stop: Stop) -> "Metainfo":
    """Runs in a thread; Ctrl-C ends it at the next piece. No date: the same files are the same release.

    A hybrid: older clients read it too, and its files begin at pieces, so that one that did not change has
    the same pieces in the next release, whatever came before it.
    """
    from p2pswarm.disk.create import create
    from p2pswarm.formats.building import Generation

    show = hashing(called(path), "hashing", report)

    def progress(done: int, total: int) -> None:
        if stop.requested:
            raise StoppedError
        show(done, total)

    return create(path, generation=Generation.HYBRID, progress=progress, warn=report.note)
