"""Nodes over uTP in virtual time: through lost datagrams, and where TCP does not come through."""

import asyncio
from pathlib import Path

import pytest

from tests.support.world import World, simulate

pytestmark = pytest.mark.sim

SIZE = 1_500_007


def test_a_file_travels_over_utp_alone_although_one_datagram_in_fifty_is_lost(
    tmp_path: Path,
) -> None:
    async def story(world: World) -> None:
        meta, folder = world.content(SIZE, 64 << 10)
        hosts = [world.host() for _ in range(3)]
        for host in hosts:
            host.loss = 0.01
        nodes = [await world.node(host, transport="utp") for host in hosts]
        await nodes[0].add(meta, data=folder)
        torrents = [await world.download(node, meta, *hosts) for node in nodes[1:]]
        await asyncio.gather(*(torrent.finished() for torrent in torrents))
        for node in nodes[1:]:
            assert world.copy_of(node) == (folder / "file").read_bytes()
        assert not world.loop.transports

    assert simulate(tmp_path, story) < 60


@pytest.mark.parametrize("transport", ["both", "tcp"])
def test_where_tcp_does_not_come_through_utp_does(tmp_path: Path, transport: str) -> None:
    async def story(world: World) -> None:
        meta, folder = world.content(SIZE, 64 << 10)
        home, away = world.host(), world.host()
        seed = await world.node(home)
        await seed.add(meta, data=folder)
        del world.loop.listeners[home.name, seed.port]
        node = await world.node(away, transport=transport)
        torrent = await world.download(node, meta, home)
        if transport == "tcp":
            await asyncio.sleep(100)
            assert torrent.status().done == 0
        else:
            await torrent.finished()
            assert world.copy_of(node) == (folder / "file").read_bytes()

    simulate(tmp_path, story)
