"""Piece layers (BEP 52) worked out from local files, for a torrent that came from a magnet without them.

Until peers give the layer of a file, none of its pieces can be verified; its root can. So a local file of the
same size is hashed as a whole: if its root is the right one, so is the layer on the way to it.

The one hard thing: a stranger's torrent may say a hundred thousand times that it wants a file as long as one
here. Each file here is hashed once, whatever it is wanted for.
"""

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from p2pswarm.disk.candidates import Candidate, Candidates
from p2pswarm.disk.reading import Reading
from p2pswarm.errors import DiskError
from p2pswarm.formats import merkle

if TYPE_CHECKING:
    from p2pswarm.formats.metainfo import File, Metainfo

__all__ = ["Learning"]

log = logging.getLogger(__name__)

STEP = 8 << 20  # bytes hashed in one `work`


class Learning:
    """`while learning.work(): ...` in disk threads; `layers` are verified, by root."""

    def __init__(self, metainfo: "Metainfo", candidates: Candidates) -> None:
        self.layers: dict[bytes, bytes] = {}
        self._metainfo = metainfo
        self._candidates = candidates
        self._hashed: set[Candidate] = set()
        self._wanted = {
            file.root
            for file in metainfo.files
            if file.root
            and file.length > metainfo.piece_length
            and file.root not in metainfo.layers
        }
        self._steps = self._learn()

    def work(self) -> bool:
        """False when all is done."""
        return next(self._steps, False)

    def _learn(self) -> Iterator[bool]:
        for number, file in enumerate(self._metainfo.files):
            if file.root not in self._wanted:
                continue
            for source in self._candidates.of(number):
                if file.root in self.layers:
                    break
                if source.size == file.length and source not in self._hashed:
                    self._hashed.add(source)
                    yield from self._try(file, source)

    def _try(self, file: "File", source: Candidate) -> Iterator[bool]:
        height = merkle.piece_height(file.length, self._metainfo.piece_length)
        layer, since = b"", 0
        try:
            for piece in self._pieces(file, source):
                layer += merkle.Subtree(len(piece), height).root(piece)
                since += len(piece)
                if since >= STEP:
                    since = 0
                    yield True
        except DiskError as error:
            log.debug("not re-used: %s", error)
            return
        top = merkle.height(-(-file.length // merkle.LEAF))
        root = merkle.root(layer, height, top)
        if root in self._wanted:  # of this file, or of another one as long
            self.layers[root] = layer
        yield True

    def _pieces(self, file: "File", source: Candidate) -> Iterator[memoryview]:
        """Raises DiskError."""
        reading = Reading(source.folder, source.path, source.size, source.changed)
        try:
            buffer = memoryview(bytearray(min(self._metainfo.piece_length, file.length)))
            for at in range(0, file.length, len(buffer)):
                part = buffer[: file.length - at]
                reading.read_into(at, part)
                yield part
        finally:
            reading.close()
