"""Members of a supernode network in a world: real ports and links, lists of files in memory."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import Any

from p2pswarm.formats.ids import Address
from p2pswarm.net.port import Port
from p2pswarm.net.rate import Limiter
from p2pswarm.overlay.budget import DialBudget
from p2pswarm.overlay.hosts.hosts import Hosts
from p2pswarm.overlay.network import Cost
from p2pswarm.overlay.query import Hit, Lookup, Query
from p2pswarm.overlay.supernode.known import Known
from p2pswarm.overlay.supernode.member import Member
from p2pswarm.overlay.supernode.options import Options, Wish
from p2pswarm.overlay.supernode.us import Us
from p2pswarm.wire.supernode.shares import SharedFile
from tests.support.world import World

__all__ = ["PORT", "Crowd", "Someone", "file"]

PORT = 46881


def file(number: int, name: str, sha1: bytes | None = None) -> SharedFile:
    return SharedFile(number, 1000 + number, name, sha1 or number.to_bytes(20, "big"))


class Someone:
    """A member on a host of its own."""

    def __init__(self, world: World, host: Any, dice: Random, options: Options) -> None:
        loop = asyncio.get_running_loop()
        self.host, self.port = host, Port(host.name, PORT)
        self.address = Address(host.name, PORT)
        self.free = 100  # percent of its CPU
        self.pushes: list[Any] = []  # who shall dial whom, and who brought that
        us = Us(dice.randbytes(16), self.port, options, lambda: self.free)
        known = Known(Hosts("supernode"), DialBudget(), options, dice, loop.time)
        up = Limiter(0, loop.time, loop.call_later)
        self.member = Member(
            self.port, dice, us, known, up, lambda push, parent: self.pushes.append((push, parent))
        )
        self._life: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self.port.open()
        await self.member.open()
        self._life = asyncio.ensure_future(self.member.run())

    async def stop(self) -> None:
        """It says goodbye."""
        life, self._life = self._life, None
        if life is not None:
            life.cancel()
            with suppress(asyncio.CancelledError):
                await life
            await self.port.close()

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
        someone = Someone(self.world, host, Random(self.world.dice.random()), chosen)
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
            lambda: all(each.member.status().links == count - 1 for each in supers)
        )
        return supers

    async def child(self, *connect: Someone, **more: Any) -> Someone:
        child = await self.someone(*connect, wish=Wish.ORDINARY, **more)
        await child.member.settled()
        return child
