"""One conversation: what is said first, what is asked and how much, what is served. A stranger is the other
side, on a network in memory; what a hostile one may try is in `tests/sim/test_hostile_peers.py`."""

import asyncio
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from p2pswarm.formats.ids import BLOCK, Address, PieceIndex
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.node import Node
from p2pswarm.swarm.events import Seeding
from p2pswarm.swarm.fast import allowed_fast_set
from p2pswarm.swarm.peer import Peer
from p2pswarm.swarm.torrent import Torrent
from p2pswarm.wire.extension.handshake import REQQ, ExtendedHandshake
from p2pswarm.wire.peer import (
    AllowedFast,
    BitfieldMessage,
    Cancel,
    Choke,
    Extended,
    Have,
    HaveAll,
    HaveNone,
    Interested,
    NotInterested,
    Reject,
    Request,
    Reserved,
    Unchoke,
)
from tests.support.singly import Piece, piece_head
from tests.support.stranger import PLAIN, Stranger
from tests.support.world import World, simulate

pytestmark = pytest.mark.sim

PIECE = 4 * BLOCK
PIECES = 16
NO_EXTENSIONS = Reserved(b"\0\0\0\0\0\0\0\x04")


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


# First words


@pytest.mark.parametrize("fast", [True, False])
def test_the_first_words_of_one_who_has_nothing(tmp_path: Path, fast: bool) -> None:
    async def story(scene: Scene) -> None:
        stranger = await scene.meet(None if fast else PLAIN)
        await asyncio.sleep(1)
        kinds = [type(message) for message in stranger.heard]
        assert kinds == ([HaveNone, Extended] if fast else [])

    downloading(tmp_path, story)


@pytest.mark.parametrize("fast", [True, False])
def test_the_first_words_of_a_seed(tmp_path: Path, fast: bool) -> None:
    async def story(scene: Scene) -> None:
        stranger = await scene.meet(None if fast else PLAIN)
        await asyncio.sleep(1)
        if not fast:
            assert stranger.heard == [BitfieldMessage(b"\xff\xff")]
            return
        have_all, extended, *granted = stranger.heard
        assert isinstance(have_all, HaveAll)
        assert isinstance(extended, Extended)
        told = ExtendedHandshake.decode(extended.payload)
        assert told.port == 46881
        assert told.reqq == REQQ
        assert told.upload_only
        assert told.version.startswith("p2pswarm ")
        assert IPv4Address(told.yourip) == IPv4Address(stranger.host)
        expected = allowed_fast_set(stranger.host, scene.meta.info_hash, PIECES, 10)
        assert {m.piece for m in granted if isinstance(m, AllowedFast)} == set(expected)

    seeding(tmp_path, story)


