"""Memory for unfinished pieces was held for ever by pieces that nobody connected went on with."""

import asyncio
from pathlib import Path

import pytest

from p2pswarm.formats.ids import BLOCK, Address, PieceIndex
from p2pswarm.wire.peer import Have, Request, Unchoke
from tests.support.singly import piece_head
from tests.support.stranger import Stranger
from tests.support.world import World, simulate

pytestmark = pytest.mark.sim

PIECE = 16 * BLOCK
PIECES = 32
ROOM = 4  # pieces that fit into memory


def half_a_seed(world: World, data: bytes) -> Path:
    folder = world.folder / "half"
    folder.mkdir()
    (folder / "file").write_bytes(data[: len(data) // 2] + bytes(len(data) // 2))
    return folder


@pytest.mark.parametrize("stays", [True, False])
def test_those_who_promise_do_not_stop_those_who_give(tmp_path: Path, stays: bool) -> None:
    """Each stranger has one piece that nobody else has, sends one block of it and no more."""

    async def story(world: World) -> None:
        meta, folder = world.content(PIECES * PIECE, PIECE)
        data = (folder / "file").read_bytes()
        home = world.host()
        await (await world.node(home)).add(meta, data=half_a_seed(world, data))
        node = await world.node(world.host(), memory=ROOM * PIECE)
        torrent = await world.download(node, meta)
        await asyncio.sleep(1)

        def answer_once(stranger: Stranger, said: object) -> None:
            if isinstance(said, Request) and not said.begin:
                at = said.piece * PIECE
                stranger.send(piece_head(said.piece, 0, BLOCK) + data[at : at + BLOCK])

        for n in range(2 * ROOM):
            stranger = await Stranger.meet(world, world.host(), node, meta.info_hash)
            stranger.answer = answer_once
            stranger.send(Have(PieceIndex(PIECES - 1 - n)), Unchoke())
            await stranger.until(lambda: stranger.requests or n >= ROOM)  # noqa: B023
            if not stays:
                await asyncio.sleep(1)
                stranger.close()
        torrent.add_peer(Address(home.name, 46881))
        async with asyncio.timeout(120):
            while torrent.status().have < PIECES // 2:
                await asyncio.sleep(1)
        torrent.picker.check()

    simulate(tmp_path, story)


def test_pieces_of_another_torrent_do_not_either(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, folder = world.content(8 * PIECE, PIECE)
        lonely, _ = world.content(8 * PIECE, PIECE, "lonely")
        home = world.host()
        await (await world.node(home)).add(meta, data=folder)
        node = await world.node(world.host(), memory=ROOM * PIECE)
        await world.download(node, lonely)
        await asyncio.sleep(1)
        for n in range(ROOM):
            stranger = await Stranger.meet(world, world.host(), node, lonely.info_hash)
            stranger.send(Have(PieceIndex(n)), Unchoke())
            await stranger.hears(Request)
        assert node._pieces.lent == ROOM * PIECE
        torrent = await world.download(node, meta, home)
        async with asyncio.timeout(120):
            await torrent.finished()

    simulate(tmp_path, story)
