"""`follow` and `feed`: releases fetched as they come, and looked back at."""

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from p2pswarm.cli.exits import CommandError, Exit
from p2pswarm.cli.following import Patience, follow as watch, telling
from p2pswarm.cli.health import beating
from p2pswarm.cli.magnets import looked_for
from p2pswarm.cli.options import FeedArgument, Followers, Output, Progress, Subscription
from p2pswarm.cli.report import Report
from p2pswarm.cli.running import Stop, run
from p2pswarm.cli.transfer import complete, stopped_code
from p2pswarm.config import Settings, format_size
from p2pswarm.formats.ids import Address

if TYPE_CHECKING:
    from p2pswarm.disk.feeds import FeedFile
    from p2pswarm.following import Following
    from p2pswarm.formats.feed import Entry
    from p2pswarm.formats.feed_link import FeedLink
    from p2pswarm.news import News
    from p2pswarm.node import Node
    from p2pswarm.swarm.feed_newest import Complaint, Release
    from p2pswarm.swarm.torrent import Torrent

__all__ = ["facts", "feed", "follow", "news_of"]

_LOOK_TIME = 10.0  # seconds that `feed` and `follow --once` wait for followers


@asynccontextmanager
async def news_of(
    node: "Node",
    link: "FeedLink",
    file: "FeedFile",
    report: Report,
    *,
    peers: Sequence[Address] = (),
    strict: bool = False,
) -> AsyncIterator["News"]:
    """While the body runs; what does not fit is told to the person."""
    from p2pswarm.news import News

    def told(complaint: "Complaint") -> None:
        report.event(complaint.kind, text=complaint.text)
        report.note(complaint.text)

    async with News(node, link, file, told, peers=peers, strict=strict) as news:
        yield news


# Following


def follow(
    link: FeedArgument,
    output: Output,
    subscription: Subscription,
    settings: Settings,
    progress: Progress,
) -> Exit:
    """Fetch the newest release of a feed, and every one that comes, until stopped.

    Release 3 is in the folder 3 of the output folder, and `latest` there is a link to the last one that is
    whole. Older folders can be deleted at any time.
    """
    folder = output.output or Path()
    with Report(progress) as report:
        found = _link(link)
        work = partial(_following, found, folder, subscription, settings, report)
        return run(work, at_once=report.abandon)


async def _following(
    link: "FeedLink",
    folder: Path,
    wanted: Subscription,
    settings: Settings,
    report: Report,
    stop: Stop,
) -> Exit:
    from p2pswarm.following import Following, SupersededError
    from p2pswarm.node import Node

    async with (
        Node(settings) as node,
        beating(node, report),
        news_of(node, link, _kept(settings, link), report, peers=wanted.peer) as news,
    ):
        report.event("listening", port=node.port)
        following = Following(node, news, folder)
        if wanted.once:  # what was heard the last time may be old
            limit = _LOOK_TIME if wanted.timeout is None else min(wanted.timeout, _LOOK_TIME)
            await _asked(news, limit, stop)
        while not stop.requested:
            release = await _next_release(following, wanted, report, stop)
            with suppress(SupersededError):
                work = following.begin(release, wanted.peer)
                torrent = await following.unless_superseded(
                    looked_for(node, work, wanted.timeout, report, stop)
                )
                async with telling(torrent, report, stop):
                    code = await _fetched(following, torrent, release, wanted, report, stop)
                if code is not None:
                    return code
    return Exit.STOPPED


async def _next_release(
    following: "Following", wanted: Subscription, report: Report, stop: Stop
) -> "Release":
    """Raises CommandError when none came in time, TwoStoriesError."""
    if following.release is None:
        report.note("looking for the newest release")
    try:
        async with asyncio.timeout(wanted.timeout if following.release is None else None):
            release = await stop.unless(following.next_release())
    except TimeoutError:
        raise CommandError("nobody knows a release of this feed", Exit.NO_PEERS) from None
    report.event("release", **facts(release.entry or release))
    name = f": {release.entry.name}" if release.entry else ""
    report.note(f"release {release.sequence}{name}")
    return release


async def _fetched(
    following: "Following",
    torrent: "Torrent",
    release: "Release",
    wanted: Subscription,
    report: Report,
    stop: Stop,
) -> Exit | None:
    """None when a newer release came."""
    patience = Patience(wanted.timeout)

    def enough(status: object, now: float) -> bool:
        return following.superseded or complete(torrent.status(), now)

    if not await watch(torrent, report, stop, enough, patience):
        return stopped_code(torrent.error)
    if not complete(torrent.status(), math.inf):
        return None
    following.settle(release)
    path = torrent.status().path
    report.result(str(path), path=str(path), **facts(release.entry or release))
    if wanted.once:
        return Exit.OK
    went_on = await watch(torrent, report, stop, lambda _, __: following.superseded)
    return None if went_on else Exit.OK


def _kept(settings: Settings, link: "FeedLink") -> "FeedFile":
    from p2pswarm.disk.feeds import FeedFile

    return FeedFile(settings.data_dir / "feeds" / f"{link.feed.info_hash}.feed")


def facts(release: "Entry | Release") -> dict[str, object]:
    """For programs."""
    from p2pswarm.formats.feed import Entry

    if not isinstance(release, Entry):
        return {"sequence": release.sequence, "info_hash": release.info_hash.hex()}
    return {
        "sequence": release.sequence,
        "info_hash": release.short.hex(),
        "v2": release.v2.hex() if release.v2 else None,
        "name": release.name,
        "size": release.size,
        "released": release.time,
    }


# Looking back


def feed(link: FeedArgument, asking: Followers, settings: Settings, progress: Progress) -> Exit:
    """Show all releases of a feed, and what does not fit.

    Followers are asked for ten seconds, or as long as --timeout says; what was heard before is kept.
    """
    with Report(progress) as report:
        work = partial(_show, _link(link), asking, settings, report)
        return run(work, at_once=report.abandon)


async def _show(
    link: "FeedLink", wanted: Followers, settings: Settings, report: Report, stop: Stop
) -> Exit:
    from p2pswarm.node import Node

    async with (
        Node(settings) as node,
        news_of(node, link, _kept(settings, link), report, peers=wanted.peer) as news,
    ):
        await _asked(news, _LOOK_TIME if wanted.timeout is None else wanted.timeout, stop)
        for entry in news.log.entries:
            report.result(_line(entry), **facts(entry))
        newest = news.newest.release  # raises TwoStoriesError, after all that is known was shown
        if newest is None:
            raise CommandError("nobody knows a release of this feed", Exit.NO_PEERS)
        if news.newest.behind:
            report.note(news.newest.behind)
    return Exit.OK


async def _asked(news: "News", limit: float, stop: Stop) -> None:
    """Until somebody told what there is, or nobody did for so many seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(limit):
            await stop.unless(_complete(news))


async def _complete(news: "News") -> None:
    await news.looked.wait()
    while not news.followers or (news.newest.behind and not news.log.proof):
        await news.changed()


def _line(entry: "Entry") -> str:
    when = datetime.fromtimestamp(min(entry.time, 253_402_300_799), UTC)  # the year 9999
    size = format_size(entry.size)
    return f"{entry.sequence}\t{when:%Y-%m-%d %H:%M}\t{entry.short}\t{size}\t{entry.name}"


def _link(text: str) -> "FeedLink":
    """Raises CommandError."""
    from p2pswarm.errors import FormatError
    from p2pswarm.formats.feed_link import FeedLink

    try:
        return FeedLink.parse(text)
    except FormatError as error:
        raise CommandError(str(error), Exit.USAGE) from error
