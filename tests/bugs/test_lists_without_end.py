"""Whoever asked for our list at an address of theirs (640) had it brought at once, as often as they asked.

Each time cost a task, a query of the whole catalog and all of the list in memory, past the upload limit.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from p2pswarm.overlay.napster import lists
from tests.overlay.napster.test_lists import browsed, get_list
from tests.support.scripted_napster import PATIENCE, Guest, Server, client, number_of

BRING = "the list is on its way to you"
FULL = "too many want the list, come back"


class Fan:
    """Can be dialed, and says nothing until told."""

    def __init__(self) -> None:
        self.came: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = (
            asyncio.Queue()
        )
        self.port = 0

    async def hear(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        async with asyncio.timeout(PATIENCE):
            return await self.came.get()

    def question(self, nick: str) -> str:
        return f"{nick} {number_of('127.0.0.3')} {self.port}"


@pytest.fixture
async def fan() -> AsyncIterator[Fan]:
    fan = Fan()
    listening = await asyncio.start_server(lambda *both: fan.came.put_nowait(both), "127.0.0.3", 0)
    fan.port = listening.sockets[0].getsockname()[1]
    yield fan
    listening.close()
    await listening.wait_closed()


@pytest.fixture
def share(tmp_path: Path) -> Path:
    folder = tmp_path / "Music"
    folder.mkdir()
    for number in range(100):
        (folder / f"song {number}.mp3").write_bytes(b"%d" % number)
    return folder


async def test_one_is_brought_to_each_at_a_time(share: Path, fan: Fan) -> None:
    async with browsed(share) as (_, guest):
        guest.say(640, fan.question("bob"))
        assert await guest.hear(641) == "bob"
        for _ in range(3):
            assert await answer(guest, fan.question("BOB")) == f'BOB "{BRING}"'
        reader, writer = await fan.hear()
        writer.write(b"1")
        async with asyncio.timeout(PATIENCE):
            assert (await reader.readuntil(b"\n\n")).startswith(b"SENDLIST alice\n")
        assert fan.came.empty()
        writer.close()
        async with asyncio.timeout(PATIENCE):
            while await answer(guest, fan.question("bob")) != "bob":
                pass
        (await fan.hear())[1].close()


async def answer(guest: Guest, question: str) -> str:
    guest.say(640, question)
    return await guest.hear(641, 642)


async def test_and_to_few_at_all(share: Path, fan: Fan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "MOST_WAITING", 2)
    async with browsed(share) as (network, guest):
        assert await answer(guest, "anne") == "anne"  # who will come
        assert await answer(guest, fan.question("bob")) == "bob"
        for question in ("carol", fan.question("carol")):
            assert await answer(guest, question) == f'carol "{FULL}"'
        assert await get_list(network)
        assert await answer(guest, fan.question("carol")) == "carol"
        for _ in range(2):
            _, writer = await fan.hear()
            writer.write(b"1")
            writer.close()


@pytest.mark.parametrize("brought", [False, True])
async def test_its_bytes_are_paid_for(share: Path, fan: Fan, brought: bool) -> None:
    async with (
        Server() as server,
        client(server.address, share=share, nick="alice", up=1e6) as network,
    ):
        joining = asyncio.ensure_future(network.join())
        guest = await server.member()
        await joining
        bucket = network._tools.up._bucket
        assert bucket is not None
        bucket.rate = 0  # what is saved up is all there is
        before = bucket.level(0)
        guest.say(640, fan.question("bob") if brought else "bob")
        await guest.hear(641)
        if brought:
            reader, writer = await fan.hear()
            writer.write(b"1")
            async with asyncio.timeout(PATIENCE):
                got = await reader.readuntil(b"\n\n")
            writer.close()
        else:
            got = await get_list(network)
        assert before - bucket.level(0) == len(got) > 5000
