"""WebTorrent rejects the blocks of files that it cannot open. We asked for them again at once, ten thousand
times a second, and never for the rest of what it has: a refused block is the first that is free.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

from p2pswarm.wire.peer import HaveAll, Reject, Request, Unchoke
from tests.support.scene import PIECES, Scene, downloading
from tests.support.stranger import Stranger


def refusing(scene: Scene, pieces: range, count: list[int]) -> Callable[[Stranger, object], None]:
    def answer(me: Stranger, said: object) -> None:
        if isinstance(said, Request):
            if said.piece in pieces:
                count[0] += 1
                me.send(Reject(said.piece, said.begin, said.length))
            else:
                scene.give(me, said)

    return answer


def test_a_piece_that_is_refused_rests_and_the_others_come(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        stranger, count = await scene.meet(), [0]
        stranger.answer = refusing(scene, range(PIECES // 2), count)
        stranger.send(HaveAll(), Unchoke())
        await asyncio.sleep(5)
        assert scene.torrent.picker.have.count() == PIECES - PIECES // 2
        assert count[0] <= 4 * PIECES
        stranger.answer = refusing(scene, range(0), count)
        await scene.torrent.finished()

    assert 9 < downloading(tmp_path, story) < 15


def test_who_refuses_everything_is_asked_seldom(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        stranger, count = await scene.meet(), [0]
        stranger.answer = refusing(scene, range(PIECES), count)
        stranger.send(HaveAll(), Unchoke())
        await asyncio.sleep(20)
        assert count[0] <= 20 * 40

    downloading(tmp_path, story)
