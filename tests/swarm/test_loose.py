"""Files without piece hashes: verified by what networks told, resumed, served only where that can be checked;
in virtual time."""

import asyncio
import os
from collections.abc import Callable
from functools import partial
from hashlib import md5, sha1
from pathlib import Path

import pytest

from p2pswarm.disk.digests import MD5_SPAN
from p2pswarm.errors import (
    DiskError,
    HashMismatchError,
    MetainfoError,
    NetworkError,
    TargetExistsError,
)
from p2pswarm.formats.ids import PeerId
from p2pswarm.formats.thex import LEAST_SPAN, TigerTree
from p2pswarm.node import Node
from p2pswarm.swarm.events import Completed, Event, Failed, Paused, PeerBanned, Seeding
from p2pswarm.swarm.loose import LEAST_PIECE, LooseData, loose_metainfo
from p2pswarm.swarm.torrent import Torrent
from p2pswarm.swarm.whole import Proof
from p2pswarm.wire.peer import Reserved
from tests.support.stranger import Stranger
from tests.support.tiger import needs_tiger
from tests.support.world import World, simulate
from tests.swarm.test_ranges import Shop

pytestmark = pytest.mark.sim

DATA = os.urandom(3 * LEAST_PIECE + 1000)
MD5 = md5(DATA[:MD5_SPAN]).digest()
SHA1 = sha1(DATA).digest()
AT = 1_100_000  # a byte of the second piece, in the span from 1048576 on


async def started(
    node: Node,
    folder: Path,
    digest: bytes | None = MD5,
    *,
    sha1: bytes | None = None,
    tree: TigerTree | None = None,
) -> Torrent:
    metainfo = loose_metainfo("song.mp3", len(DATA), digest, sha1=sha1, tree=tree)
    kind = partial(LooseData, md5=digest, sha1=sha1, tree=tree)
    return await node.add(metainfo, save_to=folder, kind=kind)


def flip(at: int) -> Callable[[int, bytes], bytes]:
    """What a host sends that has one wrong byte."""

    def bad(offset: int, data: bytes) -> bytes:
        here = at - offset
        if not 0 <= here < len(data):
            return data
        return data[:here] + bytes([data[here] ^ 1]) + data[here + 1 :]

    return bad


def damage(path: Path, at: int) -> None:
    """A byte changes, and the file looks as before."""
    look = path.stat()
    with path.open("r+b") as file:
        file.seek(at)
        file.write(bytes([DATA[at] ^ 1]))
    os.utime(path, ns=(look.st_atime_ns, look.st_mtime_ns))


@pytest.mark.parametrize(
    ("digest", "words"),
    [(MD5, "its size and the MD5 of its first 299008 bytes only"), (None, "its size only")],
)
def test_it_comes_from_several_hosts_and_says_what_it_is_worth(
    tmp_path: Path, digest: bytes | None, words: str
) -> None:
    async def story(world: World) -> None:
        torrent = await started(await world.node(world.host()), tmp_path / "to", digest)
        for number in (1, 2):
            torrent.add_source(Shop(DATA, number))
        await torrent.finished()
        assert (tmp_path / "to" / "song.mp3").read_bytes() == DATA
        assert torrent.status().verified_by == words

    simulate(tmp_path, story)


