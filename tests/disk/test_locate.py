from pathlib import Path

import pytest

from p2pswarm.disk.locate import locate
from p2pswarm.formats.building import build
from p2pswarm.formats.metainfo import Metainfo

FOLDER = build(
    name="photos",
    piece_length=1 << 18,
    pieces=bytes(20),
    files=[(("a.jpg",), 1), (("more", "b.jpg"), 2)],
)
FILE = build(name="film.mkv", piece_length=1 << 18, pieces=bytes(20), length=3)
TWINS = build(
    name="source",
    piece_length=1 << 18,
    pieces=bytes(20),
    files=[(("Makefile",), 1), (("makefile",), 2)],
)


def fill(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def all_there(metainfo: Metainfo, data: Path) -> bool:
    place = locate(metainfo, data)
    return all(place.root.joinpath(*file.path).is_file() for file in place.files)


@pytest.mark.parametrize(
    ("folder", "data"), [("photos", "."), ("photos", "photos"), ("other name", "other name")]
)
def test_a_folder_itself_renamed_or_not_or_what_holds_it(
    tmp_path: Path, folder: str, data: str
) -> None:
    fill(tmp_path / folder, "a.jpg", "more/b.jpg")
    assert all_there(FOLDER, tmp_path / data)
    assert locate(FOLDER, tmp_path / data).path == tmp_path / folder


@pytest.mark.parametrize(
    ("name", "data"), [("film.mkv", "."), ("film.mkv", "film.mkv"), ("x", "x")]
)
def test_a_file_itself_renamed_or_not_or_what_holds_it(
    tmp_path: Path, name: str, data: str
) -> None:
    fill(tmp_path, name)
    assert all_there(FILE, tmp_path / data)
    assert locate(FILE, tmp_path / data).path == tmp_path / name


def test_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "photos", "a.jpg", "more/b.jpg")
    monkeypatch.chdir(tmp_path)
    assert all_there(FOLDER, Path())
    monkeypatch.chdir(tmp_path / "photos")
    assert all_there(FOLDER, Path())


@pytest.mark.parametrize("second", ["makefile", "makefile (2)"])
def test_twins_as_the_torrent_gives_them_or_as_we_numbered_them(
    tmp_path: Path, second: str
) -> None:
    numbered = TWINS.files[1].path[1]
    fill(tmp_path / "source", "Makefile", numbered if second != "makefile" else second)
    assert all_there(TWINS, tmp_path)
