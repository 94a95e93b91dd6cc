"""Files chosen on the command line; the last test with real processes."""

import os
from pathlib import Path

import pytest

from p2pswarm.cli.choosing import Choosing, selection_of
from p2pswarm.formats.building import build
from p2pswarm.swarm.selection import Selection
from tests.cli.conftest import Command
from tests.support.processes import program


def test_without_options_nothing_is_chosen() -> None:
    assert selection_of(Choosing()) is None
    assert selection_of(Choosing(sequential=True)) == Selection(sequential=True)


@pytest.mark.parametrize(
    ("option", "text", "said"),
    [
        ("--only", "", "a glob such as"),
        ("--skip", "/", "a glob such as"),
        ("--only", "[c-a]", "is not a glob"),
        ("--priority", "*.mkv", "is not FILES=high"),
        ("--priority", "*.mkv=urgent", "is not FILES=high"),
        ("--priority", "=high", "a glob such as"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(
    command: Command, option: str, text: str, said: str
) -> None:
    ended = command("get", "x.torrent", option, text)
    assert ended.code == 2
    assert said in ended.err
    assert ended.err.count("\n") == 1


def test_what_fits_no_file_is_an_error(command: Command) -> None:
    meta = build(name="x", piece_length=16384, pieces=bytes(20), length=5)
    Path("x.torrent").write_bytes(meta.raw)
    ended = command("get", "x.torrent", "--only", "*.mkv", "--port", "0", "--bind", "127.0.0.1")
    assert ended.code == 1
    assert "no file of the torrent fits '*.mkv'" in ended.err
    assert not Path("x").exists()


def test_some_files_and_then_the_others(tmp_path: Path, command: Command) -> None:
    folder = tmp_path / "show"
    (folder / "extra").mkdir(parents=True)
    for name in ("a.mkv", "b.mkv", "extra/c.txt"):
        (folder / name).write_bytes(os.urandom(100_000))
    torrent, copy = tmp_path / "show.torrent", tmp_path / "copy"
    assert command("create", folder, "-o", torrent).code == 0
    shown = command("info", torrent).out.splitlines()
    assert [line.split()[0] for line in shown[-3:]] == ["0", "1", "2"]
    place = ("--port", "0", "--json")
    seeding = program(
        tmp_path / "s", "seed", torrent, "--data", folder, "--bind", "127.0.0.2", *place
    )
    with seeding as seed:
        peer = f"127.0.0.2:{seed.wait_for('listening')['port']}"
        getting = ("get", torrent, "-o", copy, "--peer", peer, "--bind", "127.0.0.3", *place)
        choice = ("--only", "*.mkv", "--skip", "1", "--priority", "a.mkv=high", "--sequential")
        with program(tmp_path / "g", *getting, *choice) as get:
            assert get.wait() == 0, get.stderr
            told = {file["path"]: file for file in get.latest("files")["files"]}
            assert get.latest("note")["text"] == "2 files (195.3 KiB) not wanted, and left out"
        assert told["show/a.mkv"] == {
            "path": "show/a.mkv", "length": 100_000, "done": 100_000, "priority": "high",
        }  # fmt: skip
        assert told["show/b.mkv"]["priority"] == "skipped"
        assert [
            path.name for path in copy.rglob("*.*") if path.is_file() and path.name[0] != "."
        ] == ["a.mkv"]
        with program(tmp_path / "g", *getting) as get:
            assert get.wait() == 0, get.stderr
        assert seed.stop() == 0
    found = {
        path.relative_to(copy): path.read_bytes() for path in copy.rglob("*") if path.is_file()
    }
    assert found == {
        Path("show", name): (folder / name).read_bytes()
        for name in ("a.mkv", "b.mkv", "extra/c.txt")
    }
