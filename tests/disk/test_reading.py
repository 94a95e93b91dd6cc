import gc
import os
from pathlib import Path

import pytest

from p2pswarm.disk.reading import Reading
from p2pswarm.errors import DiskError


def opened(path: Path, *below: str) -> Reading:
    here = path.joinpath(*below).stat()
    return Reading(path, below, here.st_size, here.st_mtime_ns)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "share" / "folder" / "file"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"0123456789")
    return file


def test_a_part_is_read(file: Path) -> None:
    buffer = memoryview(bytearray(4))
    opened(file.parents[1], "folder", "file").read_into(5, buffer)
    assert buffer == b"5678"


def test_another_size_or_time_is_refused(file: Path) -> None:
    here = file.stat()
    for size, changed in ((9, here.st_mtime_ns), (10, here.st_mtime_ns + 1)):
        with pytest.raises(DiskError, match="is not what it was"):
            Reading(file.parent, ["file"], size, changed)


def test_a_change_is_seen(file: Path) -> None:
    reading = opened(file.parent, "file")
    reading.check()
    os.utime(file, (1, 1))
    with pytest.raises(DiskError, match="is not what it was"):
        reading.check()


def test_a_file_that_became_shorter_is_an_error(file: Path) -> None:
    reading = opened(file.parent, "file")
    os.truncate(file, 3)
    with pytest.raises(DiskError, match="is shorter than it was"):
        reading.read_into(0, memoryview(bytearray(10)))


def test_nothing_is_reached_through_a_link(file: Path, tmp_path: Path) -> None:
    (file.parent / "link").symlink_to(file)
    (tmp_path / "share" / "way").symlink_to(file.parent)
    for below in (["folder", "link"], ["way", "file"]):
        with pytest.raises(DiskError, match=r"link is in the way|Not a directory"):
            opened(tmp_path / "share", *below)


def test_a_folder_is_no_file(file: Path) -> None:
    with pytest.raises(DiskError):
        opened(file.parents[1], "folder")


def test_who_forgets_it_closes_it(file: Path) -> None:
    reading = opened(file.parent, "file")
    fd = reading.fd
    os.fstat(fd)
    del reading
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_it_may_be_closed_twice(file: Path) -> None:
    reading = opened(file.parent, "file")
    reading.close()
    reading.close()
    with pytest.raises(DiskError):
        reading.read_into(0, memoryview(bytearray(1)))
