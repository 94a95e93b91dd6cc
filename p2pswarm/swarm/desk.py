"""What the data of all torrents of a node share, and how one torrent's are opened with it.

The one hard thing: the torrent is locked before anything else is known of it. Whatever goes wrong after that
has to let go of the lock, for nobody else knows that it is there.
"""

from collections.abc import Callable, Sequence, Set
from random import Random
from typing import NamedTuple

from p2pswarm.disk.handles import Shelf
from p2pswarm.disk.locate import Place
from p2pswarm.disk.pool import DiskPool
from p2pswarm.disk.renaming import Rename, recalled, renamed
from p2pswarm.disk.resume import ResumeFolder
from p2pswarm.disk.storage import NO_FILES, FileStorage
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.swarm.data import TorrentData

__all__ = ["Desk"]


class Desk(NamedTuple):
    """What the data of all torrents of a node share."""

    disk: DiskPool
    resumes: ResumeFolder
    shelf: Shelf
    dice: Random

    def open(
        self,
        kind: Callable[..., TorrentData],
        metainfo: Metainfo,
        place: Place,
        *,
        writable: bool,
        skipped: Set[int] = NO_FILES,
        renames: Sequence[Rename] = (),
    ) -> TorrentData:
        """Lock it, and recall what is known of it. For a disk thread. Raises HostError."""
        resume = self.resumes.open(metainfo.info_hash, place.path, synced=writable)
        kept_in = self.resumes.names(metainfo.info_hash, place.path)
        try:
            if writable:
                files = renamed(kept_in, place.root, place.files, renames)
            else:
                files = recalled(kept_in, place.root, place.files)
            storage = FileStorage(place.root, files, writable=writable, shelf=self.shelf)
        except BaseException:
            resume.close()
            raise
        try:
            data = kind(metainfo, storage, self.disk, resume, writable=writable, dice=self.dice)
            data.files = files
            data.place = place.named(files, alone=metainfo.single_file)
            data.resumes = self.resumes
            if writable:
                data.set_aside(place.root, skipped)
            data.recall()
        except BaseException:
            storage.close()
            resume.close()
            raise
        return data
