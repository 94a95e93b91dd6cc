"""The disk in the way: full, read-only, failing, cut off by SIGKILL, changed by somebody else.

What is promised: no wrong byte is ever served, nothing that was written is fetched again, the torrent says
why it pauses and goes on by itself, and the other torrents of the node do not notice.
"""

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from random import Random

import pytest
from typing_extensions import override

from p2pswarm.disk.storage import Storage
from p2pswarm.errors import DiskError, DiskFullError
from p2pswarm.formats.ids import BLOCK, Address
from p2pswarm.node import Node
from p2pswarm.swarm.events import (
    Checking,
    Completed,
    Downloading,
    Failed,
    Paused,
    Seeding,
    StateChanged,
)
from p2pswarm.swarm.torrent import Torrent
from tests.support.disks import FailingStorage, FullStorage, WrappedStorage
from tests.support.world import Host, World, simulate

pytestmark = pytest.mark.sim

MB = 1_000_000
PIECE = 4 * BLOCK


class ReadOnlyStorage(WrappedStorage):
    """As a disk that was mounted read-only, until `writable` is set."""

    writable = False

    @override
    def write(self, offset: int, data: memoryview | bytearray | bytes) -> None:
        if not self.writable:
            raise DiskError("cannot write file: Read-only file system", errno.EROFS)
        self.inner.write(offset, data)


class LosingStorage(WrappedStorage):
    """A sync that fails loses half of what was written since the last one, as Linux does."""

    def __init__(self, inner: Storage, dice: Random) -> None:
        super().__init__(inner)
        self.fails = False
        self._dice = dice
        self._dirty: list[tuple[int, int]] = []

    @override
    def write(self, offset: int, data: memoryview | bytearray | bytes) -> None:
        self.inner.write(offset, data)
        self._dirty.append((offset, len(data)))

    @override
    def sync(self) -> None:
        dirty, self._dirty = self._dirty, []
        if not self.fails or not dirty:
            self.inner.sync()
            return
        for offset, length in dirty:
            if self._dice.random() < 0.5:
                self.inner.write(offset, bytes(length))
        raise DiskError("cannot sync file: Input/output error", errno.EIO)


class CountingStorage(WrappedStorage):
    """Counts the bytes that are read."""

    def __init__(self, inner: Storage) -> None:
        super().__init__(inner)
        self.read_bytes = 0

    @override
    def read_into(self, offset: int, into: Sequence[memoryview], *, wait: bool = True) -> bool:
        self.read_bytes += len(into)
        return self.inner.read_into(offset, into, wait=wait)


def original(world: World, name: str = "file") -> bytes:
    return (world.folder / "seed" / name).read_bytes()


# Full, read-only, failing


@pytest.mark.parametrize("room", [0, 1, MB, 4 * MB - 1])
def test_a_full_disk_pauses_and_goes_on(tmp_path: Path, room: int) -> None:
    async def story(world: World) -> None:
        torrent, node, home = await world.pair(4 * MB, PIECE, up=MB)
        disk = world.put_disk(torrent, lambda inner: FullStorage(inner, room))
        await world.until(lambda: isinstance(torrent.state, Paused))
        await asyncio.sleep(60)
        assert torrent.state == Paused("cannot write file: No space left on device")
        assert isinstance(torrent.error, DiskFullError)
        assert not torrent._finished.is_set()
        disk.room = 10 * MB
        freed = world.loop.now
        await world.until(lambda: not isinstance(torrent.state, Paused))
        assert world.loop.now - freed <= 10
        assert torrent.error is None
        await torrent.finished()
        assert world.copy_of(node) == original(world)
        status = torrent.status()
        assert (status.downloaded, status.wasted) == (4 * MB, 0)
        assert home.sent < 1.01 * 4 * MB

    simulate(tmp_path, story)


