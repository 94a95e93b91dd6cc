import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from threading import Event
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.disk import handles, storage as storage_room
from p2pswarm.disk.handles import Shelf
from p2pswarm.disk.storage import PAD, FileStat, FileStorage, Storage
from p2pswarm.errors import DiskError, DiskFullError
from p2pswarm.formats.metainfo import File
from tests.support.disks import (
    FailingStorage,
    ForgetfulStorage,
    FullStorage,
    LyingStorage,
    SlowStorage,
)
from tests.support.memory import MemoryStorage
from tests.support.patience import PATIENCE

LENGTHS = [5, 0, 300, 1, 94]
TOTAL = sum(LENGTHS)


def files_of(*lengths: int, pads: tuple[int, ...] = ()) -> list[File]:
    made, offset = [], 0
    for number, length in enumerate(lengths):
        path = ("top", f"folder{number % 3}", f"file{number}")
        made.append(File(path, length, offset, number in pads))
        offset += length
    return made


def open_files(root: Path) -> int:
    """How many files below `root` this process holds open."""
    links = [Path(f"/proc/self/fd/{fd.name}") for fd in Path("/proc/self/fd").iterdir()]
    return sum(str(root) in str(link.readlink()) for link in links if link.is_symlink())


def path_of(root: Path, file: File) -> Path:
    return root.joinpath(*file.path)


# The contract: what every storage does


@pytest.fixture(params=["memory", "files", "few-handles", "forgetful", "wrapped"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    files = files_of(*LENGTHS)
    memory = MemoryStorage(TOTAL, LENGTHS)
    made: dict[str, Storage] = {
        "memory": memory,
        "files": FileStorage(tmp_path / "target", files, writable=True),
        "few-handles": FileStorage(tmp_path / "target", files, writable=True, shelf=Shelf(1)),
        "forgetful": ForgetfulStorage(LENGTHS, lambda: 1),
        "wrapped": FullStorage(
            FailingStorage(SlowStorage(LyingStorage(memory), lambda: None), Random(1)), 1 << 20
        ),
    }
    made[request.param].prepare()
    yield made[request.param]
    made[request.param].close()


def test_what_was_written_is_read(storage: Storage) -> None:
    data = Random(1).randbytes(TOTAL)
    storage.write(0, data)
    assert storage.read(0, TOTAL) == data
    for offset, length in [(0, 5), (4, 2), (5, 300), (304, 3), (TOTAL - 1, 1), (7, 0)]:
        assert storage.read(offset, length) == data[offset : offset + length]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer_may_be_written(storage: Storage, kind: Any) -> None:
    storage.write(0, kind(bytes(TOTAL)))
    storage.write(3, kind(b"across files"))
    assert storage.read(2, 14) == b"\0across files\0"


def test_bytes_next_to_a_write_stay_as_they_are(storage: Storage) -> None:
    storage.write(0, b"a" * TOTAL)
    storage.write(4, b"b" * 302)
    assert storage.read(0, TOTAL) == b"a" * 4 + b"b" * 302 + b"a" * (TOTAL - 306)


def test_reading_into_a_buffer_fills_exactly_that(storage: Storage) -> None:
    storage.write(0, bytes(i % 251 for i in range(TOTAL)))
    buffer = bytearray(20)
    assert storage.read_into(300, [memoryview(buffer)[5:15]])
    assert buffer == bytes(5) + bytes(i % 251 for i in range(300, 310)) + bytes(5)


def test_reading_without_waiting_gives_the_bytes_or_says_no(storage: Storage) -> None:
    data = Random(2).randbytes(TOTAL)
    storage.write(0, data)
    buffer = bytearray(TOTAL)
    if storage.read_into(0, [memoryview(buffer)], wait=False):
        assert buffer == data


@pytest.mark.parametrize(("offset", "length"), [(-1, 2), (0, TOTAL + 1), (TOTAL, 1)])
def test_bytes_outside_are_a_bug(storage: Storage, offset: int, length: int) -> None:
    with pytest.raises(ValueError, match="of 400"):
        storage.write(offset, bytes(length))
    with pytest.raises(ValueError, match="of 400"):
        storage.read(offset, length)


def test_stats_show_a_change(storage: Storage) -> None:
    storage.write(0, bytes(TOTAL))
    before = storage.stats()
    assert len(before) == len(LENGTHS)
    assert [found.size for found in before if found] == [n for n in LENGTHS if n or before[1]]
    assert before == storage.stats()


def test_syncing_and_closing_twice_is_fine(storage: Storage) -> None:
    storage.write(0, b"x")
    storage.sync()
    storage.sync()
    storage.close()
    storage.close()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 63), st.binary(max_size=24)), max_size=12))
