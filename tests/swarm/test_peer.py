"""One conversation: what is said first, who wants what, what is served. A stranger is the other side,
on a network in memory; what a hostile one may try is in `tests/sim/test_hostile_peers.py`."""

import asyncio
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from p2pswarm.formats.ids import BLOCK, Address, PieceIndex
from p2pswarm.swarm.fast import allowed_fast_set
from p2pswarm.wire.extension.handshake import REQQ, ExtendedHandshake
from p2pswarm.wire.peer import (
    AllowedFast,
    BitfieldMessage,
    Cancel,
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
from tests.support.scene import PIECE, PIECES, Scene, downloading, seeding
from tests.support.singly import Piece
from tests.support.stranger import PLAIN

pytestmark = pytest.mark.sim

NO_EXTENSIONS = Reserved(b"\0\0\0\0\0\0\0\x04")


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
