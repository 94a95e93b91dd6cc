"""The late client asks as the real one does, and a node that asks nobody never loads it."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from p2pswarm.discovery.late import LateFetch
from p2pswarm.errors import TrackerError

ROOT = Path(__file__).parents[2]


async def test_it_asks_for_many_at_once_and_closes_twice() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=request.path.encode())

    app = web.Application()
    app.router.add_get("/{name}", answer)
    async with TestServer(app) as server:
        fetch = LateFetch()
        tracker, page = await asyncio.gather(
            fetch(str(server.make_url("/announce")), 5.0),
            fetch.get(str(server.make_url("/page")), limit=100),
        )
        assert (tracker, page) == (b"/announce", b"/page")
        with pytest.raises(TrackerError, match="more than 2 bytes"):
            await fetch.get(str(server.make_url("/page")), limit=2)
        with pytest.raises(TrackerError, match="path that begins with /announce"):
            await fetch(str(server.make_url("/page")), 5.0)
        await fetch.aclose()
        await fetch.aclose()


async def test_closing_what_was_never_asked() -> None:
    await LateFetch().aclose()


def test_a_node_without_trackers_does_not_load_it(tmp_path: Path) -> None:
    code = f"""
import asyncio, sys
from pathlib import Path
from p2pswarm import Node, Settings

async def main():
    async with Node(Settings(port=0, bind="127.0.0.1", data_dir=Path({str(tmp_path)!r}))):
        pass

asyncio.run(main())
print("aiohttp" in sys.modules)
"""
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=15, check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert told.stdout == "False\n"
