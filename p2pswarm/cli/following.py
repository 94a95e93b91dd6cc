"""A torrent at work, told to the person: one sample a tick, events as they come, until it is enough.

`Patience` and `Goal` decide from numbers and times they are given; the loop around them is `follow`.
"""

import asyncio
import math
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import fields, is_dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from p2pswarm.cli.exits import CommandError, Exit, one_line
from p2pswarm.cli.options import Download
from p2pswarm.cli.report import Report
from p2pswarm.cli.running import Stop
from p2pswarm.cli.views import Sample

if TYPE_CHECKING:
    from p2pswarm.swarm.events import Event
    from p2pswarm.swarm.status import MetadataStatus, Status
    from p2pswarm.swarm.torrent import Torrent

__all__ = ["Goal", "Patience", "follow", "given_up", "plain", "telling"]

Enough = Callable[["Status", float], bool]  # the status, and the loop's time in seconds


class Patience:
    """Gives up when for `limit` seconds nothing came, from nobody or from peers that do not help. None
    waits for ever.

    Only downloading tries it: a long check, or a full disk, is no lack of peers.
    """

    def __init__(self, limit: float | None) -> None:
        self._limit = limit
        self._came = -1
        self._since = 0.0

    def lost(self, status: "Status", now: float) -> bool:
        from p2pswarm.swarm.events import Downloading

        came = status.downloaded + status.done
        if not isinstance(status.state, Downloading) or came != self._came:
            self._came, self._since = came, now
        return self._limit is not None and now - self._since >= self._limit


class Goal:
    """When a finished download has seeded enough: at once, unless the person said otherwise."""

    def __init__(self, download: Download) -> None:
        self._wanted = download
        self._since: float | None = None

    @property
    def at_once(self) -> bool:
        """Whether there is nothing to wait for."""
        wanted = self._wanted
        return not wanted.stay and wanted.ratio is None and wanted.seed_for is None

    def reached(self, status: "Status", now: float) -> bool:
        if self._since is None:
            self._since = now
        wanted = self._wanted
        if wanted.stay:
            return False
        if wanted.ratio is not None:
            return status.uploaded >= wanted.ratio * status.total
        return now - self._since >= (wanted.seed_for or 0)


async def follow(
    torrent: "Torrent", report: Report, stop: Stop, enough: Enough, patience: Patience | None = None
) -> bool:
    """Show the torrent until it is enough (True) or the person stops it (False).

    Raises what made the torrent fail, and CommandError when patience is lost or nobody is left to wait for.
    """
    from p2pswarm.swarm.events import Failed

    clock = asyncio.get_running_loop().time
    shown = -math.inf
    while True:
        status, now = torrent.status(), clock()
        over, ending = enough(status, now), stop.requested
        # Woken early, it looks but shows nothing, unless this is the last time.
        if over or ending or now - shown >= 0.9 * report.every:
            shown = now
            report.status(_sample(status))
        if isinstance(status.state, Failed) and torrent.error is not None:
            raise torrent.error
        if over or ending:
            return over
        if patience is not None and patience.lost(status, now):
            raise given_up(status)
        if (why := torrent.deserted) is not None:
            raise CommandError(f"no peers: every host was given up: {one_line(why)}", Exit.NO_PEERS)
        await stop.sleep(report.every)


@asynccontextmanager
async def telling(torrent: "Torrent", report: Report, stop: Stop) -> AsyncIterator[None]:
    """While the body runs, every event of the torrent is told, and wakes `follow` where it matters."""
    from p2pswarm.swarm.events import Checking, PeerJoined, StateChanged

    task = asyncio.create_task(_tell(torrent.events(), report, stop))
    # A check may be over before anybody listens, and the peers of a magnet may be here.
    if not isinstance(torrent.state, Checking):
        report.event("state_changed", **plain(StateChanged(torrent.state)))
    for peer in torrent.peers.values():
        report.event("peer_joined", **plain(PeerJoined(peer.address, peer.client)))
    try:
        yield
        await asyncio.sleep(
            0
        )  # what happened until now woke the task already: it reads all of it in one go
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _tell(events: AsyncIterator["Event"], report: Report, stop: Stop) -> None:
    from p2pswarm.swarm.events import Completed, StateChanged, TrackerFailed

    complained: set[str] = set()
    async for event in events:
        if report.tells_events:
            report.event(_snake(type(event).__name__), **plain(event))
        if isinstance(event, Completed | StateChanged):
            stop.wake()
        if isinstance(event, TrackerFailed) and event.url not in complained:
            complained.add(event.url)
            report.note(f"{event.url}: {event.reason}")


def given_up(status: "Status | MetadataStatus") -> CommandError:
    """No peers; when every tracker failed, or web seeds where there is no tracker, that is why."""
    from p2pswarm.swarm.status import Status

    failed = [tracker for tracker in status.trackers if tracker.state == "failed"]
    if failed and len(failed) == len(status.trackers):
        return CommandError(f"no peers: {failed[0].url}: {failed[0].message}", Exit.NETWORK)
    seeds = status.web_seeds if isinstance(status, Status) else ()
    troubles = [seed.message for seed in seeds if seed.message]
    if troubles and not status.trackers:
        return CommandError(f"no peers: {troubles[0]}", Exit.NETWORK)
    return CommandError("no peers, gave up", Exit.NO_PEERS)


def _sample(status: "Status") -> Sample:
    from p2pswarm.swarm.events import Checking, Moving, Reusing

    done, more = status.done, plain(status)
    match status.state:
        case Checking(done=part, total=of) | Reusing(done=part, total=of) if of:
            done = status.total * part // of
        case Moving(done=part, total=of) if of:
            done = status.total * part // of
    return Sample(
        name=status.name,
        state=more["state"],
        done=done,
        total=status.total,
        down_rate=status.down_rate,
        up_rate=status.up_rate,
        peers=status.peers,
        seeds=status.seeds,
        availability=status.availability,
        eta=status.eta,
        more=more,
        web_seeds=sum(seed.state == "downloading" for seed in status.web_seeds),
    )


def plain(value: Any) -> Any:
    """`value` as JSON knows it: dataclasses are objects, bytes hex digits, what is odd is text.

    A state, which is a class with its own facts, becomes its name; the facts stand beside it.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return _plain_fields(value)
    match value:
        case float():
            return value if math.isfinite(value) else None
        case bool() | int() | str() | None:
            return value
        case bytes():
            return value.hex()
        case list() | tuple() if not hasattr(value, "_fields"):
            return [plain(each) for each in value]
        case _:
            return str(value)


def _plain_fields(value: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for field in fields(value):
        inside = getattr(value, field.name)
        if field.name == "state" and is_dataclass(inside):
            facts |= {"state": _snake(type(inside).__name__)}
            facts |= {f"state_{key}": each for key, each in _plain_fields(inside).items()}
        else:
            facts[field.name] = plain(inside)
    return facts


@cache
def _snake(name: str) -> str:
    """'PieceDone' is the event 'piece_done'."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
