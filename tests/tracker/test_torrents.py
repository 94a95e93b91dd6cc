import os
from pathlib import Path

import pytest

from p2pswarm.errors import FormatError
from p2pswarm.formats import bencode
from p2pswarm.formats.bencode import MAX_SIZE
from tracker.torrents import Library, TakenError


def torrent(length: int = 5000) -> bytes:
    info = {b"length": length, b"name": b"n", b"piece length": 16384, b"pieces": bytes(20)}
    return bencode.encode({b"info": info})


def names(library: Library) -> list[str]:
    return [hosted.name for hosted in library.index()]


def test_a_folder_is_listed_by_name(tmp_path: Path) -> None:
    for name in ("b.torrent", "a.torrent"):
        (tmp_path / name).write_bytes(torrent())
    library = Library(tmp_path)
    assert names(library) == ["a.torrent", "b.torrent"]
    assert library.data("a.torrent") == torrent()
    assert library.index()[0].total == 5000


def test_what_is_no_torrent_is_not_offered_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "bad.torrent").write_bytes(b"<html>")
    (tmp_path / "readme.txt").write_bytes(torrent())
    (tmp_path / ".hidden.torrent").write_bytes(torrent())
    (tmp_path / "line\nbreak.torrent").write_bytes(torrent())
    (tmp_path / "folder.torrent").mkdir()
    library = Library(tmp_path)
    assert names(library) == names(library) == []
    assert library.data("bad.torrent") is None
    assert library.data("readme.txt") is None
    assert [record.getMessage() for record in caplog.records] == [
        "'bad.torrent' is not offered: not bencode at byte 0: b'<html>'"
    ]


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside.torrent"
    outside.write_bytes(torrent())
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link.torrent").symlink_to(outside)
    os.mkfifo(folder / "pipe.torrent")
    library = Library(folder)
    assert names(library) == []
    for name in ("link.torrent", "../outside.torrent", str(outside), "", ".", ".."):
        assert library.data(name) is None


def test_too_big_is_not_offered(tmp_path: Path) -> None:
    with (tmp_path / "big.torrent").open("wb") as file:
        file.truncate(MAX_SIZE + 1)
    assert names(Library(tmp_path)) == []


def test_changes_are_seen(tmp_path: Path) -> None:
    library = Library(tmp_path)
    assert names(library) == []
    (tmp_path / "x.torrent").write_bytes(torrent(5000))
    first = library.index()
    (tmp_path / "x.torrent").write_bytes(torrent(10000))
    second = library.index()
    assert first[0].info_hash != second[0].info_hash
    (tmp_path / "x.torrent").unlink()
    assert names(library) == []


def test_a_file_that_was_offered_is_given_without_a_look_at_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.torrent", "b.torrent"):
        (tmp_path / name).write_bytes(torrent())
    library = Library(tmp_path)
    assert names(library) == ["a.torrent", "b.torrent"]
    looks = []
    real = library._scan
    monkeypatch.setattr(library, "_scan", lambda: looks.append(1) or real())
    assert library.data("a.torrent") == torrent()
    assert not looks
    (tmp_path / "a.torrent").write_bytes(b"no torrent any more")
    assert library.data("a.torrent") is None
    (tmp_path / "b.torrent").unlink()
    assert library.data("b.torrent") is None
    assert len(looks) == 2


def test_no_room_for_more_than_so_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracker.torrents.MOST_KEPT", 1)
    library = Library(tmp_path)
    library.keep(torrent(1000))
    with pytest.raises(TakenError, match="as many"):
        library.keep(torrent(2000))


def test_a_disk_that_is_full_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        Library(tmp_path).keep(torrent())
    assert not list(tmp_path.iterdir())


def test_a_file_that_turns_into_a_link_after_listing_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "x.torrent"
    place.write_bytes(torrent())
    library = Library(tmp_path)
    offers = library.index()
    place.unlink()
    place.symlink_to("/etc/passwd")
    monkeypatch.setattr(library, "_scan", lambda: iter(offers))
    assert library.data("x.torrent") is None
    assert "cannot be read" in caplog.text


def test_memory_comes_before_the_folder(tmp_path: Path) -> None:
    (tmp_path / "x.torrent").write_bytes(torrent(5000))
    library = Library(tmp_path)
    assert library.host("x", torrent(6000)) == "x.torrent"
    assert library.host("y.torrent", torrent()) == "y.torrent"
    assert names(library) == ["x.torrent", "y.torrent"]
    assert library.index()[0].total == 6000
    assert library.data("x.torrent") == torrent(6000)


def test_no_folder_is_an_empty_library() -> None:
    library = Library(None)
    assert names(library) == []
    assert library.data("x.torrent") is None
    with pytest.raises(FormatError):
        library.host("x", b"junk")
