"""A network without a server across real containers: found, fetched, pushed, and come back to."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.containers.conftest import Swarms
from tests.containers.swarm import MIB, Container, Swarm
from tests.support.foreign import until

pytestmark = pytest.mark.containers

NAME = "blue moon.mp3"


@pytest.fixture
def song(tmp_path: Path) -> Path:
    folder = tmp_path / "songs"
    folder.mkdir()
    (folder / NAME).write_bytes(bytes(range(256)) * 4096 * 24)
    return folder


def latest(one: Container) -> dict[str, Any]:
    """How it last said that it stands in the network."""
    told = one.told("network")
    return told[-1] if told else {}


def neighbours(one: Container) -> int:
    state = latest(one)
    return int(state["links"] + state["leaves"])


def search(one: Container, folder: str, *more: str) -> list[dict[str, Any]]:
    """What a search from inside this container tells."""
    words = ("blue", "moon", "--port", "0", "--wait", "2s", "--data-dir", folder)
    told = one.run("env", *more, "p2pswarm", "search", *words)
    return [json.loads(line) for line in told.splitlines()]


def offered_by(swarm: Swarm, hosts: int) -> bool:
    """So many have it, and have told its hashes: it is one file."""
    told = search(swarm.one("ultrapeer"), "/tmp/asker", "-u", "P2PSWARM_GNUTELLA_ROLE",
                  "P2PSWARM_CONNECT=ultrapeer:46881")  # fmt: skip
    found = [event for event in told if event["event"] == "result"]
    (cost,) = [event for event in told if event["event"] == "cost"]
    return len(found) == 1 and "sha1" in found[0] and cost["hits"] == hosts


def is_fetched(swarm: Swarm, sharer: Container) -> bool:
    """Found, complete, and the same byte for byte."""
    seeker = swarm.one("seeker")
    if not seeker.is_complete():
        return False
    (result,) = seeker.told("result")
    ours = sharer.run("sha256sum", f"/share/{NAME}").split()[0]
    assert seeker.run("sha256sum", result["path"]).split()[0] == ours
    assert result["verified_by"] == "the SHA-1 of every piece"
    return True


WAYS = {
    "asking ultrapeers": {},
    "one after the other": {"LOOKUP": "iterative"},
    "every node equal": {"FLOOD": "true", "GNUTELLA_ROLE": "auto"},
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_found_and_fetched_from_both_who_share_it(
    swarms: Swarms, song: Path, way: dict[str, str]
) -> None:
    swarm = swarms(share=song, UP_LIMIT="4MiB/s", WORDS="blue moon", **way)
    swarm.up("ultrapeer", "leaf")
    until(lambda: offered_by(swarm, 2), "both offer it")
    until(lambda: neighbours(swarm.one("ultrapeer")) == 2, "whoever asked is gone")
    swarm.up("seeker", alone=True)
    until(lambda: is_fetched(swarm, swarm.of("leaf")[0]), "it is fetched")
    assert len({event["address"] for event in swarm.one("seeker").told("peer_joined")}) == 2


def test_a_leaf_that_nobody_can_connect_to_is_pushed(swarms: Swarms, song: Path) -> None:
    swarm = swarms(share=song, WORDS="blue moon")
    swarm.up("ultrapeer", "walled")
    swarm.up("seeker", alone=True)
    until(lambda: is_fetched(swarm, swarm.one("walled")), "it is fetched")
    assert not swarm.one("seeker").told("peer_joined")
    until(lambda: latest(swarm.one("walled"))["received"].get("push", 0) > 0, "it was pushed")


def test_who_was_in_comes_back_by_the_host_cache_alone(swarms: Swarms, song: Path) -> None:
    swarm = swarms(share=song)
    swarm.up("ultrapeer", "leaf")
    until(lambda: offered_by(swarm, 2), "both offer it")
    leaf = swarm.of("leaf")[0]
    search(leaf, "/tmp/home")
    told = search(leaf, "/tmp/home", "-u", "P2PSWARM_CONNECT")
    assert [event["name"].endswith(NAME) for event in told if event["event"] == "result"] == [True]


def test_the_song_is_large_enough_for_something_to_happen(song: Path) -> None:
    assert (song / NAME).stat().st_size == 24 * MIB
