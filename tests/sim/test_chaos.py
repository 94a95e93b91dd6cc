"""Everything at once: broken lines, SIGKILLs, full and failing disks, liars, little memory, slow peers.

The dice decide what happens when; whatever they say, every copy is complete and right at the end, the
picker's invariant holds all the time, and all memory comes back.
"""

import asyncio
from pathlib import Path
from random import Random

import pytest

from p2pswarm.formats.ids import BLOCK
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.node import Node
from p2pswarm.swarm.torrent import Torrent
from tests.support.disks import FailingStorage
from tests.support.world import Host, World, simulate

pytestmark = pytest.mark.sim

MB = 1_000_000


class Leech:
    """One downloader and what befalls it."""

    node: Node
    torrent: Torrent

    def __init__(self, world: World, host: Host, meta: Metainfo, others: list[Host]) -> None:
        self.world, self.host, self.meta, self.others = world, host, meta, others

    async def start(self) -> None:
        dice = self.world.dice
        memory = dice.choice([1 << 20, 4 << 20, 64 << 20])
        down = dice.choice([0, 0, 200_000])
        self.node = await self.world.node(self.host, memory=memory, down_limit=down)
        self.torrent = await self.world.download(self.node, self.meta, *self.others)
        self.disk = self.world.put_disk(self.torrent, lambda inner: FailingStorage(inner, dice))

    async def suffer(self) -> None:
        """One mishap."""
        match self.world.dice.randrange(5):
            case 0:
                self.world.unplug(self.host)
                await asyncio.sleep(self.world.dice.uniform(1, 30))
                self.world.plug_in(self.host)
            case 1:
                await self.world.kill(self.node)
                await self.start()
            case 2:
                await self.node.remove(self.torrent)
                self.torrent = await self.world.download(self.node, self.meta, *self.others)
            case 3:
                self.disk.writes = self.world.dice.random() / 2
                await asyncio.sleep(10)
                self.disk.writes = 0.0
            case 4:
                self.disk.sync_fails = True
                await asyncio.sleep(self.world.dice.uniform(1, 90))
                self.disk.sync_fails = False


async def watch(leeches: list[Leech]) -> None:
    while True:
        await asyncio.sleep(0.5)
        for leech in leeches:
            leech.torrent.picker.check()


@pytest.mark.parametrize("seed", range(5))
def test_whatever_happens_every_copy_is_right(tmp_path: Path, seed: int) -> None:
    async def story(world: World) -> None:
        dice = Random(seed)
        piece = dice.choice([BLOCK, 3 * BLOCK + 5, 16 * BLOCK])
        meta, folder = world.content(2 * MB + dice.randrange(MB), piece)
        seeds = [world.host(up=dice.choice([100_000, MB])) for _ in range(3)]
        for n, host in enumerate(seeds):
            torrent = await (await world.node(host)).add(meta, data=folder)
            if n == 2:
                world.make_liar(torrent, 0.1)
        hosts = [
            world.host(up=dice.choice([20_000, 300_000]), delay=dice.uniform(0, 0.2))
            for _ in range(4)
        ]
        leeches = [Leech(world, host, meta, [*seeds, *hosts]) for host in hosts]
        for leech in leeches:
            await leech.start()
        watcher = asyncio.create_task(watch(leeches))
        for _ in range(8):
            await asyncio.sleep(dice.uniform(0.2, 5))
            await dice.choice(leeches).suffer()
        async with asyncio.timeout(3600):
            await asyncio.gather(*(leech.torrent.finished() for leech in leeches))
        watcher.cancel()
        original = (folder / "file").read_bytes()
        for leech in leeches:
            assert world.copy_of(leech.node) == original
        nodes = list(world.nodes)
        await world.aclose()
        assert all(node._pieces.lent == node._reads.lent == 0 for node in nodes)

    simulate(tmp_path, story, seed)
