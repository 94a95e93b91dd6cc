"""A search network across real containers: a server, two that share, a third that finds and fetches."""

import json
from pathlib import Path

import pytest

from tests.containers.conftest import Swarms
from tests.containers.swarm import MIB, Swarm
from tests.support.foreign import until

pytestmark = pytest.mark.containers

SERVICES = ("index", "sharer", "finder")


@pytest.fixture
def song(tmp_path: Path) -> Path:
    folder = tmp_path / "songs"
    folder.mkdir()
    (folder / "blue moon.mp3").write_bytes(bytes(range(256)) * 4096 * 24)
    return folder


def shared_by_two(swarm: Swarm) -> bool:
    return bool(json.loads(swarm.one("index").ask("/stats"))["napster_files"] == 2)


def start(swarm: Swarm) -> None:
    swarm.up("index", "sharer")
    until(lambda: shared_by_two(swarm), "both share it")
    swarm.up("finder")


def is_fetched(swarm: Swarm, song: Path) -> bool:
    """Found, complete, and the same byte for byte."""
    finder = swarm.one("finder")
    if not finder.is_complete():
        return False
    (result,) = finder.told("result")
    ours = swarm.of("sharer")[0].run("sha256sum", "/share/blue moon.mp3").split()[0]
    assert finder.run("sha256sum", result["path"]).split()[0] == ours
    assert result["verified_by"] == "the SHA-1 of every piece"
    return True


def test_two_share_and_a_third_finds_and_fetches_from_both(swarms: Swarms, song: Path) -> None:
    swarm = swarms(share=song, UP_LIMIT="4MiB/s", WORDS="blue moon")
    start(swarm)
    until(lambda: is_fetched(swarm, song), "it is fetched")
    joined = {event["address"] for event in swarm.one("finder").told("peer_joined")}
    assert len(joined) == 2


def test_hosts_that_nobody_can_dial_bring_it(swarms: Swarms, song: Path) -> None:
    swarm = swarms(share=song, FIREWALLED="true", WORDS="blue moon")
    start(swarm)
    until(lambda: is_fetched(swarm, song), "it is fetched")
    assert not swarm.one("finder").told("peer_joined")


def test_the_server_is_killed_while_it_is_fetched(swarms: Swarms, song: Path) -> None:
    swarm = swarms(share=song, UP_LIMIT="1MiB/s", WORDS="blue moon")
    start(swarm)
    finder, index = swarm.one("finder"), swarm.one("index")
    until(lambda: finder.share_done() > 0.1, "it has begun")
    index.kill()
    until(lambda: is_fetched(swarm, song), "it is fetched all the same")
    index.start()
    until(lambda: index.look("{{.State.Health.Status}}") == "healthy", "the server is back")
    until(lambda: shared_by_two(swarm), "both share it again")  # the longest pause is 90 s


def test_the_song_is_large_enough_for_something_to_happen(song: Path) -> None:
    assert (song / "blue moon.mp3").stat().st_size == 24 * MIB
