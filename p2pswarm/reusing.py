"""Where a download may find its pieces on this machine: folders that the user named, and other torrents.

The other torrents of the node are looked through, those first that the torrent itself calls its kin (BEP 38);
of kin that is not in this node the resume data tells where its files are. All of it are hints: what is
taken, `disk.reuse` verifies.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from p2pswarm.disk.locate import locate
from p2pswarm.disk.resume import ResumeFolder
from p2pswarm.disk.seeking import Seeking
from p2pswarm.disk.torrents import TorrentFolder
from p2pswarm.formats.ids import InfoHash
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.formats.related import Related, related
from p2pswarm.swarm.torrent import Torrent

__all__ = ["Reusing"]

MOST_KEPT = 256  # torrents of magnets that are read for their collections
MOST_WALKED = 64  # folders of kin


@dataclass(frozen=True, slots=True)
class Reusing:
    """`torrents` are those of this node, looked at when it comes to that."""

    folders: Sequence[Path]
    torrents: Mapping[InfoHash, Torrent]
    resumes: ResumeFolder
    kept: TorrentFolder

    def seek(self, metainfo: Metainfo) -> Seeking:
        """For a disk thread."""
        kin = related(metainfo)
        others = {id(each): each for each in list(self.torrents.values())}.values()
        places = [
            (each.metainfo, each.path) for each in others if each.info_hash != metainfo.info_hash
        ]
        places.sort(key=lambda place: place[0].info_hash not in kin.similar)
        known = (locate(other, path) for other, path in places)
        return Seeking(metainfo.files, self._folders(kin), known)

    def _folders(self, kin: Related) -> Iterator[Path]:
        """To be walked, each once."""
        seen = set(self.folders)
        yield from self.folders
        remembered = (place for name in self._names(kin) for place in self.resumes.places(name))
        for place in islice(remembered, MOST_WALKED):
            if place not in seen:
                seen.add(place)
                yield place

    def _names(self, kin: Related) -> Iterator[InfoHash]:
        yield from kin.similar
        if kin.collections:
            for other in self.kept.all(MOST_KEPT):
                if not set(kin.collections).isdisjoint(related(other).collections):
                    yield other.info_hash