def test_a_disk_that_becomes_read_only(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        torrent, node, home = await world.pair(4 * MB, PIECE, up=MB)
        disk = world.put_disk(torrent, ReadOnlyStorage)
        await world.until(lambda: isinstance(torrent.state, Paused))
        assert torrent.state == Paused("cannot write file: Read-only file system")
        await asyncio.sleep(30)
        disk.writable = True
        freed = world.loop.now
        await world.until(lambda: isinstance(torrent.state, Downloading))
        assert world.loop.now - freed <= 10
        await torrent.finished()
        assert world.copy_of(node) == original(world)
        assert home.sent < 1.01 * 4 * MB

    simulate(tmp_path, story)


def test_one_write_in_fifty_fails(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        torrent, node, home = await world.pair(4 * MB, PIECE, up=MB)
        world.put_disk(torrent, lambda inner: FailingStorage(inner, world.dice, writes=0.02))
        states = [event.state async for event in changes(torrent)]
        assert any(isinstance(state, Paused) for state in states)
        assert world.copy_of(node) == original(world)
        assert home.sent < 1.01 * 4 * MB

    simulate(tmp_path, story, seed=3)


async def changes(torrent: Torrent) -> AsyncIterator[StateChanged]:
    """How the state changes until the download is complete."""
    async for event in torrent.events():
        if isinstance(event, Completed):
            return
        if isinstance(event, StateChanged):
            yield event


def test_a_sync_that_fails_for_long(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        torrent, node, _ = await world.pair(4 * MB, PIECE, up=40_000)
        disk = world.put_disk(torrent, lambda inner: FailingStorage(inner, world.dice))
        await asyncio.sleep(30)
        disk.sync_fails = True
        await asyncio.sleep(60)
        assert torrent.state == Paused("cannot sync file: Input/output error")
        fetched = torrent.progress().downloaded
        await asyncio.sleep(60)
        assert torrent.state == Paused("cannot sync file: Input/output error")
        assert torrent.progress().downloaded == fetched
        disk.sync_fails = False
        await asyncio.sleep(6)
        assert isinstance(torrent.state, Downloading)
        await torrent.finished()
        assert world.copy_of(node) == original(world)
        assert torrent.progress().downloaded < 4 * MB + MB // 2  # what was on its way is lost

    simulate(tmp_path, story)


@pytest.mark.parametrize("seed", range(3))
def test_a_failing_sync_claims_nothing_and_serves_nothing_wrong(tmp_path: Path, seed: int) -> None:
    """The sync of each minute fails twice, and the disk lost half of what it should have written."""

    async def story(world: World) -> None:
        torrent, node, home = await world.pair(4 * MB, PIECE, up=40_000)
        disk = world.put_disk(torrent, lambda inner: LosingStorage(inner, world.dice))
        disk.fails = True
        other, _ = world.content(4 * MB, PIECE, "other")
        home.up = 80_000
        await world.nodes[0].add(other, data=world.folder / "seed")
        beside = await world.download(node, other, home)
        third = await world.node(world.host())
        friend = await world.download(third, torrent.metainfo, Host(node.settings.bind))
        await world.until(lambda: isinstance(torrent.state, Paused))
        assert torrent.state == Paused("cannot sync file: Input/output error")
        assert isinstance(beside.state, Downloading)
        assert not torrent.picker.have.any()
        moved = beside.status().done
        await asyncio.sleep(20)
        assert beside.status().done > moved
        disk.fails = False
        await asyncio.gather(torrent.finished(), beside.finished(), friend.finished())
        assert world.copy_of(node) == world.copy_of(third) == original(world)
        assert world.copy_of(node, "other") == original(world, "other")
        assert friend.status().hash_failures == 0

    simulate(tmp_path, story, seed)


# SIGKILL


async def start_again(world: World, node: Node, *others: Host) -> tuple[Torrent, CountingStorage]:
    """A new node in the place of one that was killed, with the same download."""
    meta = next(iter(node.torrents.values())).metainfo
    await world.kill(node)
    again = await world.node(world.loop.hosts[node.settings.bind])
    torrent = await world.download(again, meta, *others)
    return torrent, world.put_disk(torrent, CountingStorage)


@pytest.mark.parametrize("seed", range(20))
def test_killed_at_any_instant(tmp_path: Path, seed: int) -> None:
    async def story(world: World) -> None:
        torrent, node, home = await world.pair(4 * MB, PIECE, up=0.5 * MB)
        await asyncio.sleep(world.dice.uniform(0, 9))
        before, had = torrent.progress().downloaded, torrent.picker.have.copy()
        unfinished = PIECE * len(torrent.blocks)
        torrent, disk = await start_again(world, node, home)
        await world.until(lambda: not isinstance(torrent.state, Checking))
        assert (torrent.picker.have & had) == had
        assert disk.read_bytes <= 16 * PIECE
        await torrent.finished()
        again = before + torrent.progress().downloaded - torrent.metainfo.total
        assert again <= max(MB, unfinished)
        assert torrent.status().hash_failures == 0
        assert world.copy_of(world.nodes[-1]) == original(world)

    simulate(tmp_path, story, seed)


@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.05, 0.1, 0.2, 0.3])
def test_killed_before_the_first_piece(tmp_path: Path, seconds: float) -> None:
    async def story(world: World) -> None:
        torrent, node, home = await world.pair(4 * MB, PIECE, up=0.1 * MB)
        if seconds:
            await asyncio.sleep(seconds)
        assert not torrent.picker.have.any()
        torrent, disk = await start_again(world, node, home)
        await asyncio.sleep(0.1)
        assert not isinstance(torrent.state, Failed)
        assert disk.read_bytes == 0
        await torrent.finished()
        assert world.copy_of(world.nodes[-1]) == original(world)

    simulate(tmp_path, story)


@pytest.mark.parametrize("nth", [1, 2, 20])
def test_killed_between_a_write_and_its_note(tmp_path: Path, nth: int) -> None:
    """The piece is on the disk and nobody knows: never a TargetExistsError, at most it comes again."""

    class LastWrite(WrappedStorage):
        left = nth

        @override
        def write(self, offset: int, data: memoryview | bytearray | bytes) -> None:
            self.left -= 1
            if self.left >= 0:
                self.inner.write(offset, data)
            if self.left <= 0:
                raise DiskError("killed")

    async def story(world: World) -> None:
        torrent, node, home = await world.pair(4 * MB, PIECE, up=0.5 * MB)
        disk = world.put_disk(torrent, LastWrite)
        await world.until(lambda: disk.left <= 0)
        torrent, _ = await start_again(world, node, home)
        await torrent.finished()
        assert torrent.progress().downloaded >= 4 * MB - nth * PIECE
        assert world.copy_of(world.nodes[-1]) == original(world)

    simulate(tmp_path, story)


def test_killed_again_and_again(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        torrent, node, home = await world.pair(4 * MB, PIECE, up=0.2 * MB)
        carried = 0
        for _ in range(10):
            await asyncio.sleep(world.dice.uniform(0.5, 3))
            carried += torrent.progress().downloaded
            torrent, _ = await start_again(world, node, home)
            node = world.nodes[-1]
        await torrent.finished()
        carried += torrent.progress().downloaded
        assert carried < 4 * MB + 10 * MB
        assert world.copy_of(node) == original(world)

    simulate(tmp_path, story)


def test_killed_while_seeding_nothing_is_read_again(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, folder = world.content(16 * MB, PIECE)
        node = await world.node(world.host())
        torrent = await node.add(meta, data=folder)
        await world.until(lambda: isinstance(torrent.state, Seeding))
        await world.kill(node)
        again = await world.node(world.loop.hosts[node.settings.bind])
        torrent = await again.add(meta, data=folder)
        disk = world.put_disk(torrent, CountingStorage)
        await world.until(lambda: isinstance(torrent.state, Seeding))
        assert disk.read_bytes <= 16 * PIECE

    simulate(tmp_path, story)


# Files that somebody changed


def spoil(path: Path) -> None:
    """One byte in the middle is another one."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes((byte[0] ^ 0xFF,)))


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 3)


def remove(path: Path) -> None:
    path.unlink()


def replace(path: Path) -> None:
    """Another file under the same name, as editors save."""
    fresh = path.with_name("fresh")
    fresh.write_bytes(bytes(path.stat().st_size))
    fresh.replace(path)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def empty(path: Path) -> None:
    path.write_bytes(b"")


DAMAGES = [spoil, cut, remove, replace, empty]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("asked_at_once", [True, False])
def test_a_seed_whose_file_was_changed(
    tmp_path: Path, damage: Callable[[Path], None], asked_at_once: bool
) -> None:
    """It serves no wrong byte, pauses with the reason, and comes back when the file is as it was."""

    async def story(world: World) -> None:
        meta, folder = world.content(2 * MB, PIECE)
        home = world.host()
        seed = await (await world.node(home)).add(meta, data=folder)
        await world.until(lambda: isinstance(seed.state, Seeding))
        await asyncio.sleep(1)
        kept = (folder / "file").read_bytes()
        damage(folder / "file")
        await asyncio.sleep(0 if asked_at_once else 40)
        node = await world.node(world.host())
        torrent = await world.download(node, meta, home)
        await asyncio.sleep(60)
        assert isinstance(seed.state, Paused)
        assert seed.state.reason.endswith("of 31 pieces are not on the disk")
        assert torrent.status().hash_failures == 0
        (folder / "file").write_bytes(kept)
        await asyncio.sleep(6)
        assert isinstance(seed.state, Seeding)
        await torrent.finished()
        assert torrent.status().hash_failures == 0
        assert world.copy_of(node) == kept

    simulate(tmp_path, story)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_finished_download_whose_file_was_changed(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    """What is missing is fetched again, and a third one gets no wrong byte in between."""

    async def story(world: World) -> None:
        torrent, node, _home = await world.pair(4 * MB, PIECE, up=2 * MB)
        await torrent.finished()
        await asyncio.sleep(10)
        damage(world.folder / node.settings.bind / "file")
        third = await world.node(world.host())
        friend = await world.download(third, torrent.metainfo, Host(node.settings.bind))
        await friend.finished()
        assert friend.status().hash_failures == 0
        await asyncio.sleep(60)
        assert torrent.state == Seeding()
        assert world.copy_of(node) == world.copy_of(third) == original(world)

    simulate(tmp_path, story)


@pytest.mark.parametrize("damage", [*DAMAGES, grow])
@pytest.mark.parametrize("done", [True, False])
def test_a_file_changed_before_a_restart(
    tmp_path: Path, damage: Callable[[Path], None], done: bool
) -> None:
    async def story(world: World) -> None:
        torrent, node, home = await world.pair(4 * MB, PIECE, up=2 * MB)
        await world.until(lambda: torrent.picker.done if done else torrent.status().have > 20)
        await asyncio.sleep(1)
        await node.aclose()
        path = world.folder / node.settings.bind / "file"
        os.utime(
            path, ns=(0, 0)
        )  # the change below is not within the two seconds of a clock's slack
        damage(path)
        again = await world.node(world.loop.hosts[node.settings.bind])
        torrent = await world.download(again, torrent.metainfo, home)
        third = await world.node(world.host())
        friend = await world.download(third, torrent.metainfo, Host(node.settings.bind))
        await asyncio.gather(torrent.finished(), friend.finished())
        assert friend.status().hash_failures == 0
        assert world.copy_of(again)[: 4 * MB] == world.copy_of(third) == original(world)

    simulate(tmp_path, story)


def test_a_touched_file_is_checked_and_served_on(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        meta, folder = world.content(2 * MB, PIECE)
        home = world.host(up=0.2 * MB)
        seed = await (await world.node(home)).add(meta, data=folder)
        node = await world.node(world.host())
        torrent = await world.download(node, meta, home)
        await world.until(lambda: torrent.status().have > 5)
        (folder / "file").touch()
        await torrent.finished()
        assert seed.state == Seeding()
        assert world.loop.now < 30

    simulate(tmp_path, story)


def test_reads_that_fail_now_and_then(tmp_path: Path) -> None:
    """EIO on reads: the piece is not ours until it can be read again, and no wrong byte leaves."""

    async def story(world: World) -> None:
        meta, folder = world.content(2 * MB, PIECE)
        home = world.host(up=MB)
        seed = await (await world.node(home)).add(meta, data=folder)
        disk = world.put_disk(seed, lambda inner: FailingStorage(inner, world.dice))
        await world.until(lambda: isinstance(seed.state, Seeding))
        disk.reads = 0.05
        node = await world.node(world.host())
        torrent = await world.download(node, meta, home)
        await torrent.finished()
        assert torrent.status().hash_failures == 0
        assert world.copy_of(node) == original(world)

    simulate(tmp_path, story)


def test_one_file_of_many(tmp_path: Path) -> None:
    """Only the pieces of the file that went are fetched again."""

    async def story(world: World) -> None:
        sizes = {f"{n:02}": 3 * PIECE + n for n in range(20)}
        meta, folder = world.many_files(sizes, PIECE)
        home = world.host(up=MB)
        await (await world.node(home)).add(meta, data=folder)
        node = await world.node(world.host())
        torrent = await world.download(node, meta, home)
        await torrent.finished()
        await asyncio.sleep(1)
        mine = world.folder / node.settings.bind / "many"
        (mine / "07").unlink()
        events = torrent.events()
        await world.until(lambda: not isinstance(torrent.state, Seeding))
        assert torrent.picker.missing.count() <= 5
        async for event in events:
            if isinstance(event, Completed):
                break
        for name in sizes:
            assert (mine / name).read_bytes() == (folder / "many" / name).read_bytes()
        assert torrent.progress().downloaded <= meta.total + 5 * PIECE

    simulate(tmp_path, story)


def test_a_partial_seed_gets_the_rest_of_its_file_from_elsewhere(tmp_path: Path) -> None:
    """`data` is only read: what is missing there is waited for, never written."""

    async def story(world: World) -> None:
        meta, folder = world.content(2 * MB, PIECE)
        whole = original(world)
        half = tmp_path / "half"
        half.mkdir()
        (half / "file").write_bytes(whole[:MB])
        home = world.host()
        seed = await (await world.node(world.host())).add(meta, data=folder)
        partial = await (await world.node(home)).add(
            meta, data=half, peers=[Address("10.0.0.2", 46881)]
        )
        await asyncio.sleep(20)
        assert isinstance(partial.state, Paused)
        assert (half / "file").read_bytes() == whole[:MB]
        (half / "file").write_bytes(whole)
        await asyncio.sleep(6)
        assert partial.state == seed.state == Seeding()

    simulate(tmp_path, story)
