"""The file of a feed: whole or not at all, and never through a link."""

from pathlib import Path

import pytest

from p2pswarm.disk.feeds import FeedFile
from p2pswarm.errors import DiskError


def test_what_was_written_is_read(tmp_path: Path) -> None:
    file = FeedFile(tmp_path / "new" / "a.feed")
    assert file.read() is None
    for data in (b"longer than the next", b"short", b""):
        file.write(data)
        assert file.read() == data
    assert [path.name for path in file.path.parent.iterdir()] == ["a.feed"]


def test_a_failure_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = FeedFile(tmp_path / "a.feed")
    file.write(b"old")

    def full(fd: int, at: int, data: memoryview) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("p2pswarm.disk.feeds.write_all", full)
    with pytest.raises(DiskError, match=r"cannot write .*a\.feed: No space"):
        file.write(b"new")
    assert file.read() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.feed"]


def test_a_planted_link_is_not_written_through(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"precious")
    (tmp_path / "a.feed").symlink_to(other)
    FeedFile(tmp_path / "a.feed").write(b"log")
    assert other.read_bytes() == b"precious"
    assert not (tmp_path / "a.feed").is_symlink()


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match="cannot read"):
        FeedFile(tmp_path).read()
