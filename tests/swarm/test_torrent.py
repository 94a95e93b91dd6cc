"""A torrent's life among others: who is let in, who is dialed again, what it says of itself."""

import asyncio
import logging
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from p2pswarm import node as rooms
from p2pswarm.discovery.trackers import Trackers, TrackerStatus
from p2pswarm.errors import TargetExistsError, TrackerError
from p2pswarm.formats.ids import BLOCK, Address, InfoHash, PeerId, PieceIndex
from p2pswarm.node import Node
from p2pswarm.swarm.events import (
    Checking,
    Completed,
    Downloading,
    Event,
    Failed,
    Paused,
    PeerBanned,
    PeerJoined,
    PeerLeft,
    PieceFailed,
    Seeding,
    Stopped,
    TrackerFailed,
    TrackerReplied,
)
from p2pswarm.swarm.torrent import Torrent
from p2pswarm.wire.peer import (
    Have,
    HaveAll,
    HaveNone,
    Interested,
    Request,
    Reserved,
    Unchoke,
)
from p2pswarm.wire.tracker import Reply
from tests.support.singly import piece_head
from tests.support.stranger import Stranger
from tests.support.world import World, simulate

pytestmark = pytest.mark.sim

PIECE = 4 * BLOCK
MB = 1_000_000


async def refused(world: World, node: Node, torrent: Torrent) -> None:
    """Whoever knocks for this torrent is sent away without a word."""
    stranger = await Stranger.dial(world, world.host(), node)
    stranger.introduce(torrent.info_hash, Reserved.ours(), PeerId.new(world.dice))
    await stranger.dropped(1)
    assert stranger.hello == b""


# Connections


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("delays", [(0.01, 0.01), (0.01, 0.3), (0.2, 0.05)])
def test_both_sides_dial_and_one_connection_stays(
    tmp_path: Path, seed: int, delays: tuple[float, float]
) -> None:
    async def story(world: World) -> None:
        meta, folder = world.content(8 * MB, PIECE)
        hosts = [world.host(up=MB, delay=delay) for delay in delays]
        nodes = [await world.node(host) for host in hosts]
        peers = [[Address(host.name, 46881)] for host in reversed(hosts)]
        one = await nodes[0].add(meta, data=folder, peers=peers[0])
        two = await nodes[1].add(meta, save_to=tmp_path / "to", peers=peers[1])
        joined: list[Event] = []
        async for event in two.events():
            if isinstance(event, PeerJoined | PeerLeft):
                joined.append(event)
            if isinstance(event, Completed):
                break
            if len(joined) > 10:
                raise AssertionError("they come and go")
        assert len(one.peers) == len(two.peers) == 1
        (mine,), (theirs,) = one.peers.values(), two.peers.values()
        assert mine.outgoing != theirs.outgoing
        assert mine.stream.local == theirs.stream.remote
        assert sum(isinstance(event, PeerJoined) for event in joined) <= 2

    simulate(tmp_path, story, seed)


