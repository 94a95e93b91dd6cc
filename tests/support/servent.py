"""Servents in a world, as far as files move between them, and strangers who say raw bytes.

They have a port, a catalog, and the rooms that give and fetch; no neighbours, so a push is carried by hand.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from hashlib import sha1
from pathlib import Path
from random import Random
from typing import Any

from typing_extensions import override

from p2pswarm.disk.pool import DiskPool
from p2pswarm.errors import BusyError
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.formats.zones import zone_of
from p2pswarm.net.port import Port
from p2pswarm.net.rate import Limiter
from p2pswarm.net.stream import Stream
from p2pswarm.overlay.budget import DialBudget
from p2pswarm.overlay.catalog import Catalog
from p2pswarm.overlay.dialing import Dialing
from p2pswarm.overlay.files.downloads import Downloads
from p2pswarm.overlay.files.exchange import Exchange
from p2pswarm.overlay.files.pushed import Pushed
from p2pswarm.overlay.files.pushes import Pushes
from p2pswarm.overlay.files.sources import Source
from p2pswarm.overlay.tables import Shared
from p2pswarm.overlay.talk import Talk
from p2pswarm.overlay.tools import Tools
from p2pswarm.wire.framer import CuttingFramer
from p2pswarm.wire.http.giv import Giv
from tests.support.world import World

__all__ = ["PORT", "UPLINK", "Servent", "Stranger", "dial", "listening", "value"]

PORT = 46881
UPLINK = 10e6  # bytes per second: on a line without a limit all is on its way at once


class Servent:
    """`async with Servent.here(...)`."""

    def __init__(self, port: Port, catalog: Catalog, disk: DiskPool, **options: Any) -> None:
        loop = asyncio.get_running_loop()
        self.listing = options.get("hits")
        self.port, self.catalog = port, catalog
        self.address = Address(port.host, port.number)
        self.seeded: list[tuple[InfoHash, str]] = []
        self.proxied: list[tuple[bytes, Address]] = []
        self.leaves: set[bytes] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.up = Limiter(options.get("up", 0), loop.time, loop.call_later)
        tools = Tools(port, disk, self.up, Random(1), self._seed, options.get("slots", 4))
        self.exchange = Exchange(tools)
        self.exchange._tasks = self  # type: ignore[assignment] # they are looked at
        self.exchange.share(catalog)
        self.mesh, self.uploads = self.exchange.mesh, self.exchange._uploads
        self.guid = sha1(port.host.encode()).digest()[:16]
        self.firewalled = False
        self.too_much = False  # to seed anything more
        self.sources: list[Source] = []  # that hosts told of
        self.told: list[tuple[bytes, Address, Address]] = []  # and who asked us for a file
        self.way: Callable[[bytes, int, Address], bool] = lambda *push: False
        self.sought: list[Source] = []
        self.hits: set[int] = set()  # indices of answers of ours
        dialing = self.dialing = Dialing(port, DialBudget(), loop.time)
        self.pushes = Pushes(
            port,
            dialing,
            node=self._node,
            send=lambda *push: self.way(*push),
            seek=self._seek,
            network="gnutella",
        )
        self.pushed = Pushed(
            self.guid,
            dialing,
            self.exchange.serve,
            network="gnutella",
            answered=self.hits.__contains__,
            spawn=self.create_task,
        )
        self.downloads = Downloads(
            dialing,
            self.pushes,
            self.mesh,
            node=self._node,
            found=self.sources.append,
            network="gnutella",
        )
        self.exchange.enter(self)

    @classmethod
    @asynccontextmanager
    async def here(
        cls, world: World, folder: Path | None = None, **options: Any
    ) -> AsyncIterator["Servent"]:
        """On a host of its own, sharing this folder."""
        host = world.host(up=options.pop("uplink", UPLINK))
        port, database = Port(host.name, PORT), world.folder / f"{host.name}.db"
        async with cls.behind(port, folder, database, **options) as servent:
            yield servent

    @classmethod
    @asynccontextmanager
    async def behind(
        cls, port: Port, folder: Path | None, database: Path, **options: Any
    ) -> AsyncIterator["Servent"]:
        """Behind this port, which may be a real one."""
        disk, index = DiskPool(threads=0), DiskPool(threads=0)
        catalog = await Catalog.open(database, [folder] if folder else [], disk=disk, index=index)
        working = asyncio.ensure_future(catalog.run())
        await catalog.settled()
        await port.open()
        servent = cls(port, catalog, disk, **options)
        try:
            yield servent
        finally:
            await port.close()
            await servent.aclose()
            working.cancel()
            await asyncio.wait([working])
            for pool in (catalog, index, disk):
                await pool.aclose()

    def create_task(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def _node(self) -> Address | None:
        return None if self.firewalled else self.address

    async def source(self, **more: Any) -> Source:
        """The only file of it, as a hit would tell."""
        file = await self.the_file()
        told = Source(self.address, file.size, file.sha1, file.tth, file.id, file.name)
        return replace(told, teller=zone_of(self.address.host), servent=self.guid, **more)

    async def the_file(self) -> Shared:
        (shared,) = await self.catalog.listed(0, 2)
        return shared

    async def _seed(self, info_hash: InfoHash, asker: str) -> None:
        if self.too_much:
            raise BusyError("too much at the moment")
        self.seeded.append((info_hash, asker))

    # What its exchange asks

    def pass_push(self, servent: bytes, address: Address) -> bool:
        self.proxied.append((servent, address))
        return servent in self.leaves

    def takes(self, giv: Giv, talk: Talk) -> bool:
        return self.pushes.takes(giv, talk)

    def heard(self, sha1: bytes, host: Address, teller: Address) -> bool:
        self.told.append((sha1, host, teller))
        return True

    async def _seek(self, source: Source) -> None:
        self.sought.append(source)

    async def aclose(self) -> None:
        self.uploads.close()
        tasks = list(self.tasks)
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(result, asyncio.CancelledError | None), result


class _Raw(CuttingFramer):
    """Whatever comes, as it comes."""

    @override
    def _cut(self, view: memoryview, into: list[object]) -> int:
        into.append(view.tobytes())
        return len(view)


class Stranger:
    """The other end of a connection, without any manners."""

    def __init__(self) -> None:
        self.stream: Stream | None = None
        self.heard = b""
        self.over = False
        self._bell = asyncio.Event()

    def say(self, data: bytes | str) -> None:
        assert self.stream is not None
        self.stream.send(data.encode() if isinstance(data, str) else data)

    async def until(self, enough: Any) -> None:
        while not enough():
            assert not self.over, f"hung up after {self.heard[:300]!r}"
            self._bell.clear()
            await self._bell.wait()

    async def take(self, count: int) -> bytes:
        await self.until(lambda: len(self.heard) >= count)
        data, self.heard = self.heard[:count], self.heard[count:]
        return data

    async def head(self) -> str:
        """The next head, without its last two line ends."""
        await self.until(lambda: b"\r\n\r\n" in self.heard)
        return (await self.take(self.heard.index(b"\r\n\r\n") + 4)).decode().strip()

    async def line(self) -> str:
        """What ends with an empty line of Unix."""
        await self.until(lambda: b"\n\n" in self.heard)
        return (await self.take(self.heard.index(b"\n\n") + 2)).decode().strip()

    async def ask(self, target: str, *headers: str, method: str = "GET") -> tuple[str, bytes]:
        """One request: the head that answers and, unless it is a HEAD, the body."""
        self.say("\r\n".join([f"{method} {target} HTTP/1.1", *headers, "", ""]))
        head = await self.head()
        length = int(value(head, "Content-Length") or 0)
        return head, b"" if method == "HEAD" else await self.take(length)

    async def hung_up(self) -> None:
        while not self.over:
            self._bell.clear()
            await self._bell.wait()

    def hang_up(self) -> None:
        assert self.stream is not None
        self.stream.close()

    def got(self, message: object) -> None:
        assert isinstance(message, bytes)
        self.heard += message
        self._bell.set()

    def caught_up(self) -> None:
        pass

    def drained(self) -> None:
        pass

    def closed(self, reason: Exception | None) -> None:
        self.over = True
        self._bell.set()


def value(head: str, name: str) -> str | None:
    for line in head.split("\r\n")[1:]:
        key, _, text = line.partition(": ")
        if key.lower() == name.lower():
            return text
    return None


async def dial(world: World, address: Address, host: str | None = None) -> Stranger:
    """A stranger who connects, from a host of its own or this one."""
    stranger = Stranger()
    door = Port(host or world.host(UPLINK).name, 1)
    stranger.stream = await door.dial(address, _Raw(), stranger)
    return stranger


@asynccontextmanager
async def listening(world: World) -> AsyncIterator[tuple[Address, "asyncio.Queue[Stranger]"]]:
    """A stranger who can be dialed."""
    came: asyncio.Queue[Stranger] = asyncio.Queue()
    host = world.host(UPLINK)

    def knock() -> Stream:
        stranger = Stranger()
        stranger.stream = Stream(_Raw(), stranger)
        came.put_nowait(stranger)
        return stranger.stream

    server = await asyncio.get_running_loop().create_server(knock, host.name, PORT)
    try:
        yield Address(host.name, PORT), came
    finally:
        server.close()
