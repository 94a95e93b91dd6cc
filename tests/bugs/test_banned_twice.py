"""Of a host that brought bytes in a row, each bad piece on its way to the disk told anew of its ban."""

import asyncio
from pathlib import Path

import pytest

from p2pswarm.disk.pool import Stored
from p2pswarm.swarm.events import PeerBanned
from p2pswarm.swarm.picker import OpenPiece
from p2pswarm.swarm.torrent import Torrent
from tests.support.world import World
from tests.swarm.test_ranges import PIECE, Shop, downloading

pytestmark = pytest.mark.sim


def test_it_is_told_once(tmp_path: Path) -> None:
    async def story(world: World, torrent: Torrent, data: bytes) -> None:
        async def heard() -> list[PeerBanned]:
            return [event async for event in torrent.events() if isinstance(event, PeerBanned)]

        real, on_their_way = torrent.piece_stored, []

        def stored(piece: OpenPiece, result: Stored) -> None:
            on_their_way.append((piece, result))

        torrent.piece_stored = stored  # type: ignore[method-assign]
        listening = asyncio.ensure_future(heard())
        liar = Shop(data, 1, chunk=PIECE)
        liar.bad = lambda _, data: bytes(len(data))
        torrent.add_source(liar)
        await world.until(lambda: len(on_their_way) >= 3)
        torrent.piece_stored = real  # type: ignore[method-assign]
        for each in on_their_way:
            real(*each)
        torrent.add_source(Shop(data, 2))
        await torrent.finished()
        assert torrent.status().hash_failures >= 3
        await torrent.close()
        assert [event.address for event in await listening] == [liar.address]

    downloading(tmp_path, story)
