"""Members of a supernode network, thousands of them: the product's own, over real ports in a virtual network.

Each has a host, a port and what a member needs; only what it shares is a list in memory, and nobody's host
cache is written down. All ports of a loop receive into one buffer, as the connections of one node do.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from random import Random

from p2pswarm.formats.ids import Address
from p2pswarm.lab.loop import VirtualLoop
from p2pswarm.lab.wires import Host
from p2pswarm.net.port import Port
from p2pswarm.net.rate import Limiter
from p2pswarm.overlay.budget import DialBudget
from p2pswarm.overlay.hosts.hosts import Hosts
from p2pswarm.overlay.supernode.known import Known
from p2pswarm.overlay.supernode.member import Member
from p2pswarm.overlay.supernode.options import Options
from p2pswarm.overlay.supernode.us import Us
from p2pswarm.wire.framer import Scratch
from p2pswarm.wire.supernode.shares import SharedFile

__all__ = ["PORT", "Inhabitant", "Town", "address_of", "files_of"]

PORT = 46881
SIZE = 4_000_000  # bytes of a file; nobody fetches it
_SHA1 = 20


class Inhabitant:
    """One member and its host. `start`, and `stop` at the end; `vanish` is a host that is switched off."""

    def __init__(
        self, number: int, host: Host, scratch: Scratch, dice: Random, options: Options
    ) -> None:
        loop = asyncio.get_running_loop()
        self.number, self.host = number, host
        self.port = Port(host.name, PORT, scratch)
        self.began = 0.0
        node = number.to_bytes(16, "big")
        us = Us(node, self.port, options)
        known = Known(Hosts("supernode"), DialBudget(), options, dice, loop.time)
        self.member = Member(self.port, dice, us, known, Limiter(0, loop.time, loop.call_later))
        self._life: asyncio.Task[None] | None = None

    @property
    def address(self) -> Address:
        return Address(self.host.name, PORT)

    async def start(self) -> None:
        self.began = asyncio.get_running_loop().time()
        await self.port.open()
        await self.member.open()
        self._life = asyncio.create_task(self.member.run())

    async def stop(self) -> None:
        """It says goodbye. May be called twice."""
        life, self._life = self._life, None
        if life is not None:
            life.cancel()
            with suppress(asyncio.CancelledError):
                await life
            await self.port.close()

    async def vanish(self) -> None:
        """Nobody hears of it any more."""
        self.host.online = False
        await self.stop()


class Town:
    """Everybody in one virtual loop."""

    def __init__(self, loop: VirtualLoop, dice: Random) -> None:
        self.loop, self.dice = loop, dice
        self.all: list[Inhabitant] = []
        self._scratch = Scratch()

    def settle(
        self, options: Options, files: Sequence[SharedFile] = (), *, up: float | None = None
    ) -> Inhabitant:
        """One more, which is not started yet; `up` is its uplink in bytes per second."""
        number = len(self.all)
        host = self.loop.host(address_of(number).host)
        if up is not None:
            host.up = up
        dice = Random(self.dice.getrandbits(64))
        inhabitant = Inhabitant(number, host, self._scratch, dice, options)
        inhabitant.member.share(files)
        self.all.append(inhabitant)
        return inhabitant

    async def until(
        self, condition: Callable[[], bool], seconds: float, every: float = 1.0
    ) -> bool:
        """Whether it became true in that time."""
        end = self.loop.time() + seconds
        while not condition():
            if self.loop.time() >= end:
                return False
            await asyncio.sleep(every)
        return True

    async def aclose(self) -> None:
        for inhabitant in self.all:
            await inhabitant.stop()


def address_of(number: int) -> Address:
    """Where that one is."""
    return Address(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", PORT)


def files_of(names: Iterable[str]) -> tuple[SharedFile, ...]:
    """Each name with a hash of its own, so that copies of one thing are one file."""
    return tuple(
        SharedFile(number, SIZE, name, name.encode().ljust(_SHA1)[:_SHA1])
        for number, name in enumerate(names, 1)
    )
