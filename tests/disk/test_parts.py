import errno
import os
from pathlib import Path
from random import Random

import pytest

from p2pswarm.disk import parts
from p2pswarm.disk.layout import Layout
from p2pswarm.disk.parts import PartFile, parts_name
from p2pswarm.disk.storage import PAD, FileStorage
from p2pswarm.errors import DiskError
from p2pswarm.formats.metainfo import File

PIECE = 10
LENGTHS = (25, 18, 40, 7, 10)  # pieces 2, 4 and 8 lie in two files; the last two are one piece each
TOTAL = sum(LENGTHS)
NAME = ".ab.parts"


def files_of(*lengths: int, pads: tuple[int, ...] = ()) -> list[File]:
    starts = [sum(lengths[:n]) for n in range(len(lengths))]
    return [
        File(("top", f"file{n}"), length, start, n in pads)
        for n, (length, start) in enumerate(zip(lengths, starts, strict=True))
    ]


def parts_in(root: Path, layout: Layout) -> PartFile:
    return PartFile(root, layout, name=NAME, piece_length=PIECE)


def opened(root: Path, *skipped: int, lengths: tuple[int, ...] = LENGTHS) -> FileStorage:
    storage = FileStorage(root, files_of(*lengths), writable=True)
    storage.skip(frozenset(skipped), parts_in)
    storage.prepare()
    return storage


def names(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def store(storage: FileStorage, data: bytes, *pieces: int) -> None:
    for piece in pieces:
        storage.write(piece * PIECE, data[piece * PIECE : (piece + 1) * PIECE])


def test_bytes_of_an_unwanted_file_are_kept_aside_and_are_read(tmp_path: Path) -> None:
    data = Random(1).randbytes(TOTAL)
    storage = opened(tmp_path, 1)
    store(storage, data, 0, 1, 2, 4, 5)
    assert names(tmp_path) == {"top/file0", "top/file2", NAME}
    for piece in (0, 1, 2, 4, 5):
        at = piece * PIECE
        assert storage.read(at, PIECE) == data[at : at + PIECE]
    assert (tmp_path / NAME).stat().st_size == 3 * PIECE
    storage.close()


def test_what_is_only_of_an_unwanted_file_is_nowhere(tmp_path: Path) -> None:
    storage = opened(tmp_path, 1)
    store(storage, bytes(TOTAL), 2)
    with pytest.raises(DiskError, match="not kept"):
        storage.read(3 * PIECE, 1)
    with pytest.raises(DiskError, match="not kept"):
        storage.write(3 * PIECE, b"x")
    assert storage.parts is not None
    assert storage.parts.inside(1) == (3, 4)
    assert storage.parts.inside(4) == (9, 10)


def test_a_file_that_becomes_wanted_gets_its_bytes_back(tmp_path: Path) -> None:
    data = Random(2).randbytes(TOTAL)
    storage = opened(tmp_path, 1, 3)
    store(storage, data, 0, 1, 2, 4, 5, 6, 7, 8)
    storage.want(frozenset({3}))
    assert names(tmp_path) == {"top/file0", "top/file1", "top/file2", NAME}
    assert storage.read(25, 5) == data[25:30]
    store(storage, data, 3)
    assert (tmp_path / "top" / "file1").read_bytes() == data[25:43]
    storage.want(frozenset())
    assert names(tmp_path) == {f"top/file{n}" for n in range(4)}
    assert storage.read(80, 10) == data[80:90]
    storage.close()


def test_a_file_that_is_there_stays_where_it_is(tmp_path: Path) -> None:
    data = Random(3).randbytes(TOTAL)
    storage = opened(tmp_path)
    store(storage, data, 2)
    storage.skip(frozenset({1, 2}), parts_in)
    store(storage, data, 3, 4)
    assert (tmp_path / "top" / "file1").read_bytes() == data[25:43]
    assert names(tmp_path) == {"top/file0", "top/file1", NAME}
    storage.close()


def test_a_file_that_is_being_written_is_not_set_aside(tmp_path: Path) -> None:
    storage = opened(tmp_path)
    storage.skip(frozenset({1, 2}), parts_in, but={1})
    assert storage.parts is not None
    assert storage.parts.files == {2}


def test_folders_and_empty_files_of_unwanted_ones_are_not_made(tmp_path: Path) -> None:
    files = [File(("top", "in", "a"), 5, 0), File(("top", "e"), 0, 5), File(("top", "f"), 0, 5)]
    storage = FileStorage(tmp_path, files, writable=True)
    storage.skip(frozenset({0, 1}), parts_in)
    storage.prepare()
    assert {path.name for path in tmp_path.rglob("*")} == {"top", "f"}


def test_stats_tell_when_the_part_file_is_gone(tmp_path: Path) -> None:
    storage = opened(tmp_path, 1)
    assert storage.stats()[1] is None
    store(storage, bytes(TOTAL), 2)
    found = storage.stats()[1]
    assert found is not None
    assert found.size == LENGTHS[1]
    assert found.mtime_ns == (tmp_path / NAME).stat().st_mtime_ns
    (tmp_path / NAME).unlink()
    assert storage.stats()[1] is None
    with pytest.raises(DiskError):  # its other places count as had
        store(storage, bytes(TOTAL), 4)
    storage.forget([1])
    store(storage, bytes(TOTAL), 4)
    assert storage.stats()[1] is not None


def test_a_link_in_the_part_file_s_place_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "root"
    storage = opened(root, 1)
    (root / NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DiskError, match="symbolic link"):
        store(storage, bytes(TOTAL), 2)
    assert not (tmp_path / "elsewhere").exists()


def test_a_crash_while_a_file_takes_its_bytes_back_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = Random(4).randbytes(TOTAL)
    storage = opened(tmp_path, 1)
    store(storage, data, 2, 4)
    monkeypatch.setattr("p2pswarm.disk.storage.write_all", fails)
    with pytest.raises(DiskError):
        storage.want(frozenset())
    monkeypatch.undo()
    storage.want(frozenset())
    assert storage.read(20, 10) + storage.read(40, 10) == data[20:30] + data[40:50]


def fails(fd: int, at: int, data: memoryview) -> None:
    raise OSError(5, "broken")


def test_pad_files_are_never_aside(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path, files_of(5, 5, 10, pads=(1,)), writable=True)
    storage.skip(frozenset({0, 1}), parts_in)
    assert storage.parts is not None
    assert storage.parts.files == {0}
    assert storage.stats()[1] == PAD


def test_the_name_says_of_which_torrent_it_is() -> None:
    assert parts_name(bytes(range(20))) == ".000102030405060708090a0b0c0d0e0f10111213.parts"


def test_after_a_failed_sync_the_disk_is_read_and_the_next_one_tries_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel forgets what it could not write; pages in memory would be taken for what is on the disk."""
    storage = opened(tmp_path, 1)
    store(storage, bytes(TOTAL), 2)
    forgotten, synced = list[int](), list[int]()

    def fail(fd: int) -> None:
        raise OSError(errno.EIO, "")

    monkeypatch.setattr(parts.os, "fsync", fail)
    monkeypatch.setattr(parts, "forget_clean", forgotten.append)
    with pytest.raises(DiskError, match="sync"):
        storage.sync()
    assert len(forgotten) == 1
    monkeypatch.setattr(parts.os, "fsync", synced.append)
    storage.sync()
    assert len(synced) == 1


def test_a_source_that_cannot_be_read_is_an_error_of_the_disk(tmp_path: Path) -> None:
    storage = opened(tmp_path, 1)
    folder = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(DiskError, match="re-used"):
        storage.take(25, 5, folder, 0)
    os.close(folder)
