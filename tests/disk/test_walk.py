import logging
import os
import socket
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.disk.walk import Seen, Walk
from p2pswarm.errors import DiskError


def all_of(root: Path, most: int = 1000) -> dict[str, Seen]:
    walk, seen = Walk(root), []
    while step := walk.step(most):
        assert len(step) <= most
        seen += step
    return {"/".join((*each.folder, each.name)): each for each in seen}


def put(path: Path, data: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


names = st.text(st.characters(codec="utf-8", exclude_characters="/\0."), min_size=1, max_size=20)


@given(st.sets(st.tuples(names, names, names), max_size=12), st.integers(1, 5))
@settings(max_examples=30)
def test_every_file_is_seen_once_in_any_steps(
    tmp_path_factory: pytest.TempPathFactory, paths: set[tuple[str, str, str]], most: int
) -> None:
    root = tmp_path_factory.mktemp("share")
    for path in paths:
        put(root.joinpath(*path), b"x" * len(path[0]))
    seen = all_of(root, most)
    assert set(seen) == {"/".join(path) for path in paths}
    for path in paths:
        here = root.joinpath(*path).stat()
        expected = Seen(path[:2], path[2], here.st_size, here.st_mtime_ns)
        assert seen["/".join(path)] == expected


def test_what_is_hidden_empty_or_no_file_is_left_out(tmp_path: Path) -> None:
    put(tmp_path / "shown")
    put(tmp_path / ".hidden")
    put(tmp_path / ".git" / "config")
    put(tmp_path / "empty", b"")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
    assert set(all_of(tmp_path)) == {"shown"}


def test_links_are_not_followed(tmp_path: Path) -> None:
    outside = put(tmp_path / "outside" / "secret").parent
    share = put(tmp_path / "share" / "a" / "file").parents[1]
    (share / "out").symlink_to(outside)
    (share / "file").symlink_to(outside / "secret")
    (share / "a" / "loop").symlink_to(share)
    assert set(all_of(share)) == {"a/file"}


def test_the_root_may_be_a_link_or_a_file(tmp_path: Path) -> None:
    file = put(tmp_path / "share" / "file")
    (tmp_path / "link").symlink_to(tmp_path / "share")
    assert set(all_of(tmp_path / "link")) == set(all_of(file)) == {"file"}


def test_a_root_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match=r"cannot read .*nowhere: No such file"):
        Walk(tmp_path / "nowhere").step(1)


def test_a_folder_too_deep_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(tmp_path.joinpath(*"d" * 99, "deep"))
    put(tmp_path.joinpath(*"d" * 100, "too deep"))
    assert [seen.name for seen in all_of(tmp_path).values()] == ["deep"]
    assert "lies too deep" in caplog.text


def test_a_folder_that_becomes_a_link_is_not_entered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    secret = put(tmp_path / "outside" / "secret")
    folder = put(tmp_path / "share" / "folder" / "file").parent
    real = os.open

    def swap(path: str, flags: int, **more: int) -> int:
        if path == "folder":
            (folder / "file").unlink()
            folder.rmdir()
            folder.symlink_to(secret.parent)
        return real(path, flags, **more)

    monkeypatch.setattr(os, "open", swap)
    with caplog.at_level(logging.WARNING):
        assert not all_of(tmp_path / "share")
    assert "left out: cannot read" in caplog.text


def test_what_is_open_is_closed(tmp_path: Path) -> None:
    for number in range(10):
        put(tmp_path / "a" / "b" / str(number))
    before = open_files()
    walk = Walk(tmp_path)
    walk.step(3)
    assert open_files() > before
    del walk
    assert open_files() == before
    all_of(tmp_path)
    assert open_files() == before
