"""Who asked for hashes that cannot be was answered for ever, and kept a core busy.

Who asks for too many at once, or pays for none, is in `tests/swarm/test_hash_upload.py`.
"""

from pathlib import Path

from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.swarm.peer import MOST_INVALID
from p2pswarm.wire.hashes import HashRange, HashReject, HashRequest
from p2pswarm.wire.peer import Reserved
from tests.support.generations import PIECE, contents, generation
from tests.support.stranger import Stranger
from tests.support.world import World, simulate

DATA = contents(20 * PIECE)
META = Metainfo.from_bytes(generation({"a": DATA}))
ROOT = META.files[0].root or b""
IMPOSSIBLE = HashRequest(HashRange(ROOT, 7, 0, 4, 0)).encode()


def test_who_floods_is_hung_up_on(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        node = await world.node(world.host())
        folder = tmp_path / "t"
        folder.mkdir()
        (folder / "a").write_bytes(DATA)
        torrent = await node.add(META, data=folder)
        await world.until(lambda: torrent.ready)
        v2 = Reserved.ours(v2=True)
        stranger = await Stranger.meet(world, world.host(), node, META.info_hash, reserved=v2)
        stranger.send(IMPOSSIBLE * MOST_INVALID)
        await world.until(lambda: len(rejects(stranger)) == MOST_INVALID)
        assert not stranger.over
        stranger.send(IMPOSSIBLE * 30)
        await world.until(lambda: stranger.over)

    simulate(tmp_path, story)


def rejects(stranger: Stranger) -> list[object]:
    return [each for each in stranger.heard if isinstance(each, HashReject)]
