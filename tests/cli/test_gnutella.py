"""A Gnutella network of processes on loopback: flat and with two tiers; found, fetched, pushed, counted."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.support.foreign import until
from tests.support.processes import Program, program

PORT = 46346  # of every node, each at an address of its own
MIB = 1 << 20
SONG = os.urandom(3 * MIB + 321)
PATIENCE = 30.0  # seconds


class Mesh:
    """Nodes, each a process with an address and a home of its own."""

    def __init__(self, folder: Path, stack: ExitStack, *options: object) -> None:
        self.folder, self._stack = folder, stack
        self._options = options
        self.nodes: list[Program] = []

    def host(self, number: int) -> str:
        return f"127.0.7.{number + 1}:{PORT}"

    def _where(self, number: int, connect: Sequence[int]) -> list[object]:
        named = [each for other in connect for each in ("--connect", self.host(other))]
        host = self.host(number).partition(":")[0]
        return ["--bind", host, "--port", PORT, "--json", *named, *self._options]

    def share(self, files: dict[str, bytes], connect: Sequence[int] = (), *more: object) -> Program:
        """The next node, which is connected to those."""
        number = len(self.nodes)
        folder = self.folder / f"share{number}"
        folder.mkdir()
        for name, data in files.items():
            (folder / name).write_bytes(data)
        where = self._where(number, connect)
        options = ["--on", "gnutella", "--tracker-port", "0", *where, *more]
        home = self.folder / f"home{number}"
        node = self._stack.enter_context(program(home, "share", folder, *options))
        self.nodes.append(node)
        return node

    @contextmanager
    def run(
        self, *arguments: object, connect: Sequence[int], home: str = "asker"
    ) -> Iterator[Program]:
        """A command of one who comes for a moment."""
        where = self._where(99, connect)
        with program(self.folder / home, *arguments, *where) as running:
            yield running

    def search(
        self, words: str, *more: object, connect: Sequence[int] = (0,)
    ) -> tuple[list[dict[str, Any]], Program]:
        """What is found, and the command that found it."""
        with self.run(
            "search", *words.split(), "--via", "gnutella", "--wait", "2s", *more, connect=connect
        ) as searching:
            assert searching.wait(PATIENCE) == 0, searching.stderr
            rows = [event for event in searching.events if event["event"] == "result"]
            return rows, searching

    def until(self, holds: Callable[[], bool], what: str) -> None:
        until(holds, what, PATIENCE)

    def links(self) -> list[int]:
        """How many neighbours each has."""
        states = [node.latest("network") for node in self.nodes]
        return [state.get("links", 0) + state.get("leaves", 0) for state in states]

    def sent(self, kind: str, *others: Program) -> int:
        """Messages of this kind that left all nodes and these."""
        states = [node.latest("network") for node in (*self.nodes, *others)]
        return sum(state.get("sent", {}).get(kind, 0) for state in states)

    def received(self, node: int, kind: str) -> int:
        return int(self.nodes[node].latest("network").get("received", {}).get(kind, 0))


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def graph(nodes: int, edges: int, dice: Random) -> list[tuple[int, int]]:
    """Connected: a tree, and more edges at random."""
    chosen = {(dice.randrange(node), node) for node in range(1, nodes)}
    while len(chosen) < edges:
        one, other = sorted(dice.sample(range(nodes), 2))
        chosen.add((one, other))
    return sorted(chosen)


@pytest.mark.timeout(120)
def test_a_flat_mesh_of_twelve_finds_everything_with_exactly_as_many_messages(
    tmp_path: Path, stack: ExitStack
) -> None:
    mesh = Mesh(tmp_path, stack, "--flood")
    edges = graph(12, 18, Random(6))
    for node in range(12):
        earlier = [one for one, other in edges if other == node]
        mesh.share({f"common number {node}.txt": b"%d" % node}, earlier)
    # Whoever has fewer than eight neighbours looks for more; then the graph stays as it is.
    mesh.until(lambda: min(mesh.links()) >= 8, "everybody has enough neighbours")
    rows, asker = mesh.search("common", connect=(3, 8))
    assert sorted(row["name"].split("/")[-1] for row in rows) == sorted(
        f"common number {node}.txt" for node in range(12)
    )
    links = int(asker.latest("network")["links"])  # the others count them no more, it is gone

    def as_many_as_there_must_be() -> bool:
        return mesh.sent("query", asker) == sum(mesh.links()) + 2 * links - (12 + 1) + 1

    mesh.until(as_many_as_there_must_be, "2|E| - |V| + 1 queries")
    (cost,) = [event for event in asker.events if event["event"] == "cost"]
    assert cost["hits"] == 12
    assert cost["messages"] == links + 12
