"""The metaserver hung up on whoever had spoken with their words unread, and TCP took its line back."""

import asyncio
import socket

import pytest

from tests.support.loops import on_every_loop
from tests.support.scripted_napster import PATIENCE
from tracker.napster import metaserver
from tracker.napster.server import NapsterServer, NapsterSettings


async def metaserved() -> NapsterServer:
    server = NapsterServer(NapsterSettings(host="127.0.0.1", port=0, meta=0))
    await server.start()
    return server


@on_every_loop
async def test_who_speaks_hears_the_line_all_the_same() -> None:
    server = await metaserved()
    with socket.create_connection(("127.0.0.1", server.meta_port)) as early:
        early.sendall(b"where is everybody?" * 1000)  # before the loop sees that it is there
        early.setblocking(False)
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(sock=early)
            assert await reader.read() == f"127.0.0.1:{server.port}\n".encode()
        writer.write(b"thanks")
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    async with asyncio.timeout(PATIENCE):
        while server._meta._callers:
            await asyncio.sleep(0)
    await server.aclose()


async def talk_on(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"and?")
        await writer.drain()
        await asyncio.sleep(0)


async def gone(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until the server takes nothing more."""
    async with asyncio.timeout(PATIENCE):
        await reader.read()
        with pytest.raises(ConnectionError):
            await talk_on(writer)
    writer.close()


async def test_who_stays_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    server = await metaserved()
    monkeypatch.setattr(metaserver, "LINGER", 0.01)
    await gone(*await asyncio.open_connection("127.0.0.1", server.meta_port))
    assert not server._meta._callers
    await server.aclose()


async def test_so_many_may_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    server = await metaserved()
    monkeypatch.setattr(metaserver, "LINGER", 60.0)
    monkeypatch.setattr(metaserver, "MOST_CALLERS", 1)
    first = await asyncio.open_connection("127.0.0.1", server.meta_port)
    second = await asyncio.open_connection("127.0.0.1", server.meta_port)
    await gone(*first)
    assert len(server._meta._callers) == 1
    async with asyncio.timeout(PATIENCE):
        await server.aclose()  # waits for nobody
    await gone(*second)
