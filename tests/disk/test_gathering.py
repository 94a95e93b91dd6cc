"""What a new torrent holds: globs, links kept inside, executables marked; for the walk see test_create."""

import os
from pathlib import Path

import pytest

from p2pswarm.disk.gathering import EVERYTHING, Choice, Found, Links, find
from p2pswarm.errors import HostError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "album"
    for name in ("01.flac", "02.flac", "notes.txt", "art/front.png", "art/raw/front.xcf"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def gathered(folder: Path, choice: Choice = EVERYTHING) -> tuple[list[str], list[str]]:
    told: list[str] = []
    return ["/".join(file.path) for file in find(folder, choice, told.append)], told


@pytest.mark.parametrize(
    ("exclude", "include", "left"),
    [
        (["*.txt"], [], ["01.flac", "02.flac", "art/front.png", "art/raw/front.xcf"]),
        (["art"], [], ["01.flac", "02.flac", "notes.txt"]),
        (["art/*.png", "0?.flac"], [], ["art/raw/front.xcf", "notes.txt"]),
        (["*"], ["*.flac"], ["01.flac", "02.flac"]),
        (["art"], ["art/raw/"], ["01.flac", "02.flac", "art/raw/front.xcf", "notes.txt"]),
    ],
)
def test_globs_choose(
    folder: Path, exclude: list[str], include: list[str], left: list[str]
) -> None:
    assert gathered(folder, Choice(exclude, include)) == (left, [])


def test_a_glob_that_means_nothing_is_told(folder: Path) -> None:
    assert gathered(folder, Choice(["*.nfo", "*.txt"]))[1] == [
        "no file or folder is meant by '*.nfo'"
    ]


def test_what_is_excluded_is_not_looked_at(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.scandir

    def scandir(path: str) -> object:
        assert "art" not in path
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    (folder / "pipe").symlink_to("nowhere")
    assert gathered(folder, Choice(["art", "pipe"])) == (["01.flac", "02.flac", "notes.txt"], [])


def test_all_excluded_is_nothing_to_share(folder: Path) -> None:
    with pytest.raises(HostError, match="nothing to share"):
        find(folder, Choice(["*"]), lambda text: None)


def test_the_owners_right_to_run_it_makes_it_executable(folder: Path) -> None:
    (folder / "01.flac").chmod(0o744)
    (folder / "02.flac").chmod(0o655)
    marked = [file.path for file in find(folder, EVERYTHING, print) if file.executable]
    assert marked == [("01.flac",)]


def untouched(folder: Path, since: int, links: Links = Links.SKIP) -> list[str]:
    found = find(folder, Choice(links=links), print)
    return ["/".join(file.path) for file in found if file.touched < since]


def tick(folder: Path) -> int:
    """Time goes on, as the clock of the files has it."""
    file = folder.parent / "clock"
    file.touch()
    first = file.stat().st_ctime_ns
    while file.stat().st_ctime_ns == first:
        file.touch()
    return file.stat().st_ctime_ns


def test_what_came_to_its_place_was_touched(folder: Path) -> None:
    (folder / "art2").mkdir()
    (folder / "art2/front.png").write_text("FRONT.png")  # as long as the other
    since = tick(folder)
    (folder / "art").rename(folder / "x")
    (folder / "art2").rename(folder / "art")
    (folder / "x").rename(folder / "art2")
    (folder / "01.flac").rename(folder / "03.flac")
    assert untouched(folder, since) == ["02.flac", "notes.txt"]


def test_a_new_file_in_a_folder_touches_no_other(folder: Path) -> None:
    since = tick(folder)
    (folder / "art/new").touch()
    assert untouched(folder, since) == [
        "01.flac", "02.flac", "art/front.png", "art/raw/front.xcf", "notes.txt",
    ]  # fmt: skip


def test_what_a_link_leads_to_may_be_another_at_any_time(folder: Path) -> None:
    (folder / "art/link").symlink_to("front.png")
    (folder / "linked").symlink_to("art")
    since = tick(folder)
    assert not any("link" in path for path in untouched(folder, since, Links.FOLLOW))
    assert "art/front.png" in untouched(folder, since, Links.FOLLOW)


def linked(folder: Path, told: list[str]) -> dict[str, str]:
    found: list[Found] = find(folder, Choice(links=Links.KEEP), told.append)
    return {"/".join(f.path): "/".join(f.link) for f in found if f.link is not None}


def test_links_are_kept_as_they_lead_inside(folder: Path) -> None:
    (folder / "art/raw/song").symlink_to("../.././/01.flac")
    (folder / "cover").symlink_to("art")
    (folder / "again").symlink_to("cover")
    told: list[str] = []
    assert linked(folder, told) == {
        "art/raw/song": "01.flac",
        "cover": "art",
        "again": "cover",
    }
    assert told == []


@pytest.mark.parametrize(
    ("name", "target", "words"),
    [
        ("l", "/etc/passwd", "leads out of"),
        ("l", "../secret", "leads out of"),
        ("art/l", "../../album/01.flac", "leads out of"),
        ("l", ".", "leads out of"),
        ("l", "nowhere", "to nothing that the torrent can hold"),
        ("l", "l", "to nothing that the torrent can hold"),
        ("art/raw/l", "..", "to nothing that the torrent can hold"),
    ],
)
def test_links_that_no_torrent_may_hold_are_told(
    folder: Path, name: str, target: str, words: str
) -> None:
    (folder / name).symlink_to(target)
    told: list[str] = []
    assert linked(folder, told) == {}
    assert len(told) == 1
    assert f"skipped: {folder / name} is a symbolic link" in told[0]
    assert words in told[0]


def test_two_links_in_a_circle(folder: Path) -> None:
    (folder / "a").symlink_to("b")
    (folder / "b").symlink_to("a")
    told: list[str] = []
    assert linked(folder, told) == {}
    assert len(told) == 2


def test_a_link_to_what_was_excluded(folder: Path) -> None:
    (folder / "l").symlink_to("notes.txt")
    choice = Choice(["notes.txt"], links=Links.KEEP)
    assert "l" not in gathered(folder, choice)[0]
