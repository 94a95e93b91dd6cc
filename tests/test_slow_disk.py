"""A disk that takes 300 ms for each write, under a real node: the loop goes on as if nothing were.

Everything is real: sockets, files, the pool's threads; only the disk blocks its caller for that long. A node
is asked for its status every 20 ms, and what counts is how long after that moment the answer was there:
whatever holds up the loop, before or in the answer, is in it.
"""

import asyncio
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from p2pswarm.config import Settings
from p2pswarm.formats.building import build
from p2pswarm.formats.ids import Address, PeerId
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.node import Node
from p2pswarm.swarm import peer
from p2pswarm.swarm.events import Seeding, StateChanged
from p2pswarm.swarm.torrent import Torrent
from p2pswarm.wire.peer import Hello, Ident, Reserved
from tests.support.disks import SlowStorage
from tests.support.quiet import quiet

WRITE = 0.3  # seconds
PIECE = 128 << 10
ASK_EVERY = 0.02  # seconds
PROMPT = 0.1  # seconds in which a status is there, however slow the disk
HANDSHAKE = 68  # bytes


class Disk:
    """Blocks whoever writes: from the start, or once it was written to from the loop `after` times, and then
    for `most` writes."""

    def __init__(self, *, after: int = 0, most: int = 1000) -> None:
        self._after, self._most = after, most
        self._loop = threading.get_ident()
        self._lock = threading.Lock()
        self._never = threading.Event()
        self.fast_on_loop = self.slow_on_loop = self.slow = 0

    def __call__(self) -> None:
        here = threading.get_ident() == self._loop
        with self._lock:
            slow = self.fast_on_loop >= self._after and self.slow < self._most
            self.slow += slow
            self.slow_on_loop += slow and here
            self.fast_on_loop += here and not slow
        if slow:
            self._never.wait(WRITE)

    def put_under(self, torrent: Torrent) -> None:
        """In place of the disk of a torrent that was added this moment."""
        torrent._data._storage = SlowStorage(torrent._data._storage, self)


class Watch:
    """Asks for the status again and again; `waits` is how many seconds each answer took."""

    def __init__(self, node: Node) -> None:
        self.waits: list[float] = []
        self._node = node
        self._loop = asyncio.get_running_loop()
        self._next = self._loop.call_soon(self._ask, self._loop.time())

    @classmethod
    @contextmanager
    def over(cls, node: Node) -> Iterator["Watch"]:
        watch = cls(node)
        try:
            yield watch
        finally:
            watch._next.cancel()

    def _ask(self, due: float) -> None:
        self._node.status()
        now = self._loop.time()
        self.waits.append(now - due)
        self._next = self._loop.call_at(now + ASK_EVERY, self._ask, now + ASK_EVERY)

    @property
    def late(self) -> list[float]:
        return [wait for wait in self.waits if wait > PROMPT]


def made(folder: Path, pieces: int) -> Metainfo:
    """A torrent of one file that lies in `folder`."""
    data = Random(1).randbytes(pieces * PIECE)
    folder.mkdir()
    (folder / "file").write_bytes(data)
    hashes = (hashlib.sha1(data[at : at + PIECE]).digest() for at in range(0, len(data), PIECE))
    return build(name="file", piece_length=PIECE, pieces=b"".join(hashes), length=len(data))


def settings(folder: Path) -> Settings:
    return quiet(port=0, bind="127.0.0.1", data_dir=folder)


async def seeded(node: Node, meta: Metainfo, data: Path) -> Torrent:
    torrent = await node.add(meta, data=data)
    events = torrent.events()
    while torrent.state != Seeding():
        assert isinstance(await anext(events), StateChanged)
    return torrent


async def hear_keep_alives(node: Node, torrent: Torrent, count: int) -> list[float]:
    """When they came to a peer that says nothing and is told nothing else."""
    reader, writer = await asyncio.open_connection("127.0.0.1", node.port)
    hello = Hello(Reserved.ours(), torrent.info_hash), Ident(PeerId.new(Random(1)))
    writer.write(b"".join(each.encode() for each in hello))
    await reader.readexactly(HANDSHAKE)
    times: list[float] = []
    while len(times) < count:
        length = int.from_bytes(await reader.readexactly(4))
        await reader.readexactly(length)
        if not length:
            times.append(asyncio.get_running_loop().time())
    writer.close()
    await writer.wait_closed()
    return times


async def test_a_slow_disk_holds_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A download of 40 pieces, of which four are written at a time: three seconds at the least."""
    monkeypatch.setattr(peer, "KEEP_ALIVE", 0.5)  # seconds; looked at once a second
    meta, other = made(tmp_path / "a", 40), made(tmp_path / "other", 1)
    async with Node(settings(tmp_path / "1")) as seed, Node(settings(tmp_path / "2")) as node:
        await seeded(seed, meta, tmp_path / "a")
        idle = await seeded(node, other, tmp_path / "other")
        with Watch.over(node) as watch:
            save_to = tmp_path / "b"
            peers = [Address("127.0.0.1", seed.port)]
            torrent = await node.add(meta, save_to=save_to, peers=peers)
            disk = Disk()
            disk.put_under(torrent)
            started = asyncio.get_running_loop().time()
            times, _ = await asyncio.gather(hear_keep_alives(node, idle, 2), torrent.finished())
        assert (disk.slow, disk.slow_on_loop) == (40, 0)
        assert times[1] - started < 3.5  # one looked for after 0.5 to 1.5 s, one a second later
        assert len(watch.waits) > 50
        assert not watch.late
    assert (save_to / "file").read_bytes() == (tmp_path / "a" / "file").read_bytes()


async def test_a_disk_that_becomes_slow_holds_up_the_loop_once(tmp_path: Path) -> None:
    """It was fast, so it is written to from the loop, until one write shows that it is not any more."""
    meta = made(tmp_path / "a", 160)
    async with Node(settings(tmp_path / "1")) as seed, Node(settings(tmp_path / "2")) as node:
        await seeded(seed, meta, tmp_path / "a")
        with Watch.over(node) as watch:
            peers = [Address("127.0.0.1", seed.port)]
            torrent = await node.add(meta, save_to=tmp_path / "b", peers=peers)
            disk = Disk(after=10, most=20)
            disk.put_under(torrent)
            await torrent.finished()
        assert disk.slow == 20
        assert disk.slow_on_loop <= 1
        assert len(watch.late) <= disk.slow_on_loop
        assert max(watch.waits) < WRITE + PROMPT
    assert (tmp_path / "b" / "file").read_bytes() == (tmp_path / "a" / "file").read_bytes()
