"""A torrent at work is moved: nothing is lost, and the next start believes the new place."""

import asyncio
import errno
import os
from pathlib import Path
from typing import Any

import pytest

from p2pswarm.errors import DiskFullError, HostError, TargetExistsError
from p2pswarm.swarm.events import Paused, Seeding
from tests.support.world import World, simulate

PIECE = 16 << 10


@pytest.mark.parametrize("far", [False, True], ids=["a rename", "another file system"])
def test_a_seed_goes_on_from_its_new_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, far: bool
) -> None:
    rename = Path.rename

    def refuse(self: Path, to: Path) -> Path:
        if self.parent.name == "old":
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        return rename(self, to)

    if far:
        monkeypatch.setattr(Path, "rename", refuse)

    async def story(world: World) -> None:
        meta, home = world.many_files({"a": 100_000, "sub/b": 50_000}, PIECE)
        host = world.host()
        node = await world.node(host)
        torrent = await node.add(meta, save_to=world.folder / "old", reuse=[home])
        await torrent.finished()
        where = await torrent.move(world.folder / "new")
        assert where == torrent.status().path == world.folder / "new/many"
        assert isinstance(torrent.state, Seeding)
        assert not (world.folder / "old/many").exists()
        other = await world.node(world.host())
        copy = await world.download(other, meta, host)
        await copy.finished()
        assert copy.status().downloaded == meta.total
        await world.kill(node)
        node = await world.node(host)
        again = await node.add(meta, save_to=world.folder / "new")
        assert again._data._recalled.saved.trusted.count() == meta.piece_count  # type: ignore[union-attr]
        await again.finished()

    simulate(tmp_path, story)


def test_names_that_a_person_chose_go_along(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, home = world.many_files({"a": 100_000, "sub/b": 50_000}, PIECE)
        host = world.host()
        node = await world.node(host)
        old, new = world.folder / "old", world.folder / "new"
        torrent = await node.add(meta, save_to=old, reuse=[home], rename=[("a", "z")])
        await torrent.finished()
        await torrent.move(new)
        await node.remove(torrent)
        again = await node.add(meta, save_to=new)
        await again.finished()
        assert (new / "many/z").read_bytes() == (home / "many/a").read_bytes()

    simulate(tmp_path, story)


def test_a_download_is_moved_in_the_middle(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        torrent, node, _ = await world.pair(2 << 20, PIECE, up=200_000)
        await world.until(lambda: torrent.picker.have.count() > 20)
        await torrent.move(world.folder / "new")
        assert not (world.folder / node.settings.bind / "file").exists()
        await torrent.finished()
        assert (world.folder / "new/file").read_bytes() == (world.folder / "seed/file").read_bytes()
        assert torrent.status().downloaded < (2 << 20) + 40 * PIECE

    simulate(tmp_path, story)


def test_pieces_that_come_while_it_moves_wait(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        torrent, _, _ = await world.pair(2 << 20, PIECE, up=200_000)
        await world.until(lambda: torrent.picker.have.count() > 20)
        move = torrent._data.move

        async def slow(*args: Any) -> Path:
            before = torrent.picker.have.count()
            await asyncio.sleep(2)
            assert torrent.picker.have.count() == before
            assert len(torrent.blocks) > 10
            return await move(*args)

        torrent._data.move = slow  # type: ignore[method-assign]
        moving = asyncio.create_task(torrent.move(world.folder / "new"))
        await asyncio.sleep(1)
        with pytest.raises(HostError, match="already"):
            await torrent.move(world.folder / "other")
        await moving
        await torrent.finished()
        new, seed = world.folder / "new/file", world.folder / "seed/file"
        assert new.read_bytes() == seed.read_bytes()
        assert torrent.status().hash_failures == 0

    simulate(tmp_path, story)


def test_what_comes_while_files_are_looked_at_is_not_in_doubt(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, folder = world.many_files({str(n): 20 * PIECE for n in range(9)}, PIECE)
        home = world.host(up=200_000)
        await (await world.node(home)).add(meta, data=folder)
        torrent = await world.download(await world.node(world.host()), meta, home)
        await world.until(lambda: torrent.picker.have.count() > 5)
        run, lost = torrent._data._run, list[Any]()

        async def late(job: Any, *args: Any) -> Any:
            result = await run(job, *args)
            await asyncio.sleep(3)
            return result

        torrent._data._run = late  # type: ignore[method-assign]
        torrent.pieces_lost = lost.append  # type: ignore[method-assign]
        torrent._keeper.look()
        await asyncio.sleep(4)
        torrent._data._run = run  # type: ignore[method-assign]
        await torrent.finished()
        assert not lost

    simulate(tmp_path, story)


def test_what_cannot_be_moved_stays(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, home = world.content(100_000, PIECE)
        node = await world.node(world.host())
        seed = await node.add(meta, data=home)
        await seed.finished()
        with pytest.raises(HostError, match="read-only"):
            await seed.move(world.folder / "new")
        await node.remove(seed)
        torrent = await node.add(meta, save_to=world.folder / "old", reuse=[home])
        await torrent.finished()
        (world.folder / "new").mkdir()
        (world.folder / "new/file").write_bytes(b"theirs")
        with pytest.raises(TargetExistsError):
            await torrent.move(world.folder / "new")
        assert isinstance(torrent.state, Seeding)
        assert (world.folder / "old/file").read_bytes() == (home / "file").read_bytes()

    simulate(tmp_path, story)


def test_preallocating_takes_the_room_at_once(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, _ = world.content(1 << 20, PIECE)
        node = await world.node(world.host())
        torrent = await node.add(meta, save_to=world.folder / "new", preallocate=True)
        await world.until(lambda: torrent.asking)
        found = (world.folder / "new/file").stat()
        assert found.st_size == 1 << 20
        assert found.st_blocks * 512 >= 1 << 20

    simulate(tmp_path, story)


def test_a_disk_too_small_is_told_before_the_first_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(fd: int, offset: int, length: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)

    async def story(world: World) -> None:
        meta, _ = world.content(1 << 20, PIECE)
        node = await world.node(world.host())
        torrent = await node.add(meta, save_to=world.folder / "new", preallocate=True)
        await world.until(lambda: isinstance(torrent.state, Paused))
        assert isinstance(torrent.error, DiskFullError)

    simulate(tmp_path, story)
