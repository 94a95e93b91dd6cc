"""A network of super nodes that an operator runs, across real containers that know each other by name."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.containers.conftest import Swarms
from tests.containers.swarm import Container, Swarm
from tests.support.foreign import until

pytestmark = pytest.mark.containers

NAME = "blue moon.mp3"
SUPERS = ("super1", "super2")


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


def children(swarm: Swarm, *supers: str) -> int:
    return sum(latest(swarm.one(name)).get("leaves", 0) for name in supers)


def offered_by(swarm: Swarm, hosts: int, by: str = "super2") -> bool:
    """So many have it, and have told its hashes: it is one file."""
    words = ("blue", "moon", "--port", "0", "--wait", "2s", "--data-dir", "/tmp/asker", "--json")
    told = [
        json.loads(line) for line in swarm.one(by).run("p2pswarm", "search", *words).splitlines()
    ]
    found = [event for event in told if event["event"] == "result"]
    (cost,) = [event for event in told if event["event"] == "cost"]
    return len(found) == 1 and "info_hash" in found[0] and cost["hits"] == hosts


def is_fetched(swarm: Swarm, sharer: Container) -> bool:
    """Found, complete, and the same byte for byte."""
    asker = swarm.one("asker")
    if not asker.is_complete():
        return False
    (result,) = asker.told("result")
    ours = sharer.run("sha256sum", f"/share/{NAME}").split()[0]
    assert asker.run("sha256sum", result["path"]).split()[0] == ours
    assert result["verified_by"] == "the SHA-1 of every piece"
    return True


def linked(swarm: Swarm) -> bool:
    """The two of the list serve, and are linked."""
    states = [latest(swarm.one(name)) for name in SUPERS]
    return [(each.get("role"), each.get("links")) for each in states] == [("super", 1)] * 2


@pytest.mark.parametrize("lookup", ["recursive", "iterative"])
def test_found_and_fetched_from_both_who_share_it(swarms: Swarms, song: Path, lookup: str) -> None:
    swarm = swarms(share=song, UP_LIMIT="4MiB/s", WORDS="blue moon", LOOKUP=lookup)
    swarm.up(*SUPERS, "ordinary")
    until(lambda: linked(swarm), "the super nodes are linked")
    until(lambda: offered_by(swarm, 2), "both offer it")
    swarm.up("asker", alone=True)
    until(lambda: is_fetched(swarm, swarm.of("ordinary")[0]), "it is fetched")
    assert len({event["address"] for event in swarm.one("asker").told("peer_joined")}) == 2


def test_who_cannot_be_dialed_is_pushed_through_its_parent(swarms: Swarms, song: Path) -> None:
    swarm = swarms(share=song, WORDS="blue moon")
    swarm.up(*SUPERS, "hidden")
    swarm.up("asker", alone=True)
    until(lambda: is_fetched(swarm, swarm.one("hidden")), "it is fetched")
    assert not swarm.one("asker").told("peer_joined")


def test_children_of_a_killed_super_node_go_to_the_other(swarms: Swarms, song: Path) -> None:
    swarm = swarms(share=song)
    swarm.up(*SUPERS, "ordinary")
    until(lambda: children(swarm, *SUPERS) == 2, "both have a parent")
    victim, left = SUPERS if children(swarm, "super1") else SUPERS[::-1]
    swarm.one(victim).kill()
    until(lambda: children(swarm, left) == 2, "the other super node has both")
    until(lambda: offered_by(swarm, 2, left), "both offer it")
