"""Creation: the same input gives the same torrent, every byte is hashed, nothing is skipped in silence."""

import hashlib
import os
import socket
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.disk import gathering, hashing
from p2pswarm.disk.create import create
from p2pswarm.disk.gathering import Choice, Links
from p2pswarm.disk.storage import FileStorage
from p2pswarm.errors import DiskError, HostError
from p2pswarm.formats import bencode
from p2pswarm.formats.metainfo import Metainfo

KIB = 1 << 10
SMALL = 16 * KIB


def hashes(data: bytes, length: int) -> bytes:
    parts = (data[at : at + length] for at in range(0, len(data), length))
    return b"".join(hashlib.sha1(part).digest() for part in parts)


def names(metainfo: Metainfo) -> list[str]:
    return ["/".join(file.path) for file in metainfo.files]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files of 5, 0, 40960, 1 and 3 bytes, and an empty folder."""
    root = tmp_path / "folder"
    (root / "d").mkdir(parents=True)
    (root / "b").write_bytes(b"bbbbb")
    (root / ".hidden").touch()
    (root / "d" / "a").write_bytes(bytes(range(256)) * 160)
    (root / "d" / "z").write_bytes(b"z")
    (root / "e").mkdir()
    (root / "e-e").write_bytes(b"eee")
    return root


STREAM = b"bbbbb" + bytes(range(256)) * 160 + b"z" + b"eee"


def test_a_file(tmp_path: Path) -> None:
    data = os.urandom(100_000)
    (tmp_path / "f").write_bytes(data)
    metainfo = create(tmp_path / "f", piece_length=SMALL)
    assert metainfo.single_file
    assert metainfo.name == "f"
    assert metainfo.total == len(data)
    assert metainfo.pieces == hashes(data, SMALL)
    assert metainfo.creation_date is None
    assert metainfo.created_by == "p2pswarm"


def test_a_folder(folder: Path) -> None:
    metainfo = create(folder, piece_length=SMALL)
    assert metainfo.name == "folder"
    assert names(metainfo) == [f"folder/{name}" for name in (".hidden", "b", "d/a", "d/z", "e-e")]
    assert metainfo.pieces == hashes(STREAM, SMALL)
    assert metainfo.piece_length == SMALL


def test_the_same_input_gives_the_same_torrent(folder: Path, tmp_path: Path) -> None:
    once = create(folder)
    assert once.piece_length == 256 * KIB
    again = create(folder, workers=1)
    assert again.raw == once.raw
    later = create(folder, now=1_700_000_000, comment="a comment", trackers=["http://a.example/"])
    assert later.info_hash == once.info_hash
    assert later.creation_date == 1_700_000_000
    moved = tmp_path / "elsewhere" / "folder"
    moved.parent.mkdir()
    folder.rename(moved)
    assert create(moved).info_hash == once.info_hash
    assert create(moved, private=True).info_hash != once.info_hash
    assert create(moved, source="X").info_hash != once.info_hash


def test_what_is_said_is_written(folder: Path) -> None:
    metainfo = create(
        folder,
        trackers=["http://a.example/", ["http://b.example/", "udp://c.example:80"]],
        web_seeds=["http://w.example/"],
        private=True,
        comment="for you",
        source="X",
    )
    assert metainfo.trackers == (
        ("http://a.example/",),
        ("http://b.example/", "udp://c.example:80"),
    )
    assert metainfo.web_seeds == ("http://w.example/",)
    assert metainfo.private
    assert (metainfo.comment, metainfo.source) == ("for you", "X")
    assert Metainfo.from_bytes(metainfo.raw) == metainfo


def test_a_folder_is_named_by_where_it_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder / "d")
    assert names(create(Path())) == ["d/a", "d/z"]
    assert create(Path("..")).name == "folder"
    assert create(Path("a")).name == "a"


@given(
    st.lists(st.integers(0, 3 * SMALL), min_size=1, max_size=6).filter(any),
    st.sampled_from([SMALL, 2 * SMALL]),
    st.sampled_from([5000, 3 * SMALL]),  # several reads for a piece, several pieces in a read
    st.integers(1, 3),
)
@settings(max_examples=30, deadline=None)
def test_pieces_span_files(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], length: int, read: int, workers: int
) -> None:
    root = tmp_path_factory.mktemp("many")
    for number, size in enumerate(sizes):
        (root / f"{number}").write_bytes(bytes([number + 1]) * size)
    stream = b"".join(bytes([number + 1]) * size for number, size in enumerate(sizes))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashing, "READ", read)
        patch.setattr(hashing, "SLICE", SMALL)
        metainfo = create(root, piece_length=length, workers=workers)
    assert metainfo.pieces == hashes(stream, length)


def test_progress_counts_the_bytes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "SLICE", SMALL)
    monkeypatch.setattr(hashing, "TELL_EVERY", 0.0)
    seen: list[tuple[int, int]] = []
    create(folder, piece_length=SMALL, progress=lambda done, total: seen.append((done, total)))
    total = len(STREAM)
    assert seen == sorted(seen)
    assert {done for done, _ in seen} <= {0, SMALL, 2 * SMALL, total}
    assert seen[-1] == (total, total)


def test_what_progress_raises_ends_the_work(folder: Path) -> None:
    class StoppedError(Exception):
        """The user pressed Ctrl-C."""

    def stop(done: int, total: int) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        create(folder, progress=stop)


@pytest.mark.parametrize("length", [0, -1, 16384 - 1, 8192, 3 * SMALL, 64 << 20])
def test_a_piece_length_is_a_power_of_two(folder: Path, length: int) -> None:
    if length == 0:
        assert create(folder, piece_length=None).piece_length == 256 * KIB
    with pytest.raises(ValueError, match="power of two"):
        create(folder, piece_length=length)


def test_a_tracker_that_is_no_url_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="'tracker' is not a URL"):
        create(folder, trackers=["tracker"])


def test_nothing_to_share(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="holds no files"):
        create(tmp_path)
    (tmp_path / "empty").touch()
    with pytest.raises(HostError, match="holds no bytes"):
        create(tmp_path)
    with pytest.raises(HostError, match="holds no bytes"):
        create(tmp_path / "empty")
    with pytest.raises(HostError, match="neither a file nor a folder"):
        create(Path("/dev/null"))


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match=r"cannot read .*none: No such file"):
        create(tmp_path / "none")


def test_links_sockets_and_pipes_are_skipped_and_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "link").symlink_to("b")
    (folder / "links").symlink_to("d")
    (folder / "broken").symlink_to("nowhere")
    os.mkfifo(folder / "pipe")
    told: list[str] = []
    with socket.socket(socket.AF_UNIX) as listener:
        monkeypatch.chdir(folder)  # the address of a socket is short
        listener.bind("socket")
        metainfo = create(folder, warn=told.append)
    assert metainfo.pieces == hashes(STREAM, 256 * KIB)
    assert told == [
        f"skipped: {folder}/broken is a symbolic link",
        f"skipped: {folder}/link is a symbolic link",
        f"skipped: {folder}/links is a symbolic link",
        f"skipped: {folder}/pipe is neither a file nor a folder",
        f"skipped: {folder}/socket is neither a file nor a folder",
    ]


def test_links_are_followed_when_asked(folder: Path, tmp_path: Path) -> None:
    (folder / "d" / "file").symlink_to("../b")
    (folder / "d" / "up").symlink_to("..")
    (folder / "d" / "self").symlink_to("self")
    (folder / "d" / "broken").symlink_to("nowhere")
    (folder / "f").symlink_to("e-real")
    (folder / "e-real").mkdir()
    (folder / "e-real" / "x").write_bytes(b"x")
    told: list[str] = []
    metainfo = create(folder, choice=Choice(links=Links.FOLLOW), warn=told.append)
    assert names(metainfo) == [
        f"folder/{name}"
        for name in (".hidden", "b", "d/a", "d/file", "d/z", "e-e", "e-real/x", "f/x")
    ]
    assert told == [
        f"skipped: {folder}/d/broken is a symbolic link that leads nowhere",
        f"skipped: {folder}/d/self is a symbolic link that leads nowhere",
        f"skipped: {folder}/d/up is a symbolic link to a folder that it lies in",
    ]


def test_a_link_that_the_user_names_is_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    assert create(tmp_path / "link").info_hash == create(folder).info_hash


def test_warnings_go_to_the_log_by_default(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "100%s").symlink_to("b")
    create(folder)
    assert "100%s is a symbolic link" in caplog.text


def test_twins_are_told(folder: Path) -> None:
    (folder / "B").write_bytes(b"other")
    if (folder / "b").read_bytes() == b"other":
        pytest.skip("this file system does not tell b from B")
    told: list[str] = []
    metainfo = create(folder, warn=told.append)
    assert "folder/b (2)" in names(metainfo)
    assert [file.path[-1] for file in metainfo.files_as_given()][1:3] == ["B", "b"]
    assert told == ["folder/b has a twin on systems blind to case: peers will save it as b (2)"]


@pytest.mark.parametrize("name", ["a:b", "aux.c", "end ", "back\\slash", "turn\u202eed"])
def test_a_name_that_peers_would_refuse(folder: Path, name: str) -> None:
    (folder / "d" / name).write_bytes(b"x")
    with pytest.raises(HostError, match=r"folder cannot be shared: info\.files\[\d\]\.path: "):
        create(folder)


def test_a_name_that_is_not_utf_8(folder: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    (folder / name).write_bytes(b"x")
    for path in (folder, folder / name):
        with pytest.raises(DiskError, match=r"'caf\\udce9' is not UTF-8") as caught:
            create(path)
        assert str(caught.value).isprintable()


def test_a_file_that_may_not_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def access(path: str, mode: int) -> bool:
        return not path.endswith("z")

    monkeypatch.setattr(os, "access", access)  # the tests may run as root, who may read everything
    with pytest.raises(DiskError, match=r"cannot read .*d/z: Permission denied"):
        create(folder)


def test_a_folder_that_may_not_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def scandir(path: str) -> Any:
        if path.endswith("d"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    real = os.scandir
    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(DiskError, match=r"cannot read .*folder/d: Permission denied"):
        create(folder)


def test_a_file_that_goes_between_the_list_and_the_look(folder: Path) -> None:
    walk = gathering._Walk(folder, gathering.EVERYTHING, warn=lambda text: None)
    entry = next(entry for entry in gathering._entries(str(folder)) if entry.name == "b")
    (folder / "b").unlink()
    with pytest.raises(DiskError, match=r"cannot read .*folder/b: No such file"):
        walk._stat(entry)


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a first and a last file of twenty reads each."""
    monkeypatch.setattr(hashing, "READ", SMALL)
    root = tmp_path / "two"
    root.mkdir()
    (root / "first").write_bytes(b"1" * 20 * SMALL)
    (root / "last").write_bytes(b"2" * 20 * SMALL)
    return root


