"""Two users reach each other through real routers, without any relay: direct exactly where it can be.

Each is a thread with a loop of its own in its namespace; what they say to each other first goes by hand.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack
from itertools import combinations_with_replacement
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from p2pswarm.errors import NetworkError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.signing import SigningKey
from p2pswarm.net.port import Port
from p2pswarm.net.stream import Stream
from p2pswarm.reach.offers import Nat, Offer, new_session
from p2pswarm.reach.reach import Reach
from p2pswarm.wire.framer import Scratch
from p2pswarm.wire.people.frames import PeopleFramer
from p2pswarm.wire.sniff import Guest
from tests.nat.routers import KINDS
from tests.nat.world import Host, World, world
from tests.reach.worlds import Lines, Talk, Welcoming

if TYPE_CHECKING:
    from p2pswarm.reach.meeting import Meeting

pytestmark = [pytest.mark.nat, pytest.mark.timeout(60)]

PAIRS = list(combinations_with_replacement(KINDS, 2))
PATIENCE = 6.0  # seconds until two have not reached each other
NATS = {
    "none": Nat.NONE,
    "full": Nat.FULL_CONE,
    "addr": Nat.ADDRESS,
    "port": Nat.PORT,
    "symmetric": Nat.SYMMETRIC,
    "blocked": Nat.BLOCKED,
}


class Someone:
    """A node's port and its ways, in a thread inside its host."""

    def __init__(
        self, host: Host, number: int, super_nodes: list[Address], *, serves: bool
    ) -> None:
        self.host, self.number, self.super_nodes, self.serves = host, number, super_nodes, serves
        self.key = SigningKey(bytes([number] * 32))
        self.loop = asyncio.new_event_loop()
        self.meeting: Meeting | None = None
        self.talk = Talk()
        self.stream: Stream | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self.does(self._open)

    def does(self, what: Callable[..., Coroutine[Any, Any, Any]], *words: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(what(*words), self.loop).result(40)

    def _run(self) -> None:
        with self.host.inside():
            self.loop.run_forever()
            self.loop.close()

    async def _open(self) -> None:
        self.port = Port("0.0.0.0", 46881, Scratch())
        self.port.speak_utp(Random(self.number))
        self.port.route(Guest.PEOPLE, self._welcome)
        self.reach = Reach(
            self.port,
            Random(self.number),
            node=bytes([self.number] * 16),
            super_nodes=lambda: self.super_nodes,
            serves=lambda: self.serves,
        )
        await self.port.open()
        await self.reach.open()

    def _welcome(self, stream: Stream) -> None:
        self.port.admitted(stream)
        stream.switch(PeopleFramer(), Welcoming(stream))

    async def offer(self, to: "Someone", session: bytes) -> Offer:
        found = await self.reach.gather()
        return Offer.new(self.key, b"", to.key.public, found, [], session=session, now=0)

    async def begin(self, ours: Offer, theirs: Offer) -> None:
        self.meeting = self.reach.begin(ours, theirs)

    async def speak(self) -> str:
        """The path by which both heard each other; empty when there is none."""
        assert self.meeting is not None
        try:
            async with asyncio.timeout(PATIENCE):
                self.stream = await self.meeting.stream(Lines(), self.talk)
                self.stream.send(b"hello")
                while self.talk.heard != b"hello":
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.5)
        except (NetworkError, TimeoutError):
            return ""
        return str(self.meeting.path)

    async def _close(self) -> None:
        await self.reach.close()
        await self.port.close()
        if self.stream is not None:
            self.stream.close()
        await asyncio.sleep(0.01)  # the loop forgets the connection

    def close(self) -> None:
        self.does(self._close)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()


@pytest.fixture(scope="module")
def lab() -> Iterator[World]:
    with world() as made:
        yield made


@pytest.fixture(scope="module")
def super_nodes(lab: World) -> Iterator[list[Address]]:
    hosts = [lab.host() for _ in range(3)]
    places = [Address(host.public, 46881) for host in hosts]
    serving = [
        Someone(host, 100 + n, [p for p in places if p.host != host.public], serves=True)
        for n, host in enumerate(hosts)
    ]
    yield places
    for each in serving:
        each.close()


def is_direct(one: str, other: str) -> bool:
    """OVERLAYS.md §4.4."""
    kinds = {one, other}
    if "blocked" in kinds:
        return "symmetric" not in kinds
    return kinds not in ({"port", "symmetric"}, {"symmetric"})


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_the_matrix(lab: World, super_nodes: list[Address], one: str, other: str) -> None:
    with ExitStack() as stack:
        users = [
            Someone(lab.host(kind), n, super_nodes, serves=False)
            for n, kind in ((1, one), (2, other))
        ]
        a, b = users
        for each in users:
            stack.callback(each.close)
        session = new_session()
        asked = a.does(a.offer, b, session)
        answer = b.does(b.offer, a, session)
        assert [each.candidates.nat for each in (asked, answer)] == [NATS[one], NATS[other]]
        b.does(b.begin, answer, asked)
        a.does(a.begin, asked, answer)
        spoken = [asyncio.run_coroutine_threadsafe(each.speak(), each.loop) for each in users]
        paths = [each.result(40) for each in spoken]
        assert [path.startswith("direct") for path in paths] == [is_direct(one, other)] * 2
        if paths[0]:
            assert [path.endswith("TCP") for path in paths] == ["blocked" in (one, other)] * 2
