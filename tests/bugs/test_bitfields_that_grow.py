"""aria2 sends its whole bitfield instead of many Haves, all through its download; we dropped it at the 11th.

Found in a swarm of p2pswarm, libtorrent and aria2. A bitfield may come at any time and as often as it adds
something; only taking pieces back is rationed.
"""

import asyncio
from pathlib import Path

import pytest

from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.ids import BLOCK
from p2pswarm.wire.peer import BitfieldMessage
from tests.support.stranger import Stranger
from tests.support.world import World, simulate

pytestmark = pytest.mark.sim

PIECES = 40


def up_to(count: int) -> BitfieldMessage:
    have = Bitfield(PIECES)
    have[:count] = 1
    return BitfieldMessage(have.to_wire())


def test_a_peer_may_tell_all_it_has_again_and_again(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, _ = world.content(PIECES * BLOCK, BLOCK)
        node = await world.node(world.host())
        torrent = await world.download(node, meta)
        stranger = await Stranger.meet(world, world.host(), node, meta.info_hash)
        for count in range(1, PIECES):
            stranger.send(up_to(count), up_to(count))
        await asyncio.sleep(1)
        assert torrent.status().availability == (PIECES - 1) / PIECES
        stranger.send(up_to(PIECES))
        await asyncio.sleep(1)
        assert (torrent.status().availability, torrent.status().seeds) == (1.0, 1)
        torrent.picker.check()
        stranger.close()
        await asyncio.sleep(1)
        assert not torrent.peers
        assert torrent.status().availability == 0.0

    simulate(tmp_path, story)
