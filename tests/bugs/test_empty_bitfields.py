"""A peer that says again and again that it has nothing, or all, made us walk over all pieces each time."""

from pathlib import Path

import pytest

from p2pswarm.wire.peer import HaveAll, HaveNone
from tests.support.stranger import Stranger
from tests.support.world import World, simulate

pytestmark = pytest.mark.sim


@pytest.mark.parametrize("word", [HaveNone(), HaveAll()])
def test_who_repeats_what_it_has_is_dropped(tmp_path: Path, word: HaveNone | HaveAll) -> None:
    async def story(world: World) -> None:
        meta, _ = world.content(1 << 20, 16 << 10)
        node = await world.node(world.host())
        torrent = await world.download(node, meta)
        stranger = await Stranger.meet(world, world.host(), node, meta.info_hash)
        stranger.send(*[word] * 3)  # aria2 may say it twice
        await stranger.until(lambda: torrent.peers)
        assert not stranger.over
        stranger.send(*[word] * 5)
        await stranger.dropped(1.0)

    simulate(tmp_path, story)
