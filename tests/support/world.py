"""A swarm in virtual time: real nodes, real files, a loop whose clock jumps, a network that is memory.

`simulate(story)` runs a coroutine on a `VirtualLoop`. When nothing is ready the clock jumps to the next
timer, so an hour of choking takes as long as its messages take. Nodes are the real ones: the loop's own
`create_server` and `create_connection` connect them, through hosts that have an uplink of so many bytes per
second, a delay, and a plug that can be pulled. What a transport is given it reads only when the uplink gets
to it, so a buffer that is used again too early is found out by the hashes. Datagrams travel as fast and wait
for nobody; a host that loses some (`Host.loss`) throws the story's own dice. Whatever reaches the loop's
exception handler fails the story.
"""

import asyncio
import errno
import hashlib
import itertools
import selectors
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from weakref import WeakSet

from p2pswarm.config import Settings
from p2pswarm.disk.storage import Storage
from p2pswarm.formats.ids import Address
from p2pswarm.formats.metainfo import Metainfo, build
from p2pswarm.node import Node
from p2pswarm.swarm.torrent import Torrent

CHUNK = 16 << 10  # bytes that one connection sends before the next one's turn on the same uplink


class _NoWaiting(selectors.SelectSelector):
    """Never sleeps: the loop's clock jumps by as much as it would have waited."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("the story waits for something that nobody will ever do")
            self.loop.now += timeout
        return ready


@dataclass
class Host:
    """One machine: its line to the others."""

    name: str
    up: float = float("inf")  # bytes per second
    delay: float = 0.01  # seconds to any other host
    loss: float = 0.0  # share of the datagrams from and to it that never arrive
    online: bool = True
    sent: int = 0  # bytes that left it
    line: deque["Transport"] = field(default_factory=deque)
    pumping: bool = False


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop with its own time and its own network."""

    def __init__(self) -> None:
        self.now = 0.0
        self.hosts: dict[str, Host] = {}
        self.listeners: dict[tuple[str, int], Callable[[], asyncio.BaseProtocol]] = {}
        self.ears: dict[tuple[str, int], DatagramTransport] = {}
        self.dice = Random(1)  # for what is lost
        self.ports = itertools.count(50_000)
        self.transports: WeakSet[Transport] = WeakSet()
        self.complaints: list[dict[str, Any]] = []
        selector = _NoWaiting()
        selector.loop = self
        super().__init__(selector)
        self.set_exception_handler(lambda _, context: self.complaints.append(context))

    def time(self) -> float:
        return self.now

    async def create_server(
        self, factory: Any, host: Any = None, port: Any = None, **_: Any
    ) -> Any:
        number = port or next(self.ports)
        self.listeners[host, number] = factory
        return _Server(self, (host, number))

    async def create_connection(
        self, factory: Any, host: Any = None, port: Any = None, *, local_addr: Any = None, **_: Any
    ) -> Any:
        assert local_addr is not None, "every node of a world listens on an address of its own"
        here, there = self.hosts[local_addr[0]], self.hosts.get(host)
        if there is None:
            await asyncio.sleep(here.delay)
            raise OSError(errno.EHOSTUNREACH, "No route to host")
        await asyncio.sleep(here.delay + there.delay)
        answer = self.listeners.get((host, port))
        if answer is None or not (here.online and there.online):
            raise ConnectionRefusedError(f"nobody listens on {host}:{port}")
        ours, theirs = factory(), answer()
        name = (here.name, next(self.ports))
        near = Transport(self, here, there, ours, name, (host, port))
        far = Transport(self, there, here, theirs, (host, port), name)
        near.other, far.other = far, near
        theirs.connection_made(far)
        ours.connection_made(near)
        return near, ours

    async def create_datagram_endpoint(self, factory: Any, local_addr: Any = None, **_: Any) -> Any:
        host, port = local_addr
        name = (host, port or next(self.ports))
        if name in self.ears:
            raise OSError(errno.EADDRINUSE, "Address already in use")
        transport = self.ears[name] = DatagramTransport(self, self.hosts[host], factory(), name)
        transport.protocol.connection_made(transport)
        return transport, transport.protocol


class _Server:
    def __init__(self, loop: VirtualLoop, name: tuple[str, int]) -> None:
        self.sockets = [self]
        self._loop, self._name = loop, name

    def getsockname(self) -> tuple[str, int]:
        return self._name

    def close(self) -> None:
        self._loop.listeners.pop(self._name, None)

    async def wait_closed(self) -> None:
        pass


