"""Wherever a move is cut off, one place holds all the files; begun again, it ends."""

import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from p2pswarm.disk import moving
from p2pswarm.disk.locate import locate
from p2pswarm.disk.moving import Moving
from p2pswarm.disk.storage import FileStat
from p2pswarm.errors import HostError, TargetExistsError
from p2pswarm.formats.building import build

FILES = {"a": b"a" * 50_000, "sub/b": b"b" * 3, "sub/deep/c": bytes(20_000), "z": b""}
META = build(
    name="many",
    piece_length=1 << 18,
    pieces=bytes(20),
    files=[(tuple(name.split("/")), len(data)) for name, data in FILES.items()],
)


class Killed(BaseException):
    """The plug is pulled."""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    for name, data in FILES.items():
        path = tmp_path / "old" / "many" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (tmp_path / "old" / ".parts").write_bytes(b"parts")
    return tmp_path / "old"


def is_whole(folder: Path) -> bool:
    found = {name: folder / "many" / name for name in FILES}
    return all(p.is_file() and p.read_bytes() == FILES[name] for name, p in found.items())


def move(old: Path, to: Path, claim: Callable[[Sequence[FileStat | None]], None]) -> None:
    work = Moving(locate(META, old), to, besides=[".parts"])
    for _ in work.steps(claim):
        pass
    work.clean()


def other_file_system(monkeypatch: pytest.MonkeyPatch, old: Path) -> None:
    """A rename out of this folder is refused."""
    rename = Path.rename

    def refuse(self: Path, to: Path) -> Path:
        if self.is_relative_to(old) != to.is_relative_to(old):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", refuse)


@pytest.mark.parametrize("far", [False, True], ids=["a rename", "another file system"])
def test_all_of_it_is_there_and_nothing_here(
    old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, far: bool
) -> None:
    if far:
        other_file_system(monkeypatch, old)
    (old / "many/a").chmod(0o755)
    before = (old / "many/a").stat()
    claims: list[Sequence[FileStat | None]] = []
    move(old, tmp_path / "new", claims.append)
    assert is_whole(tmp_path / "new")
    assert (tmp_path / "new/.parts").read_bytes() == b"parts"
    assert list(old.iterdir()) == []
    after = (tmp_path / "new/many/a").stat()
    assert (after.st_mode, after.st_mtime_ns) == (before.st_mode, before.st_mtime_ns)
    assert claims[-1][0] == FileStat(50_000, before.st_mtime_ns)


@pytest.mark.parametrize("far", [False, True], ids=["a rename", "another file system"])
def test_wherever_it_is_cut_off(
    old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, far: bool
) -> None:
    """Every call that changes the disk is the last one once, before or after it is done."""
    if far:
        other_file_system(monkeypatch, old)
    calls = 0
    last = -1

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def do(*args: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == last:
                raise Killed
            result = call(*args, **options)
            calls += 1
            if calls == last:
                raise Killed
            return result

        return do

    for where, name in [
        (Path, "rename"),
        (Path, "unlink"),
        (Path, "rmdir"),
        (Path, "mkdir"),
        (moving, "copy_range"),
        (moving, "sync_folder"),
        (os, "fsync"),
    ]:
        monkeypatch.setattr(where, name, counted(getattr(where, name)))
    places = [old, tmp_path / "new"]
    cuts = 0
    while True:
        calls, last = 0, cuts + 1
        try:
            move(*places, lambda looks: None)
        except Killed:
            cuts += 1
        else:
            break
        assert is_whole(places[0]) or is_whole(places[1]), f"cut off at {cuts}"
        last = -1
        if (places[0] / "many").exists():
            move(*places, lambda looks: None)
        assert is_whole(places[1]), f"begun again after {cuts}"
        assert not (places[0] / "many").exists()
        places.reverse()  # and back again
    assert cuts > 10


def test_what_is_in_the_way_is_named(old: Path, tmp_path: Path) -> None:
    (tmp_path / "new/many").mkdir(parents=True)
    with pytest.raises(
        TargetExistsError, match=r"many exists and is not a copy: .*many/a is missing"
    ):
        move(old, tmp_path / "new", lambda looks: None)
    assert is_whole(old)


def test_a_copy_that_differs_ends_it(
    old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_file_system(monkeypatch, old)
    monkeypatch.setattr(
        moving, "copy_range", lambda source, target, at, length: os.pwrite(target, b"?", at)
    )
    with pytest.raises(TargetExistsError, match="not the same"):
        move(old, tmp_path / "new", lambda looks: None)
    assert is_whole(old)
    assert not (tmp_path / "new/many").exists()


def test_what_lies_there_already_is_left_alone(old: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "new" / "many" / "a"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"theirs")
    with pytest.raises(TargetExistsError):
        move(old, tmp_path / "new", lambda looks: None)
    assert theirs.read_bytes() == b"theirs"
    assert is_whole(old)


def test_nothing_is_moved_into_itself_or_to_where_it_is(old: Path) -> None:
    with pytest.raises(HostError, match="already"):
        Moving(locate(META, old), old)
    with pytest.raises(HostError, match="into itself"):
        Moving(locate(META, old), old / "many" / "sub")


def test_what_is_not_of_the_torrent_stays_when_files_are_copied(
    old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_file_system(monkeypatch, old)
    (old / "many/sub/mine").write_bytes(b"mine")
    move(old, tmp_path / "new", lambda looks: None)
    assert is_whole(tmp_path / "new")
    assert [path.name for path in old.rglob("*") if path.is_file()] == ["mine"]
