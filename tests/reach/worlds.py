"""Users behind NATs on virtual time: real ports, super nodes that see them, and relays made of memory."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from p2pswarm.errors import NetworkError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.signing import SigningKey
from p2pswarm.lab.loop import VirtualLoop, play
from p2pswarm.lab.nats import Kind, Router
from p2pswarm.net.port import Port
from p2pswarm.net.stream import Stream
from p2pswarm.reach.meeting import Meeting
from p2pswarm.reach.offers import Offer, RelayAt, new_session
from p2pswarm.reach.reach import Reach
from p2pswarm.wire.framer import Framer, Scratch
from p2pswarm.wire.people.frames import OPENING, PeopleFramer, PeopleKind
from p2pswarm.wire.people.hello import Pong, Welcome
from p2pswarm.wire.sniff import Guest
from p2pswarm.wire.supernode.frames import Frame

__all__ = ["Lines", "Talk", "User", "World", "in_a_world", "talk"]


class Lines:
    """A framer that gives the bytes as they come."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(4096))

    def get_buffer(self, hint: int = -1) -> memoryview:
        return self.view

    def received(self, n: int) -> list[bytes]:
        return [self.view[:n].tobytes()]

    def unread(self) -> bytes:
        return b""


class Talk:
    """What is heard on a stream."""

    def __init__(self) -> None:
        self.heard, self.over = b"", False

    def got(self, message: object) -> None:
        assert isinstance(message, bytes)
        self.heard += message

    def caught_up(self) -> None: ...

    def drained(self) -> None: ...

    def closed(self, reason: Exception | None) -> None:
        self.over = True


class Welcoming:
    """The part of a super node that says where it sees a visitor."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream

    def got(self, message: object) -> None:
        assert isinstance(message, Frame)
        if message.kind == PeopleKind.PING:
            self.stream.send(Pong().encode().encode())
            return
        welcome = Welcome(bytes(16), self.stream.remote, bytes(32), relays=True)
        self.stream.send(OPENING + welcome.encode().encode())

    def caught_up(self) -> None: ...

    def drained(self) -> None: ...

    def closed(self, reason: Exception | None) -> None: ...


class Channel:
    def __init__(self, relays: "Relays", there: str) -> None:
        self.relays, self.there = relays, there
        self.other: Channel | None = None
        self.on_datagram: Callable[[bytes], None] = lambda data: None
        self.on_closed: Callable[[], None] = lambda: None

    def send(self, data: bytes) -> None:
        if self.other is not None and self.there not in self.relays.silent:
            self.relays.bytes += len(data)
            self.relays.world.loop.call_later(0.05, self.other.on_datagram, data)

    def close(self) -> None:
        self.other = None


class Relays:
    """What all relays of a world do; a user has them through `For`."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.waiting: dict[Any, asyncio.Future[Any]] = {}
        self.dead: set[str] = set()
        self.silent: set[str] = set()
        self.channels: list[Channel] = []
        self.transports: list[Any] = []
        self.bytes = 0
        self.asked: Callable[[RelayAt], None] = lambda relay: None

    def kill(self, host: str) -> None:
        self.dead.add(host)
        for transport in self.transports:
            if transport[0] == host:
                transport[1].lose(ConnectionResetError("killed"))
        for channel in self.channels:
            if channel.there == host:
                channel.other = None
                channel.on_closed()

    def hush(self, host: str) -> None:
        """Nothing comes through it any more, and nobody is told."""
        self.dead.add(host)
        self.silent.add(host)
        for transport in self.transports:
            if transport[0] == host:
                transport[1].write = lambda data: None

    async def meet(self, key: Any, mine: Any) -> Any:
        """What the other one brings."""
        await asyncio.sleep(0.05)
        if key[0] in self.dead:
            raise ConnectionRefusedError("no relay there")
        theirs = self.waiting.pop(key, None)
        if theirs is None:
            self.waiting[key] = future = self.world.loop.create_future()
            future.mine = mine
            try:
                async with asyncio.timeout(30):
                    return await future
            finally:
                if self.waiting.get(key) is future:
                    del self.waiting[key]
        if not theirs.done():
            theirs.set_result(mine)
        return theirs.mine


class For:
    """The relays as one user has them."""

    def __init__(self, relays: Relays, user: "User") -> None:
        self.relays, self.user = relays, user

    async def stream(
        self, relay: RelayAt, session: bytes, peer: bytes, framer: Framer, conversation: Any
    ) -> Stream:
        self.relays.asked(relay)
        stream = Stream(framer, conversation)
        key = (relay.address.host, session, "stream")
        loop, here = self.relays.world.loop, self.user.host
        other, there = await self.relays.meet(key, (stream, here))
        if stream.remote.port == 0:
            stream.remote = other.remote = Address("1.1.1.1", 1)
            for end in loop.connect(here, there, stream, other, port=1):
                self.relays.transports.append((relay.address.host, end))
        return stream

    async def channel(self, relay: RelayAt, session: bytes, peer: bytes) -> Channel:
        if self.user.router is not None and self.user.router.kind is Kind.BLOCKED:
            raise NetworkError("no datagram comes through")
        self.relays.asked(relay)
        channel = Channel(self.relays, relay.address.host)
        key = (relay.address.host, session, "datagrams")
        channel.other = await self.relays.meet(key, channel)
        self.relays.channels.append(channel)
        return channel


