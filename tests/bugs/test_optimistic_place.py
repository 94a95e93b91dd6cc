"""At a seed the optimistic place stayed with the peer that had it first: nobody else had a turn."""

import asyncio
from pathlib import Path

import pytest

from p2pswarm.formats.ids import BLOCK, PieceIndex
from p2pswarm.swarm.events import Seeding
from p2pswarm.wire.peer import Interested, Request
from tests.support.stranger import Stranger
from tests.support.world import World, simulate

pytestmark = pytest.mark.sim


def test_it_goes_round(tmp_path: Path) -> None:
    """One regular place, always with the peer that takes most; three others take turns."""

    async def story(world: World) -> None:
        meta, folder = world.content(64 * BLOCK, 4 * BLOCK)
        node = await world.node(world.host(), upload_slots=1)
        torrent = await node.add(meta, data=folder)
        await world.until(lambda: torrent.state == Seeding())
        first, *others = [
            await Stranger.meet(world, world.host(), node, meta.info_hash) for _ in range(4)
        ]
        for stranger in (first, *others):
            stranger.keep_talking()
            stranger.send(Interested())
        peers = {peer.address.host: peer for peer in torrent.peers.values()}
        turns: list[str] = []
        for _ in range(200):
            first.send(Request(PieceIndex(0), 0, BLOCK))
            await asyncio.sleep(1)
            assert not peers[first.host].am_choking
            served = [s.host for s in others if not peers[s.host].am_choking]
            assert len(served) == 1
            if turns[-1:] != served:
                turns += served
        assert set(turns) == {stranger.host for stranger in others}
        assert len(turns) >= 6

    simulate(tmp_path, story)
