"""`fetch 0` ended in a traceback: the numbers of a search begin with 1."""

import json
from pathlib import Path

import pytest

from p2pswarm.cli.app import run
from p2pswarm.cli.exits import Exit


def test_no_search_finds_a_number_0(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rows = [[{"name": "a", "size": 1, "network": "napster"}]]
    (tmp_path / "last-search.json").write_text(json.dumps(rows), "utf-8")
    assert run(["fetch", "0", "--port", "0", "--data-dir", str(tmp_path)]) == Exit.USAGE
    assert capfd.readouterr().err == "p2pswarm: the last search found no number 0\n"
