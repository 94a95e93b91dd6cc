"""Parts of the node on hosts of the laboratory, in this process: each host has a thread with a loop in it.

What a loop makes, sockets and threads, is of the namespace that its thread is in.
"""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from random import Random
from threading import Thread
from typing import Any, TypeVar

from p2pswarm.formats.ids import Address
from p2pswarm.formats.signing import SigningKey
from p2pswarm.net.port import Port
from p2pswarm.reach.offers import Candidates, Offer
from p2pswarm.reach.reach import Reach
from p2pswarm.wire.framer import Scratch
from p2pswarm.wire.people.frames import PeopleFramer
from p2pswarm.wire.sniff import Guest
from tests.nat.world import Host
from tests.reach.worlds import Welcoming
from tests.support.patience import PATIENCE

__all__ = ["Place", "Reacher", "SuperNode", "places"]

T = TypeVar("T")
PORT = 46881
CLOCK = 1_800_000_000


class Place:
    """A thread inside a host."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def do(self, work: Coroutine[Any, Any, T], within: float = 2 * PATIENCE) -> T:
        """Run it there and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(within)

    def end(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()

    def _run(self) -> None:
        with self.host.inside():
            self.loop.run_forever()
            for _ in range(10):  # what was closed is gone some turns later
                self.loop.run_until_complete(asyncio.sleep(0))
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
            self.loop.close()


class SuperNode:
    """What of a super node tells others where it sees them."""

    def __init__(self, place: Place, number: int, supers: list[Address]) -> None:
        self.place, self.port = place, Port(place.host.address, PORT, Scratch())
        us = Address(place.host.public, PORT)
        supers.append(us)
        self.port.route(Guest.PEOPLE, self._welcome)
        self.reach = Reach(
            self.port,
            Random(number),
            node=bytes([number] * 16),
            super_nodes=lambda: [each for each in supers if each != us],
            serves=lambda: True,
        )

    def _welcome(self, stream: Any) -> None:
        stream.switch(PeopleFramer(self.port.scratch), Welcoming(stream))

    async def open(self) -> None:
        await self.port.open()
        await self.reach.open()

    async def close(self) -> None:
        await self.reach.close()
        await self.port.close()


class Reacher(SuperNode):
    """A user's port, and its ways to others."""

    def __init__(self, place: Place, number: int, supers: list[Address]) -> None:
        self.place, self.port = place, Port(place.host.address, PORT, Scratch())
        self.port.speak_utp(Random(number))
        self.key = SigningKey(bytes([number] * 32))
        self.candidates = Candidates()
        self.reach = Reach(
            self.port,
            Random(number),
            node=bytes([number] * 16),
            super_nodes=lambda: supers,
            serves=lambda: False,
        )

    async def gather(self) -> None:
        self.candidates = await self.reach.gather()

    def offer(self, to: "Reacher", session: bytes) -> Offer:
        words = (self.key, b"", to.key.public, self.candidates, [])
        return Offer.new(*words, session=session, now=CLOCK)


@contextmanager
def places() -> Iterator[list[Any]]:
    """Put in what is opened: it is closed in the end, in its place."""
    opened: list[Any] = []
    try:
        yield opened
    finally:
        for each in opened:
            each.place.do(each.close())
            each.place.end()
