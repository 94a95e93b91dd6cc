"""Version 2 in virtual swarms: hashes asked for and given, bad blocks found one by one."""

import asyncio
from collections.abc import Callable, Sequence
from hashlib import sha1
from pathlib import Path
from typing import Any

import pytest

from p2pswarm.errors import MetainfoError
from p2pswarm.formats.ids import BLOCK, Address, PieceIndex
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.node import Node
from p2pswarm.swarm.events import PeerBanned, PeerLeft
from p2pswarm.swarm.hash_upload import CREDIT, MOST_WAITING
from p2pswarm.swarm.torrent import Torrent
from p2pswarm.swarm.trees import WAIT_FOR_LEAVES
from p2pswarm.swarm.upload import Upload
from p2pswarm.wire.hashes import Hashes, HashRange, HashReject, HashRequest
from p2pswarm.wire.peer import Interested, Request, Unchoke
from tests.support.generations import contents, generation
from tests.support.stranger import Stranger
from tests.support.world import World, simulate

PIECE = 16 * BLOCK
FILES = {
    "a": contents(12 * PIECE + 5, 1),
    "b": contents(PIECE, 2),
    "c": contents(3 * BLOCK + 7, 3),
    "d": contents(9, 4),
    "e": b"",
}
SIZE = sum(map(len, FILES.values()))


def of(files: dict[str, bytes] = FILES, **options: Any) -> Metainfo:
    return Metainfo.from_bytes(generation(files, piece_length=PIECE, **options))


def laid_out(world: World, files: dict[str, bytes] = FILES) -> Path:
    folder = world.folder / "seed" / "t"
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


async def seed(world: World, meta: Metainfo) -> tuple[Torrent, Address]:
    host = world.host(up=4 << 20)
    node = await world.node(host)
    torrent = await node.add(meta, data=world.folder / "seed" / "t")
    return torrent, Address(host.name, node.port)


async def begin(world: World, meta: Metainfo, *peers: Address) -> tuple[Torrent, Node]:
    node = await world.node(world.host())
    folder = world.folder / node.settings.bind
    folder.mkdir()
    return await node.add(meta, save_to=folder, peers=peers), node


