"""Files without hashes: verified by their beginning, resumed, never served; in virtual time."""

import asyncio
import os
from functools import partial
from hashlib import md5
from pathlib import Path

import pytest

from p2pswarm.disk.digests import MD5_SPAN
from p2pswarm.errors import MetainfoError, TargetExistsError
from p2pswarm.formats.ids import PeerId
from p2pswarm.node import Node
from p2pswarm.swarm.events import Failed, PeerBanned, Seeding
from p2pswarm.swarm.loose import LEAST_PIECE, LooseData, loose_metainfo
from p2pswarm.swarm.torrent import Torrent
from p2pswarm.wire.peer import Reserved
from tests.support.stranger import Stranger
from tests.support.world import World, simulate
from tests.swarm.test_ranges import Shop

pytestmark = pytest.mark.sim

DATA = os.urandom(3 * LEAST_PIECE + 1000)
MD5 = md5(DATA[:MD5_SPAN]).digest()


async def started(node: Node, folder: Path, digest: bytes | None = MD5) -> Torrent:
    metainfo = loose_metainfo("song.mp3", len(DATA), digest)
    return await node.add(metainfo, save_to=folder, kind=partial(LooseData, md5=digest))


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
