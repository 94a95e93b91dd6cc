"""Races at the end of a torrent or a node."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from p2pswarm.formats.ids import BLOCK, Address, PeerId, PieceIndex
from p2pswarm.swarm.events import Downloading, Seeding
from p2pswarm.wire.peer import Have, Interested, Reserved, Unchoke
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

        torrent.finding.trackers[0].run = stubborn  # type: ignore[method-assign]
        await world.until(lambda: torrent.state == Downloading())
        removing = asyncio.create_task(node.remove(torrent))
        await asyncio.sleep(0.1)
        torrent.found(Address("10.0.0.77", 1))
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


def test_whoever_gives_up_waiting_for_the_end_leaves_it_to_itself(tmp_path: Path) -> None:
    """The next one waited for ever, and nobody could have the files again."""

    async def story(world: World) -> None:
        meta, _ = world.content(64 * BLOCK, PIECE)
        node = await world.node(world.host())
        torrent = await world.download(node, meta)
        released = asyncio.Event()

        async def stubborn() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await released.wait()

        await world.until(lambda: torrent.state == Downloading())
        torrent.spawn(stubborn())
        await asyncio.sleep(0.1)
        removing = asyncio.create_task(node.remove(torrent))
        await asyncio.sleep(0.1)
        removing.cancel()
        await asyncio.wait([removing])
        await node.remove(torrent)
        await node.add(meta, save_to=torrent.path.parent)
        released.set()

    simulate(tmp_path, story)


def test_a_chore_that_hangs_does_not_hold_the_end(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, _ = world.content(64 * BLOCK, PIECE)
        node = await world.node(world.host())
        torrent = await world.download(node, meta)
        released = asyncio.Event()

        async def hangs() -> None:
            while not released.is_set():
                with suppress(asyncio.CancelledError):
                    await released.wait()

        await world.until(lambda: torrent.state == Downloading())
        torrent.spawn(hangs())
        await asyncio.sleep(0.1)
        async with asyncio.timeout(3):
            await node.remove(torrent)
        released.set()

    simulate(tmp_path, story)


def test_a_peer_that_left_is_not_remembered_as_the_optimistic_one(tmp_path: Path) -> None:
    """With everything it had, for as long as nobody else came."""

    async def story(world: World) -> None:
        meta, folder = world.content(64 * BLOCK, PIECE)
        node = await world.node(world.host(), upload_slots=1)
        torrent = await node.add(meta, data=folder)
        await world.until(lambda: torrent.state == Seeding())
        strangers = [await Stranger.meet(world, world.host(), node, meta.info_hash) for _ in "ab"]
        for stranger in strangers:
            stranger.send(Interested())
        await world.until(lambda: torrent._company._choker.optimistic is not None, 60)
        for stranger in strangers:
            stranger.close()
        await world.until(lambda: not torrent.peers)
        assert torrent._company._choker.optimistic is None

    simulate(tmp_path, story)
