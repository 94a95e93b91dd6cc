"""What became of files that somebody else changed, cut or removed under a node."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from p2pswarm.formats.ids import BLOCK
from p2pswarm.swarm.events import Checking, Paused, Seeding
from tests.support.world import World, simulate

pytestmark = pytest.mark.sim

MB = 1_000_000
PIECE = 4 * BLOCK


def original(world: World) -> bytes:
    return (world.folder / "seed" / "file").read_bytes()


def spoil(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    with path.open("r+b") as file:
        file.write(data)


def cut(path: Path) -> None:
    os.truncate(path, 100_000)


def remove(path: Path) -> None:
    path.unlink()


def test_wrong_bytes_were_served_for_half_a_minute(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, folder = world.content(2 * MB, PIECE)
        home = world.host()
        seed = await (await world.node(home)).add(meta, data=folder)
        await asyncio.sleep(1)
        spoil(folder / "file")
        torrent = await world.download(await world.node(world.host()), meta, home)
        await asyncio.sleep(10)
        assert torrent.status().hash_failures == 0
        assert seed.state == Paused("1 of 31 pieces are not on the disk")

    simulate(tmp_path, story)


@pytest.mark.parametrize("damage", [cut, remove])
def test_what_was_fetched_again_went_into_a_file_that_was_gone(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    """And only ten minutes later, because a finished download rests from the seeds that it knew."""

    async def story(world: World) -> None:
        torrent, node, _ = await world.pair(2 * MB, PIECE)
        await torrent.finished()
        await asyncio.sleep(20)
        damage(world.folder / node.settings.bind / "file")
        await world.until(lambda: torrent.state != Seeding())
        await world.until(lambda: torrent.state == Seeding(), 60)
        assert world.copy_of(node) == original(world)

    simulate(tmp_path, story)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("damage", [cut, remove])
def test_a_file_that_went_while_it_was_downloaded_stayed_away(
    tmp_path: Path, damage: Callable[[Path], None], seed: int
) -> None:
    """Also when what we wrote next made the file as long again as it had been."""

    async def story(world: World) -> None:
        torrent, node, _ = await world.pair(4 * MB, PIECE, up=MB)
        await world.until(lambda: torrent.status().have > 20)
        damage(world.folder / node.settings.bind / "file")
        await torrent.finished()
        await asyncio.sleep(60)
        assert torrent.state == Seeding()
        assert world.copy_of(node) == original(world)

    simulate(tmp_path, story, seed)


def test_the_last_note_recorded_new_looks_with_old_claims(tmp_path: Path) -> None:
    """A change between the last look and the end was believed at the next start."""

    async def story(world: World) -> None:
        meta, folder = world.content(4 * MB, PIECE)
        home = world.host()
        node = await world.node(home)
        seed = await node.add(meta, data=folder)
        await asyncio.sleep(35)
        spoil(folder / "file")
        await node.aclose()
        node = await world.node(home)
        seed = await node.add(meta, data=folder)
        await world.until(lambda: not isinstance(seed.state, Checking))
        assert seed.state == Paused("1 of 62 pieces are not on the disk")

    simulate(tmp_path, story)


def test_a_check_that_is_cut_short_claims_nothing(tmp_path: Path) -> None:
    """The node ends while changed files are read again: the next start has to read them too."""

    async def story(world: World) -> None:
        meta, folder = world.content(4 * MB, PIECE)
        home = world.host()
        node = await world.node(home)
        seed = await node.add(meta, data=folder)
        await world.until(lambda: seed.state == Seeding())
        never = asyncio.Event()
        seed._data.check = lambda *_: never.wait()  # type: ignore[method-assign,assignment,return-value]
        spoil(folder / "file")
        await asyncio.sleep(35)
        await node.aclose()
        node = await world.node(home)
        seed = await node.add(meta, data=folder)
        await world.until(lambda: not isinstance(seed.state, Checking))
        assert seed.state == Paused("1 of 62 pieces are not on the disk")

    simulate(tmp_path, story)
