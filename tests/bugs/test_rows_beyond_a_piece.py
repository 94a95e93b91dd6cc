"""Neighbours that begin in one piece and end in the next, or are longer than their piece, broke the node.

The number after a piece's last block is that of the next piece's first. They landed in a
piece that was not open, as an error that no connection expects, and stayed asked of somebody who had gone.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.ids import BLOCK, PieceIndex
from p2pswarm.swarm.peer import Peer
from p2pswarm.swarm.picker import PiecePicker
from p2pswarm.wire.peer import HaveAll, Request, Unchoke
from tests.support.stranger import Stranger
from tests.support.world import World, simulate

pytestmark = pytest.mark.sim


def under_the_piece_before(picker: PiecePicker, peer: Peer) -> tuple[int, int]:
    """Its piece and begin: the first two blocks of a piece that is asked for, named as if they were more of
    the piece before it."""
    piece = max(peer.download.asked) // picker.per_piece
    return piece - 1, picker.per_piece * BLOCK


def longer_than_the_piece(picker: PiecePicker, peer: Peer) -> tuple[int, int]:
    """Its last block is short, and comes as a whole one."""
    return max(peer.download.asked) // picker.per_piece, (picker.per_piece - 2) * BLOCK


@pytest.mark.parametrize(
    ("piece_length", "lie"),
    [(4 * BLOCK, under_the_piece_before), (40_000, longer_than_the_piece)],
)
def test_they_are_refused_and_asked_of_others(
    tmp_path: Path, piece_length: int, lie: Callable[[PiecePicker, Peer], tuple[int, int]]
) -> None:
    async def story(world: World) -> None:
        meta, _ = world.content(16 * piece_length, piece_length)
        node = await world.node(world.host())
        torrent = await world.download(node, meta)
        await asyncio.sleep(0.1)
        liar = await Stranger.meet(world, world.host(), node, meta.info_hash)
        liar.send(HaveAll(), Unchoke())
        await liar.hears(Request)
        (peer,) = torrent.peers.values()
        piece, begin = lie(torrent.picker, peer)
        row = [memoryview(bytes(BLOCK))] * 2
        with pytest.raises(RemoteProtocolError):
            peer.download.take_blocks(PieceIndex(piece), begin, row)
        peer.close()
        assert not any(b"\1" in bytes(each.state) for each in torrent.picker._open.values())
        torrent.picker.check()

    simulate(tmp_path, story)
