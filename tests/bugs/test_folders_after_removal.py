"""A torrent that was removed while its first job waited for a thread got its folders after that."""

import asyncio
from functools import partial
from pathlib import Path
from threading import Event

import pytest
from typing_extensions import override

from p2pswarm.disk.pool import DiskPool
from p2pswarm.disk.storage import Storage
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.swarm import data as rooms
from p2pswarm.swarm.data import TorrentData
from tests.support.disks import WrappedStorage
from tests.support.patience import PATIENCE
from tests.swarm.test_data import Room, have, meta

__all__ = ["meta"]  # a fixture


class Gated(WrappedStorage):
    """Folders are made once the gate is open."""

    def __init__(self, inner: Storage, gate: Event) -> None:
        super().__init__(inner)
        self.gate = gate
        self.reached, self.closed = Event(), Event()

    @override
    def prepare(self) -> None:
        self.reached.set()
        assert self.gate.wait(PATIENCE)
        self.inner.prepare()

    @override
    def close(self) -> None:
        self.inner.close()
        self.closed.set()


@pytest.fixture
def room(tmp_path: Path, meta: Metainfo) -> Room:
    return Room(tmp_path, meta)


async def opened(room: Room, gate: Event, disk: DiskPool) -> TorrentData:
    data = room.open(wrap=partial(Gated, gate=gate))
    await room.load(data)
    data._disk = disk
    return data


async def cancelled(data: TorrentData) -> None:
    """While its first job waits, or runs."""
    starting = asyncio.create_task(data.prepare(have()))
    await asyncio.sleep(0)
    starting.cancel()
    await asyncio.wait([starting])


async def until(event: Event) -> None:
    async with asyncio.timeout(PATIENCE):
        while not event.is_set():
            await asyncio.sleep(0)


async def test_what_waits_for_a_thread_makes_nothing(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "CLOSE_FILES", 0.01)
    hangs, disk = Event(), DiskPool(threads=1)
    job = disk.begin(hangs.wait, PATIENCE)
    gate = Event()
    gate.set()
    data = await opened(room, gate, disk)
    await cancelled(data)
    await data.close(None, 0, 0)
    hangs.set()
    await job
    await disk.aclose()
    assert not room.path("").exists()
    room.open()  # nothing is locked


async def test_what_runs_is_over_first(room: Room) -> None:
    gate, disk = Event(), DiskPool(threads=2)
    data = await opened(room, gate, disk)
    await cancelled(data)
    await until(room.disk.reached)
    closing = asyncio.create_task(data.close(None, 0, 0))
    await until(room.disk.closed)
    await asyncio.sleep(0)
    assert not closing.done()
    gate.set()
    await closing
    assert room.path("b").exists()
    await disk.aclose()
    room.open()
