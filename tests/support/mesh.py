"""A network without a server, as processes on loopback: nodes that share, visitors that search and fetch."""

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.support.foreign import until
from tests.support.patience import PATIENCE
from tests.support.processes import Program, program

__all__ = ["PATIENCE", "PORT", "Mesh", "count_of"]

PORT = 26346  # of every node, each at an address of its own; one that the kernel gives to nobody
_networks = itertools.count(1)
_VISITOR = 200  # its number


class Mesh:
    """Nodes, each a process with an address and a home of its own. `options` are for all."""

    def __init__(
        self, folder: Path, stack: ExitStack, *options: object, on: str = "gnutella"
    ) -> None:
        self.folder, self.stack, self.on = folder, stack, on
        self.options = options
        self.wait = "2s"  # of a search, without a new hit
        self.nodes: list[Program] = []
        # Other tests run beside this one, perhaps the same one.
        self._network = f"127.{20 + os.getpid() % 200}.{next(_networks)}"

    def ip(self, number: int) -> str:
        return f"{self._network}.{number + 1}"

    def host(self, number: int) -> str:
        return f"{self.ip(number)}:{PORT}"

    def _where(self, number: int, connect: Sequence[int]) -> list[object]:
        named = [each for other in connect for each in ("--connect", self.host(other))]
        return ["--bind", self.ip(number), "--port", PORT, "--json", *named, *self.options]

    def share(self, files: dict[str, bytes], connect: Sequence[int] = (), *more: object) -> Program:
        """The next node, which is connected to those."""
        number = len(self.nodes)
        folder = self.folder / f"share{number}"
        folder.mkdir()
        for name, data in files.items():
            (folder / name).write_bytes(data)
        node = self._start(number, connect, *more)
        self.nodes.append(node)
        return node

    def _start(self, number: int, connect: Sequence[int], *more: object) -> Program:
        folder, home = self.folder / f"share{number}", self.folder / f"home{number}"
        options = ["--on", self.on, "--tracker-port", "0", *self._where(number, connect), *more]
        return self.stack.enter_context(program(home, "share", folder, *options))

    def again(self, number: int, connect: Sequence[int] = (), *more: object) -> Program:
        """That node, stopped before, with what it kept."""
        assert self.nodes[number].process.poll() is not None
        self.nodes[number] = self._start(number, connect, *more)
        return self.nodes[number]

    def foreign(self, number: int, path: Path, *options: object, connect: int = 0) -> Program:
        """A leaf with this file that is none of ours, and a number that no node has."""
        where = ("--bind", self.host(number), "--connect", self.host(connect))
        home = self.folder / f"foreign{number}"
        module = "tests.support.foreign_servent"
        servent = self.stack.enter_context(program(home, path, *where, *options, module=module))
        servent.wait_for("linked", within=PATIENCE)
        return servent

    @contextmanager
    def run(
        self, *arguments: object, connect: Sequence[int], home: str = "asker"
    ) -> Iterator[Program]:
        """A command of one who comes for a moment."""
        where = self._where(_VISITOR, connect)
        with program(self.folder / home, *arguments, *where) as running:
            yield running

    def search(
        self, words: str, *more: object, connect: Sequence[int] = (0,)
    ) -> tuple[list[dict[str, Any]], Program]:
        """What is found, and the command that found it."""
        rows, searching = self._look(words, *more, connect=connect)
        assert searching.process.returncode == 0, searching.stderr
        return rows, searching

    def _look(
        self, words: str, *more: object, connect: Sequence[int]
    ) -> tuple[list[dict[str, Any]], Program]:
        looking = ("search", *words.split(), "--via", self.on, "--wait", self.wait, *more)
        with self.run(*looking, connect=connect) as searching:
            searching.wait(PATIENCE)
            rows = [event for event in searching.events if event["event"] == "result"]
            return rows, searching

    def find(
        self, words: str, count: int, *more: object, connect: Sequence[int] = (0,)
    ) -> tuple[list[dict[str, Any]], Program]:
        """Likewise, again and again until so many files are found: nobody tells when all have met.

        Who is to be asked may not be there yet, and on a busy machine an answer may come too late.
        """
        found: list[tuple[list[dict[str, Any]], Program]] = []

        def enough() -> bool:
            found.append(self._look(words, *more, connect=connect))
            return len(found[-1][0]) >= count and found[-1][1].process.returncode == 0

        self.until(enough, f"{count} files with {words}")
        return found[-1]

    def until(self, holds: Callable[[], bool], what: str, within: float = PATIENCE) -> None:
        until(holds, what, within)

    def links(self) -> list[int]:
        """How many neighbours each has."""
        states = [node.latest("network") for node in self.nodes]
        return [state.get("links", 0) + state.get("leaves", 0) for state in states]

    def joined(self, *numbers: int, links: int = 1) -> None:
        """Wait until these (all, when none is named) have so many ultrapeers or equals."""
        chosen = [self.nodes[number] for number in numbers] or self.nodes

        def have() -> bool:
            return all(node.latest("network").get("links", 0) >= links for node in chosen)

        self.until(have, f"{len(chosen)} nodes have {links} neighbours")

    def stands(self, number: int) -> dict[str, Any]:
        """How that node last said that it is in the network; empty before it did."""
        return self.nodes[number].latest("network")

    def sent(self, kind: str, *others: Program) -> int:
        """Messages of this kind that left all nodes and these."""
        return sum(count_of(node, "sent", kind) for node in (*self.nodes, *others))

    def received(self, number: int, kind: str) -> int:
        return count_of(self.nodes[number], "received", kind)


def count_of(node: Program, way: str, kind: str) -> int:
    counts: dict[str, int] = node.latest("network").get(way, {})
    return counts.get(kind, 0)
