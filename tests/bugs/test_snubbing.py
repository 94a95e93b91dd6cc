"""Asking a silent peer again, every few seconds, hid that it had been silent for a minute."""

import asyncio
from pathlib import Path

import pytest

from p2pswarm.formats.ids import BLOCK
from p2pswarm.wire.peer import HaveAll, Reject, Request, Unchoke
from tests.support.singly import piece_head
from tests.support.stranger import PLAIN, Stranger
from tests.support.world import World, simulate

pytestmark = pytest.mark.sim


@pytest.mark.parametrize("plain", [True, False])
def test_a_peer_that_sends_nothing_is_snubbed_after_a_minute(tmp_path: Path, plain: bool) -> None:
    async def story(world: World) -> None:
        meta, folder = world.content(64 * BLOCK, 4 * BLOCK)
        node = await world.node(world.host())
        torrent = await world.download(node, meta)
        await asyncio.sleep(0.1)
        reserved = PLAIN if plain else None
        silent = await Stranger.meet(world, world.host(), node, meta.info_hash, reserved=reserved)
        silent.keep_talking()
        bits = b"\xff\xff" if plain else b""
        silent.send(b"\0\0\0\3\5" + bits if plain else HaveAll(), Unchoke())
        await silent.hears(Request)
        since = world.loop.now
        (peer,) = torrent.peers.values()
        await asyncio.sleep(58)
        assert not peer.snubbed(world.loop.now)
        await asyncio.sleep(4)
        assert peer.snubbed(world.loop.now)
        assert world.loop.now - since < 65
        ask = silent.requests[-1]
        at = ask.piece * 4 * BLOCK + ask.begin
        data = (folder / "file").read_bytes()[at : at + ask.length]
        silent.send(piece_head(ask.piece, ask.begin, ask.length) + data)
        await asyncio.sleep(0.1)
        assert not peer.snubbed(world.loop.now)

    simulate(tmp_path, story)


def test_a_peer_that_owes_nothing_is_not_snubbed(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, _ = world.content(64 * BLOCK, 4 * BLOCK)
        node = await world.node(world.host())
        torrent = await world.download(node, meta)
        await asyncio.sleep(0.1)
        honest = await Stranger.meet(world, world.host(), node, meta.info_hash)
        honest.keep_talking()
        honest.answer = lambda me, said: (
            me.send(Reject(said.piece, said.begin, said.length)) if isinstance(said, Request) else 0
        )
        honest.send(Unchoke())
        (peer,) = torrent.peers.values()
        await asyncio.sleep(200)
        assert not peer.snubbed(world.loop.now)

    simulate(tmp_path, story)
