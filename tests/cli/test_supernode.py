"""A network of super nodes and ordinary ones, as processes on loopback: found, fetched, re-homed."""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from p2pswarm.cli.exits import Exit
from tests.cli.conftest import Command
from tests.support.mesh import PATIENCE, PORT, Mesh
from tests.support.patience import stopwatch
from tests.support.processes import Program

SUPER = ("--supernode-role", "super")
ORDINARY = ("--supernode-role", "ordinary")
SUPERS = range(3)
CHILDREN = range(3, 12)
REHOMED = 20.0  # seconds in which a child whose parent died has another one
SONG = os.urandom((2 << 20) + 321)


@pytest.fixture
def crowd(tmp_path: Path) -> Iterator[Mesh]:
    with ExitStack() as stack:
        mesh = Mesh(tmp_path, stack, on="supernode")
        mesh.wait = "1s"  # what is not found then is looked for again
        yield mesh


def name_of(number: int) -> str:
    return f"common number {number}.txt"


def names(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Without the folders."""
    return sorted(row["name"].rpartition("/")[2] for row in rows)


def named(*numbers: int) -> list[str]:
    return sorted(map(name_of, numbers))


def events(running: Program, name: str) -> list[dict[str, Any]]:
    return [event for event in list(running.events) if event["event"] == name]


def children(crowd: Mesh, numbers: Sequence[int]) -> int:
    """How many these super nodes have together."""
    return sum(crowd.stands(number).get("leaves", 0) for number in numbers)


def settle(crowd: Mesh, supers: Sequence[int] = SUPERS, others: Sequence[int] = CHILDREN) -> None:
    """Wait until all super nodes are linked and every other node has a parent."""

    def have() -> bool:
        linked = all(crowd.stands(each).get("links") == len(supers) - 1 for each in supers)
        return linked and children(crowd, supers) == len(others)

    crowd.until(have, "the super nodes are linked and have all the children")


WRONG = {
    "--supernode-role boss": "'boss' is not a role: auto, ordinary, super",
    "--children 150-60": "150-60 is not a range from 1 to 10000, the smaller one first",
    "--children 0-5": "0-5 is not a range from 1 to 10000, the smaller one first",
    "--children many": "'many' is not a range such as 60-150",
    "--links 5-5000": "5-5000 is not a range from 1 to 1000, the smaller one first",
    "--rewire 0": "links have to last for some time",
    "--promote-after soon": "'soon' is not a duration such as 30m, 1h30m or 90",
    "--supernodes 127.0.0.1": "'127.0.0.1' is not HOST:PORT",
    "--firewalled --supernode-role super": "nobody could connect to such a super node",
}


@pytest.mark.parametrize("options", WRONG)
def test_wrong_usage_is_named_in_one_line(command: Command, options: str) -> None:
    flag, *_ = options.split()
    ran = command("share", ".", "--on", "supernode", *options.split())
    assert (ran.code, ran.out) == (Exit.USAGE, "")
    assert ran.err == f"p2pswarm: {flag}: {WRONG[options]}\n"


@pytest.mark.parametrize("way", ["--connect", "--supernodes"])
@pytest.mark.parametrize("doing", [("search", "x", "--via"), ("share", ".", "--on")], ids="".join)
def test_hosts_where_nobody_can_be_end_the_command(
    command: Command, doing: Sequence[str], way: str
) -> None:
    ran = command(*doing, "supernode", way, "0.0.0.0:4444", "--bind", "127.0.0.1", "--port", "0")
    assert (ran.code, ran.out) == (Exit.NETWORK, "")
    assert ran.err.startswith("p2pswarm: ")
    assert ran.err.endswith("nobody can be dialed at 0.0.0.0:4444\n")
    assert ran.err.count("\n") == 1


def test_who_knows_nobody_is_told_so_at_once(command: Command) -> None:
    ran = command("search", "x", "--via", "supernode", "--bind", "127.0.0.1", "--port", "0")
    assert (ran.code, ran.out) == (Exit.ERROR, "")
    assert ran.err == "p2pswarm: which super node? Name one with --connect\n"


def two_tiers(crowd: Mesh) -> None:
    """Three super nodes, with three children each."""
    for number in SUPERS:
        node = crowd.share({name_of(number): b"%d" % number}, range(number), *SUPER)
        node.wait_for("network", within=PATIENCE)  # the next one finds it there
    for number in CHILDREN:
        crowd.share({name_of(number): b"%d" % number}, [number % len(SUPERS)])
    settle(crowd)


def cost_of(searching: Program) -> dict[str, Any]:
    (cost,) = events(searching, "cost")
    return cost


def test_everything_is_found_both_ways_and_from_everywhere(crowd: Mesh) -> None:
    two_tiers(crowd)
    everything = named(*SUPERS, *CHILDREN)
    costs: dict[str, dict[str, Any]] = {}
    for lookup in ("recursive", "iterative"):
        rows, searching = crowd.find("common", 12, "--lookup", lookup)
        assert names(rows) == everything
        costs[lookup] = cost_of(searching)
        (line,) = [note for note in searching.notes() if " messages, " in note]
        assert line.startswith(f"supernode: {costs[lookup]['messages']} messages, ")
        sys.stdout.write(f"{lookup}: {line}\n")
    assert {cost["hits"] for cost in costs.values()} == {12}
    # One question to our parent, which asks the others, and answers of three come. While two of them have not
    # tested each other yet, the third passes it on.
    assert costs["recursive"]["messages"] >= 1 + 3
    assert costs["recursive"]["hops"] in (2, 3)
    # Each of the three is asked by ourselves, answers, and ends.
    assert costs["iterative"]["messages"] >= 3 * 3
    assert costs["iterative"]["hops"] == 1
    for number in SUPERS[1:]:
        rows, _ = crowd.find("common", 12, connect=[number])
        assert names(rows) == everything
    assert {crowd.stands(number)["role"] for number in CHILDREN} == {"ordinary"}


def test_who_asks_one_after_the_other_needs_no_place_as_a_child(crowd: Mesh) -> None:
    crowd.options = ("--children", "1-1")
    crowd.share({name_of(0): b"0"}, (), *SUPER).wait_for("network", within=PATIENCE)
    crowd.share({name_of(1): b"1"}, [0], *ORDINARY)
    crowd.until(lambda: children(crowd, [0]) == 1, "the super node is full")
    rows, searching = crowd.find("common", 2, "--lookup", "iterative")
    assert names(rows) == named(0, 1)
    assert {event["links"] for event in events(searching, "network")} == {0}


@contextmanager
def frozen(nodes: Sequence[Program]) -> Iterator[None]:
    """They do nothing meanwhile."""
    for node in nodes:
        node.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for node in nodes:
            node.process.send_signal(signal.SIGCONT)


def seconds_until(crowd: Mesh, holds: Callable[[], bool], what: str) -> float:
    with stopwatch() as watch:
        crowd.until(holds, what)
    return watch.seconds


def test_the_children_of_a_dead_super_node_find_another_one(crowd: Mesh) -> None:
    two_tiers(crowd)
    crowd.find("common", 12, connect=[1])
    orphans = [number for number in CHILDREN if number % 3 == 0]
    others = [number for number in CHILDREN if number % 3 != 0]
    # While its children stand still, nobody can have taken them: whatever is found of them were a memory.
    with frozen([crowd.nodes[number] for number in orphans]):
        assert crowd.nodes[0].stop(signal.SIGKILL) == -signal.SIGKILL
        rows, _ = crowd.find("common", 8, connect=[1])
        assert names(rows) == named(1, 2, *others)
    first = seconds_until(
        crowd, lambda: children(crowd, [1, 2]) == len(CHILDREN), "all children have a parent again"
    )
    rows, _ = crowd.find("common", 11, connect=[1])
    assert names(rows) == named(1, 2, *CHILDREN)
    assert crowd.nodes[1].stop(signal.SIGKILL) == -signal.SIGKILL
    second = seconds_until(
        crowd, lambda: children(crowd, [2]) == len(CHILDREN), "the last one has all the children"
    )
    rows, _ = crowd.find("common", 10, connect=[2])
    assert names(rows) == named(2, *CHILDREN)
    sys.stdout.write(f"all children have a parent again after {first:.1f} s, {second:.1f} s\n")
    assert max(first, second) < REHOMED


def fetch(crowd: Mesh, hit: object, to: str, *more: object) -> Program:
    """The command, when the file is there and what it should be."""
    with crowd.run("fetch", hit, "-o", crowd.folder / to, *more, connect=[0]) as fetching:
        result = fetching.wait_for("result", within=PATIENCE)
        assert fetching.wait(PATIENCE) == 0, fetching.stderr
    assert Path(result["path"]).read_bytes() == SONG
    return fetching


def last_search(crowd: Mesh) -> Path:
    return crowd.folder / "asker" / "p2pswarm" / "last-search.json"


def hits_kept(crowd: Mesh) -> list[list[dict[str, Any]]]:
    """Of the last search, those of each file."""
    return list(json.loads(last_search(crowd).read_text("utf-8")))


def test_a_file_is_fetched_as_a_swarm_in_ranges_and_by_a_push(crowd: Mesh) -> None:
    crowd.share({}, (), *SUPER).wait_for("network", within=PATIENCE)
    crowd.share({}, [0], *SUPER)
    crowd.share({"blue moon.mp3": SONG}, [1])
    (row,), _ = crowd.find("blue moon", 1)

    def hashed() -> bool:
        return any("info_hash" in row for row in crowd.search("blue moon")[0])

    crowd.until(hashed, "it is hashed")
    assert row["token"].startswith("supernode:btih:") or row["token"].startswith("supernode://")
    swarm = fetch(crowd, 1, "swarm")
    assert {event["address"] for event in events(swarm, "peer_joined")} == {crowd.host(2)}
    # Who has only what a host gives in ranges, and its SHA-1, has no need of a torrent.
    (hits,) = hits_kept(crowd)
    (hit,) = hits
    del hit["info_hash"]
    last_search(crowd).write_text(json.dumps([hits]), "utf-8")
    ranges = fetch(crowd, 1, "ranges")
    assert not events(ranges, "peer_joined")
    assert [event["verified_by"] for event in events(ranges, "result")] == [
        "its SHA-1 and its tiger tree"
    ]
    assert crowd.nodes[2].stop() == 0
    crowd.again(2, [1], "--firewalled")
    crowd.until(lambda: children(crowd, [0, 1]) == 1, "it is back, behind a firewall")
    crowd.until(lambda: crowd.search("blue moon")[0] != [], "and is found")
    ((hit,),) = hits_kept(crowd)
    assert hit["firewalled"]
    assert hit["proxies"] in ([[crowd.ip(0), PORT]], [[crowd.ip(1), PORT]])  # its parent
    pushed = fetch(crowd, 1, "pushed")
    assert not events(pushed, "peer_joined")  # nobody can dial it, and so it gives in a row


def test_one_of_the_children_is_promoted_and_never_who_opted_out(crowd: Mesh) -> None:
    crowd.options = ("--children", "1-2", "--promote-after", "1s")
    crowd.share({}, (), *SUPER).wait_for("network", within=PATIENCE)
    for number in (1, 2):
        crowd.share({name_of(number): b"%d" % number}, [0], *ORDINARY)
    crowd.until(lambda: children(crowd, [0]) == 2, "the super node is full")
    for number in (3, 4):  # there is no place for them
        crowd.share({name_of(number): b"%d" % number}, [0])
    crowd.until(
        lambda: "super" in [crowd.stands(number).get("role") for number in (3, 4)],
        "one is promoted",
    )
    crowd.until(lambda: sum(crowd.links()) >= 2 * 4 - 2, "the other one has a parent, too")
    rows, _ = crowd.find("common", 4, connect=[1])
    assert names(rows) == named(1, 2, 3, 4)
    assert {crowd.stands(number)["role"] for number in (1, 2)} == {"ordinary"}


def test_with_an_operator_those_of_the_list_serve_and_nobody_else(crowd: Mesh) -> None:
    listed = ("--supernodes", f"{crowd.host(0)},{crowd.host(1)}", "--promote-after", "0s")
    crowd.options = (*listed, "--children", "1-2")
    for number in range(5):
        role = SUPER if number == 2 else ()  # who would like to, and is not in the list
        crowd.share({name_of(number): b"%d" % number}, (), *role)
    settle(crowd, range(2), range(2, 5))
    rows, _ = crowd.find("common", 5, connect=())
    assert names(rows) == named(*range(5))
    assert [crowd.stands(number)["role"] for number in range(5)] == ["super"] * 2 + ["ordinary"] * 3


def test_who_was_in_comes_back_by_the_host_cache_alone(crowd: Mesh) -> None:
    crowd.share({name_of(0): b"0"}, (), *SUPER).wait_for("network", within=PATIENCE)
    crowd.share({name_of(1): b"1"}, [0])
    crowd.until(lambda: children(crowd, [0]) == 1, "it has a parent")
    assert crowd.nodes[1].stop() == 0
    crowd.again(1)
    crowd.find("common", 2)
    for lookup in ("recursive", "iterative"):
        rows, _ = crowd.find("common", 2, "--lookup", lookup, connect=())
        assert names(rows) == named(0, 1)


def test_one_file_of_two_networks_is_told_once(crowd: Mesh) -> None:
    crowd.on = "gnutella,supernode"
    crowd.share({}, (), *SUPER, "--gnutella-role", "ultrapeer")
    crowd.nodes[0].wait_for("network", within=PATIENCE)
    crowd.share({"blue moon.mp3": SONG}, [0])

    def found_in_both() -> bool:
        crowd.search("blue moon")
        return [sorted(hit["network"] for hit in hits) for hits in hits_kept(crowd)] == [
            ["gnutella", "supernode"]
        ]

    crowd.until(found_in_both, "one file, found in both networks")
    fetching = fetch(crowd, 1, "both")
    assert {event["address"] for event in events(fetching, "peer_joined")} == {crowd.host(1)}
