"""A block of the wrong size took its request with it: nobody was asked for that block again."""

import asyncio
from pathlib import Path

import pytest

from p2pswarm.formats.ids import BLOCK
from p2pswarm.wire.peer import HaveAll, Request, Unchoke
from tests.support.singly import piece_head
from tests.support.stranger import Stranger
from tests.support.world import World, simulate

pytestmark = pytest.mark.sim


@pytest.mark.parametrize(("shift", "more"), [(0, -1), (0, 1), (1, 0), (1, -1)])
def test_its_sender_is_dropped_and_the_block_free(tmp_path: Path, shift: int, more: int) -> None:
    async def story(world: World) -> None:
        meta, _ = world.content(64 * BLOCK, 4 * BLOCK)
        node = await world.node(world.host())
        torrent = await world.download(node, meta)
        await asyncio.sleep(0.1)
        liar = await Stranger.meet(world, world.host(), node, meta.info_hash)
        liar.send(HaveAll(), Unchoke())
        ask = await liar.hears(Request)
        size = ask.length + more
        liar.send(piece_head(ask.piece, ask.begin + shift, size) + bytes(size))
        await liar.dropped(1)
        assert not any(
            b"\1" in bytes(piece.state) for piece in torrent.picker._open.values()
        )  # nothing counts as asked
        torrent.picker.check()

    simulate(tmp_path, story)