def _grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def _touch(path: Path) -> None:
    here = path.stat()
    os.utime(path, ns=(here.st_atime_ns, here.st_mtime_ns + 1))


def _become_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_grow, "changed while it was hashed"),
        (_touch, "changed while it was hashed"),
        (lambda path: os.truncate(path, 5), "changed while it was hashed"),
        (_become_a_pipe, "changed while it was hashed"),
        (Path.unlink, "No such file"),
    ],
)
@pytest.mark.parametrize("name", ["first", "last"])
@pytest.mark.parametrize("when", [1, 40])
def test_a_file_that_changes_meanwhile(
    two: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    when: int,
    change: Callable[[Path], None],
    words: str,
) -> None:
    reads = count(1)
    read_into = FileStorage.read_into

    def read_and_change(self: FileStorage, *where: Any) -> bool:
        read = read_into(self, *where)
        if next(reads) == when:
            change(two / name)
        return read

    monkeypatch.setattr(FileStorage, "read_into", read_and_change)
    with pytest.raises(DiskError, match=rf"{name}.* {words}|{name}: {words}"):
        create(two, piece_length=SMALL, workers=1)
    assert next(reads) > when


def test_no_file_stays_open(two: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0
    create(two, piece_length=SMALL)
    after = len(list(Path("/proc/self/fd").iterdir())) if before else 0
    assert after == before


def test_too_much_for_one_torrent(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (folder / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(HostError, match=r"6710886\d pieces: choose a larger"):
        create(folder, piece_length=SMALL)
    monkeypatch.setattr(bencode, "MAX_SIZE", 655_500)  # bytes; the hashes alone have 655 380
    with pytest.raises(HostError, match=r"nobody reads: 65.* bytes of bencode"):
        create(folder)
    monkeypatch.setattr(gathering, "MAX_FILES", 5)
    with pytest.raises(HostError, match="more than 5 files"):
        create(folder)


def test_too_deep_for_one_torrent(tmp_path: Path) -> None:
    path = tmp_path.joinpath(*["d"] * 102)
    path.mkdir(parents=True)
    (path / "f").write_bytes(b"x")
    with pytest.raises(HostError, match="deeper than 100 folders"):
        create(tmp_path)
