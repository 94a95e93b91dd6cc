"""Transmission 3.00 that prefers no encryption chooses payload in the clear, and then does not understand our
handshake, which came inside the other: it hangs up after its key. We took the key for an answer, and so the
peer that takes us in the clear was never tried that way.
"""

import asyncio
from pathlib import Path

from p2pswarm.formats.ids import Address
from p2pswarm.wire.peer import HANDSHAKE
from tests.support.world import World, simulate
from tests.swarm.test_dialer import dials_of

KEY = (5).to_bytes(96, "big")


def says_its_key_and_hangs_up(transport: asyncio.Transport, _: bytes) -> None:
    transport.write(KEY)
    transport.close()


def test_it_is_tried_in_the_clear_on_another_connection(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, _ = world.content(100_000, 32 << 10)
        home, away = world.host(), world.host()
        dials = dials_of(world, home, says_its_key_and_hangs_up)
        node = await world.node(away, encryption="prefer")
        torrent = await world.download(node, meta)
        torrent.found(Address(home.name, 46881))
        await asyncio.sleep(4)
        assert [HANDSHAKE in peer.heard for _, peer in dials] == [False, True]

    simulate(tmp_path, story)
