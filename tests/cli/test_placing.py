"""What is on this machine is taken, and files go where a person wants them."""

import json
import os
from pathlib import Path

import pytest

from tests.cli.conftest import Command

SIZE = 300_000


@pytest.fixture
def torrent(command: Command) -> Path:
    Path("films").mkdir()
    Path("films/one").write_bytes(os.urandom(SIZE))
    Path("films/two").write_bytes(os.urandom(SIZE))
    assert command("create", "films", "--piece-length", "16KiB").code == 0
    return Path("films.torrent")


def same(folder: Path) -> bool:
    return all(
        (folder / name).read_bytes() == Path("films", name).read_bytes() for name in ("one", "two")
    )


def test_an_identical_folder_is_taken_and_moved_when_complete(
    command: Command, torrent: Path
) -> None:
    words = ("--reuse", "films", "--move-to", "archive", "--preallocate", "--json")
    ended = command("get", torrent, "-o", "new", "--port", 0, *words)
    assert ended.code == 0
    events = [json.loads(line) for line in ended.out.splitlines()]
    assert events[-1]["path"] == "archive/films"
    last = [event for event in events if event["event"] == "status"][-1]
    assert (last["reused"], last["downloaded"]) == (2 * SIZE, 0)
    assert same(Path("archive/films"))
    assert not Path("new/films").exists()


def test_move_takes_what_is_known_along(command: Command, torrent: Path) -> None:
    assert command("get", torrent, "-o", "new", "--port", 0, "--reuse", "films").code == 0
    moved = command("move", torrent, "--data", "new", "--to", "archive/deep")
    assert (moved.code, moved.out) == (0, "archive/deep/films\n")
    assert same(Path("archive/deep/films"))
    assert list(Path("new").iterdir()) == []
    again = command("get", torrent, "-o", "archive/deep", "--port", 0, "--json")
    assert again.code == 0
    checked = [json.loads(line).get("state_total", 0) for line in again.out.splitlines()]
    assert max(checked) < 38  # of 38 pieces: some as a sample, the others are believed


def test_what_cannot_be_moved_is_one_line(command: Command, torrent: Path) -> None:
    assert command("move", torrent, "--data", "nowhere", "--to", "x").code == 1
    assert command("move", torrent, "--data", "films", "--to", ".").code == 1
    Path("x/films").mkdir(parents=True)
    for words in (["move", torrent, "--data", "films", "--to"], ["get", torrent, "--move-to"]):
        ended = command(*words, torrent)
        assert (ended.code, ended.err) == (1, "p2pswarm: films.torrent is not a folder\n")
    ended = command("move", torrent, "--data", "films", "--to", "x")
    assert ended.code == 13
    assert len(ended.err.splitlines()) == 1
    assert same(Path("films"))


def test_moved_twice_the_folder_above_stays(command: Command, torrent: Path) -> None:
    """It was taken for the torrent's own, and moved with all that lay in it."""
    Path("downloads").mkdir()
    Path("downloads/other").write_text("precious")
    Path("films").rename("downloads/films")
    assert command("move", torrent, "--data", "downloads", "--to", "archive").code == 0
    ended = command("move", torrent, "--data", "downloads", "--to", "archive")
    assert ended.code == 1
    assert "downloads does not hold films" in ended.err
    assert Path("downloads/other").read_text() == "precious"
    assert [path.name for path in Path("archive").iterdir()] == ["films"]


def test_a_folder_to_take_from_has_to_be_there(command: Command, torrent: Path) -> None:
    ended = command("get", torrent, "--reuse", "nowhere")
    assert ended.code == 1
    assert "nowhere does not exist" in ended.err


def test_files_with_other_names_are_moved_checked_and_given(
    command: Command, torrent: Path
) -> None:
    words = ("--reuse", "films", "--rename", "one=more/first")
    assert command("get", torrent, "-o", "new", "--port", 0, *words).code == 0
    assert command("verify", torrent, "--data", "new").code == 0
    assert command("move", torrent, "--data", "new", "--to", "archive").code == 0
    first = Path("archive/films/more/first")
    assert first.read_bytes() == Path("films/one").read_bytes()
    assert list(Path("new").iterdir()) == []
    assert command("verify", torrent, "--data", "archive").code == 0
    again = command("get", torrent, "-o", "archive", "--port", 0, "--json", "--move-to", "end")
    assert again.code == 0
    assert command("verify", torrent, "--data", "end/films").code == 0
    assert command("get", torrent, "-o", "new", "--port", 0, "--reuse", "films").code == 0
    assert Path("new/films/one").exists()  # where they were, nobody has chosen names any more


def test_a_file_alone_with_another_name_is_moved(command: Command) -> None:
    Path("film").write_bytes(os.urandom(SIZE))
    assert command("create", "film", "--hybrid").code == 0
    words = ("--reuse", "film", "--rename", "film=movie")
    assert command("get", "film.torrent", "-o", "new", "--port", 0, *words).code == 0
    assert command("verify", "film.torrent", "--data", "new").code == 0
    moved = command("move", "film.torrent", "--data", "new", "--to", "archive")
    assert (moved.code, moved.out) == (0, "archive/movie\n")
    assert command("get", "film.torrent", "-o", "archive", "--port", 0).out == "archive/movie\n"
    assert [path.name for path in Path("archive").iterdir()] == ["movie"]


def test_a_folder_is_not_moved_as_if_it_were_the_file(command: Command) -> None:
    Path("film").write_bytes(os.urandom(SIZE))
    Path("empty").mkdir()
    assert command("create", "film").code == 0
    assert command("move", "film.torrent", "--data", "empty", "--to", "archive").code == 1
    assert Path("empty").is_dir()


def test_what_a_move_does_not_know_is_looked_at_again(command: Command, torrent: Path) -> None:
    assert command("get", torrent, "-o", "new", "--port", 0, "--reuse", "films").code == 0
    Path("new/films/one").touch()  # by somebody else
    assert command("move", torrent, "--data", "new", "--to", "archive").code == 0
    assert command("get", torrent, "-o", "archive", "--port", 0, "--timeout", "5s").code == 0
