"""A peer that was slow and then answered everything it had been asked was dropped for its last answer."""

import asyncio
from pathlib import Path

import pytest

from p2pswarm.formats.ids import BLOCK, Address
from p2pswarm.wire.peer import BitfieldMessage, Unchoke
from tests.support.singly import piece_head
from tests.support.stranger import Stranger
from tests.support.world import World, simulate

pytestmark = pytest.mark.sim

PIECE = 4 * BLOCK


@pytest.mark.parametrize("helped", [True, False])
def test_every_request_may_be_answered(tmp_path: Path, helped: bool) -> None:
    """After its silence it is asked for one block again; `helped`: others were faster meanwhile."""

    async def story(world: World) -> None:
        meta, folder = world.content(16 * PIECE, PIECE)
        data = (folder / "file").read_bytes()
        home = world.host()
        await (await world.node(home)).add(meta, data=folder)
        node = await world.node(world.host())
        torrent = await world.download(node, meta)
        await asyncio.sleep(0.1)
        slow = await Stranger.meet(world, world.host(), node, meta.info_hash)
        slow.keep_talking()
        slow.send(BitfieldMessage(b"\xff\xfe"), Unchoke())
        await asyncio.sleep(50)
        asked = slow.requests
        assert len({(ask.piece, ask.begin) for ask in asked}) == 8 < len(asked)
        if helped:
            torrent.add_peer(Address(home.name, 46881))
            await torrent.finished()
        for ask in asked:
            at = ask.piece * PIECE + ask.begin
            slow.send(piece_head(ask.piece, ask.begin, ask.length) + data[at : at + ask.length])
        await asyncio.sleep(1)
        assert not slow.over
        if not helped:
            assert torrent.status().have == 2

    simulate(tmp_path, story)
