"""Whoever did not read could make us keep answers without end, and a read buffer for ever."""

import asyncio
from pathlib import Path

import pytest

from p2pswarm.formats.ids import BLOCK, PieceIndex
from p2pswarm.swarm.events import PeerLeft, Seeding
from p2pswarm.wire.peer import Cancel, Interested, KeepAlive, Request, Unchoke
from tests.support.stranger import Stranger
from tests.support.world import World, simulate

pytestmark = pytest.mark.sim

PAIR = Request(PieceIndex(0), 0, BLOCK).encode() + Cancel(PieceIndex(0), 0, BLOCK).encode()


@pytest.mark.parametrize("said", [PAIR * 20_000, Request(PieceIndex(0), 0, BLOCK).encode()])
def test_who_does_not_read_is_dropped(tmp_path: Path, said: bytes) -> None:
    async def story(world: World) -> None:
        meta, folder = world.content(64 * BLOCK, 4 * BLOCK)
        node = await world.node(world.host())
        torrent = await node.add(meta, data=folder)
        await world.until(lambda: torrent.state == Seeding())
        events = torrent.events()
        deaf = await Stranger.meet(world, world.host(), node, meta.info_hash)
        deaf.send(Interested())
        await deaf.hears(Unchoke)
        deaf.stop_reading()
        async with asyncio.timeout(130):
            while not deaf.over:
                deaf.send(said, KeepAlive())
                await asyncio.sleep(1)
                waiting = [t.get_write_buffer_size() for t in world.loop.transports]
                assert max(waiting) < 2 << 20
        left = [e.reason async for e in events_until_left(events)]
        assert left == ["does not read what we send"]
        assert node._reads.lent == 0

    simulate(tmp_path, story)


async def events_until_left(events):  # type: ignore[no-untyped-def]
    async for event in events:
        if isinstance(event, PeerLeft):
            yield event
            return


def test_who_reads_slowly_is_not(tmp_path: Path) -> None:
    """Half a kilobyte a second: a run of blocks takes longer than the two minutes of patience."""

    async def story(world: World) -> None:
        meta, folder = world.content(64 * BLOCK, 4 * BLOCK)
        host = world.host(up=500)
        node = await world.node(host)
        torrent = await node.add(meta, data=folder)
        await world.until(lambda: torrent.state == Seeding())
        slow = await Stranger.meet(world, world.host(), node, meta.info_hash)
        slow.keep_talking()
        slow.send(Interested())
        await slow.hears(Unchoke)
        slow.send(*(Request(PieceIndex(0), n * BLOCK, BLOCK) for n in range(4)))
        await asyncio.sleep(180)
        assert not slow.over
        assert slow.blocks

    simulate(tmp_path, story)


def test_the_first_two_seconds_are_no_grace(tmp_path: Path) -> None:
    """Requests before the first unchoke cannot have crossed a choke."""

    async def story(world: World) -> None:
        meta, folder = world.content(64 * BLOCK, BLOCK)
        node = await world.node(world.host())
        torrent = await node.add(meta, data=folder)
        await world.until(lambda: torrent.state == Seeding())
        flood = await Stranger.meet(world, world.host(), node, meta.info_hash)
        flood.send(*(Request(PieceIndex(n % 64), 0, BLOCK) for n in range(1000)))
        await flood.dropped(1)

    simulate(tmp_path, story)
