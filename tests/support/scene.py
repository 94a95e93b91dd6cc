"""A node with one torrent, and strangers who meet it: one conversation of ours is looked at."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from p2pswarm.formats.ids import BLOCK
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.node import Node
from p2pswarm.swarm.events import Seeding
from p2pswarm.swarm.peer import Peer
from p2pswarm.swarm.torrent import Torrent
from p2pswarm.wire.peer import Request, Reserved
from tests.support.singly import piece_head
from tests.support.stranger import Stranger
from tests.support.world import World, simulate

__all__ = ["PIECE", "PIECES", "Scene", "Story", "downloading", "seeding"]

PIECE = 4 * BLOCK
PIECES = 16


class Scene:
    """A node with one torrent, and strangers who meet it."""

    def __init__(self, world: World, node: Node, torrent: Torrent, meta: Metainfo) -> None:
        self.world, self.node, self.torrent, self.meta = world, node, torrent, meta
        self.given: list[tuple[Stranger, int, int]] = []
        self.data = (world.folder / "seed" / "file").read_bytes()

    async def meet(self, reserved: Reserved | None = None) -> Stranger:
        host = self.world.host()
        return await Stranger.meet(
            self.world, host, self.node, self.meta.info_hash, reserved=reserved
        )

    def peer(self, stranger: Stranger) -> Peer:
        peers = self.torrent.peers.values()
        return next(peer for peer in peers if peer.stream.remote.host == stranger.host)

    def block(self, ask: Request) -> bytes:
        at = ask.piece * PIECE + ask.begin
        return piece_head(ask.piece, ask.begin, ask.length) + self.data[at : at + ask.length]

    def give(self, stranger: Stranger, *asked: Request) -> None:
        stranger.send(*map(self.block, asked))
        self.given += [(stranger, ask.piece, ask.begin) for ask in asked]

    def give_all(self, stranger: Stranger) -> None:
        """From now on it answers every request, and those it has heard and not yet answered."""
        given = {(piece, begin) for who, piece, begin in self.given if who is stranger}
        owed = [ask for ask in stranger.requests if (ask.piece, ask.begin) not in given]
        self.give(stranger, *owed)
        stranger.answer = lambda me, said: (
            self.give(me, said) if isinstance(said, Request) else None
        )


Story = Callable[[Scene], Awaitable[None]]


def downloading(tmp_path: Path, story: Story, **settings: int) -> float:
    """A node that has nothing yet."""

    async def play(world: World) -> None:
        meta, _ = world.content(PIECES * PIECE - 100, PIECE)
        node = await world.node(world.host(), **settings)
        torrent = await world.download(node, meta)
        await asyncio.sleep(0.1)
        await story(Scene(world, node, torrent, meta))
        torrent.picker.check()

    return simulate(tmp_path, play)


def seeding(tmp_path: Path, story: Story, **settings: int) -> float:
    async def play(world: World) -> None:
        meta, folder = world.content(PIECES * PIECE - 100, PIECE)
        node = await world.node(world.host(), **settings)
        torrent = await node.add(meta, data=folder)
        await world.until(lambda: torrent.state == Seeding())
        await story(Scene(world, node, torrent, meta))

    return simulate(tmp_path, play)
