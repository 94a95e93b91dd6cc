"""Whether somebody else changed the files of a torrent, by how they look. Sans-IO: the looks are handed in.

While we write nothing, the files are watched: any other look is somebody else's doing, and every piece of
that file is in doubt until it was read and hashed again.

The one hard thing: while we write, looks change by our own doing. Then only a file that is gone, or too short
for what it is to hold in the end, can be told from that.
"""

from collections.abc import Callable, Iterable

from p2pswarm.disk.layout import Layout
from p2pswarm.disk.resume import NO_PIECES
from p2pswarm.disk.storage import FileStat
from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.ids import PieceIndex
from p2pswarm.formats.metainfo import Metainfo

__all__ = ["Watching"]

Looks = list[FileStat | None]  # of every file; None: it is not there


class Watching:
    """The files of one torrent. `doubtful` are the pieces that somebody may have changed."""

    __slots__ = ("_files", "_layout", "_looks", "_piece_length", "doubtful", "on")

    def __init__(self, metainfo: Metainfo, layout: Layout) -> None:
        self.on = False  # whether a change is somebody else's
        self.doubtful: frozenset[PieceIndex] = NO_PIECES
        self._files = metainfo.files
        self._piece_length = metainfo.piece_length
        self._layout = layout
        self._looks: Looks = []

    def begin(self, looks: Looks) -> None:
        """We write nothing: from here on they are to look like this."""
        self._looks, self.on = looks, True

    def end(self) -> None:
        """We write."""
        self.on = False

    def changed(self, looks: Looks) -> list[int]:
        """Files with bytes in them that somebody changed, as far as that can be told now."""
        return self._otherwise(looks) if self.on else self._cut(looks)

    def breaks(self, looks: Callable[[], Looks]) -> bool:
        """Whether what is known may not be noted: something is in doubt, or changed since."""
        return bool(self.doubtful) or (self.on and bool(self._otherwise(looks())))

    def doubt(self, files: Iterable[int], have: Bitfield | None) -> set[PieceIndex]:
        """The pieces of these are in doubt, all of them or those of `have`. Everything that is by now."""
        pieces = {piece for file in files for piece in self._pieces_of(file)}
        self.doubtful |= {piece for piece in pieces if have is None or have[piece]}
        return set(self.doubtful)

    def checked(self, pieces: Iterable[PieceIndex]) -> None:
        """These were read and hashed: it is known what they are."""
        self.doubtful -= set(pieces)

    def _otherwise(self, looks: Looks) -> list[int]:
        both = zip(self._looks, looks, self._files, strict=True)
        return [n for n, (old, new, file) in enumerate(both) if old != new and file.length]

    def _cut(self, looks: Looks) -> list[int]:
        files = zip(self._files, looks, strict=True)
        return [
            n
            for n, (file, found) in enumerate(files)
            if not file.pad and (found.size if found else 0) < file.length
        ]

    def _pieces_of(self, file: int) -> list[PieceIndex]:
        start, end = self._layout.bytes_of(file)
        length = self._piece_length
        return [PieceIndex(piece) for piece in range(start // length, -(-end // length))]
