"""What one peer owes us: what is asked and how much, what is asked of others instead, what comes all the
same. A stranger is the other side, on a network in memory."""

import asyncio
from pathlib import Path

import pytest

from p2pswarm.formats.ids import BLOCK, PieceIndex
from p2pswarm.wire.extension.handshake import ExtendedHandshake
from p2pswarm.wire.peer import (
    AllowedFast,
    BitfieldMessage,
    Cancel,
    Choke,
    Extended,
    HaveAll,
    Reject,
    Request,
    Unchoke,
)
from tests.support.scene import PIECES, Scene, downloading
from tests.support.singly import piece_head
from tests.support.stranger import PLAIN, Stranger

pytestmark = pytest.mark.sim


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
