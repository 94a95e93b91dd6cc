"""Pieces of several megabytes are hashed while they arrive, in whatever order their blocks come."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from p2pswarm.formats.ids import BLOCK, PieceIndex
from p2pswarm.swarm.events import Paused
from p2pswarm.swarm.keeper import MOST_AT_ONCE
from p2pswarm.swarm.picker import STAGE
from p2pswarm.swarm.torrent import Torrent
from p2pswarm.wire.peer import HaveAll, Request, Unchoke
from tests.support.disks import FullStorage
from tests.support.singly import piece_head
from tests.support.stranger import Stranger
from tests.support.world import World, simulate

pytestmark = pytest.mark.sim

BLOCKS = 5 * STAGE
PIECE = BLOCKS * BLOCK

Order = Callable[[list[int]], list[int]]


class Giver:
    """A seed that gives the blocks of the only piece, in the order that it likes."""

    def __init__(self, stranger: Stranger, data: bytes) -> None:
        self.stranger, self.data = stranger, data
        self.given: set[int] = set()

    def owed(self) -> list[int]:
        asked = {request.begin // BLOCK for request in self.stranger.all(Request)}
        return sorted(asked - self.given)

    def give(self, n: int) -> None:
        block = self.data[n * BLOCK : (n + 1) * BLOCK]
        self.given.add(n)
        self.stranger.send(piece_head(0, n * BLOCK, BLOCK) + block)

    async def give_until(self, most: int, order: Order = list) -> None:
        """Answer as the requests come, until so many are answered or nobody asks any more."""
        while self.owed() and len(self.given) < most:
            for n in order(self.owed())[: most - len(self.given)]:
                self.give(n)
            await asyncio.sleep(0.1)


async def scene(world: World, lie: int | None = None) -> tuple[Torrent, Giver]:
    """A download of one large piece, and a giver that was asked for its first blocks."""
    meta, folder = world.content(PIECE, PIECE)
    node = await world.node(world.host())
    torrent = await world.download(node, meta)
    stranger = await Stranger.meet(world, world.host(), node, meta.info_hash)
    data = bytearray((folder / "file").read_bytes())
    if lie is not None:
        data[lie * BLOCK] ^= 1
    stranger.send(HaveAll(), Unchoke())
    await stranger.hears(Request)
    return torrent, Giver(stranger, bytes(data))


def test_what_has_arrived_is_hashed_before_the_rest_comes(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        torrent, giver = await scene(world)
        await giver.give_until(2 * STAGE + 5)
        opened = torrent.picker._open[PieceIndex(0)]
        assert opened.begun.hashed == 2 * STAGE * BLOCK
        await giver.give_until(BLOCKS)
        await torrent.finished()
        assert torrent.status().hash_failures == 0

    simulate(tmp_path, story)


@pytest.mark.parametrize("seed", range(3))
def test_blocks_in_any_order_give_the_same_verdict(tmp_path: Path, seed: int) -> None:
    async def story(world: World) -> None:
        torrent, giver = await scene(world)
        orders: list[Order] = [
            lambda owed: owed[::-1],
            lambda owed: [n for n in owed if n] or owed,  # the first block comes last
            lambda owed: world.dice.sample(owed, len(owed)),
        ]
        await giver.give_until(BLOCKS, orders[seed])
        await torrent.finished()
        assert torrent.status().hash_failures == 0
        assert torrent.status().wasted == 0

    simulate(tmp_path, story, seed)


def test_after_a_gap_a_little_is_hashed_at_a_time(tmp_path: Path) -> None:
    """Whoever keeps the first block to the end cannot make us hash all the rest in one go."""

    async def story(world: World) -> None:
        torrent, giver = await scene(world)
        await giver.give_until(3 * STAGE - 1, lambda owed: [n for n in owed if n])
        opened = torrent.picker._open[PieceIndex(0)]
        assert opened.begun.hashed == 0
        giver.give(0)
        await giver.give_until(4 * STAGE)
        assert opened.begun.hashed == 2 * MOST_AT_ONCE
        await giver.give_until(BLOCKS)
        await torrent.finished()
        assert torrent.status().hash_failures == 0

    simulate(tmp_path, story)


def test_what_was_hashed_early_survives_a_full_disk(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        torrent, giver = await scene(world)
        disk = world.put_disk(torrent, lambda inner: FullStorage(inner, 0))
        await giver.give_until(BLOCKS)
        await world.until(lambda: isinstance(torrent.state, Paused))
        disk.room = 2 * PIECE
        await torrent.finished()
        assert torrent.status().hash_failures == 0

    simulate(tmp_path, story)


def test_a_wrong_block_in_what_was_hashed_early_is_found(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        torrent, giver = await scene(world, lie=3)
        await giver.give_until(BLOCKS)
        await giver.stranger.dropped()
        assert torrent.status().hash_failures == 1
        assert torrent.picker.missing[0]

    simulate(tmp_path, story)
