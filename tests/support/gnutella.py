"""Gnutella nodes without files, transfers or a node around them: neighbours on the virtual network."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from random import Random
from types import TracebackType
from typing import Any, Self

from p2pswarm.formats.ids import Address
from p2pswarm.formats.words import words_of
from p2pswarm.net.port import Port
from p2pswarm.net.stream import Stream
from p2pswarm.overlay.budget import DialBudget
from p2pswarm.overlay.gnutella.links.agreement import Agreement, Role, Standing
from p2pswarm.overlay.gnutella.links.connecting import dial
from p2pswarm.overlay.gnutella.links.link import Link
from p2pswarm.overlay.gnutella.place.neighbours import Neighbours
from p2pswarm.overlay.gnutella.place.prospects import Prospects
from p2pswarm.overlay.gnutella.place.slots import Slots, Wish
from p2pswarm.overlay.gnutella.routing.interests import Interests
from p2pswarm.overlay.gnutella.routing.router import Router
from p2pswarm.overlay.hosts.hosts import Hosts
from p2pswarm.wire.gnutella.descriptor import Descriptor, Kind, new_guid
from p2pswarm.wire.gnutella.hit import QueryHit
from p2pswarm.wire.gnutella.pings import Pong
from p2pswarm.wire.gnutella.push import Push
from p2pswarm.wire.gnutella.query import Query
from p2pswarm.wire.gnutella.results import Result
from p2pswarm.wire.sniff import Guest
from tests.support.world import Host, VirtualLoop, virtual_loop

__all__ = ["PORT", "Mesh", "Servent", "Stranger", "play"]

PORT = 6346


class Servent:
    """One node: it shares `names`, and keeps what it is asked and told."""

    def __init__(self, mesh: "Mesh", host: Host, names: Iterable[str] = ()) -> None:
        self.loop = mesh.loop
        self.host = host
        self.dice = Random(mesh.dice.random())
        self.names = list(names)
        self.guid = new_guid(self.dice)
        self.address = Address(host.name, PORT)
        self.queries: list[tuple[Descriptor, Query]] = []
        self.hits: list[tuple[Descriptor, QueryHit]] = []
        self.pushes: list[Push] = []
        self.vendors: list[object] = []
        self.port = Port(host.name, PORT)
        self.hosts = Hosts("gnutella")
        self.life: asyncio.Task[None] | None = None

    async def open(
        self,
        wish: Wish = Wish.FLAT,
        connect: Sequence[Address] = (),
        *,
        firewalled: bool = False,
        **settings: Any,
    ) -> None:
        clock = self.loop.time
        await self.port.open()
        self.interests = Interests(self.dice)
        for name in self.names:
            self.interests._gathering.add_name(name)
        self.interests._publish()
        self.router = Router(self.guid, wish.role, self, self.interests, clock, self.dice)
        self.slots = Slots(self.router, wish, clock(), firewalled=firewalled, **settings)
        self.prospects = Prospects(connect, self.hosts, DialBudget(), self.dice)
        self.neighbours = Neighbours(
            self.port,
            self.router,
            self.slots,
            self.prospects,
            self.dice,
            firewalled=firewalled,
            wall=clock,
        )
        self.port.route(Guest.GNUTELLA, self.neighbours.welcome)
        self.life = asyncio.create_task(self.neighbours.run())

    async def close(self) -> None:
        if self.life is not None:
            self.life.cancel()
            await asyncio.wait([self.life])
            if not self.life.cancelled():
                await self.life
        await self.port.close()

    def ask(self, text: str, wanted: int = 150) -> bytes:
        guid = new_guid(self.dice)
        self.question = self.router.ask(Query(text), guid, wanted)
        return guid

    @property
    def neighbours_of(self) -> set[str]:
        """Hosts that we have a link to."""
        return {link.remote.host for link in self.router.links}

    def sent(self, kind: Kind) -> int:
        """Messages of this kind that left over the links that are still there."""
        return sum(link.sent.messages[kind] for link in self.router.links)

    def found(self, head: Descriptor, hit: QueryHit, link: Link) -> None:
        self.hits.append((head, hit))

    def asked(self, head: Descriptor, query: Query, link: Link) -> None:
        self.queries.append((head, query))
        words = set(words_of(query.text))
        results = [
            Result(number, 1000, name)
            for number, name in enumerate(self.names)
            if words and words <= set(words_of(name))
        ]
        if results:
            here = Address(link.host, PORT)
            self.router.answer(head, QueryHit(here, 1000, tuple(results), self.guid))

    def pushed(self, push: Push, link: Link) -> None:
        self.pushes.append(push)

    def vendor(self, head: Descriptor, message: object, link: Link) -> None:
        self.vendors.append(message)

    def shares(self) -> tuple[int, int]:
        return len(self.names), 1000 * len(self.names)


class Stranger:
    """A neighbour that says what the test wants it to say, and keeps what it hears.

    By itself it only answers pings.
    """

    link: Link

    def __init__(self, mesh: "Mesh", host: Host) -> None:
        self.host = host
        self.dice = Random(mesh.dice.random())
        self.guid = new_guid(self.dice)
        self.heads: list[Descriptor] = []
        self.reason: Exception | None = None
        self.port = Port(host.name, PORT)

    async def dial(self, servent: Servent, role: Role = Role.PEER, **standing: Any) -> Self:
        """Raises NetworkError."""
        where = Standing(role=role, guid=self.guid, leaf_slots=9, **standing)
        await dial(self.port, servent.address, where, self._made)
        await asyncio.sleep(0.1)  # until it has heard our last word
        return self

    def _made(self, stream: Stream, agreement: Agreement) -> None:
        self.link = Link(stream, agreement, self)
        stream.switch(self.link.framer(), self.link)

    def got(self, link: Link, head: Descriptor) -> None:
        self.heads.append(head)
        if head.kind == Kind.PING:
            pong = Pong(Address(self.host.name, PORT), 0, 0)
            link.tell(Descriptor(head.guid, Kind.PONG, 1, 0, pong.encode()))

    def left(self, link: Link, reason: Exception | None) -> None:
        self.reason = reason

    def ping(self, link: Link) -> None:
        """Nothing is asked."""

    def heard(self, kind: Kind) -> list[Descriptor]:
        return [head for head in self.heads if head.kind == kind]

    def say(
        self, kind: int, payload: bytes, *, ttl: int = 4, hops: int = 0, guid: bytes | None = None
    ) -> bytes:
        """Returns the GUID."""
        guid = guid or new_guid(self.dice)
        self.link.tell(Descriptor(guid, kind, ttl, hops, payload))
        return guid

    def ask(self, text: str, **head: Any) -> bytes:
        return self.say(Kind.QUERY, Query(text).encode(), **head)

    def hit(
        self, guid: bytes, *, hops: int = 0, address: Address | None = None, **hit: Any
    ) -> None:
        """Answer that query; `address` is where we are, unless it is a lie."""
        here = address or Address(self.host.name, PORT)
        fields = {"servent": self.guid, "results": (Result(1, 1000, "blue moon.mp3"),), **hit}
        payload = QueryHit(here, 1000, **fields).encode()
        self.say(Kind.HIT, payload, guid=guid, hops=hops)


class Mesh:
    """Servents on one virtual network."""

    def __init__(self, loop: VirtualLoop, seed: int = 1) -> None:
        self.loop = loop
        self.dice = Random(seed)
        self.servents: list[Servent] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for servent in self.servents:
            await servent.close()
        await asyncio.sleep(3)

    def host(self, name: str = "") -> Host:
        host = Host(name or f"10.0.0.{len(self.loop.hosts) + 1}")
        return self.loop.hosts.setdefault(host.name, host)

    def stranger(self, name: str = "") -> Stranger:
        return Stranger(self, self.host(name))

    def servent(self, *names: str) -> Servent:
        servent = Servent(self, self.host(), names)
        self.servents.append(servent)
        return servent

    async def until(self, condition: Callable[[], object], seconds: float = 60.0) -> None:
        """Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.05)

    def sent(self, kind: Kind) -> int:
        return sum(servent.sent(kind) for servent in self.servents)

    @property
    def dropped(self) -> Counter[str]:
        return sum((servent.router.dropped for servent in self.servents), Counter())


def play(story: Callable[[Mesh], Any], seed: int = 1) -> None:
    """Run a story of a mesh on a loop whose clock jumps."""

    async def run(loop: VirtualLoop) -> None:
        async with asyncio.timeout(3600), Mesh(loop, seed) as mesh:
            await story(mesh)

    with virtual_loop() as loop:
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(run(loop))
        finally:
            asyncio.set_event_loop(None)
        assert not loop.complaints, loop.complaints[:3]
