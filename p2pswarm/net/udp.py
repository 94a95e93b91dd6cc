"""The datagrams of a node: a socket for each family, on the number on which it listens.

What comes in is sniffed and handed on at once; nothing is kept. What goes out goes to the kernel or nowhere:
while the kernel has no room for one, others are dropped, as the network would drop them.

The one hard thing: who is named in a datagram may not have sent it. Whoever answers sends no more than came
in, or asks first for a sign that the address is real; that is up to the handlers.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

from typing_extensions import override

from p2pswarm.errors import RemoteError
from p2pswarm.formats.ids import Address
from p2pswarm.net.batches import BatchSocket
from p2pswarm.net.binding import Family, family_of
from p2pswarm.wire.sniff import DatagramGuest, sniff_datagram

__all__ = ["DatagramHandler", "Datagrams", "Endpoint"]

log = logging.getLogger(__name__)

DatagramHandler = Callable[[bytes, Address], None]
"""One datagram and where it came from. A RemoteError that it raises changes nothing."""


class _Socket(Protocol):
    """What transports of asyncio and uvloop have in common, beyond asyncio's own base class."""

    def sendto(self, data: bytes, addr: tuple[str, int]) -> None: ...

    def get_write_buffer_size(self) -> int: ...

    def is_closing(self) -> bool: ...

    def abort(self) -> None: ...


class Datagrams:
    """`open` before use, `close` at the end; before and after, nothing is heard or sent."""

    def __init__(self) -> None:
        self._handlers: dict[DatagramGuest, DatagramHandler] = {}
        self._sockets: dict[Family | None, BatchSocket | Endpoint] = {}
        self._opening = asyncio.Lock()
        self.claim: Callable[[bytes, Address], bool] = _not_ours
        self.take: Callable[[bytes, Address], bool] = _not_ours
        """Asked first: whether it is of a connection that is known, and done with."""

    def route(self, guest: DatagramGuest, handler: DatagramHandler) -> None:
        """Who takes care of datagrams of this kind."""
        self._handlers[guest] = handler

    @property
    def routed(self) -> bool:
        """Whether anybody wants to hear any."""
        return bool(self._handlers)

    async def open(self, host: str, number: int) -> None:
        """One socket for each family, however often it is called. Raises OSError."""
        async with self._opening:
            family = family_of(host)
            if family not in self._sockets:
                self._sockets[family] = await _open(self._received, host, number)

    def send(self, data: bytes, address: Address) -> None:
        """Whatever cannot be sent is dropped."""
        ip = address.ip
        endpoint = None if ip is None else self._sockets.get(type(ip))
        if not address.dialable:
            log.debug("no datagram is sent to %s", address)
        elif endpoint is not None:
            endpoint.send(data, (str(ip), address.port))

    def send_row(self, row: Sequence[bytes], address: Address) -> None:
        """One after the other; what there is no room for now waits, as far as it can."""
        ip = address.ip
        endpoint = None if ip is None else self._sockets.get(type(ip))
        if endpoint is not None and address.dialable:
            endpoint.send_row(row, (str(ip), address.port))

    async def close(self) -> None:
        """When it returns, the number is free."""
        sockets, self._sockets = self._sockets, {}
        for endpoint in sockets.values():
            await endpoint.close()

    def _received(self, data: bytes, address: Address) -> None:
        if not self._sockets:
            return
        try:
            if self.take(data, address):
                return
            guest = sniff_datagram(data, lambda: self.claim(data, address))
            handler = None if guest is None else self._handlers.get(guest)
            if handler is not None:
                handler(data, address)
        except RemoteError as error:
            log.debug("dropping a datagram from %s: %s", address, error)


class Endpoint(asyncio.DatagramProtocol):
    """One socket as the event loop has it."""

    def __init__(self, received: DatagramHandler) -> None:
        self._received = received
        self._transport: _Socket | None = None
        self._gone = asyncio.Event()

    def send(self, data: bytes, to: tuple[str, int]) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if not transport.get_write_buffer_size():
            transport.sendto(data, to)

    def send_row(self, row: Sequence[bytes], to: tuple[str, int]) -> None:
        for data in row:
            self.send(data, to)

    async def close(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
            await self._gone.wait()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("_Socket", transport)

    @override
    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        if self._transport is not None:
            # Whoever is on the same link can only be answered there.
            zone = f"%{addr[3]}" if len(addr) > 3 and addr[3] and "%" not in addr[0] else ""
            self._received(data, Address(addr[0] + zone, addr[1]).normal)

    @override
    def error_received(self, exc: Exception) -> None:
        log.debug("a datagram was not sent: %s", exc)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._gone.set()


async def _open(received: DatagramHandler, host: str, number: int) -> BatchSocket | Endpoint:
    """Raises OSError."""
    try:
        return BatchSocket.open(host, number, received)
    except NotImplementedError:  # a loop without file descriptors: in virtual time, and on Windows
        endpoint, loop = Endpoint(received), asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: endpoint, local_addr=(host, number))
        return endpoint


def _not_ours(data: bytes, address: Address) -> bool:
    """Nobody waits for any tracker."""
    return False
