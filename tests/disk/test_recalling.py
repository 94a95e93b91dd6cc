"""An old torrent spares the hashing of what was not touched since, and is never believed beyond that."""

import os
import time
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from p2pswarm.disk import create as room, recalling
from p2pswarm.disk.create import create
from p2pswarm.disk.hashing import Hashing
from p2pswarm.formats.building import Generation
from p2pswarm.formats.metainfo import Metainfo

SMALL = 16 << 10
LATER = int(time.time()) + 1_000_000  # every file of a test is older than a torrent of this date
SIZES = {"a": 5 * SMALL + 1, "b": 100, "d/c": 3 * SMALL, "d/e": 2 * SMALL + 7, "f": 40 * SMALL}

EVERY = pytest.mark.parametrize("generation", Generation)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root, dice = tmp_path / "folder", Random(1)
    for name, size in SIZES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(dice.randbytes(size))
    return root


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Which pieces were read, time after time; and the clock stands behind `LATER`."""
    runs: list[list[int]] = []

    class Watched(Hashing):
        def __init__(self, *given: Any, **more: Any) -> None:
            *first, pieces = given
            runs.append(list(pieces))
            super().__init__(*first, runs[-1], **more)

    monkeypatch.setattr(room, "Hashing", Watched)
    monkeypatch.setattr(time, "time", lambda: LATER + 60.0)
    monkeypatch.setattr(recalling, "_LEAST", 3)
    return runs


def old(folder: Path, generation: Generation, now: int | None = LATER) -> Metainfo:
    return create(folder, generation=generation, piece_length=SMALL, now=now)


def again(
    folder: Path, torrent: Metainfo, generation: Generation, read: list[list[int]]
) -> list[str]:
    """Made with the old torrent it is the same as made without; what was told."""
    told: list[str] = []
    fresh = create(folder, generation=generation, piece_length=torrent.piece_length)
    read.clear()
    made = create(folder, generation=generation, reuse=torrent, warn=told.append, dice=Random(7))
    assert made.raw == fresh.raw
    return told


def touched(path: Path, torrents: int = LATER + 1) -> None:
    """As a file looks that was written after the old torrent: nobody can set a ctime, so the mtime it is."""
    os.utime(path, (torrents, torrents))


@EVERY
def test_of_the_same_folder_only_a_sample_is_read(
    folder: Path, read: list[list[int]], generation: Generation
) -> None:
    torrent = old(folder, generation)
    told = again(folder, torrent, generation, read)
    assert [len(pieces) for pieces in read] == [3]
    count = torrent.piece_count
    assert told == [f"{count} of {count} pieces known, 3 of them read again"]


@EVERY
def test_what_was_touched_is_read(
    folder: Path, read: list[list[int]], generation: Generation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recalling, "_LEAST", 0)
    torrent = old(folder, generation)
    with (folder / "d/c").open("r+b") as file:
        file.write(b"changed")
    touched(folder / "d/c")
    again(folder, torrent, generation, read)
    place = next(f for f in torrent.files if f.path[-1] == "c")
    end = place.offset + place.length - 1
    assert read == [list(range(place.offset // SMALL, end // SMALL + 1))]


def test_after_a_new_file_version_2_still_knows_the_others(
    folder: Path, read: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recalling, "_LEAST", 0)
    torrent = old(folder, Generation.HYBRID)
    (folder / "a0").write_bytes(b"x" * (SMALL + 1))
    (folder / "b").unlink()
    touched(folder / "a0")
    again(folder, torrent, Generation.HYBRID, read)
    assert read == [[6, 7]]
    torrent = old(folder, Generation.V1)
    (folder / "a").unlink()
    told = again(folder, torrent, Generation.V1, read)
    assert "nothing is taken" in told[0]  # in version 1 all that follows stands elsewhere now


def test_only_the_ctime_tells_that_a_file_with_its_old_mtime_was_written(
    folder: Path, read: list[list[int]]
) -> None:
    date = int((folder / "f").stat().st_ctime)  # not before it in the same second
    torrent = old(folder, Generation.V1, date)
    os.utime(folder / "f", (1, 1))
    again(folder, torrent, Generation.V1, read)
    assert set(range(10, torrent.piece_count)) <= set(read[0])


@pytest.mark.parametrize("date", [None, LATER + 1000])
def test_without_a_date_that_can_be_true_all_is_read(
    folder: Path, read: list[list[int]], date: int | None
) -> None:
    torrent = old(folder, Generation.V1, date)
    told = again(folder, torrent, Generation.V1, read)
    assert len(read[0]) == torrent.piece_count
    assert "nothing is taken from the old torrent" in told[0]


@EVERY
def test_a_torrent_of_other_bytes_is_found_out_and_not_believed(
    folder: Path, read: list[list[int]], generation: Generation
) -> None:
    other = folder.parent / "other" / "folder"
    for name, size in SIZES.items():
        (other / name).parent.mkdir(parents=True, exist_ok=True)
        (other / name).write_bytes(bytes(size))
    told = again(folder, old(other, generation), generation, read)
    assert told == ["the old torrent is not of these files: 3 of 3 pieces differ"]
    pieces = [piece for run in read for piece in run]
    assert sorted(pieces) == list(range(max(pieces) + 1))


@pytest.mark.parametrize(
    ("before", "after", "known"),
    [
        (Generation.HYBRID, Generation.V2, True),
        (Generation.V2, Generation.HYBRID, False),
        (Generation.V1, Generation.V2, False),
        (Generation.V1, Generation.HYBRID, False),
    ],
)
def test_from_one_generation_to_another(
    folder: Path, read: list[list[int]], before: Generation, after: Generation, known: bool
) -> None:
    again(folder, old(folder, before), after, read)
    assert (len(read[0]) == 3) is known


def test_one_file(folder: Path, read: list[list[int]]) -> None:
    torrent = old(folder / "f", Generation.HYBRID)
    (folder / "f").rename(folder / "g")
    again(folder / "g", torrent, Generation.HYBRID, read)
    assert len(read[0]) == 3


def sampled(pieces: Iterable[int]) -> int:
    return len(recalling.sample(list(map(room.PieceIndex, pieces)), Random(1)))


def test_the_sample_is_a_hundredth_and_at_least_sixteen() -> None:
    assert [sampled(range(n)) for n in (0, 5, 100, 5000)] == [0, 5, 16, 50]
