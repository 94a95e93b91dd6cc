"""One reason was told twice, one search asked twice, and one file's lack of hosts not explained at all.

`search --via napster --via napster` searched twice, and `--on napster,gnutella` was no list; a network that
cannot be joined was complained about by a note and by the error; a failed search forgot what the last one had
found; `fetch` of a hit whose host has gone said only that there were no peers.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from p2pswarm.cli.exits import Exit
from tests.support.processes import Program, program


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """Of an index server."""
    options = ("--host", "127.0.0.1", "--port", "0", "--napster", "0")
    with program(tmp_path / "server", *options, module="tracker") as server:
        yield int(server.wait_for_line(3).rpartition(":")[2])


@contextmanager
def command(home: Path, port: int, *words: object) -> Iterator[Program]:
    server = f"127.0.0.1:{port}"
    with program(home, *words, "--port", "0", "--napster-server", server) as running:
        yield running


@pytest.mark.parametrize("via", [("napster,napster",), ("napster", "--via", "napster")])
def test_a_network_is_searched_once(tmp_path: Path, port: int, via: tuple[str, ...]) -> None:
    with command(tmp_path, port, "search", "moon", "--json", "--via", *via) as searching:
        assert searching.wait() == 0
    assert searching.wait_for("cost")["messages"] == 2


def test_each_of_a_list_is_a_network(tmp_path: Path) -> None:
    with command(tmp_path, 1, "share", tmp_path, "--on", "napster, kazaa") as sharing:
        assert sharing.wait() == Exit.USAGE
    assert (
        sharing.stderr == "p2pswarm: --on: 'kazaa' is not a network: gnutella, napster, supernode\n"
    )


@pytest.mark.parametrize("words", [("search", "moon"), ("fetch", "napster:btih:" + "1" * 40)])
def test_a_network_that_is_away_is_complained_about_once(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    with command(tmp_path, 1, *words) as running:
        assert running.wait() == Exit.NETWORK
    assert running.stderr == "p2pswarm: napster: cannot reach 127.0.0.1:1: Connection refused\n"


def test_a_search_that_fails_is_complained_about_once_and_forgets_nothing(
    tmp_path: Path, port: int
) -> None:
    kept = tmp_path / "p2pswarm" / "last-search.json"
    kept.parent.mkdir()
    kept.write_text("[[]]")
    with command(tmp_path, port, "search", "!") as searching:
        assert searching.wait() == Exit.NETWORK
    assert searching.stderr == "p2pswarm: napster: Napster needs a word to search for\n"
    assert kept.read_text() == "[[]]"


def test_why_nothing_comes_is_said(tmp_path: Path, port: int) -> None:
    words = ("fetch", "napster://bob/5/-/x.mp3", "-o", tmp_path, "--timeout", "2")
    with command(tmp_path / "home", port, *words) as fetching:
        assert fetching.wait() == Exit.NO_PEERS
    assert "p2pswarm: bob does not have x.mp3 any more\n" in fetching.stderr
