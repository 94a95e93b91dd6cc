"""Pauses that never ended, that flickered, or that were failures."""

import asyncio
import errno
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from p2pswarm.config import Settings
from p2pswarm.errors import DiskFullError
from p2pswarm.formats.ids import BLOCK, Address
from p2pswarm.node import Node
from p2pswarm.swarm import ticking, torrent as torrents
from p2pswarm.swarm.events import Completed, Downloading, Paused, Seeding, StateChanged
from tests.support.disks import FullStorage, WrappedStorage
from tests.support.quiet import quiet
from tests.support.world import World, simulate

pytestmark = pytest.mark.sim

MB = 1_000_000
PIECE = 4 * BLOCK
NO_ROOM = "cannot create many: No space left on device"


def test_no_room_at_the_start_was_a_failure(tmp_path: Path) -> None:
    """There is not even room for a folder; the torrent waits."""

    class NoRoom(WrappedStorage):
        full = True

        @override
        def prepare(self) -> None:
            if self.full:
                raise DiskFullError(NO_ROOM, errno.ENOSPC)
            self.inner.prepare()

    async def story(world: World) -> None:
        torrent, _, _ = await world.pair(4 * MB, PIECE, up=MB)
        disk = world.put_disk(torrent, NoRoom)
        await asyncio.sleep(20)
        assert torrent.state == Paused(NO_ROOM)
        disk.full = False
        await world.until(lambda: torrent.state == Downloading(), 6)
        await torrent.finished()

    simulate(tmp_path, story)


def test_a_seed_that_could_not_note_its_state_paused_for_ever(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, folder = world.content(MB, PIECE)
        node = await world.node(world.host())
        torrent = await node.add(meta, data=folder)
        await world.until(lambda: torrent.state == Seeding())
        notes = node.settings.data_dir / "resume"
        notes.rename(tmp_path / "elsewhere")
        await asyncio.sleep(130)
        assert torrent.state == Seeding()
        (tmp_path / "elsewhere").rename(notes)

    simulate(tmp_path, story)


def test_a_finished_download_that_could_not_note_its_state_goes_on(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        torrent, node, _ = await world.pair(MB, PIECE)
        await torrent.finished()
        notes = node.settings.data_dir / "resume"
        notes.rename(tmp_path / "elsewhere")
        await asyncio.sleep(70)
        assert isinstance(torrent.state, Paused)
        await torrent.finished()  # raised what made it pause
        (tmp_path / "elsewhere").rename(notes)
        await asyncio.sleep(6)
        assert torrent.state == Seeding()
        assert torrent.error is None

    simulate(tmp_path, story)


async def test_a_full_disk_under_threads_flickered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each retry said Downloading and asked for more, before its write had failed in the thread."""
    monkeypatch.setattr(torrents, "RETRY_DISK_EVERY", 0.02)
    monkeypatch.setattr(ticking, "TICK", 0.01)
    world = World(tmp_path, None, 1)  # type: ignore[arg-type]  # for its content only
    meta, folder = world.content(6 * MB, 2 << 20)  # pieces too large to be written on the loop

    def settings(name: str) -> Settings:
        more: dict[str, Any] = {"disk_threads": 2, "data_dir": tmp_path / name}
        return quiet(bind="127.0.0.1", port=0, **more)

    async with Node(settings("one")) as one, Node(settings("two")) as two:
        seed = await one.add(meta, data=folder)
        while seed.state != Seeding():
            await asyncio.sleep(0)
        peers = [Address("127.0.0.1", one.port)]
        torrent = await two.add(meta, save_to=tmp_path / "to", peers=peers)
        disk = torrent._data._storage = FullStorage(torrent._data._storage, MB)
        states = []
        refused = 0
        write = disk.write

        def count(*args: Any) -> None:
            nonlocal refused
            try:
                write(*args)
            except DiskFullError:
                refused += 1
                if refused == 60:
                    disk.room = 10 * MB
                raise

        disk.write = count  # type: ignore[method-assign]
        async for event in torrent.events():
            if isinstance(event, StateChanged):
                states.append(type(event.state))
            if isinstance(event, Completed):
                break
    assert refused >= 60
    assert states.count(Paused) == 1
    assert states.count(Downloading) <= 2  # at first, and when there is room again
    assert (tmp_path / "to" / "file").read_bytes() == (folder / "file").read_bytes()
