"""The network of a virtual loop: hosts, and what they are connected by; all of it is memory.

A host without a limit hands over what it is given at once, and it arrives after the delay: one entry in the
list of what rings at that moment. A host with an uplink sends a chunk at a time, one connection after the
other. What a transport is given it then reads only when the uplink gets to it, so that a buffer that is used
again too early is found out. Datagrams travel as fast and wait for nobody; a host that loses some throws the
loop's dice.

The one hard thing: order. Bytes of one connection arrive as they were sent, whichever of the two ways they
took, and what one moment brings to all hosts is heard in the order in which it was sent.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from random import Random
from typing import Any, Protocol

from typing_extensions import override

from p2pswarm.lab.nats import Name, Router

__all__ = ["DatagramTransport", "Host", "Net", "Transport", "pump"]

CHUNK = 16 << 10  # bytes that one connection sends before the next one's turn on the same uplink
AGAIN = 0.2  # seconds until TCP tries again


@dataclass
class Host:
    """One machine: its line to the others."""

    name: str
    up: float = inf
    """Bytes per second."""
    delay: float = 0.01
    """Seconds to any other host."""
    loss: float = 0.0
    """Share of the datagrams from and to it that never arrive."""
    online: bool = True
    router: Router | None = None
    """What it is behind."""
    sent: int = 0
    """Bytes that left it."""
    line: "deque[Transport]" = field(default_factory=deque)
    """Connections that have something to send, and whether one is sending."""
    pumping: bool = False


class Net(Protocol):
    """What a transport needs of its loop."""

    dice: Random
    hosts: dict[str, Host]
    ears: "dict[tuple[str, int], DatagramTransport]"

    def call_soon(self, callback: Callable[..., object], *args: Any) -> object:
        """As soon as the loop turns."""

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> object:
        """After so many virtual seconds."""

    def deliver_later(self, delay: float, transport: "Transport") -> None:
        """Have it deliver what arrives then."""

    def leaving(self, here: Host, protocol: str, name: Name, to: Name) -> Name | None:
        """As whom it is seen there; None when it does not get out."""

    def entering(self, here: Host, protocol: str, source: Name, to: Name) -> Name | None:
        """Whom it reaches; None when nobody gets it."""


class Transport(asyncio.Transport):
    """One end of a connection."""

    other: "Transport"

    def __init__(
        self,
        net: Net,
        here: Host,
        there: Host,
        protocol: Any,
        name: tuple[str, int],
        remote: tuple[str, int],
    ) -> None:
        super().__init__({"peername": remote, "sockname": name})
        self._net, self._here, self._there = net, here, there
        self._protocol = protocol
        self._waiting: deque[memoryview] | None = None  # for the uplink; most never need one
        self.arriving: list[bytes | Exception] = []
        """On the way to us; in the end, that there will be no more."""
        self._size = 0
        self._paused = False
        self._dead = False
        self.deaf = False
        """It reads nothing now."""

    @property
    def host(self) -> Host:
        return self._here

    @override
    def set_write_buffer_limits(self, high: Any = None, low: Any = None) -> None:
        assert high == low == 0

    @override
    def get_write_buffer_size(self) -> int:
        return self._size

    @override
    def write(self, data: Any) -> None:
        if self._dead or not len(data):
            return
        here, other = self._here, self.other
        if here.up == inf and here.online and not self._size and not other.deaf:
            here.sent += len(data)
            other.arriving.append(bytes(data))
            self._net.deliver_later(here.delay, other)
        else:
            self._wait(data)

    def _wait(self, data: Any) -> None:
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.append(memoryview(data))
        self._size += len(data)
        if not self._paused:
            self._paused = True
            self._protocol.pause_writing()
        self.pump()

    def take(self) -> bytes:
        """The next bytes for the uplink, copied only now."""
        assert self._waiting
        head = self._waiting.popleft()
        chunk, rest = bytes(head[:CHUNK]), head[CHUNK:]
        if len(rest):
            self._waiting.appendleft(rest)
        self._size -= len(chunk)
        return chunk

    @override
    def pause_reading(self) -> None:
        """The window is closed: what the other side sends waits there."""
        self.deaf = True

    @override
    def resume_reading(self) -> None:
        self.deaf = False
        self.other.pump()

    def pump(self) -> None:
        """Send what waits, as soon as it is our turn."""
        if self._size and self not in self._here.line:
            self._here.line.append(self)
        pump(self._net, self._here)

    @property
    def can_send(self) -> bool:
        return bool(self._size) and not self.other.deaf

    def drained(self) -> None:
        """The uplink is free again."""
        if not self._size and self._paused and not self._dead:
            self._paused = False
            self._protocol.resume_writing()

    def deliver(self) -> None:
        """What was sent first comes first, whichever moment rings first."""
        if self._dead:
            return
        if not (self._here.online and self._there.online):
            self._net.call_later(AGAIN, self.deliver)
            return
        data = self.arriving.pop(0)
        if isinstance(data, Exception):
            self.lose(data)
            return
        while data and not self._dead:
            buffer = self._protocol.get_buffer(-1)
            n = min(len(data), len(buffer))
            buffer[:n] = data[:n]
            data = data[n:]
            self._protocol.buffer_updated(n)

    @override
    def abort(self) -> None:
        self.close()

    @override
    def close(self) -> None:
        if not self._dead:
            self.lose(None)
            self.other.arriving.append(ConnectionResetError("reset"))
            self._net.deliver_later(self._here.delay, self.other)

    def lose(self, why: Exception | None) -> None:
        """The connection is no more."""
        if not self._dead:
            self._dead = True
            self._waiting = None
            self._size = 0
            self._net.call_soon(self._protocol.connection_lost, why)

    @override
    def is_closing(self) -> bool:
        return self._dead


class DatagramTransport(asyncio.DatagramTransport):
    """A socket for datagrams: each goes at once and arrives alone, or not at all."""

    def __init__(self, net: Net, here: Host, protocol: Any, name: tuple[str, int]) -> None:
        super().__init__({"sockname": name})
        self.protocol = protocol
        self._net, self._here, self._name = net, here, name
        self._dead = False

    @override
    def sendto(self, data: Any, addr: Any = None) -> None:
        if self._dead or not self._here.online:
            return
        self._here.sent += len(data)
        source = self._net.leaving(self._here, "udp", self._name, tuple(addr))
        if source is not None:
            seconds = self._here.delay + len(data) / self._here.up
            self._net.call_later(seconds, self._arrive, bytes(data), source, tuple(addr))

    def _is_lost(self, there: Host) -> bool:
        return any(
            host.loss and self._net.dice.random() < host.loss for host in (self._here, there)
        )

    def _arrive(self, data: bytes, source: Name, addr: Name) -> None:
        name = self._net.entering(self._here, "udp", source, addr)
        there = None if name is None else self._net.hosts.get(name[0])
        if name is None or there is None or self._is_lost(there):
            return
        ear = self._net.ears.get(name)
        if ear is not None and there.online and self._here.online:
            ear.protocol.datagram_received(data, source)

    def get_write_buffer_size(self) -> int:
        return 0

    @override
    def abort(self) -> None:
        self.close()

    @override
    def close(self) -> None:
        if not self._dead:
            self._dead = True
            del self._net.ears[self._name]
            self._net.call_soon(self.protocol.connection_lost, None)

    @override
    def is_closing(self) -> bool:
        return self._dead


def pump(net: Net, host: Host) -> None:
    """Send the next chunk of the next connection, then come back when the line is free again."""
    while host.line and not host.pumping and host.online:
        transport = host.line.popleft()
        if not transport.can_send:
            continue
        data = transport.take()
        host.sent += len(data)
        host.pumping = True
        seconds = len(data) / host.up
        net.call_later(seconds, _sent, net, host, transport)
        transport.other.arriving.append(data)
        net.call_later(seconds + host.delay, transport.other.deliver)


def _sent(net: Net, host: Host, transport: Transport) -> None:
    host.pumping = False
    transport.drained()
    transport.pump()
