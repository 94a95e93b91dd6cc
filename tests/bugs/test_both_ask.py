"""Of two who asked a host for the same file at the same moment, one was refused: it was being made ready."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from tests.test_networks import SONG, Town, found, serving


async def test_both_get_it(tmp_path: Path) -> None:
    async with serving() as server, AsyncExitStack() as stack:
        town = Town(tmp_path, server, stack)
        await town.node(town.file("one/blue moon.mp3"))
        others = [await town.node() for _ in range(4)]
        finds = await asyncio.gather(*(found(node, 1) for node in others))
        torrents = await asyncio.gather(
            *(
                node.download(find, save_to=tmp_path / str(number))
                for number, (node, find) in enumerate(zip(others, finds, strict=True))
            )
        )
        await asyncio.gather(*(torrent.finished() for torrent in torrents))
        assert all(torrent.path.read_bytes() == SONG for torrent in torrents)