def test_files_hold_what_memory_holds(writes: list[tuple[int, bytes]]) -> None:
    files = files_of(9, 0, 30, 1, 24)
    memory = MemoryStorage(64)
    memory.write(0, bytes(64))
    with tempfile.TemporaryDirectory() as root:
        real = FileStorage(Path(root), files, writable=True, shelf=Shelf(2))
        real.write(0, bytes(64))
        for offset, data in writes:
            part = data[: 64 - offset]
            memory.write(offset, part)
            real.write(offset, part)
        assert real.read(0, 64) == memory.read(0, 64)
        joined = b"".join(path_of(Path(root), file).read_bytes() for file in files if file.length)
        assert joined == memory.read(0, 64)
        real.close()


# Real files


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "target"


def writable(root: Path, files: list[File], **more: Any) -> FileStorage:
    made = FileStorage(root, files, writable=True, **more)
    made.prepare()
    return made


def test_prepare_makes_folders_and_empty_files_and_no_others(root: Path) -> None:
    files = files_of(5, 0, 3)
    storage = writable(root, files)
    assert path_of(root, files[1]).read_bytes() == b""
    assert not path_of(root, files[0]).exists()
    assert path_of(root, files[2]).parent.is_dir()
    storage.prepare()
    assert storage.stats()[0] is None


def test_the_first_write_gives_a_file_its_full_length_and_no_blocks(root: Path) -> None:
    storage = writable(root, files_of(50 << 20))
    storage.write(7, b"x")
    found = path_of(root, files_of(1)[0]).stat()
    assert found.st_size == 50 << 20
    assert found.st_blocks * 512 < 1 << 20
    storage.close()


def test_modes_are_what_the_umask_leaves(root: Path) -> None:
    files = files_of(1)
    before = os.umask(0o027)
    try:
        storage = writable(root, files)
        storage.write(0, b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path_of(root, files[0]).stat().st_mode) == 0o640
    assert stat.S_IMODE(path_of(root, files[0]).parent.stat().st_mode) == 0o750
    storage.close()


def test_files_open_lazily_and_few_stay_open(root: Path) -> None:
    files = files_of(*[10] * 40)
    storage = writable(root, files, shelf=Shelf(4))
    assert "0 open" in repr(storage)
    storage.write(0, bytes(400))
    assert "4 open" in repr(storage)
    assert open_files(root) == 4
    storage.close()
    assert "0 open" in repr(storage)


def test_after_close_nothing_is_left_open(root: Path) -> None:
    storage = writable(root, files_of(10))
    storage.close()
    storage.write(0, bytes(10))  # a job that was under way: it still gets its file, for this once
    assert "0 open" in repr(storage)


def test_pad_files_are_zeros_and_never_written(root: Path) -> None:
    files = files_of(5, 300_000, 5, pads=(1,))
    storage = writable(root, files)
    storage.write(0, b"\xff" * 300_010)
    assert storage.read(0, 300_010) == b"\xff" * 5 + bytes(300_000) + b"\xff" * 5
    assert storage.read_into(10, [memoryview(bytearray(9))], wait=False)
    assert not path_of(root, files[1]).exists()
    assert storage.stats()[1] == PAD
    storage.close()


def test_stats_know_what_is_missing(root: Path) -> None:
    storage = writable(root, files_of(5, 6))
    storage.write(0, b"12345")
    found = storage.stats()
    seen = path_of(root, files_of(5)[0]).stat()
    assert found == [FileStat(5, seen.st_mtime_ns), None]
    storage.close()


