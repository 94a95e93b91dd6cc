"""Missing pieces of a download taken from local files, instead of from the network.

A piece is read from where it may be and hashed; what is right is copied into the torrent's own file, blocks
shared where the file system can, and hashed again there: a file that somebody changes meanwhile is never
believed, and nothing that is not of this torrent is ever written. The files that it comes from are opened
for reading, below the folder that the user named, never through a symbolic link.

The one hard thing: the work has to end, and a stranger's torrent may want a file as long as one here a
hundred thousand times. Of each file only a few candidates are tried, a stranger that does not have its first
pieces is tried no more, a piece of many small files is tried in few combinations, and what is read again and
again for nothing is read no more.
"""

import logging
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from itertools import islice, product
from typing import TYPE_CHECKING, NamedTuple

from p2pswarm.disk.candidates import Candidate, Candidates
from p2pswarm.disk.layout import Layout, Span
from p2pswarm.disk.reading import Reading
from p2pswarm.disk.storage import Storage
from p2pswarm.errors import DiskError, DiskFullError
from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.ids import PieceIndex

if TYPE_CHECKING:
    from p2pswarm.disk.copying import Way
    from p2pswarm.formats.metainfo import Metainfo

__all__ = ["Reuse"]

log = logging.getLogger(__name__)

SLICE = 8 << 20  # bytes read in one `work`; and what is shared or copied at once
MOST_COMBINATIONS = 16  # of candidates, for a piece of several files
MOST_MISSES = 2  # pieces that a stranger may not have, before any that it has
VAIN, VAIN_TIMES = (
    1 << 20,
    8,
)  # bytes of a file that are read for nothing in a row: so many, and its size so often
_MOST_OPEN = 32

Fits = Callable[[PieceIndex, memoryview], bool]
"""Whether these are the bytes of the piece."""


class _Part(NamedTuple):
    """Bytes of the torrent, and in which file they were found; they have the same place in both."""

    span: Span
    source: Candidate


class Reuse:
    """`while reuse.work(): ...` in disk threads, one call at a time. Pieces that are verified and written are
    added to `good`, whether it comes to its end or not."""

    def __init__(
        self,
        storage: Storage,
        metainfo: "Metainfo",
        missing: Bitfield,
        candidates: Candidates,
        fits: Fits,
        good: Bitfield,
    ) -> None:
        self.looked = 0
        """Missing pieces that were looked for."""
        self._ways: Counter[Way] = Counter()  # bytes, by how they came
        self._storage = storage
        self._metainfo = metainfo
        self._layout = Layout([file.length for file in metainfo.files])
        self._missing = iter(list(missing.pieces()))
        self._fits = fits
        self._good = good
        self._tries = _Tries(candidates)
        self._readings = _Readings()

    def work(self) -> bool:
        """Look for a few MiB of pieces, copy and verify those that were found; False when all is done.

        Raises DiskError when the torrent's own files cannot be written, DiskFullError among them.
        """
        found: dict[PieceIndex, list[_Part]] = {}
        left = SLICE
        while left > 0:
            piece = next(self._missing, None)
            if piece is None:
                break
            left -= self._metainfo.piece_size(piece)
            self.looked += 1
            parts = self._find(piece)
            if parts is not None:
                found[piece] = parts
        for part in _joined(part for parts in found.values() for part in parts):
            self._copy(part)
        self._verify(list(found))
        if left > 0:
            self._readings.close()
            ways = ", ".join(f"{way.value} {size}" for way, size in self._ways.items())
            log.info("%s: re-used bytes: %s", self._metainfo.name, ways or "none")
        return left <= 0

    def _find(self, piece: PieceIndex) -> list[_Part] | None:
        """Where the whole of it is, if anywhere."""
        size = self._metainfo.piece_size(piece)
        spans = self._layout.spans(self._metainfo.piece_offset(piece), size)
        real = [span for span in spans if not self._metainfo.files[span.file].pad]
        lists = [self._tries.of(span.file) for span in real]
        for sources in islice(product(*lists), MOST_COMBINATIONS):
            parts = [_Part(span, source) for span, source in zip(real, sources, strict=True)]
            fits = self._holds(piece, spans, parts)
            for part in parts:
                self._tries.read(part.source, 0 if fits else part.span.length)
            for part in parts if fits or len(parts) == 1 else ():
                self._tries.tried(part.span.file, part.source, hit=fits)
            if fits:
                return parts
        return None

    def _holds(self, piece: PieceIndex, spans: Sequence[Span], parts: Sequence[_Part]) -> bool:
        data = memoryview(bytearray(sum(span.length for span in spans)))
        sources = {part.span: part.source for part in parts}
        at = 0
        for span in spans:
            source = sources.get(span)  # None: a pad, zeros
            if source is not None and not self._read(source, span, data[at : at + span.length]):
                return False
            at += span.length
        return self._fits(piece, data)

    def _read(self, source: Candidate, span: Span, into: memoryview) -> bool:
        if span.offset + span.length > source.size:
            return False
        try:
            self._readings.of(source).read_into(span.offset, into)
        except DiskError as error:
            log.debug("not re-used: %s", error)
            return False
        return True

    def _copy(self, part: _Part) -> None:
        """What could not be copied is found out when it is hashed. Raises DiskFullError."""
        start = self._metainfo.files[part.span.file].offset + part.span.offset
        try:
            source = self._readings.of(part.source).fd
            way = self._storage.take(start, part.span.length, source, part.span.offset)
        except DiskFullError:
            raise
        except DiskError as error:
            log.warning("not re-used: %s", error)
        else:
            self._ways[way] += part.span.length

    def _verify(self, pieces: Sequence[PieceIndex]) -> None:
        meta = self._metainfo
        for piece in pieces:
            data = self._storage.read(meta.piece_offset(piece), meta.piece_size(piece))
            self._good[piece] = self._fits(piece, memoryview(data))