class User:
    """Somebody with a port, behind a router perhaps."""

    def __init__(self, world: "World", number: int, kind: Kind | None, address: str) -> None:
        loop = world.loop
        if not address:
            address = f"20.0.{number}.1" if kind is None else f"10.{number}.0.1"
        self.host = loop.host(address)
        self.router: Router | None = None
        if kind is not None:
            self.router = loop.behind(self.host, kind, f"30.0.{number}.1")
        self.key = SigningKey(bytes([number] * 32))
        self.port = Port(address, 46881, Scratch())
        self.port.speak_utp(Random(number))
        self.reach = Reach(
            self.port,
            Random(number),
            node=bytes([number] * 16),
            super_nodes=lambda: world.super_nodes,
            serves=lambda: False,
            relaying=For(world.relays, self),
        )

    @property
    def port_address(self) -> Address:
        return Address(self.host.name, self.port.number)

    async def open(self) -> None:
        await self.port.open()
        await self.reach.open()

    async def offer(self, to: "User", session: bytes, relays: list[RelayAt]) -> Offer:
        found = await self.reach.gather()
        return Offer.new(
            self.key, b"", to.key.public, found, relays, session=session, now=1_800_000_000
        )


class World:
    def __init__(self, loop: VirtualLoop) -> None:
        self.loop = loop
        self.relays = Relays(self)
        self.super_nodes: list[Address] = []
        self.reaches: list[Reach] = []
        self.ports: list[Port] = []

    async def super_node(self, number: int) -> None:
        host = self.loop.host(f"40.0.{number}.1")
        port = Port(host.name, 46881, Scratch())

        def welcome(stream: Stream) -> None:
            port.admitted(stream)
            stream.switch(PeopleFramer(port.scratch), Welcoming(stream))

        port.route(Guest.PEOPLE, welcome)
        reach = Reach(
            port,
            Random(number),
            node=bytes([40 + number] * 16),
            super_nodes=lambda: [each for each in self.super_nodes if each.host != host.name],
            serves=lambda: True,
        )
        await port.open()
        await reach.open()
        self.super_nodes.append(Address(host.name, 46881))
        self.reaches.append(reach)
        self.ports.append(port)

    async def user(self, number: int, kind: Kind | None, address: str = "") -> User:
        user = User(self, number, kind, address)
        await user.open()
        self.reaches.append(user.reach)
        self.ports.append(user.port)
        return user

    def relay(self, number: int) -> RelayAt:
        return RelayAt(bytes([40 + number] * 16), self.super_nodes[number])

    async def meet(self, a: User, b: User, relays: int = 2) -> tuple[Meeting, Meeting]:
        """The caller's offer goes to the callee, whose answer comes 0.1 s later."""
        session, through = new_session(), [self.relay(n) for n in range(relays)]
        asked = await a.offer(b, session, through[:1])
        answer = await b.offer(a, session, through[1:])
        theirs = b.reach.begin(answer, asked)
        await asyncio.sleep(0.1)
        return a.reach.begin(asked, answer), theirs

    async def until(self, condition: Callable[[], object], seconds: float = 20.0) -> float:
        """How long it took. Raises TimeoutError."""
        begun = self.loop.time()
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.02)
        return self.loop.time() - begun

    async def close(self) -> None:
        for reach in self.reaches:
            await reach.close()
            await reach.close()
        for port in self.ports:
            await port.close()


def in_a_world(
    story: Callable[[World], Awaitable[None]], super_nodes: int = 3, of: type[World] = World
) -> None:
    """Run it. Raises whatever it raises, and for each complaint of the loop."""

    async def told(loop: VirtualLoop) -> None:
        world = of(loop)
        for number in range(super_nodes):
            await world.super_node(number)
        try:
            async with asyncio.timeout(600):
                await story(world)
        finally:
            await world.close()

    play(told)


async def talk(world: World, meetings: tuple[Meeting, Meeting]) -> tuple[Talk, Talk]:
    """A stream of both, over which each has heard the other."""
    talks = Talk(), Talk()
    pairs = zip(meetings, talks, strict=True)
    streams = await asyncio.gather(*(m.stream(Lines(), t) for m, t in pairs))
    for stream, word in zip(streams, (b"from a", b"from b"), strict=True):
        stream.send(word)
    await world.until(lambda: all(t.heard for t in talks))
    assert [t.heard for t in talks] == [b"from b", b"from a"]
    return talks