def test_a_folder_that_cannot_be_looked_into_is_an_error(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = writable(root, files_of(5))

    def refuse(*args: object, **more: object) -> None:
        raise PermissionError(errno.EACCES, "no")

    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(DiskError, match=r"cannot look at .*: Permission denied"):
        storage.stats()


# What the user already has


def test_reading_follows_links_and_the_single_file_may_have_any_name(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"hello")
    (tmp_path / "renamed").symlink_to("elsewhere")
    storage = FileStorage(tmp_path, [File(("renamed",), 5, 0)], writable=False)
    storage.prepare()
    assert storage.read(1, 3) == b"ell"
    assert storage.stats() == [
        FileStat(5, (tmp_path / "elsewhere").stat().st_mtime_ns),
    ]
    storage.close()


def test_what_is_only_read_is_never_written(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"hello")
    storage = FileStorage(tmp_path, [File(("f",), 5, 0), File(("g",), 0, 5)], writable=False)
    storage.prepare()
    with pytest.raises(DiskError, match="shared read-only") as caught:
        storage.write(0, b"H")
    assert caught.value.errno == errno.EROFS
    assert not (tmp_path / "g").exists()
    assert (tmp_path / "f").read_bytes() == b"hello"


def test_a_file_in_the_users_folder_may_be_read_only(root: Path) -> None:
    """Checking what is there needs no right to write."""
    files = files_of(5)
    storage = writable(root, files)
    path_of(root, files[0]).write_bytes(b"hello")
    path_of(root, files[0]).chmod(0o444)
    assert storage.read(0, 5) == b"hello"
    storage.close()


# What goes wrong


def test_a_missing_file_is_not_made_by_reading(root: Path) -> None:
    files = files_of(5)
    storage = writable(root, files)
    with pytest.raises(DiskError, match=r"cannot open .*file0: No such file") as caught:
        storage.read(0, 5)
    assert caught.value.errno == errno.ENOENT
    assert not path_of(root, files[0]).exists()


def test_whoever_looks_for_a_file_waits_until_it_has_its_new_name(root: Path) -> None:
    files = files_of(5)
    storage = writable(root, files)
    storage.write(0, b"12345")
    storage.forget([0])  # nothing is open
    begun, go = Event(), Event()
    new = files[0]._replace(path=(*files[0].path[:-1], "new"))

    def act() -> None:
        path_of(root, files[0]).rename(path_of(root, new))
        begun.set()
        assert go.wait(PATIENCE)

    with ThreadPoolExecutor(3) as threads:
        renaming = threads.submit(storage.rename, 0, new, act)
        assert begun.wait(PATIENCE)
        reading, looking = threads.submit(storage.read, 0, 5), threads.submit(storage.stats)
        futures.wait([reading, looking], timeout=0.05)
        assert not reading.done()
        assert not looking.done()
        go.set()
        renaming.result()
        assert reading.result() == b"12345"
        assert looking.result()[0] is not None
    assert files == files_of(5)  # those of the torrent
    storage.close()


@pytest.mark.parametrize("is_writable", [True, False])
def test_a_short_file_is_an_error(root: Path, is_writable: bool) -> None:
    files = files_of(5, 5)
    writable(root, files).close()
    path_of(root, files[0]).write_bytes(b"hel")
    storage = FileStorage(root, files, writable=is_writable)
    with pytest.raises(DiskError, match=r"file0 is shorter than it should be"):
        storage.read(1, 4)
    assert storage.read(0, 3) == b"hel"
    storage.close()


def test_a_file_that_was_cut_is_noticed_while_it_is_open(root: Path) -> None:
    files = files_of(5)
    storage = writable(root, files)
    storage.write(0, b"hello")
    os.truncate(path_of(root, files[0]), 2)
    with pytest.raises(DiskError, match="shorter"):
        storage.read(0, 5)
    assert not storage.read_into(0, [memoryview(bytearray(5))], wait=False)
    storage.close()


@pytest.mark.parametrize("loss", ["removed", "cut"])
def test_a_file_that_was_lost_is_never_made_anew(root: Path, loss: str) -> None:
    """Its pieces are counted as had: a fresh file of zeros would be served, and believed at restart."""
    files = files_of(5, 5)
    storage = writable(root, files, shelf=Shelf(1))
    storage.write(0, b"helloworld")
    if loss == "removed":
        path_of(root, files[0]).unlink()
    else:
        os.truncate(path_of(root, files[0]), 2)
    with pytest.raises(DiskError, match=r"file0"):
        storage.write(0, b"H")
    with pytest.raises(DiskError, match=r"file0"):
        storage.sync()
    storage.close()


def test_a_shorter_file_of_before_is_lengthened(root: Path) -> None:
    files = files_of(5)
    storage = writable(root, files)
    path_of(root, files[0]).write_bytes(b"he")
    storage.write(4, b"o")
    assert storage.read(0, 5) == b"he\0\0o"
    storage.close()


@pytest.mark.parametrize("is_writable", [True, False])
@pytest.mark.parametrize("what", ["fifo", "folder"])
def test_only_a_regular_file_will_do(root: Path, what: str, is_writable: bool) -> None:
    files = files_of(5)
    writable(root, files).close()
    if what == "fifo":
        os.mkfifo(path_of(root, files[0]))
    else:
        path_of(root, files[0]).mkdir()
    storage = FileStorage(root, files, writable=is_writable)
    assert storage.stats() == [None]
    with pytest.raises(DiskError):
        storage.read(0, 5)
    with pytest.raises(DiskError):
        storage.write(0, b"hello")
    storage.close()


def test_a_target_that_is_a_file_is_an_error(root: Path) -> None:
    root.write_bytes(b"")
    with pytest.raises(DiskError, match="cannot create"):
        writable(root, files_of(5))


def test_a_file_where_a_folder_should_be_is_an_error(root: Path) -> None:
    root.mkdir()
    (root / "top").write_bytes(b"")
    with pytest.raises(DiskError, match=r"cannot create .*top/folder0: Not a directory"):
        writable(root, files_of(5))


def fail_with(number: int) -> Any:
    def fail(*args: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_no_room_has_an_error_of_its_own(
    root: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    storage = writable(root, files_of(5))
    storage.write(0, b"hello")
    with monkeypatch.context() as patch:
        patch.setattr(handles.os, "pwrite", fail_with(number))
        with pytest.raises(DiskFullError) as caught:
            storage.write(0, b"HELLO")
    path = path_of(root, files_of(5)[0])
    assert str(caught.value) == f"cannot write {path}: {os.strerror(number)}"
    assert caught.value.errno == number
    storage.write(0, b"HELLO")
    assert storage.read(0, 5) == b"HELLO"
    storage.close()


def test_no_room_for_the_files_length_is_the_same(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = writable(root, files_of(5))
    with monkeypatch.context() as patch:
        patch.setattr(storage_room.os, "ftruncate", fail_with(errno.ENOSPC))
        with pytest.raises(DiskFullError, match="cannot create"):
            storage.write(0, b"hello")
    storage.write(0, b"hello")
    assert storage.read(0, 5) == b"hello"
    storage.close()


def test_other_errors_keep_their_number(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = writable(root, files_of(5))
    storage.write(0, b"hello")
    monkeypatch.setattr(handles.os, "pwrite", fail_with(errno.EIO))
    monkeypatch.setattr(storage_room.os, "preadv", fail_with(errno.EIO))
    with pytest.raises(DiskError, match=r"cannot write .*: Input/output error") as caught:
        storage.write(0, b"hello")
    assert caught.value.errno == errno.EIO
    assert not isinstance(caught.value, DiskFullError)
    for wait in (True, False):
        with pytest.raises(DiskError, match=r"cannot read .*: Input/output error"):
            storage.read_into(0, [memoryview(bytearray(5))], wait=wait)
    storage.close()


def test_short_counts_are_continued(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = writable(root, files_of(50, 50))
    pwrite, preadv = os.pwrite, os.preadv
    monkeypatch.setattr(handles.os, "pwrite", lambda fd, data, at: pwrite(fd, data[:7], at))
    monkeypatch.setattr(
        storage_room.os, "preadv", lambda fd, into, at: preadv(fd, [into[0][:7]], at)
    )
    data = Random(3).randbytes(100)
    storage.write(0, data)
    assert storage.read(0, 100) == data
    storage.close()


def test_a_write_that_writes_nothing_is_an_error(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = writable(root, files_of(5))
    monkeypatch.setattr(handles.os, "pwrite", lambda *_args: 0)
    with pytest.raises(DiskError, match="Input/output error"):
        storage.write(0, b"hello")
    storage.close()


def test_reads_without_waiting_ask_the_page_cache(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = writable(root, files_of(5))
    buffer = memoryview(bytearray(5))
    assert not storage.read_into(0, [buffer], wait=False)  # not open yet: opening might wait
    storage.write(0, b"hello")
    flags = []

    def preadv(fd: int, into: Any, at: int, flag: int = 0) -> int:
        flags.append(flag)
        into[0][:] = b"HELLO"
        return 5

    monkeypatch.setattr(storage_room.os, "preadv", preadv)
    assert storage.read_into(0, [buffer], wait=False)
    assert flags == [os.RWF_NOWAIT]
    monkeypatch.setattr(storage_room.os, "preadv", lambda *_args: 3)
    assert not storage.read_into(0, [buffer], wait=False)
    monkeypatch.setattr(storage_room.os, "preadv", fail_with(errno.EAGAIN))
    assert not storage.read_into(0, [buffer], wait=False)
    assert storage.nowait
    storage.close()


def test_a_file_system_that_cannot_tell_is_asked_once(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = writable(root, files_of(5))
    storage.write(0, b"hello")
    assert storage.nowait
    monkeypatch.setattr(storage_room.os, "preadv", fail_with(errno.EOPNOTSUPP))
    assert not storage.read_into(0, [memoryview(bytearray(5))], wait=False)
    assert not storage.nowait
    storage.close()


# Syncing


def test_sync_reaches_exactly_what_was_written_since(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = files_of(5, 5, 5)
    storage = writable(root, files, shelf=Shelf(1))
    synced: list[str] = []
    monkeypatch.setattr(
        storage_room,
        "_fdatasync",
        lambda fd: synced.append(Path(f"/proc/self/fd/{fd}").readlink().name),
    )
    storage.write(0, b"x" * 10)
    storage.read(0, 10)
    storage.sync()
    assert synced == ["file0", "file1"]  # the first was closed meanwhile
    storage.write(12, b"x")
    storage.sync()
    assert synced == ["file0", "file1", "file2"]
    storage.sync()
    assert len(synced) == 3
    storage.close()


def test_a_file_whose_sync_failed_stays_marked(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = writable(root, files_of(5, 5))
    storage.write(0, b"x" * 10)
    with monkeypatch.context() as patch:
        patch.setattr(storage_room, "_fdatasync", fail_with(errno.EIO))
        with pytest.raises(DiskError, match=r"cannot sync .*file0: Input/output error"):
            storage.sync()
    synced: list[int] = []
    monkeypatch.setattr(storage_room, "_fdatasync", synced.append)
    storage.sync()
    assert len(synced) == 2
    storage.close()


# Nothing leaves the folder


@pytest.mark.parametrize("link", ["top", "top/folder0", "top/folder0/file0"])
@pytest.mark.parametrize("kind", ["absolute", "relative", "dangling", "loop"])
def test_a_planted_link_leads_nowhere(root: Path, tmp_path: Path, link: str, kind: str) -> None:
    outside = tmp_path / "outside"
    (outside / "folder0").mkdir(parents=True)
    (outside / "file0").write_bytes(b"secret")
    (outside / "folder0" / "file0").write_bytes(b"secret")
    planted = root / link
    planted.parent.mkdir(parents=True)
    goal = outside / "file0" if link.endswith("file0") else outside
    planted.symlink_to(
        {
            "absolute": goal,
            "relative": os.path.relpath(goal, planted.parent),
            "dangling": tmp_path / "nothing",
            "loop": planted,
        }[kind]
    )
    storage = FileStorage(root, files_of(6, 0), writable=True)
    for attempt in (
        storage.prepare,
        lambda: storage.write(0, b"broken"),
        lambda: storage.read(0, 6),
    ):
        if not (attempt == storage.prepare and link.endswith("file0")):
            with pytest.raises(DiskError):
                attempt()
    assert (outside / "file0").read_bytes() == b"secret"
    assert (outside / "folder0" / "file0").read_bytes() == b"secret"
    assert sorted(path.name for path in tmp_path.rglob("*") if "outside" in str(path)) == [
        "file0",
        "file0",
        "folder0",
        "outside",
    ]
    assert not (tmp_path / "nothing").exists()
    storage.close()


def test_a_link_in_the_way_is_named(root: Path) -> None:
    files = files_of(5)
    storage = writable(root, files)
    path_of(root, files[0]).symlink_to("/etc/passwd")
    with pytest.raises(DiskError, match="a symbolic link is in the way"):
        storage.write(0, b"hello")


def test_the_target_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "target").symlink_to("real")
    storage = writable(tmp_path / "target", files_of(5))
    storage.write(0, b"hello")
    assert (tmp_path / "real/top/folder0/file0").read_bytes() == b"hello"
    storage.close()


def test_a_folder_swapped_for_a_link_while_running_is_noticed(root: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    storage = writable(root, files_of(5, 5, 5, 5), shelf=Shelf(1))
    storage.write(0, bytes(15))
    (root / "top/folder0").rename(root / "moved")
    (root / "top/folder0").symlink_to(tmp_path / "outside")
    with pytest.raises(DiskError):
        storage.write(15, b"hello")
    assert not list((tmp_path / "outside").iterdir())
    storage.close()


@pytest.mark.parametrize(
    "path", [("..", "f"), ("a", "..", "..", "f"), ("/etc/f",), ("",), (), ("\0",)]
)
def test_unsafe_paths_are_refused_here_too(tmp_path: Path, path: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"safe|without a name"):
        FileStorage(tmp_path, [File(path, 1, 0)], writable=True)


# Handles and threads


def test_no_file_is_closed_under_another_thread(root: Path) -> None:
    count, size = 12, 1000
    storage = writable(root, files_of(*[size] * count), shelf=Shelf(2))

    def hammer(number: int) -> None:
        dice = Random(number)
        mine = range(number * 3 * size, (number + 1) * 3 * size)
        expected = bytearray(len(mine))
        storage.write(mine.start, expected)
        for _ in range(300):
            at = dice.randrange(len(mine) - 100)
            data = dice.randbytes(dice.randrange(1, 100))
            storage.write(mine.start + at, data)
            expected[at : at + len(data)] = data
            if dice.random() < 0.05:
                storage.sync()
            assert storage.read(mine.start, len(mine)) == expected

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(hammer, range(4)))
    assert "2 open" in repr(storage)
    assert open_files(root) == 2
    storage.close()
    assert open_files(root) == 0


def test_too_many_open_files_in_the_process_closes_some_of_ours(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = files_of(*[5] * 8)
    storage = writable(root, files)
    storage.write(0, bytes(30))
    opened = os.open
    left = [1]

    def open_(*args: Any, **more: Any) -> int:
        if left:
            left.pop()
            raise OSError(errno.EMFILE, "too many")
        return opened(*args, **more)

    monkeypatch.setattr(handles.os, "open", open_)
    storage.write(30, b"hello")
    assert "4 open" in repr(storage)
    left.extend([1, 1])
    with pytest.raises(DiskError, match="Too many open files"):
        storage.write(35, b"hello")
    storage.close()


def test_an_error_at_close_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the next sync of the storage whose file it was, whoever made it close."""
    shelf = Shelf(1)
    storage = writable(root, files_of(5), shelf=shelf)
    other = writable(root.with_name("other"), files_of(5), shelf=shelf)
    storage.write(0, b"hello")
    close = os.close
    calls: list[int] = []

    def failing(fd: int) -> None:
        close(fd)
        calls.append(fd)
        if len(calls) == 4:  # three folders on the way to the second file, then the first file
            raise OSError(errno.EIO, "late")

    monkeypatch.setattr(handles.os, "close", failing)
    other.write(0, b"world")
    assert len(calls) == 4
    other.sync()
    with pytest.raises(DiskError, match="cannot close file number 0: Input/output error"):
        storage.sync()
    synced: list[int] = []
    monkeypatch.setattr(storage_room, "_fdatasync", synced.append)
    storage.sync()
    assert len(synced) == 1  # it still counts as written
    storage.close()
    other.close()


def test_many_storages_keep_few_files_open(tmp_path: Path) -> None:
    """Those that were used last, whosever they are."""
    shelf = Shelf(10)
    storages = [writable(tmp_path / str(n), files_of(5, 5), shelf=shelf) for n in range(30)]
    for storage in storages:
        storage.write(0, b"0123456789")
    assert open_files(tmp_path) == 10
    for storage in reversed(storages):
        assert storage.read(0, 10) == b"0123456789"
    assert open_files(tmp_path) == 10
    assert ["2 open" in repr(storage) for storage in storages] == [True] * 5 + [False] * 25
    for storage in storages:
        storage.close()
    assert open_files(tmp_path) == 0


def test_emptied_files_hold_nothing_and_are_made_anew(tmp_path: Path) -> None:
    files = files_of(*LENGTHS, pads=(3,))
    on_disk = FileStorage(tmp_path, files, writable=True)
    for storage in (on_disk, MemoryStorage(TOTAL, LENGTHS)):
        storage.write(0, b"a" * TOTAL)
        storage.empty()
        storage.write(5, b"b")
        assert storage.read(5, 300) == b"b" + bytes(299)
    assert [path_of(tmp_path, files[number]).stat().st_size for number in (0, 2)] == [0, 300]
    with pytest.raises(DiskError):
        on_disk.read(0, 5)
    path_of(tmp_path, files[2]).unlink()
    path_of(tmp_path, files[2]).mkdir()
    on_disk.forget([2])
    with pytest.raises(DiskError):
        on_disk.empty()
    on_disk.close()