def asked_for(*, v1: bool) -> int:
    """Bytes; with version 1 blocks are whole where a file ends in them."""
    return sum(-(-len(data) // BLOCK) * BLOCK if v1 else len(data) for data in FILES.values())


def check_copy(world: World, node: Node, files: dict[str, bytes] = FILES) -> None:
    for name, data in files.items():
        assert world.copy_of(node, f"t/{name}") == data


def bare(meta: Metainfo) -> Metainfo:
    """As a magnet gives it."""
    return Metainfo.from_info(bytes(meta.info))


def told(torrent: Torrent, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    events: list[object] = []
    tell = torrent._events.tell
    monkeypatch.setattr(torrent._events, "tell", lambda event: (events.append(event), tell(event)))
    return events


def flip(torrent: Torrent, *blocks: tuple[int, int]) -> Callable[[], int]:
    """From now on it gives each of these (piece, block) with one wrong bit; says how often it did."""
    honest, lies = torrent.read, [0]

    def lie(offset: int, into: Sequence[memoryview], done: Callable[[Any], None]) -> None:
        honest(offset, into, done=lambda error: None)
        for view in into:
            if divmod(offset, PIECE) in {(piece, n * BLOCK) for piece, n in blocks}:
                view[3] ^= 1
                lies[0] += 1
            offset += len(view)
        done(None)

    torrent.read = lie  # type: ignore[method-assign]
    return lambda: lies[0]


@pytest.mark.parametrize("v1", [False, True])
def test_a_torrent_is_fetched_with_its_layers_or_without(tmp_path: Path, v1: bool) -> None:
    meta = of(v1=v1)

    async def story(world: World) -> None:
        laid_out(world)
        _, home = await seed(world, meta)
        for known in (meta, bare(meta)):
            torrent, node = await begin(world, known, home)
            await torrent.finished()
            check_copy(world, node)
            assert torrent.metainfo.layers == meta.layers
            assert torrent.status().hash_failures == 0
            assert ("SHA-1" in torrent.status().verified_by) == v1

    simulate(tmp_path, story)


def test_layers_that_are_learned_are_told_and_given_on(tmp_path: Path) -> None:
    meta = of()

    async def story(world: World) -> None:
        laid_out(world)
        _, home = await seed(world, meta)
        first, node = await begin(world, bare(meta), home)
        news: list[Metainfo] = []
        first.learned = news.append
        await first.finished()
        assert [each.layers for each in news] == [meta.layers]
        assert Metainfo.from_bytes(news[0].raw).layers == meta.layers
        host = node.settings.bind
        second, _ = await begin(world, bare(meta), Address(host, node.port))
        await second.finished()

    simulate(tmp_path, story)


def test_one_flipped_bit_costs_one_block_and_its_sender(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted: two seeds, one of which sends one block with a wrong bit."""
    meta = of()

    async def story(world: World) -> None:
        laid_out(world)
        liar, first = await seed(world, meta)
        _, second = await seed(world, meta)
        lies = flip(liar, *((piece, 7) for piece in range(12)))
        torrent, node = await begin(world, meta, first, second)
        events = told(torrent, monkeypatch)
        await torrent.finished()
        check_copy(world, node)
        assert lies()
        assert [e.address for e in events if isinstance(e, PeerBanned)] == [first]
        status = torrent.status()
        assert status.wasted == BLOCK
        assert status.downloaded == SIZE + BLOCK
        assert status.hash_failures == 1

    simulate(tmp_path, story)


@pytest.mark.parametrize("v1", [False, True])
def test_where_leaves_come_late_the_piece_is_kept_and_only_the_block_comes_again(
    tmp_path: Path, v1: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hybrid's leaves are asked for when a piece is bad; here those of version 2 are late, too."""
    meta = of(v1=v1)

    async def story(world: World) -> None:
        laid_out(world)
        liar, first = await seed(world, meta)
        _, second = await seed(world, meta)
        lies = flip(liar, (3, 7))
        torrent, node = await begin(world, meta, first, second)
        assert torrent.trees is not None
        monkeypatch.setattr(torrent.trees, "asked", lambda peer, blocks: None)
        events = told(torrent, monkeypatch)
        await torrent.finished()
        check_copy(world, node)
        banned = [e.address for e in events if isinstance(e, PeerBanned)]
        assert banned == ([first] if lies() else [])
        status = torrent.status()
        assert status.wasted == BLOCK * lies()
        assert status.downloaded == asked_for(v1=v1) + status.wasted

    simulate(tmp_path, story)


def test_where_nobody_gives_leaves_blame_is_found_as_in_version_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meta = of()

    async def story(world: World) -> None:
        laid_out(world)
        liar, first = await seed(world, meta)
        honest, second = await seed(world, meta)
        lies = flip(liar, (3, 7), (4, 7), (5, 7), (6, 7))
        for torrent in (liar, honest):
            monkeypatch.setattr(torrent._hash_upload, "_may_cost", lambda *about: False)
        torrent, node = await begin(world, meta, first, second)
        events = told(torrent, monkeypatch)
        await torrent.finished()
        check_copy(world, node)
        assert lies()
        assert [e.address for e in events if isinstance(e, PeerBanned)] == [first]

    simulate(tmp_path, story)


@pytest.mark.parametrize("v1", [False, True])
@pytest.mark.parametrize(("later", "cost"), [(1, BLOCK), (WAIT_FOR_LEAVES + 5, PIECE)])
def test_where_the_only_seed_lies_the_piece_is_kept_for_the_next(
    tmp_path: Path, v1: bool, later: float, cost: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gives no leaves either: it reads what it has, and sees that it is not the torrent's. The piece is
    kept for a while."""
    meta = of(v1=v1)

    async def story(world: World) -> None:
        laid_out(world)
        liar, first = await seed(world, meta)
        _, second = await seed(world, meta)
        flip(liar, (3, 7))
        monkeypatch.setattr(liar._hash_upload, "_may_cost", lambda *about: False)
        torrent, node = await begin(world, meta, first)
        events = told(torrent, monkeypatch)
        await world.until(lambda: any(isinstance(e, PeerBanned) for e in events))
        await asyncio.sleep(later)
        torrent.add_peer(second)
        await torrent.finished()
        check_copy(world, node)
        status = torrent.status()
        assert (status.wasted, status.hash_failures) == (cost, 1)
        assert status.downloaded == asked_for(v1=v1) + cost

    simulate(tmp_path, story)


def test_who_gives_false_hashes_is_sent_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meta = of()

    async def story(world: World) -> None:
        laid_out(world)
        liar, first = await seed(world, meta)
        _, second = await seed(world, meta)
        assert liar.trees is not None
        tree = liar.trees.forest.tree_of(PieceIndex(0))
        assert tree is not None
        tree.layer = bytes(32) + bytes(tree.layer[32:])
        torrent, node = await begin(world, bare(meta), first)
        events = told(torrent, monkeypatch)
        await world.until(lambda: any(isinstance(e, PeerLeft) for e in events))
        assert not torrent.metainfo.layers
        torrent.add_peer(second)
        await torrent.finished()
        check_copy(world, node)

    simulate(tmp_path, story)


def test_a_hybrid_that_contradicts_itself_fails_and_nobody_is_banned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SHA-1s are of what the seeds have, version 2 is of other bytes."""

    def other(torrent: dict[bytes, Any]) -> None:
        stream = b"".join(data + bytes(-len(data) % PIECE) for data in lies.values())
        pieces = (stream[at : at + PIECE] for at in range(0, len(stream), PIECE))
        torrent[b"info"][b"pieces"] = b"".join(sha1(piece).digest() for piece in pieces)

    lies = {**FILES, "a": b"x" + FILES["a"][1:]}
    meta = of(v1=True, change=other)
    plain = of(v1=True)

    async def story(world: World) -> None:
        laid_out(world, lies)
        host = world.host()
        node = await world.node(host)
        home = await node.add(meta, data=world.folder / "seed" / "t")
        await world.until(lambda: home.picker.have.any() or home.error)
        home.picker.start_with(type(home.picker.have).full(home.picker.pieces))
        torrent, _ = await begin(world, meta, Address(host.name, node.port))
        events = told(torrent, monkeypatch)
        with pytest.raises(MetainfoError, match="contradicts itself"):
            await torrent.finished()
        assert not [e for e in events if isinstance(e, PeerBanned)]

    assert plain.info_hash != meta.info_hash
    simulate(tmp_path, story)


def test_hashes_are_given_while_choked_and_within_a_credit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meta = of()

    async def story(world: World) -> None:
        laid_out(world)
        home, address = await seed(world, meta)
        monkeypatch.setattr(Upload, "serve", lambda upload: None)
        torrent, _ = await begin(world, bare(meta), address)
        await world.until(lambda: torrent.metainfo.layers)
        (peer,) = home.peers.values()
        assert home._hash_upload is not None
        assert home._hash_upload._spent[peer] <= 64 << 20

    simulate(tmp_path, story)


def test_a_hybrid_of_peers_without_version_2_is_checked_by_both_and_learns_its_layers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meta = of(v1=True)

    async def story(world: World) -> None:
        laid_out(world)
        _, home = await seed(world, meta)
        torrent, node = await begin(world, bare(meta), home)
        monkeypatch.setattr(torrent, "hash_givers", list)
        assert torrent.trees is not None
        monkeypatch.setattr(torrent.trees, "ask", lambda peer: None)
        await torrent.finished()
        check_copy(world, node)
        assert torrent.metainfo.layers == meta.layers

    simulate(tmp_path, story)


def test_version_2_alone_is_not_asked_for_what_nobody_can_judge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meta = of()

    async def story(world: World) -> None:
        laid_out(world)
        home, address = await seed(world, meta)
        monkeypatch.setattr(home._hash_upload, "_may_cost", lambda *about: False)
        torrent, _ = await begin(world, bare(meta), address)
        await world.until(lambda: torrent.picker.have.count() == 3)
        (peer,) = torrent.peers.values()
        assert not peer.download.asked
        assert not torrent.picker.done

    simulate(tmp_path, story)


def test_pads_are_neither_asked_for_nor_counted_as_traffic(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        laid_out(world)
        for v1 in (False, True):
            meta = of(v1=v1)
            _, home = await seed(world, meta)
            torrent, _ = await begin(world, meta, home)
            await torrent.finished()
            assert torrent.status().downloaded == asked_for(v1=v1)

    simulate(tmp_path, story)


async def stranger_at(world: World, torrent: Torrent) -> Stranger:
    (node,) = (each for each in world.nodes if torrent in each.torrents.values())
    return await Stranger.meet(world, world.host(), node, torrent.info_hash)


def test_a_flood_of_requests_ends_in_bounds_and_others_are_served(tmp_path: Path) -> None:
    meta = of()
    root = next(iter(meta.layers))

    async def story(world: World) -> None:
        laid_out(world)
        home, address = await seed(world, meta)
        await world.until(lambda: home.picker.done)
        flooder = await stranger_at(world, home)
        leaves = [HashRange(root, 0, n * 16, 16, 3) for n in range(12)]
        junk = [HashRange(bytes(32), 7, 1, 3, 99), HashRange(root, 0, 2**32 - 1, 2, 0)]
        for _ in range(100):
            flooder.send(*map(HashRequest, leaves + junk))
        torrent, node = await begin(world, bare(meta), address)
        await torrent.finished()
        check_copy(world, node)
        assert home._hash_upload is not None
        assert all(len(each) <= MOST_WAITING for each in home._hash_upload._waiting.values())
        assert all(spent <= CREDIT for spent in home._hash_upload._spent.values())
        await flooder.dropped()
        assert len(flooder.all(Hashes)) + len(flooder.all(HashReject)) < 1400

    simulate(tmp_path, story)


@pytest.mark.parametrize(
    "message",
    [
        Hashes(HashRange(bytes(32), 0, 0, 2, 0), bytes(64)),
        HashReject(HashRange(bytes(32), 0, 0, 2, 0)),
    ],
)
def test_who_answers_what_was_never_asked_is_sent_away(
    tmp_path: Path, message: Hashes | HashReject
) -> None:
    async def story(world: World) -> None:
        laid_out(world)
        home, _ = await seed(world, of())
        await world.until(lambda: home.picker.done)
        liar = await stranger_at(world, home)
        liar.send(message)
        await liar.dropped()

    simulate(tmp_path, story)


def test_in_version_1_nobody_hears_such_words(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, folder = world.content(3 * PIECE, PIECE)
        node = await world.node(world.host())
        home = await node.add(meta, data=folder)
        await world.until(lambda: home.picker.done)
        stranger = await stranger_at(world, home)
        asked = HashRange(bytes(32), 0, 0, 2, 0)
        stranger.send(HashRequest(asked), HashReject(asked), Hashes(asked, bytes(64)))
        stranger.send(Interested(), Request(PieceIndex(0), 0, BLOCK))
        await stranger.hears(Unchoke)
        assert not stranger.all(HashReject)
        assert home.trees is None

    simulate(tmp_path, story)
