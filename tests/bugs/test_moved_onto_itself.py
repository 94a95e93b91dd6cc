"""Moved to where a link, a hard link or a second mount led to the same files, all of them were taken away:
the copy was compared with itself and found whole."""

import errno
from pathlib import Path

import pytest

from p2pswarm.disk import moving
from p2pswarm.disk.locate import locate
from p2pswarm.disk.moving import Moving
from p2pswarm.errors import DiskFullError, HostError
from tests.disk.test_moving import META, is_whole, move, old, other_file_system

__all__ = ["old"]


@pytest.mark.parametrize("kind", ["a link to the folder", "links to the files", "hard links"])
def test_what_is_there_twice_by_name_only_stays(old: Path, tmp_path: Path, kind: str) -> None:
    new = tmp_path / "new"
    new.mkdir()
    if kind == "a link to the folder":
        (new / "many").symlink_to(old / "many")
    for path in [] if kind == "a link to the folder" else sorted((old / "many").rglob("*")):
        there = new / path.relative_to(old)
        if path.is_dir():
            there.mkdir()
        elif kind == "hard links":
            there.parent.mkdir(parents=True, exist_ok=True)
            there.hardlink_to(path)
        else:
            there.parent.mkdir(parents=True, exist_ok=True)
            there.symlink_to(path)
    with pytest.raises(HostError):
        move(old, new, lambda stats: None)
    assert is_whole(old)


def test_the_part_file_is_on_the_disk_before_the_old_one_goes(
    old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Onto another file system: a power cut left pieces in it claimed and nowhere."""
    other_file_system(monkeypatch, old)
    synced = list[Path]()
    real = moving._sync_file
    monkeypatch.setattr(moving, "_sync_file", lambda path: (real(path), synced.append(path)))
    new = tmp_path / "new"
    work = Moving(locate(META, old), new, besides=[".parts"])
    for _ in work.steps(lambda stats: None):
        pass
    assert new / ".parts" in synced


def test_half_a_copy_does_not_keep_a_disk_full(
    old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_file_system(monkeypatch, old)
    real = moving.copy_range

    def full(source: int, target: int, offset: int, length: int) -> object:
        if length < 50_000:
            raise OSError(errno.ENOSPC, "")
        return real(source, target, offset, length)

    monkeypatch.setattr(moving, "copy_range", full)
    with pytest.raises(DiskFullError):
        move(old, tmp_path / "new", lambda stats: None)
    assert list((tmp_path / "new").iterdir()) == []
    assert is_whole(old)
