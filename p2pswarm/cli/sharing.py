"""`share`: torrent, tracker and seed in one process, and the line that the other side types.

The only room that starts the tracker. Its address is in the torrent, so `--host` must be one that the other
side reaches; the default is the address this machine would send from.
"""

import asyncio
import shlex
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from p2pswarm.cli.codes import CodeOffer, code_given
from p2pswarm.cli.exits import Exit
from p2pswarm.cli.health import beating
from p2pswarm.cli.making import called, hashing, made
from p2pswarm.cli.networking import watching
from p2pswarm.cli.options import Creation, Meeting, Offering, PathArgument, Progress, Sharing
from p2pswarm.cli.report import Report
from p2pswarm.cli.running import Stop, StoppedError, run
from p2pswarm.cli.transfer import seed_until_stopped
from p2pswarm.config import NetworkSettings, Settings
from p2pswarm.errors import HostError, NetworkError
from p2pswarm.formats.ids import Address
from p2pswarm.net.binding import ANY, bound_addresses

if TYPE_CHECKING:
    from p2pswarm.formats.metainfo import Metainfo
    from p2pswarm.node import Node
    from tracker.app import TrackerService

__all__ = ["share"]

_INTERVAL = 60  # seconds between announces: the few peers of one share find each other soon


def share(
    path: PathArgument,
    sharing: Sharing,
    offering: Offering,
    creation: Creation,
    meeting: Meeting,
    networks: NetworkSettings,
    settings: Settings,
    progress: Progress,
) -> Exit:
    """Give a file or folder to whoever types the printed line, or finds it, until stopped."""
    with Report(progress) as report:
        if networks.connect and not offering.on:
            report.note(
                "no search network is joined: which one is --connect for? Name it with --on"
            )
        asked = sharing, meeting.rendezvous, offering.on
        work = partial(_share, path, creation, *asked, networks, settings, report)
        return run(work, at_once=report.abandon, when_stopped=Exit.OK)


async def _share(
    path: Path,
    creation: Creation,
    sharing: Sharing,
    rendezvous: str | None,
    on: Sequence[str],
    networks: NetworkSettings,
    settings: Settings,
    report: Report,
    stop: Stop,
) -> Exit:
    from p2pswarm.node import Node

    async with (
        _tracking(sharing, settings) as tracker,
        Node(settings, networks) as node,
        beating(node, report),
        _offered(path, on, node, report, stop),
    ):
        urls = [url for url in (tracker.url, tracker.udp_url) if url is not None]
        announce = [_as_reached(url, sharing.host) for url in urls]
        make = partial(_make, path, creation, [*announce, *creation.tracker], report, stop)
        try:
            metainfo = await asyncio.to_thread(make)
        except HostError as error:
            if not on:
                raise
            report.note(f"{error}; it is offered file by file only")
            await stop.unless(asyncio.Event().wait())
            return Exit.OK
        _tell(tracker, metainfo, sharing.host, report)
        here = Address(urlsplit(announce[0]).hostname or "", node.port)
        peers = [here] if here.dialable else []  # a name has no place in a link
        offer = _code_offer(sharing.code_for, rendezvous, announce[0])
        code = code_given(offer, metainfo, peers, node, report)
        await seed_until_stopped(node, metainfo, path, report, stop, peers, code)
    return Exit.OK


@asynccontextmanager
async def _tracking(sharing: Sharing, settings: Settings) -> "AsyncIterator[TrackerService]":
    """A tracker of our own, where others can reach it."""
    from tracker.app import TrackerService
    from tracker.config import TrackerSettings

    host = ANY if settings.bind == ANY else bound_addresses(settings.bind)[0]
    tracker = TrackerService(
        TrackerSettings(host=host, port=sharing.tracker_port, interval=_INTERVAL)
    )
    await tracker.start()
    try:
        yield tracker
    finally:
        await tracker.aclose()


@asynccontextmanager
async def _offered(
    path: Path, on: Sequence[str], node: "Node", report: Report, stop: Stop
) -> AsyncIterator[None]:
    """In search networks, file by file. One that cannot be joined now is tried again and again."""
    if not on:
        yield
        return
    catalog = await stop.unless(node.networks.share([path]))
    report.event("offering", files=catalog.files, networks=list(on), port=node.port)
    for name in on:
        try:
            await stop.unless(node.networks.join(name))
        except NetworkError as error:
            if not any(each.name == name for each in node.networks.status()):
                raise  # it was not even set up, so there is nothing that could try again
            report.note(f"{name}: {error}; trying again")
        else:
            report.note(f"{name}: {_how_joined(name, path, node)}")
    async with watching(node, report):
        yield


def _how_joined(name: str, path: Path, node: "Node") -> str:
    links = sum(each.links + each.leaves for each in node.networks.status() if each.name == name)
    if links:
        return f"joined, whoever searches finds what is in {path}"
    return f"nobody is linked with us yet; others come with --connect HOST:{node.port}"


def _make(
    path: Path, creation: Creation, trackers: Sequence[str], report: Report, stop: Stop
) -> "Metainfo":
    """Runs in a thread; Ctrl-C ends it at the next piece."""
    show = hashing(called(path), "hashing", report)

    def progress(done: int, total: int) -> None:
        if stop.requested:
            raise StoppedError
        show(done, total)

    return made(path, creation, trackers, progress, report.note)


def _tell(
    tracker: "TrackerService", metainfo: "Metainfo", host: str | None, report: Report
) -> None:
    url = _as_reached(tracker.host(metainfo.name, metainfo.raw), host)
    command = shlex.join(["p2pswarm", "get", url])
    report.note("on the other machine, type:")
    names = {"info_hash": metainfo.info_hash.hex()}
    if metainfo.v2 is not None:
        names["info_hash_v2"] = metainfo.v2.hex()
    report.result(command, command=command, url=url, **names)


def _code_offer(seconds: float, rendezvous: str | None, announce: str) -> CodeOffer:
    """At our own tracker, if at no other."""
    if rendezvous is not None:
        return CodeOffer(seconds, rendezvous, None)
    parts = urlsplit(announce)
    at = Address(parts.hostname or "", parts.port or 0)
    return CodeOffer(seconds, f"http://{at}", at)


def _as_reached(url: str, host: str | None) -> str:
    """The tracker's URL with the host that the user names instead of the one it guessed."""
    if host is None:
        return url
    parts = urlsplit(url)
    return parts._replace(netloc=f"{f'[{host}]' if ':' in host else host}:{parts.port}").geturl()
