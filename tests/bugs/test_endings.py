"""Races at the end of a torrent or a node."""

import asyncio
from pathlib import Path

import pytest

from p2pswarm.formats.ids import BLOCK, Address, PeerId, PieceIndex
from p2pswarm.swarm.events import Downloading
from p2pswarm.wire.peer import Have, Reserved, Unchoke
from tests.support.stranger import Stranger
from tests.support.world import World, simulate

pytestmark = pytest.mark.sim

PIECE = 4 * BLOCK


def test_a_torrent_that_ends_takes_on_no_more_work(tmp_path: Path) -> None:
    """A tracker that is slow to be cancelled; meanwhile addresses, peers and disk errors still come in."""

    async def story(world: World) -> None:
        meta, _ = world.content(64 * BLOCK, PIECE)
        node = await world.node(world.host())
        torrent = await world.download(node, meta)
        released = asyncio.Event()

        async def stubborn(*_: object) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await released.wait()

        torrent.trackers.run = stubborn  # type: ignore[method-assign]
        await world.until(lambda: torrent.state == Downloading())
        removing = asyncio.create_task(node.remove(torrent))
        await asyncio.sleep(0.1)
        torrent._found(Address("10.0.0.77", 1))
        torrent._keeper.look()
        late = await Stranger.dial(world, world.host(), node)
        late.introduce(meta.info_hash, Reserved.ours(), PeerId.new(world.dice))
        await asyncio.sleep(1)
        released.set()
        await removing
        await late.dropped(1)
        assert not torrent.peers

    simulate(tmp_path, story)


def test_memory_of_a_removed_torrent_comes_back(tmp_path: Path) -> None:
    """Half a piece was kept in the node's memory for ever."""

    async def story(world: World) -> None:
        meta, _ = world.content(64 * BLOCK, PIECE)
        node = await world.node(world.host())
        torrent = await world.download(node, meta)
        await asyncio.sleep(0.1)
        stranger = await Stranger.meet(world, world.host(), node, meta.info_hash)
        stranger.send(*(Have(PieceIndex(n)) for n in range(16)), Unchoke())
        await stranger.until(lambda: stranger.requests)
        assert node._pieces.lent
        await node.remove(torrent)
        assert node._pieces.lent == 0

    simulate(tmp_path, story)