def test_who_sends_another_beginning_is_banned(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        torrent = await started(await world.node(world.host()), tmp_path / "to")
        liar = Shop(DATA, 1)
        liar.bad = lambda _, data: bytes(len(data))
        torrent.add_source(liar)
        async for event in torrent.events():
            if isinstance(event, PeerBanned):
                assert event.address == liar.address
                break
        torrent.add_source(Shop(DATA, 2))
        await torrent.finished()
        assert (tmp_path / "to" / "song.mp3").read_bytes()[:MD5_SPAN] == DATA[:MD5_SPAN]
        assert torrent.status().hash_failures == 1

    simulate(tmp_path, story)


def test_it_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        node = await world.node(world.host())
        torrent = await started(node, tmp_path / "to")
        torrent.add_source(Shop(DATA, 1))
        await world.until(lambda: torrent.status().have >= 2)
        await node.remove(torrent)
        again = await started(node, tmp_path / "to")
        await world.until(lambda: again.ready or again.status().have >= 2)
        shop = Shop(DATA, 2)
        again.add_source(shop)
        await again.finished()
        assert shop.given <= len(DATA) - 2 * LEAST_PIECE + shop.chunk
        assert again.status().verified_by.startswith("its size and the MD5")
        assert (tmp_path / "to" / "song.mp3").read_bytes() == DATA

    simulate(tmp_path, story)


def test_a_file_that_is_there_and_unknown_is_left_alone(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        (tmp_path / "to").mkdir()
        (tmp_path / "to" / "song.mp3").write_bytes(b"mine")
        torrent = await started(await world.node(world.host()), tmp_path / "to")
        with pytest.raises(TargetExistsError, match="nobody can tell whether it is this file"):
            await torrent.finished()
        assert isinstance(torrent.state, Failed)
        assert (tmp_path / "to" / "song.mp3").read_bytes() == b"mine"

    simulate(tmp_path, story)


def test_nobody_is_served_what_nobody_can_check(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        node = await world.node(world.host())
        torrent = await started(node, tmp_path / "to")
        torrent.add_source(Shop(DATA))
        await torrent.finished()
        assert torrent.state == Seeding()
        stranger = await Stranger.dial(world, world.host(), node)
        stranger.introduce(torrent.info_hash, Reserved.ours(), PeerId.new(world.dice))
        await stranger.dropped()
        assert stranger.hello == b""

    simulate(tmp_path, story)


def test_a_changed_file_is_fetched_again(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        node = await world.node(world.host())
        torrent = await started(node, tmp_path / "to")
        torrent.add_source(Shop(DATA))
        await torrent.finished()
        await asyncio.sleep(5)
        path = tmp_path / "to" / "song.mp3"
        path.write_bytes(bytes(len(DATA)))
        await world.until(lambda: torrent.status().have < 4)
        await torrent.finished()
        assert path.read_bytes() == DATA

    simulate(tmp_path, story)


def test_a_huge_file_has_larger_pieces_and_an_impossible_one_none() -> None:
    assert loose_metainfo("huge", 1 << 40, None).piece_length == 16 << 20
    assert loose_metainfo("a", 5, MD5).info_hash != loose_metainfo("a", 5, None).info_hash
    for size in (0, 1 << 62):
        with pytest.raises(MetainfoError):
            loose_metainfo("a", size, None)


# By its SHA-1


async def told(torrent: Torrent) -> list[Event]:
    return [event async for event in torrent.events()]


def test_the_whole_is_hashed_before_it_counts_as_complete(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        node = await world.node(world.host())
        torrent = await started(node, tmp_path / "to", sha1=SHA1)
        torrent.add_source(Shop(DATA))
        await torrent.finished()
        assert torrent.status().verified_by == "its SHA-1"
        assert not torrent.ready
        await node.remove(torrent)
        again = await started(node, tmp_path / "to", sha1=SHA1)
        await again.finished()
        assert again.status().verified_by == "its SHA-1"
        assert (tmp_path / "to" / "song.mp3").read_bytes() == DATA

    simulate(tmp_path, story)


def test_it_is_complete_once_though_a_look_at_the_files_ends_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(world: World) -> None:
        torrent = await started(await world.node(world.host()), tmp_path / "to", sha1=SHA1)
        listening, step = asyncio.ensure_future(told(torrent)), Proof.step

        def looked(proof: Proof) -> bool | None:
            torrent.disk_works()
            return step(proof)

        monkeypatch.setattr(Proof, "step", looked)
        torrent.add_source(Shop(DATA))
        await torrent.finished()
        await asyncio.sleep(5)
        assert isinstance(torrent.state, Seeding)
        await world.nodes[0].remove(torrent)
        assert sum(isinstance(event, Completed) for event in await listening) == 1

    simulate(tmp_path, story)


def test_another_file_is_thrown_away_and_the_download_fails(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        node = await world.node(world.host())
        torrent = await started(node, tmp_path / "to", sha1=SHA1)
        listening = asyncio.ensure_future(told(torrent))
        liar = Shop(DATA)
        liar.bad = flip(AT)
        torrent.add_source(liar)
        words = "what came is not song.mp3: its SHA-1 is another; nothing of it is kept"
        with pytest.raises(HashMismatchError, match=words):
            await torrent.finished()
        assert torrent.state == Failed(words)
        assert (tmp_path / "to" / "song.mp3").stat().st_size == 0
        await node.remove(torrent)
        events = await listening
        assert not any(isinstance(event, Completed) for event in events)
        assert not any(getattr(event, "state", None) == Seeding() for event in events)
        again = await started(node, tmp_path / "to", sha1=SHA1)
        again.add_source(Shop(DATA, 2))
        await again.finished()
        assert (tmp_path / "to" / "song.mp3").read_bytes() == DATA

    simulate(tmp_path, story)


def test_a_file_that_changed_between_two_starts_does_not_count(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        node = await world.node(world.host())
        torrent = await started(node, tmp_path / "to", sha1=SHA1)
        torrent.add_source(Shop(DATA))
        await torrent.finished()
        await node.remove(torrent)
        damage(tmp_path / "to" / "song.mp3", AT)
        again = await started(node, tmp_path / "to", sha1=SHA1)
        with pytest.raises(HashMismatchError):
            await again.finished()

    simulate(tmp_path, story)


def test_a_disk_that_cannot_be_read_then_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(world: World) -> None:
        torrent = await started(await world.node(world.host()), tmp_path / "to", sha1=SHA1)
        failing, step = True, Proof.step

        def fail(proof: Proof) -> bool | None:
            if failing:
                raise DiskError("cannot read song.mp3: Input/output error")
            return step(proof)

        monkeypatch.setattr(Proof, "step", fail)
        torrent.add_source(Shop(DATA))
        await world.until(lambda: isinstance(torrent.state, Paused))
        await asyncio.sleep(30)
        assert isinstance(torrent.state, Paused)
        failing = False
        await torrent.finished()
        assert torrent.status().verified_by == "its SHA-1"

    simulate(tmp_path, story)


# By its tiger tree


@needs_tiger()
def test_a_flipped_byte_is_refused_named_and_fetched_from_another(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(world: World) -> None:
        torrent = await started(
            await world.node(world.host()), tmp_path / "to", tree=TigerTree.of(DATA)
        )
        liars = [Shop(DATA, number) for number in (1, 2)]
        for liar in liars:  # the second says the same: that is told once
            liar.bad = flip(AT)
            torrent.add_source(liar)
            async for event in torrent.events():
                if isinstance(event, PeerBanned):
                    assert event.address == liar.address
                    break
        torrent.add_source(Shop(DATA, 3))
        await torrent.finished()
        status = torrent.status()
        assert (status.verified_by, status.hash_failures) == ("its tiger tree", 2)
        assert (tmp_path / "to" / "song.mp3").read_bytes() == DATA
        assert torrent.ready

    simulate(tmp_path, story)
    assert caplog.text.count("song.mp3: bytes 1048576-1114111 do not match the tiger tree") == 1
    assert caplog.text.count("do not match") == 1


@needs_tiger()
def test_at_the_next_start_only_what_was_damaged_is_fetched(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(world: World) -> None:
        node, tree = await world.node(world.host()), TigerTree.of(DATA)
        torrent = await started(node, tmp_path / "to", tree=tree)
        torrent.add_source(Shop(DATA))
        await torrent.finished()
        await node.remove(torrent)
        damage(tmp_path / "to" / "song.mp3", AT)
        again = await started(node, tmp_path / "to", tree=tree)
        await world.until(lambda: again.status().have == 3)
        shop = Shop(DATA, 2)
        again.add_source(shop)
        await again.finished()
        assert shop.given <= LEAST_PIECE + 2 * shop.chunk
        assert (tmp_path / "to" / "song.mp3").read_bytes() == DATA

    simulate(tmp_path, story)
    assert caplog.text.count("bytes 1048576-1114111 do not match the tiger tree") == 1


@needs_tiger()
def test_what_somebody_changed_is_verified_and_not_fetched_again(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        node, tree = await world.node(world.host()), TigerTree.of(DATA)
        torrent = await started(node, tmp_path / "to", tree=tree, sha1=SHA1)
        shop = Shop(DATA)
        torrent.add_source(shop)
        await torrent.finished()
        assert torrent.status().verified_by == "its SHA-1 and its tiger tree"
        await asyncio.sleep(5)
        path = tmp_path / "to" / "song.mp3"
        path.write_bytes(DATA[:AT] + b"?" + DATA[AT + 1 :])
        await world.until(lambda: torrent.status().have == 3)
        await torrent.finished()
        assert path.read_bytes() == DATA
        assert shop.given <= len(DATA) + LEAST_PIECE + 2 * shop.chunk

    simulate(tmp_path, story)


@needs_tiger()
def test_a_file_that_is_there_is_recognized(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        node = await world.node(world.host())
        (tmp_path / "to").mkdir()
        (tmp_path / "to" / "song.mp3").write_bytes(DATA)
        torrent = await started(node, tmp_path / "to", tree=TigerTree.of(DATA))
        await torrent.finished()
        assert torrent.status().downloaded == 0

    simulate(tmp_path, story)


@needs_tiger()
def test_a_tree_that_somebody_made_up_does_not_stand_against_the_sha1(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        other = DATA[:AT] + b"?" + DATA[AT + 1 :]
        torrent = await started(
            await world.node(world.host()), tmp_path / "to", sha1=SHA1, tree=TigerTree.of(other)
        )
        torrent.add_source(Shop(other))
        with pytest.raises(HashMismatchError):
            await torrent.finished()

    simulate(tmp_path, story)


@needs_tiger()
def test_a_file_of_somebody_is_left_alone_whatever_sha1_is_claimed_for_it(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        mine = tmp_path / "to" / "song.mp3"
        mine.parent.mkdir()
        mine.write_bytes(DATA)
        node, claimed = await world.node(world.host()), bytes(20)
        torrent = await started(node, mine.parent, sha1=claimed, tree=TigerTree.of(DATA))
        with pytest.raises(HashMismatchError, match="it is left alone"):
            await torrent.finished()
        await node.remove(torrent)
        assert mine.read_bytes() == DATA

    simulate(tmp_path, story)


@needs_tiger()
@pytest.mark.parametrize("bad", [False, True])
def test_a_tree_too_coarse_for_pieces_proves_the_whole(tmp_path: Path, bad: bool) -> None:
    async def story(world: World) -> None:
        tree = TigerTree(len(DATA), TigerTree.of(DATA).root)
        torrent = await started(await world.node(world.host()), tmp_path / "to", tree=tree)
        shop = Shop(DATA)
        torrent.add_source(shop)
        if bad:
            shop.bad = flip(AT)
            with pytest.raises(HashMismatchError, match="its tiger tree is another"):
                await torrent.finished()
            return
        await torrent.finished()
        assert torrent.status().verified_by == "its tiger tree"
        assert not torrent.ready

    simulate(tmp_path, story)


@needs_tiger()
def test_with_a_tree_too_only_hosts_can_give_it(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        torrent = await started(
            await world.node(world.host()), tmp_path / "to", tree=TigerTree.of(DATA)
        )
        shop = Shop(DATA)
        shop.refusals = [NetworkError("gone")] * 100
        torrent.add_source(shop)
        await world.until(lambda: torrent.deserted is not None, 1000)

    simulate(tmp_path, story)


@needs_tiger()
def test_pieces_fit_the_tree_and_the_sha1_alone_names_the_download() -> None:
    tree, other = TigerTree.of(DATA), TigerTree.of(DATA[1:] + b"?")
    by_sha1 = loose_metainfo("a", len(DATA), MD5, sha1=SHA1)
    assert by_sha1.info_hash == loose_metainfo("a", len(DATA), None, sha1=SHA1, tree=tree).info_hash
    by_tree = [loose_metainfo("a", len(DATA), None, tree=each).info_hash for each in (tree, other)]
    assert len({by_sha1.info_hash, *by_tree}) == 3
    for size, length in ((1, 1 << 20), (1 << 30, 2 << 20), (1 << 40, 16 << 20)):
        assert loose_metainfo("a", size, None, sha1=SHA1).piece_length == length
    assert tree.span == LEAST_SPAN
