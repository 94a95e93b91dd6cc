"""A torrent rearranged while it runs: which files are wanted, where they are, and under which names.

The one hard thing: peers go on meanwhile. So no piece is started while the wanted files get their place,
and afterwards the torrent is what the pieces that are wanted now make of it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from p2pswarm.errors import DiskError, HostError
from p2pswarm.formats.ids import PieceIndex
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.swarm.data import TorrentData
from p2pswarm.swarm.events import Checking, Downloading, Moving, Paused, Seeding, State
from p2pswarm.swarm.greeting import Name
from p2pswarm.swarm.keeper import Keeper
from p2pswarm.swarm.peer import Peer
from p2pswarm.swarm.picker import PiecePicker
from p2pswarm.swarm.ranges import RangeSource
from p2pswarm.swarm.selection import Choice, Selection
from p2pswarm.swarm.status import FileStatus, file_statuses

__all__ = ["Arranged", "Arranging"]


class Arranged(Protocol):
    """What this needs of the torrent."""

    metainfo: Metainfo
    path: Path
    state: State
    peers: dict[Name, Peer]
    sources: list[RangeSource]
    picker: PiecePicker
    asking: bool

    @property
    def at_work(self) -> bool: ...
    @property
    def settled(self) -> bool: ...

    def enter(self, state: State) -> None: ...
    def drop_pieces(self, pieces: Sequence[PieceIndex]) -> None: ...
    def want_again(self) -> None: ...
    def complete(self) -> None: ...
    def disk_failed(self, error: DiskError) -> None: ...
    def disk_works(self) -> None: ...


class Arranging:
    """One torrent's. `choice` is None while everything is wanted alike."""

    __slots__ = ("_data", "_keeper", "_torrent", "choice", "choosing")

    def __init__(
        self, torrent: Arranged, data: TorrentData, keeper: Keeper, choice: Choice | None
    ) -> None:
        self._torrent = torrent
        self._data = data
        self._keeper = keeper
        self.choice = choice
        self.choosing = False  # then nothing is asked for
        if choice is not None:
            self._want(choice)

    def _want(self, choice: Choice) -> Sequence[PieceIndex]:
        tiers = choice.tiers(self._torrent.metainfo)
        return self._torrent.picker.want(tiers, sequential=choice.sequential)

    @property
    def partial(self) -> bool:
        """Whether all that is wanted is here, and that is not everything (BEP 21)."""
        picker = self._torrent.picker
        return picker.left > 0 and self.choice is not None and picker.done

    def files(self) -> list[FileStatus]:
        torrent = self._torrent
        return file_statuses(torrent.metainfo, self._data.files, torrent.picker.have, self.choice)

    async def move(self, folder: Path) -> None:
        """Raises HostError, DiskError, TargetExistsError; then they are where they were."""
        torrent = self._torrent
        if not torrent.settled:
            raise HostError(f"{torrent.metainfo.name} cannot be moved now")
        try:
            torrent.path = await self._keeper.move(folder, lambda d, n: torrent.enter(Moving(d, n)))
        finally:
            if isinstance(torrent.state, Moving):
                torrent.disk_works()

    async def rename(self, old: str, new: str) -> None:
        """Raises HostError, DiskError, TargetExistsError; of a folder some may have the new name then."""
        torrent = self._torrent
        if not torrent.settled:
            raise HostError(f"files of {torrent.metainfo.name} cannot be renamed now")
        torrent.path = await self._keeper.rename(old, new)

    async def select(self, selection: Selection) -> None:
        """Raises HostError for a selection that fits nothing, or at a wrong time; DiskError."""
        torrent = self._torrent
        choice = selection.over(torrent.metainfo.files)
        if self.choosing or not torrent.at_work or isinstance(torrent.state, Checking):
            name = torrent.metainfo.name
            raise HostError(f"{name} is not at work, or files of it are being chosen")
        self.choosing, torrent.asking = (
            True,
            False,
        )  # no piece is started before its file has a place
        try:
            torrent.drop_pieces(self._want(choice))
            self.choice = choice
            for source in torrent.sources:
                source.choose_anew()
            await self._data.select(choice.skipped, full=torrent.picker.full())
        except DiskError as error:
            torrent.disk_failed(error)
            raise
        finally:
            self.choosing = False
        self._chosen()

    def _chosen(self) -> None:
        """Downloading or seeding, as what is wanted now says."""
        torrent = self._torrent
        if not torrent.at_work:
            return
        for peer in list(torrent.peers.values()):
            peer.update_interest()
        self._keeper.note()
        if torrent.picker.done and isinstance(torrent.state, Downloading):
            torrent.complete()
            return
        if not torrent.picker.done and isinstance(torrent.state, Seeding):
            torrent.want_again()
        if not isinstance(torrent.state, Paused):
            torrent.disk_works()
