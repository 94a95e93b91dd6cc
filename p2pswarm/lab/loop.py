"""Virtual time: a loop whose clock jumps, with a network of its own.

When nothing is ready the clock jumps to the next timer, so that an hour takes as long as its messages take.
Nodes are the real ones: the loop's own `create_server` and `create_connection` connect them, through hosts
(`wires`). Whoever needs a hundred thousand connections joins them without a greeting (`connect`). Whatever
reaches the loop's exception handler is a complaint.

The one hard thing: what waits for something that nobody will ever do would wait for ever. It is told so.
"""

import asyncio
import errno
import itertools
import selectors
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any, TypeVar
from weakref import WeakSet

from typing_extensions import override

from p2pswarm.lab.wires import DatagramTransport, Host, Transport

__all__ = ["VirtualLoop", "play", "virtual_loop"]

T = TypeVar("T")
Name = tuple[str, int]


class _NoWaiting(selectors.SelectSelector):
    """Never sleeps: the loop's clock jumps by as much as it would have waited."""

    loop: "VirtualLoop"

    @override
    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("the story waits for something that nobody will ever do")
            self.loop.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop with its own time and its own network."""

    def __init__(self) -> None:
        self.now = 0.0
        self.hosts: dict[str, Host] = {}
        self.listeners: dict[Name, Callable[[], asyncio.BaseProtocol]] = {}
        self.ears: dict[Name, DatagramTransport] = {}
        self.dice = Random(1)  # for what is lost
        self.ports = itertools.cycle(range(32_768, 61_000))  # as Linux has them
        self.transports: WeakSet[Transport] = WeakSet()
        self.complaints: list[dict[str, Any]] = []
        self._moments: dict[float, list[Transport]] = {}  # who hears something then, in order
        selector = _NoWaiting()
        selector.loop = self
        super().__init__(selector)
        self.set_exception_handler(lambda _, context: self.complaints.append(context))

    @override
    def time(self) -> float:
        return self.now

    def host(self, name: str) -> Host:
        """One more machine, without limits."""
        host = self.hosts[name] = Host(name)
        return host

    def deliver_later(self, delay: float, transport: Transport) -> None:
        """One timer for all that arrives at the same moment."""
        when = self.now + delay
        moment = self._moments.get(when)
        if moment is None:
            self._moments[when] = [transport]
            self.call_at(when, self._ring, when)
        else:
            moment.append(transport)

    def _ring(self, when: float) -> None:
        arrived = self._moments.pop(when)
        for number, transport in enumerate(arrived, 1):
            try:
                transport.deliver()
            except BaseException:  # it is reported as the one callback's; the others still hear
                for other in arrived[number:]:
                    self.call_soon(other.deliver)
                raise

    def connect(
        self, here: Host, there: Host, ours: Any, theirs: Any, *, port: int, own: int | None = None
    ) -> tuple[Transport, Transport]:
        """Two protocols become the ends of a connection, this moment; `port` is theirs."""
        name, remote = (here.name, own or next(self.ports)), (there.name, port)
        near = Transport(self, here, there, ours, name, remote)
        far = Transport(self, there, here, theirs, remote, name)
        near.other, far.other = far, near
        theirs.connection_made(far)
        ours.connection_made(near)
        return near, far

    @override
    async def create_server(  # type: ignore[override]  # no node asks for more
        self, factory: Any, host: Any = None, port: Any = None, **_: Any
    ) -> Any:
        number = port or next(self.ports)
        self.listeners[host, number] = factory
        return _Server(self, (host, number))

    @override
    async def create_connection(  # type: ignore[override]
        self, factory: Any, host: Any = None, port: Any = None, *, local_addr: Any = None, **_: Any
    ) -> Any:
        assert local_addr is not None, "every node of a world listens on an address of its own"
        here, there = self.hosts[local_addr[0]], self.hosts.get(host)
        if there is None:
            await asyncio.sleep(here.delay)
            raise OSError(errno.EHOSTUNREACH, "No route to host")
        await asyncio.sleep(here.delay + there.delay)
        answer = self.listeners.get((host, port))
        if answer is None or not (here.online and there.online):
            raise ConnectionRefusedError(f"nobody listens on {host}:{port}")
        ours = factory()
        near, far = self.connect(here, there, ours, answer(), port=port)
        self.transports.update((near, far))
        return near, ours

    @override
    def add_reader(self, fd: Any, callback: Any, *args: Any) -> None:  # type: ignore[override]
        raise NotImplementedError("there are no sockets in a virtual world")

    @override
    async def create_datagram_endpoint(  # type: ignore[override]
        self, factory: Any, local_addr: Any = None, **_: Any
    ) -> Any:
        host, port = local_addr
        name = (host, port or next(self.ports))
        if name in self.ears:
            raise OSError(errno.EADDRINUSE, "Address already in use")
        transport = self.ears[name] = DatagramTransport(self, self.hosts[host], factory(), name)
        transport.protocol.connection_made(transport)
        return transport, transport.protocol


class _Server:
    def __init__(self, loop: VirtualLoop, name: Name) -> None:
        self.sockets = [self]
        self._loop, self._name = loop, name

    def getsockname(self) -> Name:
        return self._name

    def close(self) -> None:
        self._loop.listeners.pop(self._name, None)

    async def wait_closed(self) -> None:
        pass


@contextmanager
def virtual_loop() -> Iterator[VirtualLoop]:
    loop = VirtualLoop()
    try:
        yield loop
    finally:
        loop.close()


def play(story: Callable[[VirtualLoop], Awaitable[T]]) -> T:
    """Run a story to its end and return what it tells. Raises RuntimeError for the first complaint."""

    async def tell(loop: VirtualLoop) -> T:
        return await story(loop)

    with virtual_loop() as loop:
        asyncio.set_event_loop(loop)
        try:
            told = loop.run_until_complete(tell(loop))
        finally:
            asyncio.set_event_loop(None)
        if loop.complaints:
            raise RuntimeError(f"in virtual time: {loop.complaints[0]}")
        return told
