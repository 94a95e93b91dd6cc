"""Members of a supernode network in a world: real ports and links, lists of files in memory."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

from p2pswarm.formats.ids import Address
from p2pswarm.lab.supernodes.members import PORT, Inhabitant
from p2pswarm.overlay.network import Cost
from p2pswarm.overlay.query import Hit, Lookup, Query
from p2pswarm.overlay.supernode.link import MOST_WAITING, Link
from p2pswarm.overlay.supernode.options import Options, Wish
from p2pswarm.overlay.supernode.serving import Serving
from p2pswarm.wire.framer import Scratch
from p2pswarm.wire.supernode.frames import Frame
from p2pswarm.wire.supernode.shares import SharedFile
from tests.support.world import World, simulate

__all__ = ["PORT", "Crowd", "Someone", "file", "fill", "names", "play"]


def file(number: int, name: str, sha1: bytes | None = None) -> SharedFile:
    return SharedFile(number, 1000 + number, name, sha1 or number.to_bytes(20, "big"))


def names(hits: Sequence[Hit]) -> list[str]:
    return sorted(hit.name for hit in hits)


async def fill(link: Link) -> None:
    """Two bytes more, and it is cut: the other side reads nothing (its stream is paused)."""
    filler = Frame(0x7F, bytes(0xFFFF)).encode()
    link.send(filler)
    await asyncio.sleep(0.1)
    while link._size + len(filler) < MOST_WAITING:
        link.send(filler)
    link.send(Frame(0x7F, bytes(MOST_WAITING - link._size - 5)).encode())
    assert link._size == MOST_WAITING - 2
    assert not link.over


def play(folder: Path, story: Callable[["Crowd"], Awaitable[None]], seed: int = 1) -> float:
    """A story of a crowd in a world of its own."""

    async def run(world: World) -> None:
        async with Crowd.of(world) as crowd:
            await story(crowd)

    return simulate(folder, run, seed)


class Someone(Inhabitant):
    """A member on a host of its own, of which a test decides how busy it is."""

    def __init__(self, host: Any, dice: Random, options: Options) -> None:
        number = int.from_bytes(dice.randbytes(16), "big")
        super().__init__(number, host, Scratch(), dice, options)
        self.free = 100  # percent of its CPU
        self.pushes: list[Any] = []  # who shall dial whom, and who brought that
        self.known = self.member._known
        self.member.us.spare = lambda: self.free
        self.member._push = lambda push, parent: self.pushes.append((push, parent))

    def die(self) -> None:
        """As SIGKILL does: nothing is said, and the kernel closes its sockets."""
        life, self._life = self._life, None
        assert life is not None
        loop: Any = asyncio.get_running_loop()
        loop.listeners.pop((self.host.name, PORT), None)
        loop.ears[self.host.name, PORT].abort()
        for transport in list(loop.transports):
            if transport.host is self.host:
                transport.abort()
        life.cancel()

    async def rest(self) -> None:
        """It leaves the network; its port stays open."""
        life, self._life = self._life, None
        assert life is not None
        life.cancel()
        await asyncio.wait([life])

    def again(self) -> None:
        self._life = asyncio.ensure_future(self.member.run())

    async def hide(self) -> None:
        """Nobody can dial it any more."""
        loop: Any = asyncio.get_running_loop()
        loop.listeners.pop((self.host.name, PORT), None)

    # What it knows as a super node

    @property
    def serving(self) -> Serving:
        role = self.member._role
        assert isinstance(role, Serving)
        return role

    @property
    def believed(self) -> set[Address]:
        """Whom it sends queries."""
        links = self.serving.peers.links
        return {
            link.address
            for link in links
            if self.serving.peers._trust.trusted(link) and link.address
        }

    def knows(self, text: str) -> bool:
        """Whether its index has files of such a name."""
        return bool(self.serving.index.search(Query(tuple(text.split())), 1))

    def counts(self, child: "Someone") -> int:
        """Files in its index of that child."""
        children = self.serving.family.children
        here = [link for link in children if link.node == child.member.us.node]
        return sum(map(self.serving.index.count, here))

    async def found(self, text: str, lookup: Lookup = Lookup.RECURSIVE) -> list[Hit]:
        hits, _ = await self.asked(text, lookup)
        return hits

    async def asked(
        self, text: str, lookup: Lookup = Lookup.RECURSIVE, **more: Any
    ) -> tuple[list[Hit], Cost]:
        cost, query = Cost(), Query(tuple(text.split()), lookup=lookup, **more)
        return [hit async for hit in self.member.search(query, cost)], cost


class Crowd:
    """Everybody in one world; `someone` comes."""

    def __init__(self, world: World) -> None:
        self.world, self.all = world, list[Someone]()

    @classmethod
    @asynccontextmanager
    async def of(cls, world: World) -> AsyncIterator["Crowd"]:
        crowd = cls(world)
        try:
            yield crowd
        finally:
            for each in crowd.all:
                await each.stop()

    async def someone(
        self,
        *connect: "Someone",
        files: Sequence[SharedFile] = (),
        up: float = float("inf"),
        **options: Any,
    ) -> Someone:
        chosen = Options(connect=tuple(each.address for each in connect), **options)
        host = self.world.host(up=up)
        someone = Someone(host, Random(self.world.dice.random()), chosen)
        self.all.append(someone)
        someone.member.share(files)
        await someone.start()
        return someone

    async def supers(self, count: int, **options: Any) -> list[Someone]:
        """Linked with one another."""
        supers: list[Someone] = []
        for _ in range(count):
            supers.append(await self.someone(*supers, wish=Wish.SUPER, **options))
        await self.world.until(
            lambda: all(each.member.serves and len(each.believed) == count - 1 for each in supers)
        )
        return supers

    async def child(self, *connect: Someone, **more: Any) -> Someone:
        child = await self.someone(*connect, wish=Wish.ORDINARY, **more)
        await child.member.settled()
        return child
