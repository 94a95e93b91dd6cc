"""Magnets among nodes of ours, in virtual time: who knows what the link does not say gives it on."""

import asyncio
from pathlib import Path

import pytest

from p2pswarm.formats.ids import Address
from p2pswarm.formats.magnet import Magnet
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.node import Node
from p2pswarm.swarm.torrent import Torrent
from tests.support.world import Host, World, simulate

PIECE = 256 << 10
DELAY = 0.05  # seconds from one host to another


def at(*hosts: Host) -> tuple[Address, ...]:
    return tuple(Address(host.name, 46881) for host in hosts)


async def seek(world: World, node: Node, meta: Metainfo, *hosts: Host) -> Torrent:
    folder = world.folder / node.settings.bind
    folder.mkdir(exist_ok=True)
    return await node.add(Magnet.of(meta, at(*hosts)), save_to=folder)


def test_a_seed_gives_what_the_link_does_not_say(tmp_path: Path) -> None:
    """Connect, shake hands, ask for the metadata, ask for the data: a round trip each, and none between."""

    async def story(world: World) -> None:
        meta, folder = world.content(8 * PIECE, PIECE)
        home = world.host(delay=DELAY)
        seed = await (await world.node(home)).add(meta, data=folder)
        await seed.finished()
        node = await world.node(world.host(delay=DELAY), encryption="off")
        began = world.loop.now
        torrent = await seek(world, node, meta, home)
        assert world.loop.now - began == pytest.approx(3 * 2 * DELAY, abs=0.01)
        await world.until(lambda: torrent.status().downloaded, 2 * DELAY + 0.06)
        await torrent.finished()
        assert world.copy_of(node) == (folder / "file").read_bytes()
        assert len(seed.peers) == 1

    simulate(tmp_path, story)


def test_who_got_the_metadata_gives_it_on(tmp_path: Path) -> None:
    """The second knows of the first only, and was there before the first knew anything."""

    async def story(world: World) -> None:
        meta, folder = world.content(8 * PIECE, PIECE)
        hosts = [world.host(delay=DELAY) for _ in range(3)]
        seed, first, second = [await world.node(host) for host in hosts]
        adding = [
            asyncio.create_task(seek(world, first, meta, hosts[0])),
            asyncio.create_task(seek(world, second, meta, hosts[1])),
        ]
        swarms = first._machinery.magnets.swarms  # type: ignore[union-attr]
        await world.until(lambda: meta.info_hash in swarms and swarms[meta.info_hash].peers)
        await seed.add(meta, data=folder)
        for torrent in await asyncio.gather(*adding):
            await torrent.finished()
        assert world.copy_of(second) == world.copy_of(first) == (folder / "file").read_bytes()

    simulate(tmp_path, story)


def test_with_a_warm_dht_metadata_comes_in_two_seconds(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, folder = world.content(8 * PIECE, PIECE)
        hosts = [world.host(delay=DELAY) for _ in range(12)]
        nodes = [await world.node(each, dht=True, dht_bootstrap=at(hosts[0])) for each in hosts]
        seed = await nodes[1].add(meta, data=folder)
        await seed.finished()
        await asyncio.sleep(60)
        began = world.loop.now
        torrent = await seek(world, nodes[-1], meta)
        assert world.loop.now - began < 2
        await torrent.finished()

    simulate(tmp_path, story)
