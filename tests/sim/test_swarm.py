"""Whole swarms in virtual time: choking, rarity, endgame, liars, broken lines. Nobody waits."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from p2pswarm.swarm.events import Completed, Event, PeerBanned
from p2pswarm.swarm.torrent import Torrent
from tests.support.world import World, simulate

pytestmark = pytest.mark.sim

MB = 1_000_000


def test_one_file_travels(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, folder = world.content(3 * MB + 7)
        home, away = world.host(), world.host()
        seed = await world.node(home)
        await seed.add(meta, data=folder)
        node = await world.node(away)
        torrent = await world.download(node, meta, home)
        await torrent.finished()
        assert world.copy_of(node) == (folder / "file").read_bytes()
        status = torrent.status()
        assert (status.have, status.done) == (status.pieces, 3 * MB + 7)
        assert status.wasted == status.hash_failures == 0

    assert simulate(tmp_path, story) < 10


def test_a_swarm_trades_so_that_the_seed_need_not_send_many_copies(tmp_path: Path) -> None:
    """Eight downloaders that start together, every line 1 MB/s: the seed sends less than 2.5 copies."""

    async def story(world: World) -> None:
        meta, folder = world.content(8 * MB, 64 << 10)
        home = world.host(up=MB)
        seed = await world.node(home)
        await seed.add(meta, data=folder)
        hosts = [world.host(up=MB) for _ in range(8)]
        nodes = [await world.node(host) for host in hosts]
        torrents = [await world.download(n, meta, home, *hosts) for n in nodes]
        await asyncio.gather(*(torrent.finished() for torrent in torrents))
        original = (folder / "file").read_bytes()
        assert all(world.copy_of(node) == original for node in nodes)
        assert home.sent < 2.5 * meta.total

    # The line of the seed alone needs 8 s for one copy; nine copies one after the other would need 64.
    assert simulate(tmp_path, story) < 25


@pytest.mark.parametrize("seed", range(3))
def test_the_slowest_peer_is_not_starved(tmp_path: Path, seed: int) -> None:
    async def story(world: World) -> None:
        meta, folder = world.content(4 * MB, 64 << 10)
        home = world.host(up=0.4 * MB)
        node = await world.node(home)
        await node.add(meta, data=folder)
        hosts = [*(world.host(up=0.2 * MB) for _ in range(8)), world.host(up=2000.0)]
        nodes = [await world.node(host) for host in hosts]
        torrents = [await world.download(n, meta, home, *hosts) for n in nodes]
        await asyncio.gather(*(torrent.finished() for torrent in torrents))

    assert simulate(tmp_path, story, seed) < 300


def test_the_seed_may_leave_after_one_copy_is_out(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, folder = world.content(4 * MB, 64 << 10)
        home = world.host(up=MB)
        seed = await world.node(home)
        seeded = await seed.add(meta, data=folder)
        hosts = [world.host(up=MB) for _ in range(3)]
        nodes = [await world.node(host) for host in hosts]
        torrents = [await world.download(n, meta, home, *hosts) for n in nodes]
        while any(
            sum(t.picker.have[piece] for t in torrents) == 0
            for piece in range(seeded.picker.pieces)
        ):
            await asyncio.sleep(0.1)
        await seed.aclose()
        await asyncio.gather(*(torrent.finished() for torrent in torrents))

    simulate(tmp_path, story)


def test_a_line_that_breaks_for_twenty_seconds(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, folder = world.content(4 * MB, 64 << 10)
        home, away = world.host(up=MB), world.host()
        seed = await world.node(home)
        await seed.add(meta, data=folder)
        node = await world.node(away)
        torrent = await world.download(node, meta, home)
        while torrent.status().have < 5:
            await asyncio.sleep(0.1)
        world.unplug(away)
        await asyncio.sleep(20)
        world.plug_in(away)
        await torrent.finished()
        assert torrent.status().hash_failures == 0

    assert 20 < simulate(tmp_path, story) < 60


def test_limits_hold(tmp_path: Path) -> None:
    """The seed may send 200 kB/s, the downloader would take anything."""

    async def story(world: World) -> None:
        meta, folder = world.content(4 * MB)
        home, away = world.host(), world.host()
        seed = await world.node(home, up_limit=200_000)
        await seed.add(meta, data=folder)
        torrent = await world.download(await world.node(away), meta, home)
        await torrent.finished()

    assert simulate(tmp_path, story) == pytest.approx(4 * MB / 200_000, rel=0.05)


def test_a_download_limit_holds(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, folder = world.content(4 * MB)
        homes = [world.host() for _ in range(3)]
        for home in homes:
            await (await world.node(home)).add(meta, data=folder)
        node = await world.node(world.host(), down_limit=200_000)
        torrent = await world.download(node, meta, *homes)
        await torrent.finished()

    assert simulate(tmp_path, story) == pytest.approx(4 * MB / 200_000, rel=0.05)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("lies", [1.0, 0.1])
def test_liars_are_banned_and_nobody_else(tmp_path: Path, seed: int, lies: float) -> None:
    """Two of ten seeds send wrong bytes, always or now and then; the copy is right all the same."""

    async def story(world: World) -> None:
        meta, folder = world.content(8 * MB, 64 << 10)
        homes = [world.host(up=0.2 * MB) for _ in range(10)]
        for n, home in enumerate(homes):
            torrent = await (await world.node(home)).add(meta, data=folder)
            if n < 2:
                world.make_liar(torrent, lies)
        node = await world.node(world.host())
        torrent = await world.download(node, meta, *homes)
        banned = [e.address.host async for e in listen(torrent) if isinstance(e, PeerBanned)]
        assert world.copy_of(node) == (folder / "file").read_bytes()
        assert torrent.status().hash_failures > 0
        assert set(banned) <= {home.name for home in homes[:2]}
        if lies == 1.0:
            assert set(banned) == {home.name for home in homes[:2]}

    assert simulate(tmp_path, story, seed) < 60


async def listen(torrent: Torrent) -> AsyncIterator[Event]:
    """Events until the download is complete."""
    async for event in torrent.events():
        yield event
        if isinstance(event, Completed):
            return
