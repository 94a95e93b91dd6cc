"""What the run has shown: a table of parts and clients, written from the outcomes of its tests.

A test says what it shows by `@part("uTP only", GIVES)`, and which client by its parameter `client`. A cell
that no test fills stays empty, so the table cannot say more than was tried; where one would expect something,
`@lacks(client, why)` on such a test says below the table why there is nothing.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

__all__ = ["GIVES", "PARTS", "TAKES", "Table", "lacks", "part"]

GIVES, TAKES = "gives", "takes"
"""The client gives to us; it takes from us."""

PARTS = (
    "BEP 3 over TCP, HTTP tracker",
    "MSE, RC4 payload",
    "MSE, plain payload",
    "MSE on one side only",
    "BEP 29, uTP only",
    "BEP 29, uTP only, encryption required",
    "MSE, RC4 payload over uTP",
    "magnet links and ut_metadata",
    "version 2 (BEP 52)",
    "hybrid of versions 1 and 2 (BEP 52)",
    "hybrid by its first name alone",
    "hybrid by its second name alone",
    "magnet links of version 2 (btmh)",
    "hash messages (BEP 52)",
    "PEX",
    "local discovery",
    "DHT peers (BEP 5, 32)",
    "a trackerless download by the DHT",
    "DHT items (BEP 44)",
    "DHT scrape (BEP 33)",
    "DHT samples (BEP 51)",
    "UDP tracker",
    "UDP tracker over IPv6",
    "IPv6, HTTP tracker",
    "hole punching",
    "a selection of files (BEP 53, 21)",
    "upload_only (BEP 21)",
    "lt_donthave (BEP 54)",
    "web seeds (BEP 19)",
)
"""The rows, in this order."""

_HEAD = """# Interoperation: what was tried with which client

Written by `scripts/test-interop` from the outcomes of its tests: a cell names what passed.
`←` we took from the client (it seeds, stores or knows, and we find and fetch), `→` it took from us; an empty
cell was not tried, in most cases because the client has no such part. A number refers to a reason below.
"""
_MARKS = {GIVES: "←", TAKES: "→"}
_NAMES = {
    "libtorrent": "libtorrent", "transmission": "Transmission", "aria2": "aria2", "rtorrent": "rTorrent",
}  # fmt: skip


def part(name: str, way: str) -> pytest.MarkDecorator:
    """What a test shows of the client that it is run with."""
    assert name in PARTS, f"no row {name}"
    return pytest.mark.part(name, way)


def lacks(client: Callable[..., object], why: str) -> pytest.MarkDecorator:
    """Why this client is not among those that a test is run with."""
    return pytest.mark.lacks(client.__name__, why)


class Table:
    """Outcomes of one run."""

    def __init__(self) -> None:
        self._cells: dict[tuple[str, str], dict[str, bool]] = {}
        self._reasons: dict[tuple[str, str], dict[str, str]] = {}
        self.complete = True
        """Whether every test that was to fill a cell has passed."""

    def note(self, name: str, way: str, client: str, *, passed: bool) -> None:
        self.complete &= passed
        ways = self._cells.setdefault((name, client), {})
        ways[way] = ways.get(way, True) and passed

    def note_reason(self, name: str, way: str, client: str, why: str) -> None:
        self._reasons.setdefault((name, client), {})[way] = why

    def markdown(self, versions: Mapping[str, str]) -> str:
        shown = {*self._cells, *self._reasons}
        parts = [name for name in PARTS if any(name == row for row, _ in shown)]
        notes: list[str] = []
        head = ["part", *(f"{_NAMES[name]} {versions[name]}" for name in _NAMES)]
        rows = [[name, *(self._cell(name, client, notes) for client in _NAMES)] for name in parts]
        lines = [head, ["---"] * len(head), *rows]
        below = "".join(f"{number}. {note}\n" for number, note in enumerate(notes, 1))
        table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
        return "\n".join(filter(None, (_HEAD, table, below)))

    def _cell(self, name: str, client: str, notes: list[str]) -> str:
        """What passed, and the numbers of reasons for what was not tried; these go to the notes."""
        ways = self._cells.get((name, client), {})
        words = [_MARKS[way] for way in _MARKS if ways.get(way)]
        for way, why in self._reasons.get((name, client), {}).items():
            notes.append(f"{_MARKS[way]} {_NAMES[client]}, {name}: {why}")
            words.append(f"({len(notes)})")
        return " ".join(words)

    def save(self, path: Path) -> None:
        """For a run that is a part of the whole."""
        cells = [[*key, ways] for key, ways in self._cells.items()]
        reasons = [[*key, whys] for key, whys in self._reasons.items()]
        path.write_text(json.dumps({"cells": cells, "reasons": reasons}), "utf-8")

    def add(self, path: Path) -> None:
        """What a run has saved."""
        saved = json.loads(path.read_text("utf-8"))
        for name, client, ways in saved["cells"]:
            for way, passed in ways.items():
                self.note(name, way, client, passed=passed)
        for name, client, whys in saved["reasons"]:
            for way, why in whys.items():
                self.note_reason(name, way, client, why)

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
    number = re.search(r"\d+(\.\d+)+", told.stdout + told.stderr)
    return number[0] if number else "?"


VERSIONS: Mapping[str, Callable[[], str]] = {
    "libtorrent": lambda: version("libtorrent"),
    "transmission": lambda: _told("transmission-daemon", "--version"),
    "aria2": lambda: _told("aria2c", "--version"),
    "rtorrent": lambda: _told("rtorrent", "-h"),
}


def main(path: str, *parts: str) -> None:
    """Make one table of what several runs have saved."""
    table = Table()
    for each in parts:
        table.add(Path(each))
    table.write(Path(path))


if __name__ == "__main__":
    main(*sys.argv[1:])
