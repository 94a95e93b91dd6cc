"""A torrent that is added: read, found on the disk or given a place there, and locked.

All in one job of a disk thread: hops to a thread are what adding thousands of torrents costs.
"""

from asyncio import CancelledError, Future
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from pathlib import Path

from p2pswarm.disk.handles import disk_error
from p2pswarm.disk.locate import Place, locate
from p2pswarm.disk.pool import DiskPool, result_of
from p2pswarm.disk.renaming import Rename
from p2pswarm.disk.storage import NO_FILES
from p2pswarm.errors import HostError, TargetExistsError
from p2pswarm.formats.ids import InfoHash
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.formats.names import Names
from p2pswarm.swarm.data import TorrentData
from p2pswarm.swarm.desk import Desk
from p2pswarm.swarm.selection import Choice, Selection

__all__ = ["Claim"]

Claimed = tuple[Metainfo, Path, TorrentData, Choice | None]
"""The torrent, where it is, all that is known of its files, locked, and which of them are wanted."""


@dataclass(frozen=True, slots=True)
class Claim:
    """`save_to` is the folder for a download; `data`, what is seeded."""

    source: Metainfo | Path | str | bytes
    save_to: Path
    data: Path | None
    kind: Callable[..., TorrentData]
    desk: Desk
    here: Container[InfoHash]  # what the node has already; a glance, because the loop looks again
    select: Selection | None = None
    rename: Sequence[Rename] = ()

    async def made(self, disk: DiskPool, still_working: Callable[[], object]) -> Claimed:
        """Raises P2PSwarmError, and what `still_working` raises when the world has changed meanwhile."""
        claimed = disk.begin(self._open)
        try:
            metainfo, path, data, choice = await result_of(claimed)
        except CancelledError:
            claimed.add_done_callback(_abandon)  # a thread may be at it still
            raise
        try:
            still_working()
            _refuse_another(metainfo, self.here)
        except HostError:
            data.abandon()
            raise
        return metainfo, path, data, choice

    def _open(self) -> Claimed:
        """For a disk thread. Raises P2PSwarmError."""
        metainfo = self._metainfo()
        _refuse_another(metainfo, self.here)
        choice = self.select.over(metainfo.files) if self.select is not None else None
        place = _where(metainfo, self.save_to, self.data)
        skipped = choice.skipped if choice is not None else NO_FILES
        writable = self.data is None
        data = self.desk.open(
            self.kind, metainfo, place, writable=writable, skipped=skipped, renames=self.rename
        )
        path = place.root.joinpath(*data.files[0].path) if metainfo.single_file else place.path
        if not writable and not path.exists():
            data.abandon()
            raise HostError(f"{self.data} does not hold {metainfo.name}")
        return metainfo, path, data, choice

    def _metainfo(self) -> Metainfo:
        match self.source:
            case Metainfo():
                return self.source
            case bytes():
                return Metainfo.from_bytes(self.source)
            case _:
                return Metainfo.from_file(Path(self.source))


def _refuse_another(metainfo: Metainfo, here: Container[InfoHash]) -> None:
    if any(name in here for name in Names.of(metainfo).swarms):
        raise HostError(f"{metainfo.name} is in this node already")


def _abandon(claimed: Future[Claimed]) -> None:
    if claimed.exception() is None:
        _, _, data, _ = claimed.result()
        data.abandon()


def _where(metainfo: Metainfo, save_to: Path, data: Path | None) -> Place:
    """Raises TargetExistsError when something else has the name, HostError when there is no data."""
    try:
        return _target(metainfo, save_to) if data is None else _found(metainfo, data)
    except OSError as error:
        raise disk_error("look at", data or save_to, error) from error


def _target(metainfo: Metainfo, save_to: Path) -> Place:
    target = save_to / metainfo.name
    if target.is_symlink():  # which nothing is ever written through
        raise TargetExistsError(f"{target} exists and is a symbolic link")
    if target.exists() and target.is_dir() == metainfo.single_file:
        kind = "folder" if target.is_dir() else "file"
        raise TargetExistsError(f"{target} exists and is a {kind}")
    return Place(save_to, metainfo.files, target)


def _found(metainfo: Metainfo, data: Path) -> Place:
    place = locate(metainfo, data)
    if not data.exists():
        raise HostError(f"{data} does not exist")
    if place.path.is_dir() == metainfo.single_file:
        raise HostError(f"{data} does not hold {metainfo.name}")
    return place
