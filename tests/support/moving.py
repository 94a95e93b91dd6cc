"""What moves files, without a network around it: its place is told, and a push goes where the test says."""

import asyncio
from collections.abc import Callable, Sequence
from random import Random

from p2pswarm.disk.pool import DiskPool
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.formats.zones import Zone
from p2pswarm.net.port import Port
from p2pswarm.net.rate import Limiter
from p2pswarm.overlay.budget import DialBudget
from p2pswarm.overlay.files.exchange import Exchange
from p2pswarm.overlay.files.sources import Source
from p2pswarm.overlay.tools import Tools
from p2pswarm.wire.gnutella.push import Push
from tests.support.servent import PORT
from tests.support.world import World

__all__ = ["SHA1", "Begun", "Place", "exchanging", "nobody"]

SHA1 = b"\x11" * 20


class Place:
    """Somewhere in a local network; it remembers the pushes."""

    zone = Zone.LOCAL_NETWORK

    def __init__(self, host: str, guid: bytes = b"\x22" * 16) -> None:
        self.guid = guid
        self.address: Address | None = Address(host, PORT)
        self.pushes: list[tuple[bytes, int, Address]] = []
        self.passed: list[tuple[bytes, Address]] = []
        self.leaves: set[bytes] = set()
        self.way: Callable[[bytes, int, Address], bool] = lambda *push: True
        self.budget = DialBudget()
        self.told = {7}

    def answered(self, index: int) -> bool:
        return index in self.told

    def send_push(self, servent: bytes, index: int, address: Address) -> bool:
        Push(servent, index, address).encode()
        self.pushes.append((servent, index, address))
        return self.way(servent, index, address)

    def pass_push(self, servent: bytes, address: Address) -> bool:
        self.passed.append((servent, address))
        return servent in self.leaves


class Begun:
    sha1, size = SHA1, 1000

    def ranges(self) -> Sequence[tuple[int, int]]:
        return [(0, 10)]

    async def read(self, at: int, buffer: memoryview) -> None:
        buffer[:] = b"x" * len(buffer)


async def nobody(source: Source) -> None:
    raise AssertionError


async def seeded(info_hash: InfoHash, asker: str) -> None:
    raise AssertionError


async def exchanging(world: World) -> Exchange:
    loop = asyncio.get_running_loop()
    port = Port(world.host(10e6).name, PORT)
    await port.open()
    up = Limiter(0, loop.time, loop.call_later)
    return Exchange(Tools(port, DiskPool(threads=0), up, Random(1), seeded, 4))
