"""Share on two nodes, search on a third, fetch from both: every actor a process of its own, on loopback."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from p2pswarm.cli.exits import Exit
from p2pswarm.formats import bencode
from tests.cli.conftest import Command
from tests.support import liar
from tests.support.numbers import number_for
from tests.support.patience import PATIENCE
from tests.support.processes import Program, program

MIB = 1 << 20
SONG = os.urandom(6 * MIB + 321)


class Town:
    """A server and those who share and fetch, each with an address and a home of its own."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.port = number_for("127.0.0.1")  # when it comes back, it is there again
        self._stack = stack
        self._number = 1
        self._server: ExitStack | None = None

    def start_server(self) -> None:
        self._server = self._stack.enter_context(ExitStack())
        options = ("--host", "127.0.0.1", "--port", "0", "--napster", self.port)
        serving = self._server.enter_context(
            program(self.folder / "server", *options, module="tracker")
        )
        self.port = int(serving.wait_for_line(3).rpartition(":")[2])

    def kill_server(self) -> None:
        assert self._server is not None
        self._server.close()

    def options(self, *more: object) -> list[object]:
        self._number += 1
        here = f"127.0.0.{self._number}"
        server = ("--napster-server", f"127.0.0.1:{self.port}")
        return ["--bind", here, "--port", "0", *server, "--json", *more]

    def share(self, name: str, *more: object, data: bytes = SONG) -> Program:
        folder = self.folder / f"share{self._number}"
        folder.mkdir()
        (folder / name).write_bytes(data)
        options = self.options("--on", "napster", "--tracker-port", "0", *more)
        home = self.folder / f"home{self._number}"
        sharing = self._stack.enter_context(program(home, "share", folder, *options))
        sharing.wait_for("listening")
        return sharing

    def search(self, words: str, *more: object) -> tuple[int, list[dict[str, Any]]]:
        home = self.folder / "searcher"
        with program(home, "search", *words.split(), *self.options(*more)) as searching:
            code = searching.wait()
            return code, [event for event in searching.events if event["event"] == "result"]

    def found(self, words: str, hosts: int = 1, within: float = PATIENCE) -> list[dict[str, Any]]:
        """What is found once so many hosts are known to have it, with every hash."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            code, rows = self.search(words)
            assert code == 0
            if rows and all("info_hash" in row for row in rows) and self.hosts() >= hosts:
                return rows
        raise AssertionError(f"{words} was not found at {hosts} hosts")

    def hosts(self) -> int:
        """Of the first row of the last search."""
        path = self.folder / "searcher" / "p2pswarm" / "last-search.json"
        return len(json.loads(path.read_text("utf-8"))[0])

    @contextmanager
    def fetch(self, hit: object, *more: object) -> Iterator[Program]:
        to = ("-o", self.folder / "to")
        with program(self.folder / "searcher", "fetch", hit, *self.options(*to, *more)) as fetching:
            yield fetching


def uploaded(sharing: Program) -> int:
    """Stopped, it leaves behind how many bytes it gave of each torrent."""
    sharing.stop()
    kept = [bencode.decode(path.read_bytes()) for path in sharing.home.rglob("*.resume")]
    return sum(bencode.decode(each[b"body"])[b"uploaded"] for each in kept)


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with ExitStack() as stack:
        town = Town(tmp_path, stack)
        town.start_server()
        yield town


def test_two_share_a_third_finds_and_fetches_from_both(town: Town) -> None:
    sharing = [town.share(f"blue moon {n}.mp3", "--up-limit", "600KiB") for n in (1, 2)]
    (row,) = town.found("blue moon", hosts=2)
    assert row["number"] == 1
    assert row["token"] == f"napster:btih:{row['info_hash']}"
    assert row["size"] == len(SONG)
    with town.fetch(1) as fetching:
        result = fetching.wait_for("result")
        assert fetching.wait() == 0
    assert Path(result["path"]).read_bytes() == SONG
    joined = {event["address"] for event in fetching.events if event["event"] == "peer_joined"}
    assert len(joined) == 2
    downloads = [event for event in fetching.events if event["event"] == "status"]
    assert max(event["peers"] for event in downloads) == 2
    given = [uploaded(each) for each in sharing]
    assert sum(given) >= len(SONG)
    assert min(given) >= MIB, "one of them gave nearly all of it"


def test_a_host_that_serves_garbage_is_found_out_and_banned(town: Town) -> None:
    town.share("blue moon.mp3", "--up-limit", "1MiB")
    (row,) = town.found("blue moon")
    server = f"127.0.0.1:{town.port}"
    with program(town.folder / "liar", server, json.dumps(row), module="tests.support.liar"):
        town.found("blue moon", hosts=2)
        with town.fetch(1) as fetching:
            assert fetching.wait() == 0
            result = fetching.wait_for("result")
    assert Path(result["path"]).read_bytes() == SONG
    assert result["verified_by"] == "the SHA-1 of every piece"
    banned = [event["address"] for event in fetching.events if event["event"] == "peer_banned"]
    assert {address.partition(":")[0] for address in banned} == {liar.HOST}


@pytest.mark.parametrize("firewalled", ["uploader", "downloader"])
def test_both_firewall_cases(town: Town, firewalled: str) -> None:
    town.share("blue moon.mp3", *(["--firewalled"] if firewalled == "uploader" else []))
    (row,) = town.found("blue moon")
    more = ["--firewalled"] if firewalled == "downloader" else []
    with town.fetch(row["token"], *more) as fetching:
        assert fetching.wait() == 0
        path = Path(fetching.wait_for("result")["path"])
    assert path.read_bytes() == SONG


def test_a_download_goes_on_at_an_offset(town: Town) -> None:
    town.share("blue moon.mp3", "--firewalled", "--up-limit", "1MiB")
    (row,) = town.found("blue moon")
    with town.fetch(row["token"]) as first:
        first.wait_for("piece_done", piece=3)
        assert first.stop() == Exit.STOPPED
    had = {event["piece"] for event in first.events if event["event"] == "piece_done"}
    with town.fetch(1) as second:
        assert second.wait() == 0
        path = Path(second.wait_for("result")["path"])
    again = {event["piece"] for event in second.events if event["event"] == "piece_done"}
    assert not had & again
    assert path.read_bytes() == SONG


def test_the_server_dies_and_everybody_comes_back(town: Town) -> None:
    sharing = town.share("blue moon.mp3", "--up-limit", "1MiB")
    (row,) = town.found("blue moon")
    with town.fetch(row["token"]) as fetching:
        fetching.wait_for("piece_done")
        town.kill_server()
        code, rows = town.search("blue moon")
        assert (code, rows) == (Exit.NETWORK, [])
        with program(town.folder / "searcher", "search", "blue", *town.options()) as searching:
            assert searching.wait() == Exit.NETWORK
            error = searching.wait_for("error")
            assert (
                f"napster: cannot reach 127.0.0.1:{town.port}: Connection refused" in error["text"]
            )
        assert fetching.wait() == 0
    assert (town.folder / "to" / "blue moon.mp3").read_bytes() == SONG
    town.start_server()
    assert town.found("blue moon")
    assert sharing.process.poll() is None


def test_what_is_found_is_told_in_a_pipe_too(town: Town) -> None:
    town.share("blue moon.mp3", data=b"x" * 2048)
    town.found("blue moon")
    options = [each for each in town.options() if each != "--json"]
    home = town.folder / "searcher"
    with program(home, "search", "moon", "--kind", "audio", *options) as searching:
        assert searching.wait() == 0
        (line,) = searching.lines
        number, size, name, token = line.split("\t")
        assert (number, size) == ("1", "2.0 KiB")
        assert name.endswith("\\blue moon.mp3")
        assert token.startswith("napster:btih:")
        assert "messages" in searching.stderr
        assert "1 hit, 1 file" in searching.stderr


# What goes wrong before anything starts


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["search"], Exit.USAGE, "Missing argument 'WORDS"),
        (["search", "x"], Exit.ERROR, "no network is set up: name a Gnutella host with --connect"),
        (["search", "x", "--via", "napster"], Exit.ERROR, "which Napster server?"),
        (["search", "x", "--via", "gnutella"], Exit.NETWORK, "gnutella: there is nobody to ask"),
        (["search", "x", "--via", "kazaa"], Exit.USAGE, "'kazaa' is not a network"),
        (["search", "x", "--lookup", "odd"], Exit.USAGE, "'odd' is not a lookup: recursive"),
        (["search", "x", "--connect", "nowhere"], Exit.USAGE, "is not HOST:PORT"),
        (["search", "x", "--connect", "127.0.0.1:1"], Exit.NETWORK, "lets us in: 127.0.0.1:1"),
        (["search", "x", "--gnutella-role", "king"], Exit.USAGE, "'king' is not a role: auto"),
        (["search", "x", "--flood", "--gnutella-role", "leaf"], Exit.USAGE, "every node is equal"),
        (["search", "x", "--kind", "song"], Exit.USAGE, "'song' is not a kind"),
        (["search", "x", "--napster-server", "nowhere"], Exit.USAGE, "is not HOST:PORT"),
        (["fetch", "1"], Exit.USAGE, "there was no search yet"),
        (["fetch", "what"], Exit.BAD_TORRENT, "is not a hit"),
        (["fetch", "napster:btih:" + "1" * 40], Exit.ERROR, "which Napster server?"),
        (
            ["fetch", "napster:btih:" + "1" * 40, "--napster-server", "127.0.0.1:1"],
            Exit.NETWORK,
            "napster: cannot reach 127.0.0.1:1: Connection refused",
        ),
    ],
)
def test_what_goes_wrong_is_said_in_a_line(
    command: Command, arguments: list[str], code: int, words: str
) -> None:
    port = ["--port", "0"] if arguments[1:] else []
    ran = command(*arguments, *port)
    assert ran.code == code
    assert words in ran.err
    assert ran.err.count("\n") == 1 or "napster: " in ran.err


def test_a_number_that_was_not_found_is_said(command: Command, tmp_path: Path) -> None:
    kept = tmp_path / "home" / "p2pswarm" / "last-search.json"
    kept.parent.mkdir(parents=True)
    for text, code, words in (
        ("[]", Exit.USAGE, "found no number 7"),
        ("{", Exit.ERROR, "is damaged: search again"),
        ('[[{"name": 5}]] ', Exit.USAGE, "found no number 7"),
        (json.dumps([[{}]] * 9), Exit.ERROR, "is damaged"),
        (json.dumps([[]] * 9), Exit.ERROR, "is damaged"),
        (json.dumps([["hit"]] * 9), Exit.ERROR, "is damaged"),
        (json.dumps([7] * 9), Exit.ERROR, "is damaged"),
        ("[" * 100_000, Exit.ERROR, "is damaged"),
        ("null", Exit.ERROR, "is damaged"),
    ):
        kept.write_text(text, "utf-8")
        ran = command("fetch", "7")
        assert (ran.code, words in ran.err) == (code, True), ran
    kept.unlink()
    kept.mkdir()
    ran = command("fetch", "7")
    assert (ran.code, "cannot be read" in ran.err) == (Exit.ERROR, True), ran
