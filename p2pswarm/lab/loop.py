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
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar
from weakref import WeakSet

from typing_extensions import override

from p2pswarm.lab.nats import Kind, Name, Router
from p2pswarm.lab.wires import DatagramTransport, Host, Transport

__all__ = ["VirtualLoop", "play", "virtual_loop"]

T = TypeVar("T")
_ENDING_TIME = 60.0  # seconds
_SYN_AGAIN = (1.0, 2.0, 4.0)  # seconds, as Linux sends it again


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
        self.routers: dict[str, Router] = {}
        self.dialing: dict[tuple[Name, Name], _Dial] = {}
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

    def behind(self, host: Host, kind: Kind, public: str) -> Router:
        """Put it behind a router with this public address, which others may stand behind already."""
        host.router = self.routers.setdefault(public, Router(public, kind))
        return host.router

    def leaving(self, here: Host, protocol: str, name: Name, to: Name) -> Name | None:
        """As whom it is seen there; None when it does not get out."""
        there = self.hosts.get(to[0])
        if here.router is None or (there is not None and there.router is here.router):
            return name
        return here.router.leaves(protocol, name, to)

    def entering(self, here: Host, protocol: str, source: Name, to: Name) -> Name | None:
        """Whom it reaches; None when nobody gets it."""
        router = self.routers.get(to[0])
        if router is not None:
            return None if here.router is router else router.enters(protocol, to[1], source)
        there = self.hosts.get(to[0])
        inside = there is not None and there.router is not None
        return None if inside and there is not None and there.router is not here.router else to

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
        self._join(near, far, ours, theirs)
        return near, far

    def _join(self, near: Transport, far: Transport, ours: Any, theirs: Any) -> None:
        near.other, far.other = far, near
        theirs.connection_made(far)
        ours.connection_made(near)

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
        here = self.hosts[local_addr[0]]
        if host not in self.hosts and host not in self.routers:
            await asyncio.sleep(here.delay)
            raise OSError(errno.EHOSTUNREACH, "No route to host")
        name = (here.name, local_addr[1] or next(self.ports))
        dial = _Dial(factory, here, name, (host, port), self.create_future())
        if (name, dial.to) in self.dialing:
            raise OSError(errno.EADDRINUSE, "Address already in use")
        self.dialing[name, dial.to] = dial
        try:
            return await self._dial(dial)
        finally:
            del self.dialing[name, dial.to]

    async def _dial(self, dial: "_Dial") -> Any:
        """Somebody listens there, or dials us from there in the same moment. Raises OSError."""
        there = self.hosts.get(dial.to[0], dial.here)
        for pause in _SYN_AGAIN:
            source = self.leaving(dial.here, "tcp", dial.name, dial.to)
            await asyncio.sleep(dial.here.delay + there.delay)
            if source is not None and not dial.met.done():
                inner = self.entering(dial.here, "tcp", source, dial.to)
                if inner is not None:
                    return self._connected(dial, source, inner)
            if (await asyncio.wait([dial.met], timeout=pause))[0]:
                return dial.met.result()
        raise TimeoutError(errno.ETIMEDOUT, "Connection timed out")

    def _connected(self, dial: "_Dial", source: Name, inner: Name) -> tuple[Transport, Any]:
        there, other = self.hosts[inner[0]], self.dialing.get((inner, source))
        listener = self.listeners.get(inner)
        if not (dial.here.online and there.online) or not (other or listener):
            raise ConnectionRefusedError(f"nobody listens on {dial.to[0]}:{dial.to[1]}")
        ours = dial.factory()
        theirs = other.factory() if other else listener()  # type: ignore[misc]  # one of them is there
        near = Transport(self, dial.here, there, ours, dial.name, dial.to)
        far = Transport(self, there, dial.here, theirs, inner, source)
        self._join(near, far, ours, theirs)
        self.transports.update((near, far))
        if other is not None and not other.met.done():
            other.met.set_result((far, theirs))
        return near, ours

    @override
    def sock_connect(self, sock: Any, address: Any) -> Any:
        raise NotImplementedError("there are no sockets in a virtual world")

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


@dataclass(frozen=True, slots=True)
class _Dial:
    """A connection that is being made."""

    factory: Callable[[], Any]
    here: Host
    name: Name
    to: Name
    met: "asyncio.Future[tuple[Transport, Any]]"


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
            complaints = loop.complaints[:1]
            _end_all(loop)
            asyncio.set_event_loop(None)
        if complaints:
            raise RuntimeError(f"in virtual time: {complaints[0]}")
        return told


def _end_all(loop: VirtualLoop) -> None:
    """What a story that failed leaves at work ends here: else it would end in the middle of another one."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left, timeout=_ENDING_TIME))
