"""Files are looked at again: which changes are somebody else's, and which pieces that puts in doubt."""

import pytest

from p2pswarm.disk.layout import Layout
from p2pswarm.disk.storage import FileStat
from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.building import build
from p2pswarm.formats.ids import PieceIndex
from p2pswarm.swarm.watching import Looks, Watching

PIECE = 1000
SIZES = {"a": 3500, "b": 0, "c": 4500, "d": 2000}  # ten pieces; c shares its ends with a and d
WHOLE: Looks = [FileStat(size, 7) for size in SIZES.values()]


@pytest.fixture
def watching() -> Watching:
    files = [((name,), size) for name, size in SIZES.items()]
    meta = build(name="many", piece_length=PIECE, pieces=bytes(20 * 10), files=files)
    return Watching(meta, Layout(list(SIZES.values())))


def but(file: int, look: FileStat | None) -> Looks:
    return [*WHOLE[:file], look, *WHOLE[file + 1 :]]


@pytest.mark.parametrize("look", [None, FileStat(4500, 8), FileStat(4501, 7), FileStat(3, 7)])
def test_any_other_look_of_a_watched_file_is_somebody_elses(
    watching: Watching, look: FileStat | None
) -> None:
    watching.begin(WHOLE)
    assert watching.changed(but(2, look)) == [2]
    assert watching.breaks(lambda: but(2, look))
    assert not watching.breaks(lambda: WHOLE)


def test_an_empty_file_never_matters(watching: Watching) -> None:
    watching.begin(WHOLE)
    assert watching.changed(but(1, None)) == []


def test_while_we_write_only_what_is_too_short_can_be_told(watching: Watching) -> None:
    assert watching.changed(but(2, FileStat(4500, 8))) == []
    assert watching.changed(but(2, FileStat(4499, 7))) == [2]
    assert watching.changed(but(2, None)) == [2]
    watching.begin(WHOLE)
    watching.end()
    assert watching.changed(but(2, FileStat(4500, 8))) == []
    assert not watching.breaks(lambda: but(2, None))


def test_every_piece_of_a_changed_file_is_in_doubt_until_it_is_checked(watching: Watching) -> None:
    assert watching.doubt([3], None) == {8, 9}
    assert watching.breaks(lambda: WHOLE)
    ours = Bitfield([1, 1, 1, 1, 1, 0, 0, 0, 0, 0])
    assert watching.doubt([2], ours) == {3, 4, 8, 9}
    watching.checked([PieceIndex(3), PieceIndex(8), PieceIndex(9)])
    assert watching.doubt([], None) == {4}
    watching.checked([PieceIndex(4)])
    assert not watching.breaks(lambda: WHOLE)
