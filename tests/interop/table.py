"""What the run has shown: a table of parts and clients, written from the outcomes of its tests.

A test says what it shows by `@part("uTP only", gives)`, and which client by its parameter `client`. A cell
that no test fills stays empty, so the table cannot say more than was tried.
"""

import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

__all__ = ["GIVES", "TAKES", "Table", "part"]

GIVES, TAKES = "gives", "takes"
"""The client gives to us; it takes from us."""

_HEAD = """# Interoperation: what was tried with which client

Written by `scripts/test-interop` from the outcomes of its tests: a cell names what passed.
`←` we took from the client (it seeds, stores or knows, and we find and fetch), `→` it took from us; an empty
cell was not tried, in most cases because the client has no such part.
"""
_MARKS = {GIVES: "←", TAKES: "→"}
_NAMES = {"libtorrent": "libtorrent", "transmission": "Transmission", "aria2": "aria2"}


def part(name: str, way: str) -> pytest.MarkDecorator:
    """What a test shows of the client that it is run with."""
    return pytest.mark.part(name, way)


class Table:
    """Outcomes of one run."""

    def __init__(self) -> None:
        self._cells: dict[tuple[str, str], dict[str, bool]] = {}
        self.complete = True
        """Whether every test that was to fill a cell has passed."""

    def note(self, name: str, way: str, client: str, *, passed: bool) -> None:
        self.complete &= passed
        ways = self._cells.setdefault((name, client), {})
        ways[way] = ways.get(way, True) and passed

    def markdown(self, versions: Mapping[str, str]) -> str:
        parts = dict.fromkeys(name for name, _ in self._cells)
        columns = [name for name in _NAMES if any(client == name for _, client in self._cells)]
        head = ["part", *(f"{_NAMES[name]} {versions[name]}" for name in columns)]
        rows = [[name, *(self._cell(name, client) for client in columns)] for name in parts]
        lines = [head, ["---"] * len(head), *rows]
        return _HEAD + "\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)

    def _cell(self, name: str, client: str) -> str:
        ways = self._cells.get((name, client), {})
        return " ".join(_MARKS[way] for way in _MARKS if ways.get(way))

    def write(self, path: Path) -> None:
        path.write_text(self.markdown({name: VERSIONS[name]() for name in _NAMES}), "utf-8")


def column_of(item: pytest.Item) -> str:
    """The client that a test is run with."""
    params: Mapping[str, Any] = getattr(item, "callspec").params  # noqa: B009 - not of every item
    return str(params["client"].__name__)


def _told(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return "?"
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    number = re.search(r"\d+\.\d+[\d.]*", told.stdout + told.stderr)
    return number[0] if number else "?"


VERSIONS: Mapping[str, Callable[[], str]] = {
    "libtorrent": lambda: version("libtorrent"),
    "transmission": lambda: _told("transmission-daemon", "--version"),
    "aria2": lambda: _told("aria2c", "--version"),
}
