"""The programs in examples/ do what they say, as processes on real sockets."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from p2pswarm import Address, NetworkSettings, Node
from tests.support.quiet import quiet
from tracker.napster.server import NapsterServer, NapsterSettings

EXAMPLES = Path(__file__).parent.parent / "examples"
CONTENT = bytes(range(256)) * 4000


@asynccontextmanager
async def running(
    tmp_path: Path, name: str, *args: object
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(EXAMPLES / name),
        *map(str, args),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "XDG_DATA_HOME": str(tmp_path / "data")},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "original" / "file.bin"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    return path


def test_every_example_is_run_here_and_short() -> None:
    names = {path.name for path in EXAMPLES.glob("*.py")}
    assert names == {
        "download.py",
        "feed.py",
        "gnutella.py",
        "reuse.py",
        "search.py",
        "supernode.py",
        "two_nodes.py",
        "tracker_and_seed.py",
    }
    assert all(len(path.read_text().splitlines()) < 60 for path in EXAMPLES.glob("*.py"))


async def test_two_nodes(tmp_path: Path, file: Path) -> None:
    async with running(tmp_path, "two_nodes.py", file, tmp_path / "copy") as process:
        out, _ = await process.communicate()
    assert process.returncode == 0
    assert f"{len(CONTENT)} bytes, verified" in out.decode()
    assert (tmp_path / "copy" / "file.bin").read_bytes() == CONTENT


async def test_reuse(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        folder.mkdir()
        (folder / "same").write_bytes(CONTENT)
    (new / "fresh").write_bytes(b"fresh")
    (new / "not wanted").write_bytes(b"?")
    words = ("reuse.py", new, old, tmp_path / "copy", "same", "fr*")
    async with running(tmp_path, *words) as process:
        out, _ = await process.communicate()
    assert process.returncode == 0
    assert f"{len(CONTENT)} bytes were here, 5 came" in out.decode()
    there = {path.name: path.read_bytes() for path in (tmp_path / "copy" / "new").iterdir()}
    assert there == {"same": CONTENT, "fresh": b"fresh"}


async def test_feed(tmp_path: Path, file: Path) -> None:
    async with running(tmp_path, "feed.py", file.parent, tmp_path / "copy") as process:
        out, _ = await process.communicate()
    assert process.returncode == 0
    assert "release 1: magnet:?xs=urn:btpk:" in out.decode()
    assert (tmp_path / "copy" / "latest" / "original" / "file.bin").read_bytes() == CONTENT


async def test_tracker_and_seed_and_download(tmp_path: Path, file: Path) -> None:
    async with running(tmp_path, "tracker_and_seed.py", file) as seed:
        assert seed.stdout is not None
        url = (await seed.stdout.readline()).decode().strip()
        async with running(tmp_path, "download.py", url, tmp_path / "copy") as process:
            out, _ = await process.communicate()
        assert process.returncode == 0
    assert "pieces verified" in out.decode()
    assert "p2pswarm 0.1.0.0 at 127.0.0.1" in out.decode()
    assert (tmp_path / "copy" / "file.bin").read_bytes() == CONTENT


async def test_search(tmp_path: Path, file: Path) -> None:
    server = NapsterServer(NapsterSettings(host="127.0.0.1", port=0))
    await server.start()
    address = Address("127.0.0.1", server.port)
    settings = quiet(port=0, bind="127.0.0.2", data_dir=tmp_path / "home")
    try:
        async with Node(settings, NetworkSettings(napster_server=address)) as node:
            catalog = await node.networks.share([file.parent])
            await node.networks.join("napster")
            await catalog.settled()
            while server.index.files < 1:
                await asyncio.sleep(0)
            words = ("search.py", address, tmp_path / "copy", "file bin")
            async with running(tmp_path, *words) as process:
                out, _ = await process.communicate()
    finally:
        await server.aclose()
    assert process.returncode == 0
    assert f"file.bin: {len(CONTENT)} bytes, 1 hosts" in out.decode()
    assert "file.bin: verified by " in out.decode()
    assert (tmp_path / "copy" / "file.bin").read_bytes() == CONTENT


async def test_gnutella(tmp_path: Path, file: Path) -> None:
    settings = quiet(port=0, bind="127.0.0.2", data_dir=tmp_path / "home")
    async with Node(settings, NetworkSettings(gnutella_role="ultrapeer")) as node:
        catalog = await node.networks.share([file.parent])
        await node.networks.join("gnutella")
        await catalog.settled()
        address = Address("127.0.0.2", node.port)
        words = ("gnutella.py", address, tmp_path / "copy", "file bin")
        async with running(tmp_path, *words) as process:
            out, _ = await process.communicate()
    assert process.returncode == 0
    assert "recursive: 1 hits for 2 messages, 1 hops" in out.decode()
    assert "iterative: 1 hits for " in out.decode()
    assert "file.bin: verified by the SHA-1 of every piece" in out.decode()
    assert (tmp_path / "copy" / "file.bin").read_bytes() == CONTENT


async def test_supernode(tmp_path: Path, file: Path) -> None:
    settings = quiet(port=0, bind="127.0.0.2", data_dir=tmp_path / "home")
    async with Node(settings) as node:
        catalog = await node.networks.share([file.parent])
        await node.networks.join("supernode")
        await catalog.settled()
        address = Address("127.0.0.2", node.port)
        words = ("supernode.py", address, tmp_path / "copy", "file bin")
        async with running(tmp_path, *words) as process:
            out, _ = await process.communicate()
    assert process.returncode == 0
    assert "recursive: 1 hits for 2 messages, 1 hops" in out.decode()
    assert "iterative: 1 hits for 3 messages, 1 hops" in out.decode()
    assert "file.bin: verified by the SHA-1 of every piece" in out.decode()
    assert (tmp_path / "copy" / "file.bin").read_bytes() == CONTENT
