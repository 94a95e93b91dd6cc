"""Whoever asked for the torrents of many shared files had the node read and hash all of them at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from p2pswarm import fetching, networks
from p2pswarm.errors import BusyError
from p2pswarm.formats.ids import InfoHash
from p2pswarm.networks import MOST_READ, MOST_READ_FOR_ONE
from p2pswarm.node import Node
from p2pswarm.swarm import data
from p2pswarm.swarm.data import TorrentData
from tests.overlay.napster.test_with_server import BLUE, noted
from tests.support.scripted_napster import PATIENCE, client
from tests.test_networks import SONG, Town, found, serving


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with serving() as server, AsyncExitStack() as stack:
        yield Town(tmp_path, server, stack)


async def sharing(town: Town, files: int) -> tuple[Node, list[InfoHash]]:
    for number in range(files):
        folder = town.file(f"one/song {number}.mp3", b"%d" % number * 1000)
    node = await town.node(folder)
    assert node.networks.catalog is not None
    listed = await node.networks.catalog.listed(0, files)
    return node, [InfoHash(each.info_hash) for each in listed if each.info_hash]


async def test_few_files_are_read_for_one_and_for_all(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, hashes = await sharing(town, 8)
    assert len(hashes) == 8
    go, real = asyncio.Event(), TorrentData.check

    async def slowly(*args: object) -> object:
        await go.wait()
        return await real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(data, "AT_ONCE", 0)  # small files are read one at a time as it is
    monkeypatch.setattr(TorrentData, "check", slowly)
    monkeypatch.setattr(networks, "SEED_TIME", 0)
    seed = node.networks._seed
    for number in range(MOST_READ):
        asker = f"eve{number // MOST_READ_FOR_ONE}"
        await seed(hashes[number], asker)
        if number == MOST_READ_FOR_ONE - 1:
            with pytest.raises(BusyError):
                await seed(hashes[-1], asker)
    with pytest.raises(BusyError):
        await seed(hashes[-1], "bob")
    await seed(hashes[0], "bob")  # is being read already
    assert len(node.torrents) == MOST_READ
    go.set()
    async with asyncio.timeout(PATIENCE):
        while node.networks._reading:
            await asyncio.sleep(0)
    await seed(hashes[-1], "bob")


async def test_a_file_that_is_not_what_it_was_holds_no_place_for_ever(town: Town) -> None:
    node, hashes = await sharing(town, 1)
    assert node.networks.catalog is not None
    (shared, _) = await node.networks.catalog.torrent(hashes[0]) or (None, None)
    assert shared is not None
    path = await node.networks.catalog.path(shared)
    path.write_bytes(b"x" * 1000)
    seeding = asyncio.ensure_future(node.networks._seed(hashes[0], "bob"))
    async with asyncio.timeout(PATIENCE):
        while hashes[0] not in node.torrents or node.networks._reading:
            await asyncio.sleep(0)
    seeding.cancel()
    await asyncio.wait([seeding])


async def test_who_is_beyond_it_hears_so_and_not_that_it_is_refused(
    town: Town, tmp_path: Path
) -> None:
    async def seed(info_hash: InfoHash, asker: str) -> None:
        raise BusyError("too many")

    share = town.file("Music/blue moon.mp3", SONG[:1000])
    async with (
        client(town.server, host="127.0.0.2", share=share, join=True, seed=seed),
        client(town.server, host="127.0.0.3", join=True) as bob,
    ):
        (hit,) = await noted(bob, BLUE)
        with pytest.raises(BusyError, match="has no place for us now"):
            await bob.torrent(hit)


async def test_and_asks_again(town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "ASK_AGAIN", 0)
    await town.node(town.file("one/blue moon.mp3"))
    two = await town.node()
    find = await found(two, 1)
    asked = 0
    real = two.networks._joined["napster"].torrent

    async def torrent(hit: object) -> bytes:
        nonlocal asked
        asked += 1
        monkeypatch.setattr(networks, "MOST_READ", 0 if asked == 1 else MOST_READ)
        return await real(hit)  # type: ignore[arg-type]

    monkeypatch.setattr(two.networks._joined["napster"], "torrent", torrent)
    download = await two.download(find, save_to=tmp_path / "to")
    await download.finished()
    assert asked == 2
