import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import md5
from pathlib import Path

import pytest

from p2pswarm.overlay.napster import lists
from p2pswarm.overlay.napster.client import Napster
from tests.support.scripted_napster import PATIENCE, Guest, Server, client, number_of

DATA = b"la la"
LINE = rf'"Music\song.mp3" {md5(DATA).hexdigest()} 5 0 0 0'


@pytest.fixture
def share(tmp_path: Path) -> Path:
    folder = tmp_path / "Music"
    folder.mkdir()
    (folder / "song.mp3").write_bytes(DATA)
    return folder


@asynccontextmanager
async def browsed(share: Path | None) -> AsyncIterator[tuple[Napster, Guest]]:
    async with Server() as server, client(server.address, share=share, nick="alice") as network:
        joining = asyncio.ensure_future(network.join())
        guest = await server.member()
        await joining
        yield network, guest


async def get_list(network: Napster) -> bytes:
    """What somebody is given who comes for it."""
    port = network._tools.port
    reader, writer = await asyncio.open_connection(port.host, port.number)
    try:
        async with asyncio.timeout(PATIENCE):
            assert await reader.read(1) == b"1"
            writer.write(b"GETLIST")
            return await reader.readuntil(b"\n\n")
    finally:
        writer.close()


async def test_who_asked_through_the_server_is_given_the_list(share: Path) -> None:
    async with browsed(share) as (network, guest):
        guest.say(640, "bob")
        assert await guest.hear(641) == "bob"
        assert await get_list(network) == f"alice\n{LINE}\n\n".encode()


async def test_a_question_lets_one_in(share: Path) -> None:
    async with browsed(share) as (network, guest):
        for nick in ("bob", "BOB"):
            guest.say(640, nick)
            await guest.hear(641)
        assert await get_list(network)
        assert not network._tools.port._expected
        guest.say(607, r'bob "Music\song.mp3"')  # the door is open, but for something else
        await guest.hear(608)
        with pytest.raises(asyncio.IncompleteReadError):
            await get_list(network)


async def test_the_list_is_brought_to_who_cannot_come(share: Path) -> None:
    came: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    listening = await asyncio.start_server(lambda *both: came.put_nowait(both), "127.0.0.3", 0)
    port = listening.sockets[0].getsockname()[1]
    async with browsed(share) as (_, guest), asyncio.timeout(PATIENCE):
        guest.say(640, f"bob {number_of('127.0.0.3')} {port}")
        assert await guest.hear(641) == "bob"
        reader, writer = await came.get()
        writer.write(b"1")
        assert await reader.readuntil(b"\n\n") == f"SENDLIST alice\n{LINE}\n\n".encode()
        writer.close()
    listening.close()
    await listening.wait_closed()


async def test_a_list_that_cannot_be_brought_is_not(share: Path) -> None:
    async with browsed(share) as (network, guest):
        guest.say(640, f"bob {number_of('127.0.0.3')} 9")
        assert await guest.hear(641) == "bob"
        guest.say(751, "bob are you there")
        await guest.hear(752)
        assert not network._tools.port._expected


async def test_so_many_may_come_and_not_for_ever(
    share: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "MOST_WAITING", 1)
    monkeypatch.setattr(lists, "COME_TIME", 0.05)
    async with browsed(share) as (network, guest):
        guest.say(640, "bob")
        await guest.hear(641)
        guest.say(640, "carol")
        assert await guest.hear(642) == 'carol "too many want the list, come back"'
        while network._tools.port._expected:
            await asyncio.sleep(0)
        guest.say(640, "carol")
        assert await guest.hear(641) == "carol"


async def test_who_shares_nothing_says_so() -> None:
    async with browsed(None) as (_, guest):
        guest.say(640, "bob")
        assert await guest.hear(642) == 'bob "nothing is shared"'
