"""A swarm in virtual time: real nodes and real files on the laboratory's loop and hosts.

`simulate(story)` runs a coroutine on a `VirtualLoop`: an hour of choking takes as long as its messages take.
Hosts have an uplink of so many bytes per second, a delay, and a plug that can be pulled. No uplink here is
without limit: what a transport is given is read only when the uplink gets to it, so a buffer that is used
again too early is found out by the hashes. Whatever reaches the loop's exception handler fails the story.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

from p2pswarm.disk.storage import Storage
from p2pswarm.formats.building import build
from p2pswarm.formats.ids import Address
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.lab.loop import VirtualLoop, virtual_loop
from p2pswarm.lab.wires import Host, Transport, pump
from p2pswarm.node import Node
from p2pswarm.swarm.torrent import Torrent
from tests.support.quiet import quiet

__all__ = ["Host", "Transport", "VirtualLoop", "World", "simulate", "virtual_loop"]

FAST = 1e300  # bytes per second: no limit, but what is sent is read only when the uplink gets to it


class World:
    """Hosts and the nodes on them. `dice` makes every run the same run."""

    def __init__(self, folder: Path, loop: VirtualLoop, seed: int) -> None:
        self.folder = folder
        self.loop = loop
        self.dice = Random(seed)
        self.nodes: list[Node] = []

    def host(self, up: float = FAST, delay: float = 0.01) -> Host:
        host = Host(f"10.0.0.{len(self.loop.hosts) + 1}", up, delay)
        self.loop.hosts[host.name] = host
        return host

    def unplug(self, host: Host) -> None:
        host.online = False

    def plug_in(self, host: Host) -> None:
        host.online = True
        pump(self.loop, host)

    async def node(self, host: Host, **settings: Any) -> Node:
        settings = {"disk_threads": 0, "port": 46881, **settings}
        data_dir = self.folder / f"{host.name}-state"
        node = Node(
            quiet(bind=host.name, data_dir=data_dir, **settings),
            dice=Random(self.dice.random()),
        )
        await node.open()
        self.nodes.append(node)
        return node

    async def kill(self, node: Node) -> None:
        """As SIGKILL does: nothing is told, noted or synced; the kernel closes sockets, files and locks."""
        self.nodes.remove(node)
        self.loop.listeners.pop((node.settings.bind, node.port), None)
        for name, ear in list(self.loop.ears.items()):
            if name[0] == node.settings.bind:
                ear.abort()
        for transport in list(self.loop.transports):
            if transport.host.name == node.settings.bind:
                transport.abort()
        ending = set(node._starts.values())
        for torrent in node.torrents.values():
            torrent._over = True
            torrent._rest()
            torrent._data.abandon()
            ending |= torrent._work | torrent.finding.tasks
        for task in ending:
            task.cancel()
        if ending:
            await asyncio.wait(ending)

    def content(
        self, size: int, piece_length: int = 256 << 10, name: str = "file"
    ) -> tuple[Metainfo, Path]:
        """A torrent of `size` random bytes, and the folder its file lies in."""
        data = self.dice.randbytes(size)
        folder = self.folder / "seed"
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
        hashes = _hashes(data, piece_length)
        return build(name=name, piece_length=piece_length, pieces=hashes, length=size), folder

    def many_files(self, sizes: dict[str, int], piece_length: int) -> tuple[Metainfo, Path]:
        """A torrent of a folder `many` with these files, and the folder that it lies in."""
        folder = self.folder / "seed"
        stream = b""
        for name, size in sizes.items():
            data = self.dice.randbytes(size)
            stream += data
            path = folder / "many" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        files = [(tuple(name.split("/")), size) for name, size in sizes.items()]
        hashes = _hashes(stream, piece_length)
        return build(name="many", piece_length=piece_length, pieces=hashes, files=files), folder

    async def download(self, node: Node, meta: Metainfo, *others: Host) -> Torrent:
        peers = [Address(other.name, 46881) for other in others]
        folder = self.folder / node.settings.bind
        folder.mkdir(exist_ok=True)
        return await node.add(meta, save_to=folder, peers=peers)

    async def pair(
        self, size: int, piece_length: int, up: float = FAST
    ) -> tuple[Torrent, Node, Host]:
        """A seed and a download of its file that begins: the download, its node, the seed's host."""
        meta, folder = self.content(size, piece_length)
        home, away = self.host(up=up), self.host()
        await (await self.node(home)).add(meta, data=folder)
        node = await self.node(away)
        return await self.download(node, meta, home), node, home

    async def until(self, condition: Callable[[], object], seconds: float = 100.0) -> None:
        """Until this holds; looked at often. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.05)

    def make_liar(self, torrent: Torrent, share: float) -> None:
        """From now on this share of what the torrent reads for others has one wrong bit."""
        honest = torrent.read

        def lie(offset: int, into: Sequence[memoryview], done: Callable[[Any], None]) -> None:
            honest(offset, into, done=lambda error: None)
            if self.dice.random() < share:
                into[0][0] ^= 1
            done(None)

        torrent.read = lie  # type: ignore[method-assign]

    def put_disk(self, torrent: Torrent, wrap: Callable[[Storage], Any]) -> Any:
        """Another disk under a torrent that was added this moment; see `tests.support.disks`."""
        disk = torrent._data._storage = wrap(torrent._data._storage)
        return disk

    def copy_of(self, node: Node, name: str = "file") -> bytes:
        return (self.folder / node.settings.bind / name).read_bytes()

    async def aclose(self) -> None:
        await asyncio.gather(*(node.aclose() for node in self.nodes))


def _hashes(data: bytes, piece_length: int) -> bytes:
    pieces = (data[at : at + piece_length] for at in range(0, len(data), piece_length))
    return b"".join(hashlib.sha1(piece).digest() for piece in pieces)


LONGEST = 7200.0  # virtual seconds in which a story has to end


def simulate(folder: Path, story: Callable[[World], Awaitable[None]], seed: int = 1) -> float:
    """Run the story to its end; returns the virtual seconds it took. Raises TimeoutError."""

    async def play(loop: VirtualLoop) -> None:
        loop.dice = Random(seed)
        world = World(folder, loop, seed)
        try:
            async with asyncio.timeout(LONGEST):
                await story(world)
        finally:
            await world.aclose()

    with virtual_loop() as loop:
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(play(loop))
        finally:
            asyncio.set_event_loop(None)
        assert not loop.complaints, loop.complaints[:3]
        return loop.now
