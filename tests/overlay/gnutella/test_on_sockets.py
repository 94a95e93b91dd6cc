"""The same rooms on real sockets: what the kernel does to them, the simulated network does not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest

from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone
from p2pswarm.net.port import Port
from p2pswarm.overlay.files.sources import Source
from tests.support.servent import Servent

DATA = Random(4).randbytes(5_000_000)


@asynccontextmanager
async def pair(folder: Path) -> AsyncIterator[tuple[Servent, Servent]]:
    share = folder / "Music"
    share.mkdir()
    (share / "blue moon.mp3").write_bytes(DATA)
    async with (
        Servent.behind(Port("127.0.0.1", 0), share, folder / "a.db") as giver,
        Servent.behind(Port("127.0.0.2", 0), None, folder / "b.db") as taker,
    ):
        yield giver, taker


@pytest.mark.parametrize("push", [False, True])
async def test_a_file_goes_from_one_to_the_other(tmp_path: Path, push: bool) -> None:
    got = bytearray()

    def sink(data: bytes) -> bool:
        got.extend(data)
        return True

    async with pair(tmp_path) as (giver, taker):
        giver.hits.add((await giver.the_file()).id)
        taker.way = lambda *push: giver.pushed.heard(*push, taker.address)
        source = await giver.source(push=push)
        assert await taker.downloads.fetch(source, 0, sink) == len(DATA)
    assert got == DATA


async def test_a_host_that_sends_all_at_once(tmp_path: Path) -> None:
    """More comes with the head than a framer keeps."""
    got = bytearray()

    def sink(data: bytes) -> bool:
        got.extend(data)
        return len(got) < 2_000_000

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(DATA)}\r\n\r\n"
        writer.write(head.encode() + DATA)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    address = Address(*server.sockets[0].getsockname()[:2])
    async with server, pair(tmp_path) as (_, taker):
        source = Source(address, len(DATA), bytes(20), teller=Zone.THIS_MACHINE)
        await taker.downloads.fetch(source, 0, sink)
    assert DATA.startswith(got)
