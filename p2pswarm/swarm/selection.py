"""Which files of a torrent are wanted, how much, and whether in order. Sans-IO.

A `Selection` is what a person or a magnet link says before the torrent is known; over its files it becomes a
`Choice`. Files are counted as `info` shows them: from 0, without pad files (BEP 47), so a file has the same
number in both generations of the format. `so=` of a magnet (BEP 53) counts pad files too, as every other
client does.

The one hard thing: pieces do not end where files end. A piece is wanted as much as the most wanted file that
has a byte in it; what else it holds is the storage's to put aside.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING

from p2pswarm.errors import HostError
from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.globs import matches

if TYPE_CHECKING:
    from p2pswarm.formats.metainfo import File, Metainfo

__all__ = ["Choice", "Priority", "Selection", "linked_selection"]

_NUMBERS = re.compile(r"[0-9]{1,6}(-[0-9]{1,6})?(,[0-9]{1,6}(-[0-9]{1,6})?)*\Z")


class Priority(IntEnum):
    """How much a file is wanted: all of the higher ones come first."""

    SKIPPED = 0
    LOW = 1
    NORMAL = 2
    HIGH = 3


@dataclass(frozen=True, slots=True)
class Choice:
    """What is wanted of one torrent."""

    files: bytes
    """A `Priority` for each file of the torrent, pad files too."""
    sequential: bool = False
    """From the first piece to the last, not the rarest first."""

    @property
    def skipped(self) -> frozenset[int]:
        return frozenset(n for n, wanted in enumerate(self.files) if not wanted)

    def tiers(self, metainfo: "Metainfo") -> list[Bitfield]:
        """The pieces by priority, the most wanted first; none is in two, and empty tiers are left out."""
        taken, tiers = Bitfield(metainfo.piece_count), []
        for priority in sorted({*self.files} - {Priority.SKIPPED}, reverse=True):
            tier = Bitfield(metainfo.piece_count)
            for file, wanted in zip(metainfo.files, self.files, strict=True):
                if wanted == priority and file.length and not file.pad:
                    first = file.offset // metainfo.piece_length
                    last = (file.offset + file.length - 1) // metainfo.piece_length
                    tier[first : last + 1] = True
            tier &= ~taken
            taken |= tier
            if tier.any():
                tiers.append(tier)
        return tiers


@dataclass(frozen=True, slots=True)
class Selection:
    """Each pattern is a glob of `formats.globs` over the path in the torrent's folder, or numbers such as
    `0,2,4-8`, as `info` shows them."""

    only: tuple[str, ...] = ()
    """These; all when empty."""
    skip: tuple[str, ...] = ()
    """Not these."""
    priorities: tuple[tuple[str, Priority], ...] = ()
    """The last pattern that fits a file decides."""
    linked: tuple[range, ...] = ()
    """`so=` of a magnet link; `only` is stronger."""
    sequential: bool = False

    def over(self, files: Sequence["File"]) -> Choice:
        """Raises HostError when a pattern fits no file, and when nothing is left to want."""
        chosen = bytearray(len(files))
        for number in self._basis(files):
            chosen[number] = Priority.NORMAL
        for number in _matching(self.skip, files):
            chosen[number] = Priority.SKIPPED
        for pattern, priority in self.priorities:
            for number in _matching((pattern,), files):
                chosen[number] = priority if chosen[number] else Priority.SKIPPED
        if not any(wanted and file.length for wanted, file in zip(chosen, files, strict=True)):
            raise HostError("no file with a byte in it is wanted")
        return Choice(bytes(chosen), self.sequential)

    def _basis(self, files: Sequence["File"]) -> Iterable[int]:
        real = [number for number, file in enumerate(files) if not file.pad]
        if self.only:
            return _matching(self.only, files)
        linked = [n for n in real if any(n in run for run in self.linked)]
        # A link whose numbers are all wrong chooses nothing, so it says nothing.
        return linked or real


def linked_selection(linked: Sequence[range], selection: Selection | None) -> Selection | None:
    """What a magnet link asks for (BEP 53), as far as a person says nothing stronger."""
    if not linked:
        return selection
    return replace(selection or Selection(), linked=tuple(linked))


def _matching(patterns: Iterable[str], files: Sequence["File"]) -> Iterator[int]:
    """Raises HostError for a pattern that fits no file."""
    real = [number for number, file in enumerate(files) if not file.pad]
    for pattern in patterns:
        if _NUMBERS.match(pattern):
            runs = _runs(pattern)
            found = [n for shown, n in enumerate(real) if any(shown in run for run in runs)]
        else:
            found = [n for n in real if _fits(pattern, files[n].path)]
        if not found:
            raise HostError(f"no file of the torrent fits {pattern!r}")
        yield from found


def _runs(text: str) -> list[range]:
    pairs = (part.partition("-") for part in text.split(","))
    return [range(int(first), int(last or first) + 1) for first, _, last in pairs]


def _fits(pattern: str, path: tuple[str, ...]) -> bool:
    """Raises HostError for what is no glob."""
    try:
        return matches(pattern, path[1:] or path)  # a file alone is in no folder
    except ValueError as error:
        raise HostError(str(error)) from error