def test_there_are_so_many_places_and_no_more(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, folder = world.content(MB, PIECE)
        node = await world.node(world.host(), max_peers=3)
        torrent = await node.add(meta, data=folder)
        await world.until(lambda: torrent.state == Seeding())
        strangers = [await Stranger.dial(world, world.host(), node) for _ in range(5)]
        for stranger in strangers:
            stranger.introduce(meta.info_hash, Reserved.ours(), PeerId.new(world.dice))
        await asyncio.sleep(1)
        inside = [stranger for stranger in strangers if not stranger.over]  # who was heard first
        assert len(inside) == 3
        inside[0].close()
        await asyncio.sleep(1)
        await Stranger.meet(world, world.host(), node, meta.info_hash)
        assert len(torrent.peers) == 3

    simulate(tmp_path, story)


def test_a_node_has_so_many_places_for_all_its_torrents(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        one, folder = world.content(MB, PIECE, "one")
        two, _ = world.content(MB, PIECE, "two")
        node = await world.node(world.host(), max_connections=3)
        torrents = [await node.add(meta, data=folder) for meta in (one, two)]
        await world.until(lambda: all(torrent.state == Seeding() for torrent in torrents))
        for meta in (one, two, one):
            await Stranger.meet(world, world.host(), node, meta.info_hash)
        await refused(world, node, torrents[1])

    simulate(tmp_path, story)


def test_a_torrent_that_is_still_checked_takes_nobody(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, folder = world.content(MB, PIECE)
        node = await world.node(world.host())
        torrent = await node.add(meta, data=folder)
        torrent._data.load = lambda _: asyncio.Event().wait()  # type: ignore[method-assign,assignment,return-value]
        await refused(world, node, torrent)
        assert torrent.state == Checking(0, meta.piece_count)

    simulate(tmp_path, story)


def test_a_banned_peer_stays_out(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, _ = world.content(MB, PIECE)
        node = await world.node(world.host())
        torrent = await world.download(node, meta)
        events = torrent.events()
        await asyncio.sleep(0.1)
        host, name = world.host(), PeerId(b"-XX0001-abcdefghijkl")

        async def poison() -> Stranger:
            liar = await Stranger.dial(world, host, node)
            liar.answer = lambda me, said: (
                me.send(piece_head(said.piece, said.begin, said.length) + bytes(said.length))
                if isinstance(said, Request)
                else None
            )
            liar.introduce(meta.info_hash, Reserved.ours(), name)
            liar.send(HaveAll(), Unchoke())
            return liar

        liar = await poison()
        await liar.dropped(2)
        again = await poison()
        await again.dropped(1)
        assert not again.requests
        await node.remove(torrent)
        told = [type(e) for e in [e async for e in events] if not isinstance(e, Downloading)]
        assert told.count(PieceFailed) == told.count(PeerBanned) == 1
        assert told.index(PieceFailed) < told.index(PeerBanned)
        assert torrent.status().hash_failures == 1
        assert torrent.status().wasted == PIECE

    simulate(tmp_path, story)


def test_who_is_not_there_is_left_alone_unless_the_user_named_it(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, _ = world.content(MB, PIECE)
        node = await world.node(world.host())
        nobody, named = world.host(), world.host()
        dials: list[str] = []
        connect = world.loop.create_connection

        async def count(factory: object, host: str, port: int, **more: object) -> object:
            dials.append(host)
            return await connect(factory, host, port, **more)

        world.loop.create_connection = count  # type: ignore[method-assign,assignment]
        torrent = await world.download(node, meta, named)
        await asyncio.sleep(1)
        for _ in range(119):  # however often it is named
            torrent.found(Address(nobody.name, 46881))
            await asyncio.sleep(10)
        assert dials.count(nobody.name) == 2
        assert dials.count(named.name) > 10

    simulate(tmp_path, story)


def test_a_peer_whose_line_broke_is_dialed_again(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        torrent, _, home = await world.pair(4 * MB, PIECE, up=MB)
        await world.until(lambda: torrent.status().have > 10)
        (peer,) = torrent.peers.values()
        peer.close()
        gone = world.loop.now
        await world.until(lambda: torrent.peers)
        assert world.loop.now - gone < 20
        await torrent.finished()
        assert home.sent < 1.3 * 4 * MB

    simulate(tmp_path, story)


def test_our_pieces_are_told_and_counted(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        torrent, node, _ = await world.pair(MB, PIECE, up=100_000)
        watcher = await Stranger.meet(world, world.host(), node, torrent.info_hash)
        watcher.send(HaveNone())
        status = torrent.status()
        assert (status.have, status.done, status.eta) == (0, 0, None)
        assert status.state == Downloading()
        await world.until(lambda: torrent.status().have == 8)
        status = torrent.status()
        assert status.done == sum(map(torrent.metainfo.piece_size, torrent.picker.have.pieces()))
        assert status.eta is not None
        assert (status.peers, status.seeds) == (2, 1)
        assert status.availability == pytest.approx(1 + 8 / 16)
        assert torrent.progress().left == MB - status.done
        await torrent.finished()
        await asyncio.sleep(1)
        first = {p for p in range(16) if p not in {m.piece for m in watcher.all(Have)}}
        assert first == set()
        assert torrent.status().eta is None
        assert repr(torrent) == f"<Torrent file seeding peers {len(torrent.peers)}>"

    simulate(tmp_path, story)


# Trackers


def test_what_trackers_say_is_told(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        torrent, _, _ = await world.pair(MB, PIECE, up=MB)
        events = torrent.events()
        torrent.finding.trackers[0].told("http://a/announce", TrackerError("no"))  # type: ignore[misc]
        torrent.finding.trackers[0].told("http://b/announce", Reply(interval=60))  # type: ignore[misc]
        told = [await anext(events), await anext(events)]
        assert told == [
            TrackerFailed("http://a/announce", "no"),
            TrackerReplied("http://b/announce", 0),
        ]

    simulate(tmp_path, story)


def test_a_torrent_short_of_peers_asks_for_more_and_tells_when_it_is_done(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        torrent, _, home = await world.pair(MB, PIECE, up=20_000)
        asked, told = [], []
        torrent.finding.trackers[0].need_more = lambda: asked.append(world.loop.now)  # type: ignore[method-assign]
        torrent.finding.trackers[0].completed = lambda: told.append(world.loop.now)  # type: ignore[method-assign]
        await torrent.finished()
        assert [b - a for a, b in pairwise(asked)] == pytest.approx([15.0] * (len(asked) - 1))
        assert len(asked) >= 3
        assert len(told) == 1
        await asyncio.sleep(100)
        assert asked[-1] < told[0]
        assert home.sent

    simulate(tmp_path, story)


def test_seeds_that_start_together_announce_one_after_the_other_and_a_download_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(world: World) -> None:
        began: dict[InfoHash, float] = {}

        async def run(trackers: Trackers, *_: object) -> None:
            began[trackers._info_hash] = world.loop.now

        monkeypatch.setattr(Trackers, "run", run)
        monkeypatch.setattr(rooms, "SEEDS_ANNOUNCED", 0.5)
        node, tracked = await world.node(world.host()), (("http://t/announce",),)
        seeds = [world.content(PIECE, PIECE, name) for name in "abc"]
        for meta, folder in seeds:
            await node.add(replace(meta, trackers=tracked), data=folder)
        meta, _ = world.content(PIECE, PIECE, "d")
        await world.download(node, replace(meta, trackers=tracked))
        started = world.loop.now
        await asyncio.sleep(10)
        waited = [began[meta.info_hash] - started for meta, _ in seeds]
        assert waited == pytest.approx([0, 2, 4], abs=0.1)
        assert began[meta.info_hash] - started == pytest.approx(0, abs=0.1)

    simulate(tmp_path, story)


def test_a_tracker_that_cannot_be_used_is_shown(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        torrent, _, _ = await world.pair(MB, PIECE)
        assert torrent.status().trackers == ()
        torrent.finding.trackers[0].status = lambda: (  # type: ignore[method-assign]
            TrackerStatus("udp://x", 0, "unsupported", None, None, None, None, 0, ""),
        )
        assert torrent.status().trackers[0].state == "unsupported"

    simulate(tmp_path, story)


# Ends


def test_what_made_it_fail_is_raised_to_whoever_waits(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, _ = world.content(MB, PIECE)
        node = await world.node(world.host())
        target = tmp_path / node.settings.bind / "file"
        target.parent.mkdir()
        target.write_bytes(b"something else")
        torrent = await world.download(node, meta)
        for _ in range(2):
            with pytest.raises(TargetExistsError, match="nothing in it is of this torrent"):
                await torrent.finished()
        assert torrent.state == Failed("file exists, and nothing in it is of this torrent")
        await refused(world, node, torrent)
        await node.remove(torrent)
        assert isinstance(torrent.state, Failed)
        assert target.read_bytes() == b"something else"

    simulate(tmp_path, story)


def test_a_bug_of_ours_fails_one_torrent_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(world: World) -> None:
        torrent, node, home = await world.pair(MB, PIECE, up=20_000)
        other, _ = world.content(MB, PIECE, "other")
        await world.nodes[0].add(other, data=world.folder / "seed")
        beside = await world.download(node, other, home)
        await asyncio.sleep(5)
        torrent._company._choker.rechoke = lambda *about: 1 / 0  # type: ignore[method-assign]
        with pytest.raises(ZeroDivisionError):
            await torrent.finished()
        assert isinstance(torrent.state, Failed)
        assert not torrent.peers
        await refused(world, node, torrent)
        await beside.finished()

    with caplog.at_level(logging.ERROR):
        simulate(tmp_path, story)
    assert "a bug in p2pswarm" in caplog.text


def test_removed_while_it_is_checked(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, folder = world.content(MB, PIECE)
        node = await world.node(world.host())
        torrent = await node.add(meta, data=folder)
        torrent._data.load = lambda _: asyncio.Event().wait()  # type: ignore[method-assign,assignment,return-value]
        await asyncio.sleep(1)
        await node.remove(torrent)
        assert torrent.state == Stopped()
        torrent = await node.add(meta, data=folder)  # nothing was claimed, nothing is locked
        await world.until(lambda: torrent.state == Seeding())

    simulate(tmp_path, story)


def test_a_peer_may_be_named_at_any_time(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, folder = world.content(MB, PIECE)
        home = world.host()
        await (await world.node(home)).add(meta, data=folder)
        node = await world.node(world.host())
        torrent = await world.download(node, meta)
        await asyncio.sleep(50)
        torrent.add_peer(Address(home.name, 46881))
        await torrent.finished()
        await node.remove(torrent)
        torrent.add_peer(Address(home.name, 46881))
        await asyncio.sleep(1)
        assert not torrent.peers

    assert simulate(tmp_path, story) < 60


def test_an_incomplete_seed_waits_and_serves_what_it_has(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, folder = world.content(16 * PIECE, PIECE)
        half = tmp_path / "half"
        half.mkdir()
        (half / "file").write_bytes((folder / "file").read_bytes()[: 8 * PIECE])
        home = world.host()
        seed = await (await world.node(home)).add(meta, data=half)
        await asyncio.sleep(1)
        assert seed.state == Paused("8 of 16 pieces are not on the disk")
        node = await world.node(world.host())
        torrent = await world.download(node, meta, home)
        await asyncio.sleep(30)
        assert torrent.picker.have.count() == 8
        assert not any(peer.am_interested for peer in seed.peers.values())
        stranger = await Stranger.meet(world, world.host(), node, meta.info_hash)
        stranger.send(Interested())
        await stranger.hears(Unchoke)
        stranger.send(Request(PieceIndex(3), 0, BLOCK))
        await stranger.until(lambda: stranger.blocks)

    simulate(tmp_path, story)
