"""TCP from both sides at once through real routers: the kernel opens it, from numbers that are shared."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from queue import Queue
from random import Random
from socket import create_server, socket

import pytest

from p2pswarm.formats.ids import Address
from p2pswarm.net.punching import dial_from
from p2pswarm.net.stream import Stream
from p2pswarm.wire.framer import CuttingFramer
from tests.nat.world import Host, World, world
from tests.support.patience import PATIENCE

pytestmark = pytest.mark.nat

WORD = b"both dialed"


class Bytes(CuttingFramer):
    """Each byte that comes, once."""

    def _cut(self, view: memoryview, into: list[object]) -> int:
        into.append(bytes(view))
        return len(view)


class Listening:
    def __init__(self) -> None:
        self.heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.over = asyncio.Event()

    def got(self, message: object) -> None:
        if not self.heard.done():
            self.heard.set_result(message)

    def caught_up(self) -> None: ...

    def drained(self) -> None: ...

    def closed(self, reason: Exception | None) -> None:
        self.heard.cancel()
        self.over.set()


@asynccontextmanager
async def dialed(here: tuple[str, int], to: Address) -> AsyncIterator[tuple[Stream, Listening]]:
    listening = Listening()
    stream = Stream(Bytes(), listening)
    await dial_from(here, to, stream)
    try:
        yield stream, listening
    finally:
        stream.close()
        await listening.over.wait()


async def meets(host: Host, server: Address, other: "Queue[Address]", dice: Random) -> bytes:
    """What the other side says, when both have dialed each other from the number that the server sees."""
    async with dialed((host.address, 0), server) as (kept, _), asyncio.timeout(PATIENCE):
        here, there = (host.address, kept.local.port), await asyncio.to_thread(other.get)
        while True:
            with suppress(OSError):  # refused, or too early
                async with (
                    asyncio.timeout(1 + dice.random()),
                    dialed(here, there) as (one, listening),
                ):
                    one.send(WORD)
                    return await listening.heard


class Pair:
    """Two threads, each on a host."""

    def __init__(self, server: Host, hosts: tuple[Host, Host]) -> None:
        self._hosts = hosts
        with server.inside():
            self._public = create_server((server.address, 0))

    def meet(self) -> list["Future[bytes]"]:
        where = Address(*self._public.getsockname())
        told: list[Queue[Address]] = [Queue(), Queue()]
        with self._public, ThreadPoolExecutor(2) as pool:
            works = [
                pool.submit(self._run, host, where, queue, Random(number))
                for number, (host, queue) in enumerate(zip(self._hosts, told, strict=True))
            ]
            kept = self._introduce(told)
        for each in kept:
            each.close()
        return works

    def _introduce(self, told: list["Queue[Address]"]) -> list[socket]:
        """Each hears where the other is seen."""
        came = [self._public.accept() for _ in told]
        for _, place in came:
            told[self._hosts[0].public == place[0]].put(Address(*place))
        return [each for each, _ in came]

    @staticmethod
    def _run(host: Host, server: Address, other: "Queue[Address]", dice: Random) -> bytes:
        with host.inside():
            return asyncio.run(meets(host, server, other, dice))


@pytest.fixture
def lab() -> Iterator[World]:
    with world() as made:
        yield made


@pytest.mark.parametrize(
    ("one", "other"), [("port", "port"), ("blocked", "addr"), ("blocked", "blocked")]
)
def test_two_dial_each_other_from_the_numbers_that_were_seen(
    lab: World, one: str, other: str
) -> None:
    pair = Pair(lab.host(), (lab.host(one), lab.host(other)))
    assert [work.result() for work in pair.meet()] == [WORD, WORD]
