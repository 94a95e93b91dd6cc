"""A large piece from a host of another network was stored with its first megabyte, and the host banned."""

from pathlib import Path

import pytest

from tests.support.world import World, simulate
from tests.swarm.test_ranges import Shop

pytestmark = pytest.mark.sim


def test_it_is_stored_when_it_is_whole(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, folder = world.content(5 << 20, 2 << 20)
        node = await world.node(world.host())
        torrent = await world.download(node, meta)
        torrent.add_source(Shop((folder / "file").read_bytes()))
        await torrent.finished()
        assert torrent.status().hash_failures == 0
        assert torrent.path.read_bytes() == (folder / "file").read_bytes()

    simulate(tmp_path, story)
