"""A snapshot of one torrent and of its files, for people and programs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from p2pswarm.discovery.trackers import TrackerStatus
from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.ids import InfoHash
from p2pswarm.swarm.events import State
from p2pswarm.swarm.selection import Choice, Priority
from p2pswarm.swarm.webseeds import WebSeedStatus

if TYPE_CHECKING:
    from p2pswarm.formats.metainfo import File, Metainfo
    from p2pswarm.swarm.data import TorrentData
    from p2pswarm.swarm.finding import Finding
    from p2pswarm.swarm.greeting import Name
    from p2pswarm.swarm.peer import Peer
    from p2pswarm.swarm.picker import PiecePicker
    from p2pswarm.swarm.ranges import RangeSource
    from p2pswarm.swarm.traffic import Traffic
    from p2pswarm.swarm.webseeds import WebSeeds

__all__ = ["FileStatus", "MetadataStatus", "Shown", "Status", "file_statuses", "snapshot"]


@dataclass(frozen=True, slots=True)
class Status:
    """Rates are bytes per second, sizes bytes, `eta` seconds.

    `done` and `total` count what is wanted, `have` and `pieces` everything.
    """

    name: str
    info_hash: InfoHash
    state: State
    have: int
    pieces: int
    done: int
    total: int
    down_rate: float
    up_rate: float
    downloaded: int
    uploaded: int
    peers: int
    seeds: int
    availability: float
    eta: float | None
    wasted: int
    hash_failures: int
    trackers: tuple[TrackerStatus, ...]
    path: Path
    verified_by: str = "the SHA-1 of every piece"
    reused: int = 0
    """Bytes that came from other files of this machine, in this session."""
    web_seeds: tuple[WebSeedStatus, ...] = ()
    size: int = 0
    """Bytes of all files, wanted or not."""


@dataclass(frozen=True, slots=True)
class FileStatus:
    """One file; its place in the list is the number that `info` shows."""

    path: str
    length: int
    done: int
    """Bytes of it in pieces that are here."""
    priority: str
    """`high`, `normal`, `low` or `skipped`."""


@dataclass(frozen=True, slots=True)
class MetadataStatus:
    """A magnet whose torrent is not known yet."""

    name: str
    info_hash: InfoHash
    peers: int
    givers: int
    """How many of them say that they have it."""
    done: int
    """Bytes of the info dictionary."""
    total: int
    """0 until somebody says how large it is."""
    trackers: tuple[TrackerStatus, ...]


class Shown(Protocol):
    """What of a torrent is shown."""

    metainfo: "Metainfo"
    state: State
    path: Path
    picker: "PiecePicker"
    peers: dict["Name", "Peer"]
    sources: list["RangeSource"]
    web_seeds: "WebSeeds | None"
    finding: "Finding"


def snapshot(torrent: Shown, data: "TorrentData", traffic: "Traffic") -> Status:
    """How it is now."""
    meta, picker, web_seeds = torrent.metainfo, torrent.picker, torrent.web_seeds
    total, rate = picker.total, traffic.down.rate
    done = max(0, total - picker.lacks)
    hosts = sum(source.active for source in torrent.sources)
    hosts -= web_seeds.active if web_seeds else 0
    return Status(
        name=meta.name,
        info_hash=meta.info_hash,
        state=torrent.state,
        have=picker.have.count(),
        pieces=picker.pieces,
        done=done,
        total=total,
        down_rate=rate,
        up_rate=traffic.up.rate,
        downloaded=data.downloaded_before + traffic.downloaded,
        uploaded=data.uploaded_before + traffic.uploaded,
        peers=len(torrent.peers) + hosts,
        seeds=sum(peer.is_seed for peer in torrent.peers.values()) + hosts,
        availability=picker.availability(),
        eta=(total - done) / rate if rate >= 1 and done < total else None,
        wasted=traffic.wasted,
        hash_failures=traffic.hash_failures,
        trackers=torrent.finding.tracker_status(),
        path=torrent.path,
        verified_by=data.verified_by,
        reused=data.reused,
        web_seeds=web_seeds.status() if web_seeds else (),
        size=picker.geometry.content_total,
    )


def file_statuses(
    metainfo: "Metainfo", files: Sequence["File"], have: Bitfield, choice: Choice | None
) -> list[FileStatus]:
    """Those of all `files` but pads, which may have other names than the torrent gives."""
    priorities = (
        choice.files if choice is not None else bytes([Priority.NORMAL]) * len(metainfo.files)
    )
    return [
        FileStatus(
            "/".join(file.path),
            file.length,
            _done(file, have, metainfo.piece_length),
            Priority(priority).name.lower(),
        )
        for file, priority in zip(files, priorities, strict=True)
        if not file.pad
    ]


def _done(file: "File", have: Bitfield, size: int) -> int:
    if not file.length:
        return 0
    start, end = file.offset, file.offset + file.length
    first, last = start // size, (end - 1) // size
    done = have.count(1, first, last + 1) * size
    if have[first]:
        done -= start - first * size
    if have[last]:
        done -= (last + 1) * size - end
    return done
