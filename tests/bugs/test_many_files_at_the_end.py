"""A download of many small files said that the disk hangs: it ended while they were being flushed."""

import asyncio
import logging
from functools import partial
from pathlib import Path
from threading import Event

import pytest
from typing_extensions import override

from p2pswarm.disk import storage as files
from p2pswarm.disk.pool import DiskPool
from p2pswarm.disk.storage import Storage
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.swarm import data as rooms
from tests.support.disks import WrappedStorage
from tests.swarm.test_data import Room, have, meta, store

__all__ = ["meta"]  # a fixture

SOON = 10.0  # seconds; what is waited for comes in a fraction of one


class Told(WrappedStorage):
    """Tells that it was closed."""

    def __init__(self, inner: Storage, closed: Event) -> None:
        super().__init__(inner)
        self.closed = closed

    @override
    def close(self) -> None:
        self.inner.close()
        self.closed.set()


async def test_a_checkpoint_of_many_files_ends_with_the_one_it_is_at(
    tmp_path: Path,
    meta: Metainfo,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    room, closed, reached = Room(tmp_path, meta), Event(), asyncio.Event()
    loop, flushed = asyncio.get_running_loop(), []

    def flush(file: int) -> None:
        flushed.append(file)
        loop.call_soon_threadsafe(reached.set)
        assert closed.wait(SOON)

    monkeypatch.setattr(rooms, "FILES_AT_END", 1)
    monkeypatch.setattr(files, "_fdatasync", flush)
    data = room.open(wrap=partial(Told, closed=closed))
    await room.load(data)
    data._disk = disk = DiskPool(threads=2)
    await data.prepare(have())
    await store(data, 3)  # in two files
    noting = asyncio.create_task(data.checkpoint(have(3), 0, 0))
    await asyncio.wait_for(reached.wait(), SOON)
    noting.cancel()  # as the keeper does; the disk goes on
    with caplog.at_level(logging.WARNING):
        await data.close(have(3), 0, 0)
    assert noting.cancelled()
    assert len(flushed) == 1
    assert not caplog.text
    await disk.aclose()
    assert await room.load(room.open()) == [3]  # the note was made when the piece was stored
