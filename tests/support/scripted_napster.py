"""A Napster server under a test's hands: it says what it is told to, raw, and remembers what it hears.

And clients of ours that belong to nobody's node.
"""

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random
from typing import Self

from p2pswarm.disk.pool import DiskPool
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.net.port import Port
from p2pswarm.net.rate import Limiter
from p2pswarm.overlay.catalog import Catalog
from p2pswarm.overlay.napster.client import Napster
from p2pswarm.overlay.tools import Tools
from tests.support.patience import PATIENCE

__all__ = ["PATIENCE", "Guest", "Server", "client", "number_of"]


def number_of(ip: str) -> int:
    """An address as the protocol writes it."""
    return int.from_bytes(bytes(map(int, ip.split("."))), "little")


class Guest:
    """One connection to the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.log: list[tuple[int, str]] = []

    async def hear(self, *numbers: int) -> str:
        """The text of the next message with one of these numbers; others before it are skipped."""
        async with asyncio.timeout(PATIENCE):
            while True:
                number, text = await self.next()
                if number in numbers:
                    return text

    async def next(self) -> tuple[int, str]:
        length, number = struct.unpack("<HH", await self._reader.readexactly(4))
        text = (await self._reader.readexactly(length)).decode()
        self.log.append((number, text))
        return number, text

    def say(self, number: int, text: str = "") -> None:
        data = text.encode()
        self._writer.write(struct.pack("<HH", len(data), number) + data)

    def raw(self, data: bytes) -> None:
        self._writer.write(data)

    def let_in(self) -> None:
        self.say(3, "somebody@example.org")
        self.say(621, "welcome")
        self.say(214, "1 0 0")

    async def gone(self) -> bool:
        """Waits until the client has hung up."""
        async with asyncio.timeout(PATIENCE):
            with suppress(ConnectionResetError):
                while await self._reader.read(1000):
                    pass
        return True

    def close(self) -> None:
        self._writer.close()


class Server:
    """`async with Server() as server: guest = await server.guest()`."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._host, self._port = host, port
        self._guests: asyncio.Queue[Guest] = asyncio.Queue()
        self._all: list[Guest] = []
        self.address = Address(host, port)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._come, self._host, self._port)
        self.address = Address(self._host, self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()
        for guest in self._all:
            guest.close()
        await self._server.wait_closed()

    async def _come(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        guest = Guest(reader, writer)
        self._all.append(guest)
        self._guests.put_nowait(guest)

    async def guest(self) -> Guest:
        """The next one who comes."""
        async with asyncio.timeout(PATIENCE):
            return await self._guests.get()

    async def member(self) -> Guest:
        """The next one who comes, logged in."""
        guest = await self.guest()
        await guest.hear(2, 6)
        guest.let_in()
        return guest


async def _nothing(info_hash: InfoHash, asker: str) -> None:
    """Nobody seeds here."""


@asynccontextmanager
async def client(
    server: Address,
    *,
    host: str = "127.0.0.2",
    share: Path | None = None,
    slots: int = 4,
    join: bool = False,
    up: float = 0,
    seed: Callable[[InfoHash, str], object] = _nothing,
    **more: object,
) -> AsyncIterator[Napster]:
    """A client on its own port, with what lies in `share` scanned and hashed."""
    loop = asyncio.get_running_loop()
    port = Port(host, 0)
    await port.open()
    disk, index = DiskPool(threads=1), DiskPool(threads=1)
    limiter = Limiter(up, loop.time, loop.call_later)
    tools = Tools(port, disk, limiter, Random(1), seed, slots)  # type: ignore[arg-type]
    network = Napster(server, tools, **more)  # type: ignore[arg-type]
    working, catalog = None, None
    try:
        if share is not None:
            database = share.with_name(f"{share.name}-{host}.db")
            catalog = await Catalog.open(database, [share], disk=disk, index=index)
            working = asyncio.ensure_future(catalog.run())
            await catalog.settled()
            network.share(catalog)
        if join:
            await network.join()
        yield network
    finally:
        await network.leave()
        if working is not None and catalog is not None:
            working.cancel()
            await asyncio.wait([working])
            await catalog.aclose()
        await port.close()
        await index.aclose()
        await disk.aclose()