def test_no_extended_handshake_to_one_who_does_not_know_it(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        stranger = await scene.meet(NO_EXTENSIONS)
        await asyncio.sleep(1)
        assert [type(message) for message in stranger.heard] == [HaveNone]

    downloading(tmp_path, story)


def test_one_who_has_some_sends_a_bitfield(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        giver = await scene.meet()
        giver.send(BitfieldMessage(b"\x80\x01"), Unchoke())
        scene.give_all(giver)
        await scene.world.until(lambda: scene.torrent.status().have == 2)
        later = await scene.meet()
        assert (await later.hears(BitfieldMessage)).data == b"\x80\x01"

    downloading(tmp_path, story)


# What they have


def test_interest_comes_and_goes(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        stranger = await scene.meet()
        stranger.send(HaveNone())
        await asyncio.sleep(0.1)
        assert not stranger.all(Interested)
        stranger.send(Have(PieceIndex(3)))
        await stranger.hears(Interested)
        stranger.send(Have(PieceIndex(3)), Have(PieceIndex(4)))
        await asyncio.sleep(0.1)
        assert len(stranger.all(Interested)) == 1
        scene.give_all(stranger)
        stranger.send(*(Have(PieceIndex(n)) for n in range(PIECES)), Unchoke())
        await scene.torrent.finished()
        await stranger.hears(NotInterested)
        assert scene.peer(stranger).is_seed

    downloading(tmp_path, story)


def test_what_they_have_is_counted_and_uncounted(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        one, two = await scene.meet(), await scene.meet()
        one.send(HaveAll())
        two.send(BitfieldMessage(b"\x0f\x00"), Have(PieceIndex(15)))
        await asyncio.sleep(0.1)
        status = scene.torrent.status()
        assert (status.seeds, status.availability) == (1, 1 + 5 / 16)
        one.close()
        await asyncio.sleep(0.1)
        assert scene.torrent.status().availability == 5 / 16
        two.close()
        await asyncio.sleep(0.1)
        assert scene.torrent.status().availability == 0

    downloading(tmp_path, story)


def test_what_it_says_of_itself(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        stranger = await scene.meet()
        hello = ExtendedHandshake(version="Tester 1.0", port=1234, reqq=77, upload_only=True)
        stranger.send(Extended(0, hello.encode()), HaveAll(), Unchoke(), Interested())
        await stranger.hears(Request)
        peer = scene.peer(stranger)
        assert (peer.client, peer.download.pipeline.reqq, peer.upload_only) == (
            "Tester 1.0",
            77,
            True,
        )
        assert peer.address == Address(stranger.host, 1234)
        assert repr(peer) == f"<Peer {stranger.host}:1234 iuIU asked 8 owes 0>"

    downloading(tmp_path, story)


# Asking


def test_the_pipeline_begins_small_and_grows_with_every_block(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        stranger = await scene.meet()
        stranger.send(HaveAll(), Unchoke())
        await stranger.hears(Request)
        assert len(stranger.requests) == 8
        scene.give(stranger, *stranger.requests[:3])
        await asyncio.sleep(0.1)
        assert len(stranger.requests) == 8 + 2 * 3
        assert len({(ask.piece, ask.begin) for ask in stranger.requests}) == 14
        assert {ask.length for ask in stranger.requests} == {BLOCK}
        scene.give_all(stranger)
        await scene.torrent.finished()
        assert len(stranger.requests) == PIECES * 4  # each once
        assert stranger.requests[-1].length <= BLOCK

    downloading(tmp_path, story)


def test_blocks_of_started_pieces_come_first(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        one, two = await scene.meet(), await scene.meet()
        one.send(HaveAll(), Unchoke())
        await one.until(lambda: len(one.requests) == 8)
        one.send(*(Reject(r.piece, r.begin, r.length) for r in one.requests[2:]), Choke())
        await asyncio.sleep(0.1)
        started = {ask.piece for ask in one.requests}
        two.send(HaveAll(), Unchoke())
        await two.until(lambda: len(two.requests) == 8)
        assert {ask.piece for ask in two.requests[:6]} == started

    downloading(tmp_path, story)


def test_a_choke_without_fast_gives_the_blocks_to_others(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        plain = await scene.meet(PLAIN)
        plain.send(BitfieldMessage(b"\xff\xff"), Unchoke())
        await plain.until(lambda: len(plain.requests) == 8)
        plain.send(Choke())
        await asyncio.sleep(0.1)
        other = await scene.meet()
        other.send(HaveAll(), Unchoke())
        await other.until(lambda: len(other.requests) == 8)
        assert set(map(repr, other.requests)) == set(map(repr, plain.requests))
        # What was on its way all the same is welcome, and cancelled elsewhere.
        scene.give(plain, plain.requests[0])
        cancel = await other.hears(Cancel)
        first = plain.requests[0]
        assert (cancel.piece, cancel.begin) == (first.piece, first.begin)
        assert scene.torrent.status().wasted == 0

    downloading(tmp_path, story)


def test_with_fast_a_choke_takes_nothing_back(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        stranger = await scene.meet()
        stranger.send(HaveAll(), Unchoke())
        await stranger.until(lambda: len(stranger.requests) == 8)
        stranger.send(Choke())
        await asyncio.sleep(0.1)
        peer = scene.peer(stranger)
        assert len(peer.download.asked) == 8
        scene.give(stranger, *stranger.requests[:4])
        stranger.send(*(Reject(r.piece, r.begin, r.length) for r in stranger.requests[4:]))
        await asyncio.sleep(0.1)
        assert not peer.download.asked
        assert len(stranger.requests) == 8  # choked: it asks no more
        assert scene.torrent.progress().downloaded == 4 * BLOCK

    downloading(tmp_path, story)


def test_allowed_pieces_are_asked_for_while_choked(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        stranger = await scene.meet()
        stranger.send(
            BitfieldMessage(b"\x0f\xff"), AllowedFast(PieceIndex(0)), AllowedFast(PieceIndex(7))
        )
        await stranger.until(lambda: len(stranger.requests) == 4)
        await asyncio.sleep(0.1)
        assert {ask.piece for ask in stranger.requests} == {7}  # it does not have 0
        scene.give_all(stranger)
        await scene.world.until(lambda: scene.torrent.status().have == 1)
        assert len(stranger.requests) == 4

    downloading(tmp_path, story)


def test_a_silent_peer_is_asked_for_little_and_others_for_its_blocks(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        silent = await scene.meet()
        silent.keep_talking()
        silent.send(BitfieldMessage(b"\xff\xfe"), Unchoke())
        await silent.until(lambda: len(silent.requests) == 8)
        await asyncio.sleep(22)
        assert len(silent.requests) == 9
        other = await scene.meet()
        other.send(HaveAll(), Unchoke())
        scene.give_all(other)
        await scene.torrent.finished()
        # It wakes up: what it was asked for is no offence, only late.
        scene.give(silent, *silent.requests)
        await asyncio.sleep(1)
        assert not silent.over
        assert scene.torrent.status().wasted > 0

    downloading(tmp_path, story)


def test_at_the_end_the_last_blocks_are_asked_for_twice(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        slow, quick = await scene.meet(), await scene.meet()
        slow.keep_talking()
        slow.send(HaveAll(), Unchoke())
        await slow.until(lambda: len(slow.requests) == 8)
        quick.send(HaveAll(), Unchoke())
        scene.give_all(quick)
        await scene.torrent.finished()
        await asyncio.sleep(0.1)
        cancelled = {(m.piece, m.begin) for m in slow.all(Cancel)}
        assert cancelled == {(ask.piece, ask.begin) for ask in slow.requests}
        assert scene.torrent.progress().downloaded == scene.meta.total

    assert downloading(tmp_path, story) < 5


def test_a_rejected_block_is_asked_of_somebody_else(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        mean, kind = await scene.meet(), await scene.meet()
        refused: list[Request] = []

        def refuse(me: Stranger, said: object) -> None:
            if isinstance(said, Request):
                refused.append(said)
                me.send(Reject(said.piece, said.begin, said.length))

        mean.answer = refuse
        mean.send(BitfieldMessage(b"\x80\x00"), Unchoke())
        kind.send(HaveAll())
        await mean.hears(Request)
        kind.send(Unchoke())
        scene.give_all(kind)
        await scene.torrent.finished()
        assert refused

    downloading(tmp_path, story)


def test_a_bad_piece_is_fetched_again_from_one_peer_alone(tmp_path: Path) -> None:
    """Two sent it together, so nobody is blamed before the good one is there; then only the liar is."""

    async def story(scene: Scene) -> None:
        honest, liar = await scene.meet(), await scene.meet()

        def lie(me: Stranger, said: object) -> None:
            if isinstance(said, Request):
                me.send(piece_head(said.piece, said.begin, said.length) + bytes(said.length))

        bits = BitfieldMessage(b"\x80\x00")
        liar.answer = lie
        for stranger in (honest, liar):
            hello = Extended(0, ExtendedHandshake(reqq=2).encode())
            stranger.send(hello, bits)
        await asyncio.sleep(0.1)
        honest.send(Unchoke())
        await honest.until(lambda: len(honest.requests) == 2)
        liar.send(Unchoke())
        await liar.until(lambda: len(liar.requests) == 2)
        scene.give_all(honest)
        await scene.world.until(lambda: scene.torrent.status().have == 1)
        await liar.dropped(1)
        assert not honest.over
        assert scene.torrent.status().hash_failures >= 1

    downloading(tmp_path, story)


def test_nothing_is_asked_beyond_the_limit(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        stranger = await scene.meet()
        stranger.send(HaveAll(), Unchoke())
        scene.give_all(stranger)
        await asyncio.sleep(10)
        assert len(stranger.requests) * BLOCK == pytest.approx(10 * 2 * BLOCK, rel=0.2)

    downloading(tmp_path, story, down_limit=2 * BLOCK)


# Serving


def test_blocks_are_served_in_order_and_right(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        stranger = await scene.meet()
        stranger.send(Interested())
        await stranger.hears(Unchoke)
        asked = [Request(PieceIndex(p), n * BLOCK, BLOCK) for p in (3, 1, 2) for n in range(4)]
        asked.append(Request(PieceIndex(15), 3 * BLOCK, BLOCK - 100))
        asked.append(Request(PieceIndex(5), 1, 7))
        stranger.send(*asked)
        await stranger.until(lambda: len(stranger.blocks) == len(asked))
        order = [(piece.piece, piece.begin) for piece in stranger.all(Piece)]
        assert order == [(ask.piece, ask.begin) for ask in asked]
        for ask in asked:
            at = ask.piece * PIECE + ask.begin
            assert stranger.blocks[ask.piece, ask.begin] == scene.data[at : at + ask.length]
        assert scene.torrent.status().uploaded == sum(ask.length for ask in asked)

    seeding(tmp_path, story)


def test_an_old_client_may_ask_for_a_whole_piece(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        stranger = await scene.meet(PLAIN)
        stranger.send(Interested())
        await stranger.hears(Unchoke)
        stranger.send(Request(PieceIndex(4), 0, PIECE))
        await stranger.until(lambda: stranger.blocks)
        assert stranger.blocks[4, 0] == scene.data[4 * PIECE : 5 * PIECE]

    seeding(tmp_path, story)


def test_granted_pieces_are_served_while_choked(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        stranger = await scene.meet()
        granted = (await stranger.hears(AllowedFast)).piece
        stranger.send(Request(granted, 0, BLOCK))
        await stranger.until(lambda: stranger.blocks)
        assert scene.peer(stranger).am_choking
        await asyncio.sleep(0.1)
        fast = {message.piece for message in stranger.all(AllowedFast)}
        other = next(PieceIndex(n) for n in range(PIECES) if n not in fast)
        stranger.send(Request(other, 0, BLOCK))
        assert (await stranger.hears(Reject)).piece == other

    seeding(tmp_path, story)


def test_a_cancel_is_answered_once(tmp_path: Path) -> None:
    """With the fast extension every request gets a block or a reject, and never both."""

    async def story(scene: Scene) -> None:
        stranger = await scene.meet()
        stranger.send(Interested())
        await stranger.hears(Unchoke)
        asked = [Request(PieceIndex(p), n * BLOCK, BLOCK) for p in range(8) for n in range(4)]
        stranger.send(*asked)
        stranger.send(*(Cancel(ask.piece, ask.begin, ask.length) for ask in asked[::2]))
        await asyncio.sleep(30)
        blocks = [(piece.piece, piece.begin) for piece in stranger.all(Piece)]
        rejects = [(reject.piece, reject.begin) for reject in stranger.all(Reject)]
        assert sorted(blocks + rejects) == sorted((ask.piece, ask.begin) for ask in asked)
        assert len(rejects) > 10

    seeding(tmp_path, story, up_limit=4 * BLOCK)


def test_news_of_a_piece_comes_with_the_next_words(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        giver, watcher = await scene.meet(), await scene.meet()
        giver.send(BitfieldMessage(b"\xe0\x00"), Unchoke())
        scene.give_all(giver)
        await scene.world.until(lambda: scene.torrent.status().have == 3)
        await asyncio.sleep(0.1)
        assert sorted(have.piece for have in watcher.all(Have)) == [0, 1, 2]
        await asyncio.sleep(1.0)  # to whoever has it, it is told when there is time
        assert sorted(have.piece for have in giver.all(Have)) == [0, 1, 2]

    downloading(tmp_path, story)
