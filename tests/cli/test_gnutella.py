"""A Gnutella network of twelve processes on loopback, flat and with two tiers: found by all, and counted."""

import re
from collections.abc import Iterable
from contextlib import suppress
from random import Random
from typing import Any

import pytest

from tests.support.mesh import Mesh, count_of
from tests.support.processes import Program


def names(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Without the folders."""
    return sorted(row["name"].rpartition("/")[2] for row in rows)


def graph(nodes: int, edges: int, dice: Random) -> list[tuple[int, int]]:
    """Connected: a tree, and more edges at random."""
    chosen = {(dice.randrange(node), node) for node in range(1, nodes)}
    while len(chosen) < edges:
        one, other = sorted(dice.sample(range(nodes), 2))
        chosen.add((one, other))
    return sorted(chosen)


def test_a_flat_mesh_of_twelve_finds_everything_with_exactly_as_many_messages(
    mesh: Mesh,
) -> None:
    mesh.options = ("--flood",)
    edges = graph(12, 18, Random(6))
    for node in range(12):
        earlier = [one for one, other in edges if other == node]
        mesh.share({f"common number {node}.txt": b"%d" % node}, earlier)
    # Whoever has fewer than eight neighbours looks for more; whom its user named it dials anyhow, and again
    # when that did not listen yet: on a busy machine an edge may come in the middle of a search.
    mesh.until(lambda: min(mesh.links()) >= 8, "everybody has enough neighbours")
    assert any(undisturbed(mesh) for _ in range(5)), "2|E| - |V| + 1 queries were never counted"


def undisturbed(mesh: Mesh) -> bool:
    """Search and count; False when somebody found another neighbour meanwhile, or came too late."""
    degrees, before = mesh.links(), mesh.sent("query")
    rows, asker = mesh.find("common", 12, connect=(3, 8))
    assert names(rows) == sorted(f"common number {node}.txt" for node in range(12))
    links = int(asker.latest("network")["links"])
    must = sum(degrees) + 2 * links - (12 + 1) + 1

    def still() -> bool:
        return mesh.links() == degrees  # the asker is gone, and nobody counts it any more

    def counted() -> bool:
        return mesh.sent("query", asker) - before == must

    with suppress(AssertionError):
        mesh.until(lambda: still() and counted(), "2|E| - |V| + 1 queries", 15.0)
    if not (still() and counted()):
        return False
    (cost,) = [event for event in asker.events if event["event"] == "cost"]
    assert cost["hits"] == 12
    assert cost["messages"] == links + 12
    return True


def cost_of(searching: Program) -> dict[str, Any]:
    """What it told of its cost: to programs, and to people the same."""
    (cost,) = [event for event in searching.events if event["event"] == "cost"]
    (line,) = [note for note in searching.notes() if " messages, " in note]
    said = re.fullmatch(
        r"gnutella: (\d+) messages, .+, (\d+) hops?, "
        r"first hit after (\d+) ms, all after (\d+) ms, ended after (\d+) ms",
        line,
    )
    assert said is not None, line
    numbers = [cost[key] for key in ("messages", "hops", "first_ms", "last_ms", "took_ms")]
    assert list(map(int, said.groups())) == pytest.approx(numbers, abs=1)
    assert sorted(numbers[2:]) == numbers[2:]
    return cost


def test_with_two_tiers_everything_is_found_recursively_and_iteratively(mesh: Mesh) -> None:
    for node in range(12):
        role = ("--gnutella-role", "ultrapeer" if node < 3 else "leaf")
        others = range(node) if node < 3 else [node % 3]
        mesh.share({f"common number {node}.txt": b"%d" % node}, others, *role)
    mesh.joined()
    everything = sorted(f"common number {node}.txt" for node in range(12))
    rows, searching = mesh.find("common", 12)
    assert names(rows) == everything
    recursive = cost_of(searching)
    rows, searching = mesh.find("common", 12, "--lookup", "iterative")
    assert names(rows) == everything
    iterative = cost_of(searching)
    assert recursive["hits"] == iterative["hits"] == 12
    assert {node.latest("network")["role"] for node in mesh.nodes[3:]} == {"leaf"}
    # One question to our ultrapeer, and the answers; or a ping and a query to each, and their answers.
    assert recursive["messages"] > 12
    assert recursive["hops"] >= 2
    assert iterative["messages"] >= 3 * 4
    assert min(recursive["bytes"], iterative["bytes"]) > 12 * 50


def test_a_leaf_without_the_words_receives_no_query(mesh: Mesh) -> None:
    mesh.share({}, (), "--gnutella-role", "ultrapeer")
    for name in ("blue moon.txt", "red sun.txt", "full moon.txt"):
        mesh.share({name: name.encode()}, [0], "--gnutella-role", "leaf")

    def tables_are_there() -> bool:
        told = [count_of(node, "sent", "routes") for node in mesh.nodes[1:]]
        return min(told) > 1 and mesh.received(0, "routes") == sum(told)

    mesh.until(tables_are_there, "the ultrapeer has the tables of its leaves")
    for lookup in ("recursive", "iterative"):
        rows, _ = mesh.find("moon", 2, "--lookup", lookup)
        assert names(rows) == ["blue moon.txt", "full moon.txt"]
    for node in (1, 3):
        mesh.until(lambda node=node: mesh.received(node, "query") >= 2, "they were asked twice")
    assert mesh.received(2, "query") == 0
    rows, _ = mesh.find("sun", 1)
    assert names(rows) == ["red sun.txt"]
    mesh.until(lambda: mesh.received(2, "query") >= 1, "now it was asked")
