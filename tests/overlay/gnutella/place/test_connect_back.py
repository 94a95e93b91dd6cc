"""Neighbours that are dialed because they ask for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from p2pswarm.net.port import Port
from p2pswarm.overlay.gnutella.place.connect_back import MOST_WAITING, ConnectBack
from tests.support.servent import PORT, listening
from tests.support.world import World, simulate


@asynccontextmanager
async def calling(world: World) -> AsyncIterator[ConnectBack]:
    back = ConnectBack(Port(world.host().name, PORT), asyncio.get_running_loop().time)
    working = asyncio.ensure_future(back.run())
    try:
        yield back
    finally:
        working.cancel()
        await asyncio.wait([working])
        assert working.cancelled()


def test_who_asks_is_dialed_once_and_hears_two_line_feeds(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        async with calling(world) as back, listening(world) as (address, came):
            assert back.asked(address.host, address.port)
            assert not back.asked(address.host, address.port)
            stranger = await came.get()
            await stranger.hung_up()
            assert stranger.heard == b"\n\n"
            await asyncio.sleep(660)
            assert back.asked(address.host, address.port)
            assert await came.get()

    simulate(tmp_path, story)


def test_who_is_not_there_keeps_nobody_from_being_dialed(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        async with calling(world) as back, listening(world) as (address, came):
            assert back.asked(world.host().name, 7)
            assert not back.asked("0.0.0.0", 7)
            assert not back.asked("127.0.0.1", 0)
            assert back.asked(address.host, address.port)
            assert await came.get()

    simulate(tmp_path, story)


def test_few_ports_of_a_host_and_few_hosts_at_a_time(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        async with calling(world) as back:
            assert [back.asked("10.0.0.9", port) for port in range(1, 6)] == [True] * 3 + [
                False
            ] * 2
            more = [back.asked(f"10.0.1.{host}", 1) for host in range(1, 100)]
            assert sum(more) == MOST_WAITING - 3

    simulate(tmp_path, story)
