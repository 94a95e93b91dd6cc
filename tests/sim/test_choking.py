"""The clockwork of choking on real nodes: rounds, optimistic unchokes, tit-for-tat, snubbing, silence."""

import asyncio
import itertools
from pathlib import Path
from typing import Any

import pytest

from p2pswarm.formats.ids import BLOCK, Address, PieceIndex
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.node import Node
from p2pswarm.swarm.events import PeerLeft, Seeding
from p2pswarm.swarm.peer import Peer
from p2pswarm.swarm.torrent import Torrent
from p2pswarm.wire.peer import (
    AllowedFast,
    BitfieldMessage,
    Choke,
    HaveAll,
    HaveNone,
    Interested,
    KeepAlive,
    NotInterested,
    Reject,
    Request,
    Reserved,
    Unchoke,
)
from tests.support.singly import piece_head
from tests.support.stranger import PLAIN, Stranger
from tests.support.world import World, simulate

pytestmark = pytest.mark.sim

MB = 1_000_000
PIECE = 4 * BLOCK


async def a_seed(world: World, size: int = MB, **settings: int) -> tuple[Node, Torrent, Metainfo]:
    meta, folder = world.content(size, PIECE)
    node = await world.node(world.host(), **settings)
    torrent = await node.add(meta, data=folder)
    while not isinstance(torrent.state, Seeding):
        await asyncio.sleep(0.01)
    return node, torrent, meta


async def crowd(world: World, node: Node, meta: Metainfo, count: int) -> list[Stranger]:
    """Strangers who want everything and give nothing."""
    strangers = []
    for _ in range(count):
        stranger = await Stranger.meet(world, world.host(), node, meta.info_hash)
        stranger.send(HaveNone(), Interested())
        stranger.keep_talking()
        strangers.append(stranger)
    return strangers


def peer_of(torrent: Torrent, stranger: Stranger) -> Peer:
    return next(p for p in torrent.peers.values() if p.stream.remote.host == stranger.host)


def unchoked(torrent: Torrent) -> int:
    return sum(not peer.am_choking for peer in torrent.peers.values())


