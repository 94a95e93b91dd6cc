"""A peer that queues fewer than eight requests got eight."""

import asyncio
from pathlib import Path

import pytest

from p2pswarm.formats.ids import BLOCK
from p2pswarm.wire.extension.handshake import ExtendedHandshake
from p2pswarm.wire.peer import Extended, HaveAll, Unchoke
from tests.support.singly import piece_head
from tests.support.stranger import Stranger
from tests.support.world import World, simulate

pytestmark = pytest.mark.sim

PIECE = 4 * BLOCK


@pytest.mark.parametrize("reqq", [1, 3])
def test_never_more_than_the_peer_queues(tmp_path: Path, reqq: int) -> None:
    async def story(world: World) -> None:
        meta, folder = world.content(16 * PIECE, PIECE)
        data = (folder / "file").read_bytes()
        node = await world.node(world.host())
        await world.download(node, meta)
        await asyncio.sleep(0.1)
        stranger = await Stranger.meet(world, world.host(), node, meta.info_hash)
        stranger.send(Extended(0, ExtendedHandshake(reqq=reqq).encode()), HaveAll(), Unchoke())
        for given in range(20):
            await stranger.until(lambda: len(stranger.requests) > given)  # noqa: B023
            await asyncio.sleep(0.1)
            assert len(stranger.requests) - given <= reqq
            ask = stranger.requests[given]
            at = ask.piece * PIECE + ask.begin
            stranger.send(piece_head(ask.piece, ask.begin, ask.length) + data[at : at + ask.length])

    simulate(tmp_path, story)
