from collections.abc import Callable
from pathlib import Path

import pytest

from p2pswarm.disk import renaming
from p2pswarm.disk.renaming import renamed
from p2pswarm.errors import HostError, TargetExistsError
from p2pswarm.formats.metainfo import File

FILES = [
    File(("t", "a"), 1, 0),
    File(("t", "in", "b"), 1, 1),
    File(("t", "in", "c"), 1, 2),
    File(("t", ".pad", "1"), 1, 3, pad=True),
]


def names(files: tuple[File, ...]) -> list[str]:
    return ["/".join(file.path) for file in files if not file.pad]


def made(root: Path) -> Path:
    for file in FILES:
        if not file.pad:
            path = root.joinpath(*file.path)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(path.name)
    return root


def there(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir())


def test_without_a_word_nothing_is_written(tmp_path: Path) -> None:
    assert renamed(tmp_path / "kept", tmp_path, FILES, []) == tuple(FILES)
    assert not list(tmp_path.iterdir())


def test_files_and_folders_are_renamed_and_it_is_remembered(tmp_path: Path) -> None:
    root, kept = made(tmp_path / "root"), tmp_path / "state" / "kept"
    wanted = [("a", "x/y"), ("in", "out")]
    for renames in (wanted, [], wanted):
        assert names(renamed(kept, root, FILES, renames)) == ["t/x/y", "t/out/b", "t/out/c"]
        assert there(root) == ["t/out/b", "t/out/c", "t/x/y"]
    assert (root / "t" / "x" / "y").read_text() == "a"
    (root / "t" / "a").write_text("another")
    assert names(renamed(kept, root, FILES, []))[0] == "t/x/y"
    (root / "t" / "a").unlink()
    assert not (root / "t" / "in").exists()
    assert names(renamed(kept, root, FILES, [("out/b", "b")])) == ["t/x/y", "t/b", "t/out/c"]
    assert there(root) == ["t/b", "t/out/c", "t/x/y"]


@pytest.mark.parametrize("order", [1, -1])
def test_a_file_and_its_folder_are_renamed_in_any_order(tmp_path: Path, order: int) -> None:
    wanted = [("in/b", "in/x"), ("in", "out")][::order]
    for _ in range(2):  # said again it changes nothing
        assert names(renamed(tmp_path / "kept", tmp_path, FILES, wanted))[1:] == [
            "t/in/x",
            "t/out/c",
        ]


@pytest.mark.parametrize(("link", "leads"), [("a", "x/y"), ("in/b", "out/b"), ("in", "out")])
def test_a_symbolic_link_leads_to_what_was_renamed(tmp_path: Path, link: str, leads: str) -> None:
    files = [*FILES, File(("t", "link"), 0, 3, link=("t", *link.split("/")))]
    fresh = renamed(tmp_path / "kept", tmp_path, files, [("a", "x/y"), ("in", "out")])
    assert fresh[-1].link == ("t", *leads.split("/"))
    assert fresh[0].link is None


def test_our_link_to_what_was_renamed_goes_and_is_made_again(tmp_path: Path) -> None:
    root, kept = made(tmp_path / "root"), tmp_path / "kept"
    files = [*FILES, File(("t", "link"), 0, 3, link=("t", "a"))]
    link = root / "t/link"
    link.symlink_to("a")
    renamed(kept, root, files, [("in", "out")])
    assert link.is_symlink()
    renamed(kept, root, files, [("a", "x")])
    assert not link.is_symlink()
    link.symlink_to("../t/x")  # somebody else's
    renamed(kept, root, files, [("x", "y")])
    assert link.is_symlink()


def test_a_crash_between_the_note_and_the_act(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, kept = made(tmp_path / "root"), tmp_path / "kept"

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(renaming, "_move", crash)
    with pytest.raises(KeyboardInterrupt):
        renamed(kept, root, FILES, [("a", "z")])
    monkeypatch.undo()
    assert there(root) == ["t/a", "t/in/b", "t/in/c"]
    assert names(renamed(kept, root, FILES, []))[0] == "t/z"
    assert there(root) == ["t/in/b", "t/in/c", "t/z"]


def test_a_file_alone(tmp_path: Path) -> None:
    (found,) = renamed(tmp_path / "kept", tmp_path, [File(("x.iso",), 1, 0)], [("x.iso", "y.iso")])
    assert found.path == ("y.iso",)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a", "../x"),
        ("a", "in"),
        ("a", "in/b"),
        ("b", "x"),
        ("a", "nul\0"),
        ("in", "a"),
        ("1", "x"),
    ],
)
def test_names_that_cannot_be(tmp_path: Path, old: str, new: str) -> None:
    root, kept = made(tmp_path / "root"), tmp_path / "kept"
    with pytest.raises(HostError):
        renamed(kept, root, FILES, [(old, new)])
    assert there(root) == ["t/a", "t/in/b", "t/in/c"]
    assert not kept.exists()


def test_what_is_there_is_not_replaced(tmp_path: Path) -> None:
    root = made(tmp_path / "root")
    (root / "t" / "mine").write_text("mine")
    with pytest.raises(TargetExistsError):
        renamed(tmp_path / "kept", root, FILES, [("a", "mine"), ("in", "out")])
    assert (root / "t" / "mine").read_text() == "mine"
    assert names(renamed(tmp_path / "kept", root, FILES, [])) == ["t/a", "t/out/b", "t/out/c"]
    assert there(root) == ["t/a", "t/mine", "t/out/b", "t/out/c"]


def test_not_through_a_link(tmp_path: Path) -> None:
    root, outside = made(tmp_path / "root"), tmp_path / "outside"
    outside.mkdir()
    (root / "t" / "way").symlink_to(outside)
    with pytest.raises(HostError):
        renamed(tmp_path / "kept", root, FILES, [("a", "way/out")])
    assert not list(outside.iterdir())


@pytest.mark.parametrize(
    "data", [b"", b"de", b"li1ee", b"lli0eli1ee1:xeee", b"ll1:0l1:al1:bee", b"i5e"]
)
def test_what_is_damaged_is_told(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "kept").write_bytes(data)
    if data == b"de":
        assert renamed(tmp_path / "kept", tmp_path, FILES, []) == tuple(FILES)
        return
    with pytest.raises(HostError, match="damaged"):
        renamed(tmp_path / "kept", tmp_path, FILES, [])


def test_of_a_download_at_work_the_storage_is_told_each_time(tmp_path: Path) -> None:
    root, told = made(tmp_path / "root"), []

    def switch(number: int, name: tuple[str, ...], move: Callable[[], None]) -> None:
        assert not root.joinpath(*name).exists()
        move()
        assert root.joinpath(*name).exists()
        told.append((number, name))

    renamed(tmp_path / "kept", root, FILES, [("in", "out")], switch)
    assert told == [(1, ("t", "out", "b")), (2, ("t", "out", "c"))]


def test_links_lead_where_their_targets_are(tmp_path: Path) -> None:
    links = [
        File(("t", "to a"), 0, 3, link=("t", "a")),
        File(("t", "to in"), 0, 3, link=("t", "in")),
        File(("t", "to b"), 0, 3, link=("t", "in", "b")),
    ]
    wanted = [("a", "deep/z"), ("in", "out"), ("in/c", "c")]
    found = renamed(tmp_path / "kept", tmp_path, [*FILES[:3], *links], wanted)
    targets = [file.link for file in found if file.link is not None]
    assert targets == [("t", "deep", "z"), ("t", "out"), ("t", "out", "b")]
