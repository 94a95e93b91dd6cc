"""A snapshot of one torrent, for people and programs."""

from dataclasses import dataclass
from pathlib import Path

from p2pswarm.discovery.trackers import TrackerStatus
from p2pswarm.formats.ids import InfoHash
from p2pswarm.swarm.events import State
from p2pswarm.swarm.webseeds import WebSeedStatus

__all__ = ["MetadataStatus", "Status"]


@dataclass(frozen=True, slots=True)
class Status:
    """Rates are bytes per second, sizes bytes, `eta` seconds."""

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
    web_seeds: tuple[WebSeedStatus, ...] = ()


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
