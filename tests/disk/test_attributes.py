import os
import stat
from pathlib import Path

import pytest

from p2pswarm.disk.attributes import relative
from p2pswarm.disk.storage import FileStorage
from p2pswarm.errors import DiskError
from p2pswarm.formats.metainfo import File


def storage_of(root: Path, *files: File) -> FileStorage:
    made = FileStorage(root, files, writable=True)
    made.prepare()
    return made


def linked(path: str, target: str) -> File:
    return File(tuple(path.split("/")), 0, 0, link=tuple(target.split("/")))


@pytest.mark.parametrize("length", [0, 5])
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o755), (0o077, 0o700)])
def test_who_may_read_an_executable_may_run_it(
    tmp_path: Path, length: int, mask: int, mode: int
) -> None:
    before = os.umask(mask)
    try:
        storage = storage_of(
            tmp_path, File(("x",), length, 0, executable=True), File(("y",), 9, length)
        )
        storage.write(0, bytes(length + 9))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == mode
    assert stat.S_IMODE((tmp_path / "y").stat().st_mode) == mode & 0o666
    storage.close()


def test_links_are_made_at_the_end_and_what_is_there_stays(tmp_path: Path) -> None:
    storage = storage_of(
        tmp_path,
        File(("t", "a"), 3, 0),
        linked("t/in/b", "t/a"),
        linked("t/c", "t/in"),
        linked("t/d", "t/a"),
    )
    storage.write(0, b"abc")
    assert {path.name for path in tmp_path.rglob("*")} == {"t", "a", "in"}
    (tmp_path / "t" / "d").write_text("mine")
    for _ in range(2):
        storage.link()
    assert (tmp_path / "t" / "in" / "b").readlink() == Path("../a")
    assert (tmp_path / "t" / "c" / "b").read_text() == "abc"
    assert (tmp_path / "t" / "d").read_text() == "mine"


def test_an_unwanted_link_is_not_made(tmp_path: Path) -> None:
    storage = storage_of(tmp_path, File(("t", "a"), 3, 0), linked("t/b", "t/a"))
    storage.want({1})
    storage.link()
    assert not os.path.lexists(tmp_path / "t" / "b")


def test_no_link_is_made_through_a_link(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    outside.mkdir()
    storage = storage_of(root, File(("t", "a"), 3, 0), linked("t/in/b", "t/a"))
    (root / "t" / "in").rmdir()
    (root / "t" / "in").symlink_to(outside)
    with pytest.raises(DiskError):
        storage.link()
    assert not list(outside.iterdir())


@pytest.mark.parametrize(
    ("path", "target", "text"),
    [
        ("t/a", "t/b", "b"),
        ("t/x/y/a", "t/z/b", "../../z/b"),
        ("t/x/a", "t", ".."),
        ("a", "b/c", "b/c"),
        ("t/x/a", "t/x", "."),
    ],
)
def test_links_are_relative(path: str, target: str, text: str) -> None:
    assert relative(path.split("/"), target.split("/")) == text
