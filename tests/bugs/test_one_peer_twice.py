"""A peer with two addresses was connected by both for good, served twice and counted twice."""

import asyncio
from pathlib import Path

import pytest

from p2pswarm.formats.ids import BLOCK, Address
from tests.support.world import World, simulate

pytestmark = pytest.mark.sim


def test_who_has_two_addresses_is_left_at_one(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, folder = world.content(400 * BLOCK, 2 * BLOCK)
        home, other, away = world.host(up=500_000), world.host(up=500_000), world.host()
        seeding = await world.node(home)
        await seeding.add(meta, data=folder)
        # What knocks at the other host is at home at the first.
        world.loop.listeners[other.name, 46881] = world.loop.listeners[home.name, 46881]
        node = await world.node(away)
        torrent = await world.download(node, meta, home, other)
        while len(torrent.peers) < 2:
            await asyncio.sleep(0.01)
        while len(torrent.peers) == 2:
            await asyncio.sleep(0.1)
            assert not torrent.picker.done
        await torrent.finished()
        assert world.copy_of(node) == (folder / "file").read_bytes()
        left = {Address(host.name, 46881) for host in (home, other)}
        assert {peer.address for peer in torrent.peers.values()} < left

    assert simulate(tmp_path, story) < 30
