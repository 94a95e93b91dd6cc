"""Whole nodes that nobody can dial, with real super nodes and their directory: a swarm completes."""

import asyncio
from pathlib import Path

import pytest

from p2pswarm.config import NetworkSettings
from p2pswarm.formats.ids import Address
from p2pswarm.lab.nats import Kind
from p2pswarm.node import Node
from p2pswarm.swarm.events import Seeding
from tests.support.quiet import quiet
from tests.support.world import World, simulate
from tests.test_presence import PORT, supernodes

SIZE = 300_000


async def hidden(world: World, kind: Kind, *meet: Node) -> Node:
    """Behind a router of its own; it knows these super nodes."""
    host = world.host()
    world.loop.behind(host, kind, f"10.20.0.{len(world.nodes)}")
    named = tuple(Address(each.settings.bind, PORT) for each in meet)
    folder = world.folder / f"{host.name}-state"
    settings = quiet(bind=host.name, data_dir=folder, disk_threads=0, port=PORT, meet=named)
    node = Node(settings, NetworkSettings())
    await node.open()
    world.nodes.append(node)
    return node


@pytest.mark.sim
@pytest.mark.parametrize(
    ("one", "other", "direct"),
    [(Kind.PORT, Kind.PORT, True), (Kind.SYMMETRIC, Kind.SYMMETRIC, False)],
)
def test_two_that_know_one_super_node_each_complete_a_swarm(
    one: Kind, other: Kind, tmp_path: Path, *, direct: bool
) -> None:
    async def story(world: World) -> None:
        supers = await supernodes(world, 3)
        await asyncio.sleep(60)
        seed = await hidden(world, one, supers[0])
        away = await hidden(world, other, supers[1])
        meta, folder = world.content(SIZE, 1 << 15)
        giver = await seed.add(meta, data=folder)
        await world.until(lambda: giver.state == Seeding())
        started = world.loop.time()
        torrent = await world.download(away, meta)
        await torrent.finished()
        assert world.loop.time() - started < 60.0
        [peer] = giver.peers.values()
        assert peer.stream.utp is direct
        assert world.copy_of(away) == (folder / "file").read_bytes()

    simulate(tmp_path, story)


@pytest.mark.sim
def test_a_magnet_of_somebody_whom_nobody_can_dial_becomes_a_torrent(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        supers = await supernodes(world, 3)
        await asyncio.sleep(60)
        seed = await hidden(world, Kind.SYMMETRIC, supers[0])
        away = await hidden(world, Kind.SYMMETRIC, supers[1])
        meta, folder = world.content(SIZE, 1 << 15)
        await seed.add(meta, data=folder)
        magnet, there = f"magnet:?xt=urn:btih:{meta.info_hash.hex()}", world.folder / "there"
        there.mkdir()
        torrent = await away.add(magnet, save_to=there)
        await torrent.finished()
        assert (there / "file").read_bytes() == (folder / "file").read_bytes()

    simulate(tmp_path, story)
