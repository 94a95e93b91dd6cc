"""The piece layers of 100 000 files that peers had told were put into the torrent on the loop: all stood
still for three seconds."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from p2pswarm.formats.metainfo import Metainfo
from tests.support.world import World, simulate
from tests.swarm.test_trees import bare, begin, laid_out, of, seed


def test_they_are_put_in_by_a_disk_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meta = of()

    async def story(world: World) -> None:
        laid_out(world)
        _, home = await seed(world, meta)
        torrent, _ = await begin(world, bare(meta), home)
        await torrent.finished()
        at_once = True
        when = list[bool]()
        real = Metainfo.with_layers

        def noted(self: Metainfo, layers: Mapping[bytes, bytes]) -> Metainfo:
            when.append(at_once)
            return real(self, layers)

        monkeypatch.setattr(Metainfo, "with_layers", noted)
        torrent.layers_known()
        at_once = False
        await world.until(lambda: when)
        assert when == [False]
        assert torrent.metainfo.layers == meta.layers

    simulate(tmp_path, story)
