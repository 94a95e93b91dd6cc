"""A range comes whole whatever the file system can, and what it cannot is told from what went wrong."""

import errno
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from p2pswarm.disk import copying
from p2pswarm.disk.copying import Way, copy_range

DATA = bytes(range(256)) * 5000


def refuse(number: int) -> Any:
    def call(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return call


@pytest.fixture
def files(tmp_path: Path) -> Iterator[tuple[int, int]]:
    (tmp_path / "source").write_bytes(DATA)
    source = os.open(tmp_path / "source", os.O_RDONLY)
    target = os.open(tmp_path / "target", os.O_RDWR | os.O_CREAT)
    yield source, target
    os.close(source)
    os.close(target)


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL])
def test_by_hand_where_neither_call_works(
    files: tuple[int, int], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(copying, "ioctl", refuse(errno.ENOTTY))
    monkeypatch.setattr(os, "copy_file_range", refuse(number))
    monkeypatch.setattr(copying, "_BUFFER", 1000)
    assert copy_range(*files, 777, 123_456, to=5) is Way.COPIED
    assert os.pread(files[1], 200_000, 0) == bytes(5) + DATA[777 : 777 + 123_456]


def test_in_the_kernel_some_bytes_at_a_time(
    files: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def some(source: int, target: int, count: int, offset: int, to: int) -> int:
        return os.pwrite(target, os.pread(source, min(count, 1000), offset), to)

    monkeypatch.setattr(copying, "ioctl", refuse(errno.EOPNOTSUPP))
    monkeypatch.setattr(os, "copy_file_range", some)
    assert copy_range(*files, 10, 54_321) is Way.KERNEL
    assert os.pread(files[1], 54_321, 10) == DATA[10 : 10 + 54_321]


def test_here_whatever_this_disk_can(files: tuple[int, int]) -> None:
    copy_range(*files, 4096, 65_536, to=8192)
    assert os.pread(files[1], 100_000, 8192) == DATA[4096 : 4096 + 65_536]


def test_the_kernel_is_asked_to_share_the_blocks(
    files: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(copying, "ioctl", lambda *words: asked.append(words))
    assert copy_range(*files, 4096, 8192, to=0) is Way.SHARED
    [(target, number, words)] = asked
    assert (target, number) == (files[1], 0x4020940D)
    assert words == b"".join(
        value.to_bytes(8, "little") for value in (files[0], 4096, 8192, 0)
    )  # struct file_clone_range


def test_only_whole_blocks_can_be_shared(
    files: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = []

    def share(target: int, number: int, words: bytes) -> None:
        source, offset, length, to = struct.unpack("=qQQQ", words)
        shared.append((offset, length, to))
        os.pwrite(target, os.pread(source, length, offset), to)

    monkeypatch.setattr(copying, "ioctl", share)
    end = len(DATA)
    assert copy_range(*files, 5000, 20_000, to=904) is Way.SHARED
    assert copy_range(*files, end - 5000, 5000, to=end - 5000) is Way.SHARED
    last = end - end % 4096
    assert shared == [(8192, 16_384, 4096), (last, end - last, last)]
    assert os.pread(files[1], 20_000, 904) == DATA[5000:25_000]
    assert os.pread(files[1], 5000, end - 5000) == DATA[-5000:]
    assert copy_range(*files, 5000, 20_000, to=905) is not Way.SHARED


def test_a_full_disk_is_no_reason_to_try_another_way(
    files: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "ioctl", refuse(errno.ENOSPC))
    with pytest.raises(OSError, match="No space"):
        copy_range(*files, 0, 8192)
    monkeypatch.setattr(copying, "ioctl", refuse(errno.ENOTTY))
    monkeypatch.setattr(os, "copy_file_range", refuse(errno.ENOSPC))
    with pytest.raises(OSError, match="No space"):
        copy_range(*files, 0, 100)
    assert os.fstat(files[1]).st_size == 0


def test_a_source_that_ends_too_early(files: tuple[int, int]) -> None:
    with pytest.raises(OSError, match="shorter"):
        copy_range(*files, len(DATA) - 10, 11)


def test_nothing_is_copied_of_nothing(files: tuple[int, int]) -> None:
    copy_range(*files, 0, 0)
    assert os.fstat(files[1]).st_size == 0
