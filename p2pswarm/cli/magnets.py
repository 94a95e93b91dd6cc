"""Magnet links on the command line: printed, read, and looked for while the person watches."""

import asyncio
import math
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from p2pswarm.cli.exits import CommandError, Exit
from p2pswarm.cli.following import given_up, plain
from p2pswarm.cli.making import load
from p2pswarm.cli.options import Linking, TorrentArgument
from p2pswarm.cli.report import Report
from p2pswarm.cli.running import Stop, StoppedError
from p2pswarm.cli.text import say, tell_result
from p2pswarm.cli.views import Sample
from p2pswarm.errors import FormatError
from p2pswarm.formats.ids import Address

if TYPE_CHECKING:
    from p2pswarm.formats.magnet import Magnet
    from p2pswarm.formats.metainfo import Metainfo
    from p2pswarm.node import Node
    from p2pswarm.swarm.status import MetadataStatus
    from p2pswarm.swarm.torrent import Torrent

__all__ = ["link", "looked_for", "magnet", "read_magnet"]


LONELY = 15.0  # seconds without a peer until the person hears what may help
_MEET = (
    "nobody was reached yet. Two behind routers that let nobody in are introduced, or relayed, by a super "
    "node: --meet HOST:PORT, on both sides"
)
_GUESS = 16 << 10  # bytes of metadata, until a peer says how many


def magnet(torrent: TorrentArgument, linking: Linking) -> Exit:
    """Print the magnet link of a .torrent."""
    metainfo = load(torrent)
    if metainfo.private:
        say("this torrent is private: peers do not give its metadata to who has only the link")
    tell_result(link(metainfo, linking.peer))
    return Exit.OK


def link(metainfo: "Metainfo", peers: Sequence[Address] = ()) -> str:
    """The magnet link to a torrent; `peers` are where it is to be had."""
    from p2pswarm.formats.magnet import Magnet

    return str(Magnet.of(metainfo, peers))


def read_magnet(source: str) -> "Magnet | None":
    """A magnet link, or a bare info-hash; None for what is neither. Raises CommandError for a bad link."""
    from p2pswarm.formats.magnet import Magnet

    source = source.strip()
    try:
        if source.lower().startswith("magnet:"):
            return Magnet.parse(source)
    except FormatError as error:
        raise CommandError(str(error), Exit.BAD_TORRENT) from error
    try:
        named = Magnet.named(source)
    except FormatError:
        return None
    return None if Path(source).exists() else named


async def looked_for(
    node: "Node",
    work: "Coroutine[Any, Any, Torrent]",
    limit: float | None,
    report: Report,
    stop: Stop,
) -> "Torrent":
    """The torrent that `work` adds, when peers have told what it is.

    Raises what `Node.add` raises, StoppedError, and CommandError when nothing came for `limit` seconds.
    """
    adding = asyncio.ensure_future(work)
    adding.add_done_callback(lambda _: stop.wake())
    watch = _Watch(limit)
    try:
        while not adding.done():
            if stop.requested:
                raise StoppedError
            watch.look(node, report)
            await stop.sleep(report.every)
        return adding.result()
    finally:
        adding.cancel()
        await asyncio.wait([adding])


class _Watch:
    """Shows the search for metadata, and loses patience when nothing comes of it."""

    def __init__(self, limit: float | None) -> None:
        self._limit = math.inf if limit is None else limit
        self._done = -1
        self._since = 0.0
        self._lonely = math.inf  # until when nobody needs to be met

    def look(self, node: "Node", report: Report) -> None:
        """Raises CommandError."""
        now = asyncio.get_running_loop().time()
        for status in node.status().magnets:
            if self._done < 0:
                report.event("looking_for_metadata", info_hash=status.info_hash.hex())
                report.note(f"looking for peers that know what {status.name} is")
                self._lonely = now + LONELY
            if status.done != self._done:
                self._done, self._since = status.done, now
            report.status(_sample(status))
            if status.peers:
                self._lonely = math.inf
            elif now >= self._lonely:
                self._lonely = math.inf
                report.note(_MEET)
            if now - self._since >= self._limit:
                raise given_up(status)


def _sample(status: "MetadataStatus") -> Sample:
    return Sample(
        name=status.name,
        state="metadata",
        done=status.done,
        total=status.total or _GUESS,
        peers=status.peers,
        seeds=status.givers,
        more=plain(status),
    )
