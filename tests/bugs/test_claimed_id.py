"""Whoever claimed an honest peer's id took its place, or got it banned; ids are no secret."""

import asyncio
from pathlib import Path

import pytest

from p2pswarm.formats.ids import BLOCK, Address
from p2pswarm.wire.peer import HaveAll, Interested, Request, Unchoke
from tests.support.singly import piece_head
from tests.support.stranger import Stranger
from tests.support.world import World, simulate

pytestmark = pytest.mark.sim


@pytest.mark.parametrize("seed", range(4))
def test_the_honest_one_stays(tmp_path: Path, seed: int) -> None:
    """Whichever of the two ids is the greater, which decides between two connections of one peer."""

    async def story(world: World) -> None:
        meta, folder = world.content(40 * BLOCK, 2 * BLOCK)
        home, away = world.host(up=50_000), world.host()
        seeding = await world.node(home)
        await seeding.add(meta, data=folder)
        node = await world.node(away)
        torrent = await world.download(node, meta, home)
        while not torrent.peers:
            await asyncio.sleep(0.05)
        liar = await Stranger.meet(world, world.host(), node, meta.info_hash, peer_id=seeding.me)
        liar.answer = poison
        liar.send(HaveAll(), Unchoke(), Interested())
        await torrent.finished()
        assert Address(home.name, 46881) in {peer.address for peer in torrent.peers.values()}
        assert not torrent.finding.book.is_banned(Address(home.name, 46881), seeding.me)
        assert world.copy_of(node) == (folder / "file").read_bytes()

    assert simulate(tmp_path, story, seed) < 30


def test_the_honest_one_may_come_later(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, folder = world.content(40 * BLOCK, 2 * BLOCK)
        home, away = world.host(), world.host()
        seeding = await world.node(home)
        await seeding.add(meta, data=folder)
        node = await world.node(away)
        torrent = await world.download(node, meta)
        await asyncio.sleep(1)
        await Stranger.meet(world, world.host(), node, meta.info_hash, peer_id=seeding.me)
        torrent.add_peer(Address(home.name, 46881))
        await torrent.finished()
        assert Address(home.name, 46881) in {peer.address for peer in torrent.peers.values()}

    assert simulate(tmp_path, story) < 10


def poison(stranger: Stranger, said: object) -> None:
    if isinstance(said, Request):
        stranger.send(piece_head(said.piece, said.begin, said.length) + bytes(said.length))
