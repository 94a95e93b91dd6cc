"""What version 2 is good for, counted by real programs as a person starts them."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Command
from tests.support.processes import Program, program

BLOCK = 16 << 10
SIZE = 4_000_000
FILES, SMALLEST = 1000, 500
OLD = sum(SMALLEST + number for number in range(FILES))
NEW = 2 * BLOCK  # of a block in which a file ends, a hybrid brings the zeros behind it, too


@pytest.mark.parametrize("generation", ["--v2", "--hybrid"])
def test_one_flipped_bit_costs_one_block(tmp_path: Path, command: Command, generation: str) -> None:
    honest, liar, torrent = Path("honest"), Path("liar"), Path("t.torrent")
    honest.write_bytes(os.urandom(SIZE))
    liar.write_bytes(honest.read_bytes())
    with _tracker(tmp_path) as announce:
        made = ("create", honest, generation, "-o", torrent, "--piece-length", "2MiB")
        assert command(*made, "--tracker", announce).code == 0
        with (
            seeding(tmp_path / "liar", 2, torrent, liar) as bad,
            program(tmp_path / "get", "get", torrent, "-o", "copy", *at(4), "--peer", bad) as get,
        ):
            assert get.wait_for("peer_banned")["address"] == bad
            with seeding(tmp_path / "honest", 3, torrent, honest):
                assert get.wait() == 0, get.stderr
    assert Path("copy/honest").read_bytes() == honest.read_bytes()
    end = get.latest("status")
    assert (end["wasted"], end["hash_failures"], end["downloaded"]) == (BLOCK, 1, SIZE + BLOCK)


def at(number: int) -> tuple[object, ...]:
    return ("--bind", f"127.0.0.{number}", "--port", 0, "--json")


@contextmanager
def _tracker(home: Path) -> Iterator[str]:
    where = ("--host", "127.0.0.1", "--port", 0, "--interval", 1)
    with program(home / "tracker", *where, module="tracker") as running:
        yield running.wait_for_line()


@contextmanager
def seeding(home: Path, number: int, torrent: Path, data: Path) -> Iterator[str]:
    """HOST:PORT of one that runs; what is named `liar` got a wrong bit since it was checked."""
    with program(home, "seed", torrent, "--data", data, *at(number)) as running:
        port = running.wait_for("listening")["port"]
        running.wait_for("state_changed", state="seeding")
        if data.name == "liar":
            flip(data, data.stat().st_size - 100_000)
        yield f"127.0.0.{number}:{port}"


def flip(path: Path, place: int) -> None:
    """One bit, without a trace in the times of the file: nobody looks at it again."""
    looks = path.stat()
    with path.open("r+b") as file:
        file.seek(place)
        was = file.read(1)[0]
        file.seek(place)
        file.write(bytes([was ^ 1]))
    os.utime(path, ns=(looks.st_atime_ns, looks.st_mtime_ns))


def test_a_new_release_with_one_new_file_of_a_thousand_costs_that_file(tmp_path: Path) -> None:
    photos = Path("photos")
    photos.mkdir()
    for number in range(FILES):
        (photos / f"{number:03}.jpg").write_bytes(os.urandom(SMALLEST + number))
    with _publisher(tmp_path) as (publisher, said):
        peer = f"127.0.0.1:{publisher.wait_for('listening')['port']}"
        where = ("-o", "out", "--peer", peer)
        with program(tmp_path / "bob", "follow", said["link"], *at(1), *where) as follower:
            assert follower.wait_for("result", sequence=1)["size"] == OLD
            assert publisher.stop(signal.SIGINT) == 0
            (photos / "123.jpg").write_bytes(os.urandom(NEW))
            here = f"127.0.0.1:{follower.wait_for('listening')['port']}"
            with _publisher(tmp_path, "--peer", here):
                follower.wait_for("result", sequence=2)
            assert follower.stop(signal.SIGINT) == 0
    end = follower.latest("status")
    assert (end["downloaded"], end["reused"]) == (NEW, OLD - SMALLEST - 123)
    for path in photos.iterdir():
        assert Path("out/2/photos", path.name).read_bytes() == path.read_bytes()


@contextmanager
def _publisher(tmp_path: Path, *more: object) -> Iterator[tuple[Program, dict[str, Any]]]:
    with program(tmp_path / "alice", "publish", "my.key", "photos", *at(1), *more) as running:
        yield running, running.wait_for("result")