class _Tries:
    """The candidates of the files that pieces are looked for in now; whoever had something comes first.

    Pieces come in order, so few files are remembered at a time.
    """

    def __init__(self, candidates: Candidates) -> None:
        self._candidates = candidates
        self._lists: OrderedDict[int, list[Candidate]] = OrderedDict()
        self._misses: dict[tuple[int, Candidate], int] = {}
        self._vain: dict[Candidate, int] = {}  # bytes that were read of it since it had something

    def of(self, file: int) -> list[Candidate]:
        known = self._lists.get(file)
        if known is None:
            known = self._lists[file] = self._candidates.of(file)
            while len(self._lists) > 1000:
                self._forget(*self._lists.popitem(last=False))
        return [source for source in known if not self._is_spent(source)]

    def _is_spent(self, source: Candidate) -> bool:
        return self._vain.get(source, 0) > VAIN + VAIN_TIMES * source.size

    def read(self, source: Candidate, in_vain: int) -> None:
        """So many bytes of it for nothing; 0 when it had what was looked for."""
        self._vain[source] = self._vain.get(source, 0) + in_vain if in_vain else 0

    def tried(self, file: int, source: Candidate, *, hit: bool) -> None:
        known = self._lists.get(file)
        if known is None or source not in known:
            return
        if hit:
            known.remove(source)
            known.insert(0, source)
            self._misses[file, source] = -1  # it is one of us
        elif self._misses.get((file, source), 0) >= 0:
            misses = self._misses[file, source] = self._misses.get((file, source), 0) + 1
            if misses >= MOST_MISSES and not self._candidates.is_namesake(file, source):
                known.remove(source)

    def _forget(self, file: int, sources: list[Candidate]) -> None:
        for source in sources:
            self._misses.pop((file, source), None)


class _Readings:
    """The files open now, the least recently used one first."""

    def __init__(self) -> None:
        self._open: OrderedDict[Candidate, Reading] = OrderedDict()

    def of(self, source: Candidate) -> Reading:
        """Raises DiskError, also when it is not as it was when it was seen."""
        reading = self._open.pop(source, None)
        if reading is None:
            reading = Reading(source.folder, source.path, source.size, source.changed)
        self._open[source] = reading
        while len(self._open) > _MOST_OPEN:
            self._open.popitem(last=False)[1].close()
        return reading

    def close(self) -> None:
        for reading in self._open.values():
            reading.close()
        self._open.clear()


def _joined(parts: Iterator[_Part]) -> Iterator[_Part]:
    """Parts that follow each other in the same two files as one: blocks are shared only whole."""
    last: _Part | None = None
    for part in parts:
        if last is not None and last.source == part.source and _follow(last.span, part.span):
            whole = Span(last.span.file, last.span.offset, last.span.length + part.span.length)
            last = _Part(whole, part.source)
            continue
        if last is not None:
            yield last
        last = part
    if last is not None:
        yield last


def _follow(one: Span, other: Span) -> bool:
    return one.file == other.file and one.offset + one.length == other.offset
