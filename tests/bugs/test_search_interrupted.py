"""Ctrl-C of a running `search` printed a traceback and exited 1: whatever was raised within
`async with Search(...)` came out wrapped in an ExceptionGroup. And for `fetch` the numbers that had been
printed were those of an older search.
"""

import json
from contextlib import ExitStack
from pathlib import Path

import pytest

from p2pswarm.cli.exits import Exit
from p2pswarm.overlay.query import Query
from p2pswarm.overlay.search import Search
from tests.support.mesh import Mesh


async def test_what_is_raised_in_the_body_comes_out_as_it_is() -> None:
    with pytest.raises(KeyError):
        async with Search([], Query()):
            raise KeyError


def test_a_search_that_is_stopped_ends_quietly_and_its_numbers_count(tmp_path: Path) -> None:
    with ExitStack() as stack:
        mesh = Mesh(tmp_path, stack)
        mesh.share({"blue moon.txt": b"la"}, (), "--gnutella-role", "ultrapeer")
        words = ("search", "blue", "--via", "gnutella", "--wait", "50s")
        searching = stack.enter_context(mesh.run(*words, connect=(0,)))
        searching.wait_for("result")
        assert searching.stop() == Exit.STOPPED
    assert "Traceback" not in searching.stderr
    kept = json.loads((searching.home / "p2pswarm" / "last-search.json").read_text("utf-8"))
    assert [hits[0]["name"].rpartition("/")[2] for hits in kept] == ["blue moon.txt"]
