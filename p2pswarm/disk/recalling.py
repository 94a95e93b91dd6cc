"""Which pieces of a new torrent an older torrent of the same folder knows already.

A size and an mtime tell nothing alone: `touch`, `rsync -t` and an archive set any mtime. So a file
counts as untouched only when its ctime, too, lies before the second in which the old torrent was begun:
the kernel sets that at every write, rename and change of mode, and nobody sets it back. Nor may a folder
above it have come to its place since, or a link lead there. What the clock or the old torrent may lie
about, and whether this is the folder that the user says, is left to a sample: some of these pieces are
read again, and none is believed if one differs.
"""

from collections.abc import Iterator, Sequence
from itertools import starmap
from random import Random
from typing import TYPE_CHECKING

from p2pswarm.disk.gathering import Found
from p2pswarm.disk.hashing import PieceHash
from p2pswarm.disk.layout import Layout, Span
from p2pswarm.formats.ids import PieceIndex

if TYPE_CHECKING:
    from p2pswarm.formats.metainfo import File, Metainfo

__all__ = ["recalled", "sample"]

_SECOND = 1_000_000_000  # nanoseconds
_LEAST, _ONE_IN = 16, 100  # pieces that are read again
_PAD = -1  # a pad is like any other of its length


def recalled(
    plan: "Metainfo", found: Sequence[Found], old: "Metainfo", now: float
) -> Iterator[tuple[PieceIndex, PieceHash]]:
    """The pieces of `plan`, a torrent of `found`, all of whose hashes `old` knows, and these hashes."""
    date = old.creation_date
    if date is None or date > now or old.piece_length != plan.piece_length:
        return
    twins = _Twins(plan, found, old, date * _SECOND)
    for piece in map(PieceIndex, range(plan.piece_count)):
        hashes = twins.hashes(piece)
        if hashes is not None:
            yield piece, hashes


def sample(pieces: Sequence[PieceIndex], dice: Random) -> list[PieceIndex]:
    """Those to be read again: a hundredth, at least sixteen."""
    return dice.sample(pieces, min(len(pieces), max(_LEAST, len(pieces) // _ONE_IN)))


class _Twins:
    """Which untouched file of the new torrent is which file of the old one."""

    def __init__(
        self, plan: "Metainfo", found: Sequence[Found], old: "Metainfo", before: int
    ) -> None:
        self._plan = plan
        self._old = old
        self._new_layout = Layout([file.length for file in plan.files])
        self._old_layout = Layout([file.length for file in old.files])
        self._old_pads = [file.pad for file in old.files]
        self._twins = _matched(plan, found, old, before)

    def hashes(self, piece: PieceIndex) -> PieceHash | None:
        """None when the old torrent does not know one that is wanted."""
        length, size = self._plan.piece_length, self._plan.piece_size(piece)
        spans = self._new_layout.spans(piece * length, size)
        at = self._place(spans[0])
        if at is None or at % length:
            return None
        there = PieceIndex(at // length)
        sha1 = root = None
        if self._plan.has_v1:
            if not self._old.has_v1 or not self._same(spans, there, size):
                return None
            sha1 = self._old.piece_hash(there)
        if self._plan.v2 is not None:
            root = self._old.piece_root(there)
            if root is None:
                return None
        return PieceHash(sha1, root)

    def _place(self, span: Span) -> int | None:
        """Where in the old stream these bytes begin."""
        twin = self._twins[span.file]
        if twin is None or twin == _PAD:
            return None
        return self._old_layout.bytes_of(twin)[0] + span.offset

    def _same(self, spans: Sequence[Span], there: PieceIndex, size: int) -> bool:
        """Whether the old piece has the same bytes, those of pads and of other files too."""
        if self._old.piece_size(there) != size:
            return False
        theirs = self._old_layout.spans(there * self._old.piece_length, size)
        return list(starmap(self._new_key, spans)) == list(starmap(self._old_key, theirs))

    def _new_key(self, file: int, offset: int, length: int) -> tuple[int | None, int, int]:
        twin = self._twins[file]
        return twin, 0 if twin == _PAD else offset, length

    def _old_key(self, file: int, offset: int, length: int) -> tuple[int | None, int, int]:
        return (_PAD, 0, length) if self._old_pads[file] else (file, offset, length)


def _matched(
    plan: "Metainfo", found: Sequence[Found], old: "Metainfo", before: int
) -> list[int | None]:
    """For each file of the new torrent its number in the old one, None where it was touched."""
    numbers = {_key(f, old): n for n, f in enumerate(old.files_as_given()) if not f.pad}
    real = iter(found)
    return [
        _PAD if file.pad else _twin(next(real), numbers, old.files, before) for file in plan.files
    ]


def _twin(
    file: Found, numbers: dict[tuple[str, ...], int], olds: Sequence["File"], before: int
) -> int | None:
    number = numbers.get(file.path)
    if number is None or max(file.changed, file.touched) >= before:
        return None
    return number if olds[number].length == file.size else None


def _key(file: "File", old: "Metainfo") -> tuple[str, ...]:
    """Its path below the torrent's own folder, which may have another name now."""
    return () if old.single_file else file.path[1:]
