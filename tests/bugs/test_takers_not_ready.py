"""Who gave a short code dialed at once whoever had typed it, and not again for ten minutes.

The other program had not begun with the torrent then, and where the giver stands behind a router nobody else
could dial. It was seen once in some dozens of runs of the NAT laboratory.
"""

import asyncio
from pathlib import Path

import pytest

from p2pswarm.formats.ids import BLOCK, Address
from tests.support.world import World, simulate

pytestmark = pytest.mark.sim


def test_a_receiver_that_begins_later_is_dialed_again(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, folder = world.content(16 * BLOCK, 4 * BLOCK)
        giver, taker = await world.node(world.host()), await world.node(world.host())
        torrent = await giver.add(meta, data=folder)
        await torrent.finished()
        torrent.await_peer(Address(taker.settings.bind, taker.port))
        await asyncio.sleep(3)
        download = await world.download(taker, meta)
        async with asyncio.timeout(15):
            await download.finished()

    simulate(tmp_path, story)
