"""Somebody who speaks the supernode protocol and says what he likes; and somebody who has no part in it."""

import asyncio
from collections import Counter, deque
from typing import Any

from typing_extensions import override

from p2pswarm.formats.ids import Address
from p2pswarm.net.port import Port
from p2pswarm.net.stream import Stream
from p2pswarm.overlay.supernode.link import Link
from p2pswarm.overlay.supernode.meeting import greet
from p2pswarm.wire.framer import KeepingFramer
from p2pswarm.wire.sniff import DatagramGuest, Guest
from p2pswarm.wire.supernode.datagrams import UdpPing, UdpPong, read_datagram
from p2pswarm.wire.supernode.frames import OPENING, Frame, FrameFramer, FrameKind
from p2pswarm.wire.supernode.hello import Hello, Refuse, Want, Welcome
from p2pswarm.wire.supernode.keeping import Pong
from p2pswarm.wire.supernode.testing import Data, Probe, Test
from tests.support.world import Host, World

__all__ = ["PORT", "Liar", "Victim"]

PORT = 46881
WEB = 80


def nothing(link: Link, frame: Frame) -> None:
    """Is all that it says."""


class Liar:
    """A super node by its own word. It passes tests, as it has a line; `says` is what else it does."""

    def __init__(self, world: World, name: str = "", *, node: bytes = b"L" * 16) -> None:
        self.world, self.node = world, node
        self.host = world.host()
        if name:
            self.host = world.loop.hosts[name] = Host(name)
        self.address = Address(self.host.name, PORT)
        self.port = Port(self.host.name, PORT)
        self.port.route(Guest.SUPERNODE, self._came)
        self.port.route_datagrams(DatagramGuest.SUPERNODE, self._heard)
        self.links: list[Link] = []  # whoever came, or was dialed
        self.frames: deque[tuple[Link, Frame]] = deque(maxlen=10_000)
        self.nodes: dict[int, bytes] = {}  # that it says to be, by their ports
        self.refuses: Refuse | None = None
        self.tested = True  # it lets others test it
        self.you: Address | None = None  # where it says that it sees them
        self.says = nothing

    async def open(self) -> "Liar":
        await self.port.open()
        return self

    def be(self, node: bytes, port: int) -> None:
        """One more node, on another port."""
        loop: Any = self.world.loop
        self.nodes[port] = node
        loop.listeners[self.host.name, port] = loop.listeners[self.host.name, PORT]

    async def close(self) -> None:
        for link in self.links:
            link.close()
        await self.port.close()

    async def dial(self, address: Address, want: Want, node: bytes = b"", port: int = PORT) -> Link:
        """Raises NetworkError."""
        hello = Hello(node or self.node, port, want, "liar", True, False)
        meeting, welcome = await greet(self.port, address, hello)
        link = meeting.stay()
        link.node = welcome.node
        self.links.append(link)
        link.listen(self)
        return link

    def heard(self, kind: FrameKind) -> list[Frame]:
        return [frame for _, frame in self.frames if frame.kind == kind]

    def _came(self, stream: Stream) -> None:
        link = Link(stream, self)
        stream.switch(FrameFramer(self.port.scratch), link)
        self.links.append(link)

    def _heard(self, data: bytes, source: Address) -> None:
        ping = read_datagram(data)
        if isinstance(ping, UdpPing):
            pong = UdpPong(ping.token, 0, True, 1, 1, 100)
            self.port.send_datagram(pong.encode(), source)

    def got(self, link: Link, frame: Frame) -> None:
        self.frames.append((link, frame))
        match frame.kind:
            case FrameKind.HELLO:
                self.port.admitted(link.stream)
                self._greeted(link, Hello.read(frame.body))
            case FrameKind.PING:
                link.send(Pong(0, 1, 1, 100).encode().encode())
            case FrameKind.INVITE if self.tested:
                nonce = self.world.dice.randbytes(16)
                link.send(Test(PORT, nonce).encode().encode())
            case FrameKind.PROBE:
                self.give(link, Probe.read(frame.body))
            case _:
                pass
        self.says(link, frame)

    def give(self, link: Link, probe: Probe) -> None:
        for at in range(0, probe.size, 8192):
            link.send(Data(probe.data[at : at + 8192]).encode().encode())

    def _greeted(self, link: Link, hello: Hello) -> None:
        link.node, link.address = hello.node, Address(link.remote.host, hello.port)
        link.send(OPENING)
        if self.refuses is not None and hello.want is not Want.TEST:
            link.part(self.refuses.encode().encode(), "refused")
            return
        you = self.you or link.remote
        node = self.nodes.get(link.stream.local.port, self.node)
        welcome = Welcome(node, PORT, "liar", you, True, 1, 1, 100)
        link.send(welcome.encode().encode())

    def left(self, link: Link, reason: Exception) -> None:
        if link in self.links:
            self.links.remove(link)


class Victim:
    """A web server that has nothing to do with any of it, and what came to it from whom."""

    def __init__(self, world: World, name: str) -> None:
        world.loop.hosts[name] = Host(name)
        self.host, self.world = name, world
        self.address = Address(name, WEB)
        self.ports = [Address(name, port) for port in range(WEB, WEB + 200)]
        self.dials: Counter[tuple[str, int]] = Counter()
        self.datagrams: Counter[str] = Counter()
        self.bytes = 0

    async def open(self) -> "Victim":
        loop: Any = asyncio.get_running_loop()
        for _, port in self.ports:
            await loop.create_server(lambda port=port: _Guest(self, port), self.host, port)
            await loop.create_datagram_endpoint(lambda: _Ear(self), (self.host, port))
        return self


class _Guest(Stream):
    def __init__(self, victim: Victim, port: int) -> None:
        super().__init__(KeepingFramer(), self)
        self._victim, self._number = victim, port

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._victim.dials[self.remote.host, self._number] += 1

    def got(self, message: object) -> None:
        """A web server understands none of it."""

    def caught_up(self) -> None:
        self.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    def drained(self) -> None:
        """Nothing waits."""

    def closed(self, reason: Exception | None) -> None:
        """They gave up."""


class _Ear(asyncio.DatagramProtocol):
    def __init__(self, victim: Victim) -> None:
        self._victim = victim

    @override
    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._victim.datagrams[addr[0]] += 1
        self._victim.bytes += len(data)