def test_places_are_given_every_ten_seconds_and_one_more_every_thirty(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        node, torrent, meta = await a_seed(world)
        strangers = await crowd(world, node, meta, 12)
        for _ in range(300):
            await asyncio.sleep(1)
            assert unchoked(torrent) == 5
        # The first five places are free and given at once; later ones only in a round.
        moves = [at for s in strangers for at in s.times_of(Choke, Unchoke) if at > 5]
        phases = [at % 10 for at in moves]
        assert max(phases) - min(phases) < 0.1
        # Nobody takes anything here, so only the optimistic place moves: every thirty seconds.
        rounds = sorted({round(at) for at in moves})
        assert all(later - sooner == 30 for sooner, later in itertools.pairwise(rounds))
        assert len(rounds) >= 9

    simulate(tmp_path, story)


def test_everybody_has_a_turn_at_a_seed(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        node, _, meta = await a_seed(world)
        strangers = await crowd(world, node, meta, 12)
        await asyncio.sleep(8 * 30 + 10)
        assert all(stranger.all(Unchoke) for stranger in strangers)

    simulate(tmp_path, story)


def test_a_seed_keeps_serving_those_who_take_most(tmp_path: Path) -> None:
    """Four take as fast as they can, the others a block a second: the four keep their places."""

    async def story(world: World) -> None:
        node, torrent, meta = await a_seed(world)
        strangers = await crowd(world, node, meta, 9)

        async def take(stranger: Stranger, every: float) -> None:
            while True:
                if not peer_of(torrent, stranger).am_choking:
                    stranger.send(Request(PieceIndex(0), 0, BLOCK))
                await asyncio.sleep(every)

        async with asyncio.TaskGroup() as tasks:
            takers = [
                tasks.create_task(take(stranger, 0.1 if n in (2, 4, 6, 8) else 1.0))
                for n, stranger in enumerate(strangers)
            ]
            await asyncio.sleep(400)
            kept = [0] * 9
            for _ in range(100):
                await asyncio.sleep(1)
                for n, stranger in enumerate(strangers):
                    kept[n] += not peer_of(torrent, stranger).am_choking
            for taker in takers:
                taker.cancel()
        assert [kept[n] for n in (2, 4, 6, 8)] == [100] * 4
        assert all(kept[n] < 100 for n in (0, 1, 3, 5, 7))

    simulate(tmp_path, story)


def test_a_place_that_becomes_free_is_given_at_once(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        node, torrent, meta = await a_seed(world)
        strangers = await crowd(world, node, meta, 8)
        await asyncio.sleep(12)
        served = [s for s in strangers if not peer_of(torrent, s).am_choking]
        assert len(served) == 5
        served[0].close()
        served[1].send(NotInterested())
        await asyncio.sleep(0.2)
        interested = [p for p in torrent.peers.values() if p.peer_interested and not p.am_choking]
        assert len(interested) == 5

    simulate(tmp_path, story)


def test_who_gives_nothing_gets_less(tmp_path: Path) -> None:
    """Twelve trade, one only takes, and does not know the seed: what it gets are optimistic unchokes."""

    async def story(world: World) -> None:
        meta, folder = world.content(3 * MB, PIECE)
        home = world.host(up=200_000)
        # Nobody tells it of the seed; and datagrams, which no uplink here holds up, are no way round.
        plain: dict[str, Any] = {"pex": False, "transport": "tcp"}
        await (await world.node(home, **plain)).add(meta, data=folder)
        hosts = [world.host(up=50_000) for _ in range(12)]
        rider = world.host(up=2_000)  # enough to ask and to say what it has
        nodes = [await world.node(host, **plain) for host in [*hosts, rider]]
        torrents = [await world.download(node, meta, home, *hosts) for node in nodes[:-1]]
        torrents.append(await world.download(nodes[-1], meta, *hosts))
        while not any(torrent.picker.done for torrent in torrents):
            await asyncio.sleep(1)
        *trading, riding = [torrent.status().done for torrent in torrents]
        assert riding < 0.5 * sum(trading) / len(trading)
        await asyncio.gather(*(torrent.finished() for torrent in torrents))

    simulate(tmp_path, story)


def test_who_gives_keeps_its_place(tmp_path: Path) -> None:
    """One gives blocks, four want and give nothing, there is one regular place: it is the giver's."""

    async def story(world: World) -> None:
        meta, folder = world.content(8 * MB, PIECE)
        data = (folder / "file").read_bytes()
        node = await world.node(world.host(), upload_slots=1)
        torrent = await world.download(node, meta)
        await asyncio.sleep(0.1)

        def give(me: Stranger, said: object) -> None:
            if isinstance(said, Request):
                at = said.piece * PIECE + said.begin
                me.send(
                    piece_head(said.piece, said.begin, said.length) + data[at : at + said.length]
                )

        giver = await Stranger.meet(world, world.host(up=20_000), node, meta.info_hash)
        giver.answer = give
        half = meta.piece_count // 2
        bits = BitfieldMessage((b"\xff" * (half // 8)).ljust(-(-meta.piece_count // 8), b"\0"))
        giver.send(bits, Interested(), Unchoke())
        giver.keep_talking()
        takers = await crowd(world, node, meta, 4)
        await asyncio.sleep(21)
        turns: set[int] = set()
        for _ in range(120):
            await asyncio.sleep(1)
            assert not peer_of(torrent, giver).am_choking
            free = [n for n, s in enumerate(takers) if not peer_of(torrent, s).am_choking]
            assert len(free) <= 1
            turns.update(free)
        assert len(turns) >= 2
        assert torrent.status().have > 10

    simulate(tmp_path, story)


def test_who_owes_blocks_for_a_minute_is_snubbed(tmp_path: Path) -> None:
    """It unchoked us, took our requests and sends nothing: then only the optimistic place is left to it."""

    async def story(world: World) -> None:
        meta, folder = world.content(MB, PIECE)
        half = tmp_path / "half"
        half.mkdir()
        (half / "file").write_bytes((folder / "file").read_bytes()[: MB // 2])
        node = await world.node(world.host(), upload_slots=2)
        torrent = await node.add(meta, data=half)
        torrent._data.writable = True  # a download that has half already
        await asyncio.sleep(0.1)
        snub = await Stranger.meet(world, world.host(), node, meta.info_hash)
        snub.send(HaveAll(), Interested(), Unchoke())
        snub.keep_talking()
        await snub.hears(Request)
        asked_at = world.loop.now
        others = await crowd(world, node, meta, 4)
        peer = peer_of(torrent, snub)
        while world.loop.now < asked_at + 59:
            await asyncio.sleep(1)
            assert not peer.snubbed(world.loop.now)
        await asyncio.sleep(3)
        assert peer.snubbed(world.loop.now)
        await asyncio.sleep(10)
        for _ in range(300):
            await asyncio.sleep(1)
            assert peer.am_choking or torrent._company._choker.optimistic is peer
        assert snub.all(Choke)
        assert all(other.all(Unchoke) for other in others)

    simulate(tmp_path, story)


def test_we_say_something_every_minute_and_drop_who_says_nothing_for_two(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        node, torrent, meta = await a_seed(world)
        events = torrent.events()
        quiet = await Stranger.meet(world, world.host(), node, meta.info_hash)
        met = world.loop.now
        await quiet.hears(KeepAlive, 70)
        assert 60 <= world.loop.now - met <= 62
        await quiet.dropped(70)
        assert 120 <= world.loop.now - met <= 122
        reasons = [e.reason async for e in _until_left(events)]
        assert reasons == ["silent for 120 s"]

    simulate(tmp_path, story)


async def _until_left(events):  # type: ignore[no-untyped-def]
    async for event in events:
        if isinstance(event, PeerLeft):
            yield event
            return


def test_keep_alives_keep_a_connection(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        node, _, meta = await a_seed(world)
        stranger = await Stranger.meet(world, world.host(), node, meta.info_hash)
        for _ in range(20):
            await asyncio.sleep(110)
            stranger.send(KeepAlive())
        assert not stranger.over
        gaps = stranger.times_of(KeepAlive)
        assert all(60 < b - a < 62 for a, b in itertools.pairwise(gaps))

    simulate(tmp_path, story)


@pytest.mark.parametrize("fast", [True, False])
def test_a_choke_answers_what_is_queued(tmp_path: Path, fast: bool) -> None:
    """With the fast extension each request gets one answer; without it a choke drops them all."""

    async def story(world: World) -> None:
        node, torrent, meta = await a_seed(world, up_limit=2 * BLOCK)
        reserved = Reserved.ours() if fast else PLAIN
        stranger = await Stranger.meet(world, world.host(), node, meta.info_hash, reserved=reserved)
        stranger.send(Interested())
        await stranger.hears(Unchoke)
        granted = {message.piece for message in stranger.all(AllowedFast)}
        pieces = [PieceIndex(p) for p in range(meta.piece_count) if p not in granted][:3]
        asked = [Request(piece, n * BLOCK, BLOCK) for piece in pieces for n in range(4)]
        stranger.send(*asked)
        await asyncio.sleep(1.2)
        peer_of(torrent, stranger).choke()
        await asyncio.sleep(4)
        rejected = [(r.piece, r.begin) for r in stranger.all(Reject)]
        assert 0 < len(stranger.blocks) < len(asked)
        if fast:
            assert sorted([*stranger.blocks, *rejected]) == sorted(
                (r.piece, r.begin) for r in asked
            )
            chokes = [n for n, message in enumerate(stranger.heard) if isinstance(message, Choke)]
            first = next(
                n for n, message in enumerate(stranger.heard) if isinstance(message, Reject)
            )
            assert chokes[0] < first
        else:
            assert not rejected

    simulate(tmp_path, story)


def test_two_seeds_part_and_do_not_come_back_soon(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        _, torrent, meta = await a_seed(world)
        other_host = world.host()
        other = await world.node(other_host)
        second = await other.add(
            meta, data=world.folder / "seed", peers=[Address("10.0.0.1", 46881)]
        )
        await asyncio.sleep(3)
        assert torrent.peers
        await asyncio.sleep(5)
        joined = 0
        for _ in range(500):
            await asyncio.sleep(1)
            joined += len(torrent.peers) + len(second.peers)
        assert joined == 0

    simulate(tmp_path, story)