class Transport(asyncio.Transport):
    """One end of a connection. What is written waits here until the uplink has room."""

    other: "Transport"

    def __init__(
        self,
        loop: VirtualLoop,
        here: Host,
        there: Host,
        protocol: Any,
        name: tuple[str, int],
        remote: tuple[str, int],
    ) -> None:
        super().__init__({"peername": remote, "sockname": name})
        self._loop, self._here, self._there = loop, here, there
        self._protocol = protocol
        self._waiting: deque[memoryview] = deque()
        self.arriving: deque[bytes] = deque()
        self._size = 0
        self._paused = False
        self._dead = False
        self._deaf = False
        loop.transports.add(self)

    @property
    def host(self) -> Host:
        return self._here

    def set_write_buffer_limits(self, high: Any = None, low: Any = None) -> None:
        assert high == low == 0

    def get_write_buffer_size(self) -> int:
        return self._size

    def write(self, data: Any) -> None:
        if self._dead or not len(data):
            return
        self._waiting.append(memoryview(data))
        self._size += len(data)
        if not self._paused:
            self._paused = True
            self._protocol.pause_writing()
        self.pump()

    def take(self) -> bytes:
        """The next bytes for the uplink, copied only now."""
        head = self._waiting.popleft()
        chunk, rest = bytes(head[:CHUNK]), head[CHUNK:]
        if len(rest):
            self._waiting.appendleft(rest)
        self._size -= len(chunk)
        return chunk

    def pause_reading(self) -> None:
        """The window is closed: what the other side sends waits there."""
        self._deaf = True

    def resume_reading(self) -> None:
        self._deaf = False
        self.other.pump()

    def pump(self) -> None:
        if self._size and self not in self._here.line:
            self._here.line.append(self)
        _pump(self._loop, self._here)

    @property
    def can_send(self) -> bool:
        return bool(self._size) and not self.other._deaf

    def drained(self) -> None:
        if not self._size and self._paused and not self._dead:
            self._paused = False
            self._protocol.resume_writing()

    def deliver(self) -> None:
        """What arrived first comes first, though timers of one moment ring in any order."""
        if self._dead:
            return
        if not (self._here.online and self._there.online):
            self._loop.call_later(0.2, self.deliver)  # TCP tries again
            return
        data = self.arriving.popleft()
        while data and not self._dead:
            buffer = self._protocol.get_buffer(-1)
            n = min(len(data), len(buffer))
            buffer[:n] = data[:n]
            data = data[n:]
            self._protocol.buffer_updated(n)

    def abort(self) -> None:
        self.close()

    def close(self) -> None:
        if not self._dead:
            self.lose(None)
            self._loop.call_later(self._here.delay, self.other.lose, ConnectionResetError("reset"))

    def lose(self, why: Exception | None) -> None:
        if not self._dead:
            self._dead = True
            self._waiting.clear()
            self._size = 0
            self._loop.call_soon(self._protocol.connection_lost, why)

    def is_closing(self) -> bool:
        return self._dead


class DatagramTransport(asyncio.DatagramTransport):
    """A socket for datagrams: each goes at once and arrives alone, or not at all."""

    def __init__(self, loop: VirtualLoop, here: Host, protocol: Any, name: tuple[str, int]) -> None:
        super().__init__({"sockname": name})
        self.protocol = protocol
        self._loop, self._here, self._name = loop, here, name
        self._dead = False

    def sendto(self, data: Any, addr: Any = None) -> None:
        there = self._loop.hosts.get(addr[0])
        if self._dead or not self._here.online:
            return
        self._here.sent += len(data)
        if there is not None and not self._is_lost(there):
            seconds = self._here.delay + len(data) / self._here.up
            self._loop.call_later(seconds, self._arrive, bytes(data), there, tuple(addr))

    def _is_lost(self, there: Host) -> bool:
        return any(
            host.loss and self._loop.dice.random() < host.loss for host in (self._here, there)
        )

    def _arrive(self, data: bytes, there: Host, addr: tuple[str, int]) -> None:
        ear = self._loop.ears.get(addr)
        if ear is not None and there.online and self._here.online:
            ear.protocol.datagram_received(data, self._name)

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        self.close()

    def close(self) -> None:
        if not self._dead:
            self._dead = True
            del self._loop.ears[self._name]
            self._loop.call_soon(self.protocol.connection_lost, None)

    def is_closing(self) -> bool:
        return self._dead


def _pump(loop: VirtualLoop, host: Host) -> None:
    """Send the next chunk of the next connection, then come back when the line is free again."""
    while host.line and not host.pumping and host.online:
        transport = host.line.popleft()
        if not transport.can_send:
            continue
        data = transport.take()
        host.sent += len(data)
        host.pumping = True
        seconds = len(data) / host.up
        loop.call_later(seconds, _sent, loop, host, transport)
        transport.other.arriving.append(data)
        loop.call_later(seconds + host.delay, transport.other.deliver)


def _sent(loop: VirtualLoop, host: Host, transport: Transport) -> None:
    host.pumping = False
    transport.drained()
    transport.pump()


class World:
    """Hosts and the nodes on them. `dice` makes every run the same run."""

    def __init__(self, folder: Path, loop: VirtualLoop, seed: int) -> None:
        self.folder = folder
        self.loop = loop
        self.dice = Random(seed)
        self.nodes: list[Node] = []

    def host(self, up: float = float("inf"), delay: float = 0.01) -> Host:
        host = Host(f"10.0.0.{len(self.loop.hosts) + 1}", up, delay)
        self.loop.hosts[host.name] = host
        return host

    def unplug(self, host: Host) -> None:
        host.online = False

    def plug_in(self, host: Host) -> None:
        host.online = True
        _pump(self.loop, host)

    async def node(self, host: Host, **settings: Any) -> Node:
        settings = {"disk_threads": 0, "port": 46881, **settings}
        data_dir = self.folder / f"{host.name}-state"
        node = Node(
            Settings(bind=host.name, data_dir=data_dir, **settings), dice=Random(self.dice.random())
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
            ending |= torrent._work
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
        self, size: int, piece_length: int, up: float = float("inf")
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


@contextmanager
def virtual_loop() -> Iterator[VirtualLoop]:
    loop = VirtualLoop()
    try:
        yield loop
    finally:
        loop.close()


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
