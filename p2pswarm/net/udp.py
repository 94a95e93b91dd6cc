"""The datagrams of a node: one socket, on the number on which it listens.

What comes in is sniffed and handed on at once; nothing is kept. What goes out goes to the kernel or nowhere:
while the kernel has no room for one, others are dropped, as the network would drop them.

The one hard thing: who is named in a datagram may not have sent it. Whoever answers sends no more than came
in, or asks first for a sign that the address is real; that is up to the handlers.
"""

import asyncio
import logging
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Protocol, cast

from typing_extensions import override

from p2pswarm.errors import RemoteError
from p2pswarm.formats.ids import Address
from p2pswarm.wire.sniff import DatagramGuest, sniff_datagram

__all__ = ["DatagramHandler", "Datagrams"]

log = logging.getLogger(__name__)

DatagramHandler = Callable[[bytes, Address], None]
"""One datagram and where it came from. A RemoteError that it raises changes nothing."""


class _Socket(Protocol):
    """What transports of asyncio and uvloop have in common, beyond asyncio's own base class."""

    def sendto(self, data: bytes, addr: tuple[str, int]) -> None: ...

    def get_write_buffer_size(self) -> int: ...

    def is_closing(self) -> bool: ...

    def abort(self) -> None: ...


class Datagrams(asyncio.DatagramProtocol):
    """`open` before use, `close` at the end; before and after, nothing is heard or sent."""

    def __init__(self) -> None:
        self._handlers: dict[DatagramGuest, DatagramHandler] = {}
        self._transport: _Socket | None = None
        self._opening = asyncio.Lock()
        self._gone = asyncio.Event()

    def route(self, guest: DatagramGuest, handler: DatagramHandler) -> None:
        """Who takes care of datagrams of this kind."""
        self._handlers[guest] = handler

    @property
    def routed(self) -> bool:
        """Whether anybody wants to hear any."""
        return bool(self._handlers)

    async def open(self, host: str, number: int) -> None:
        """Once, however often it is called. Raises OSError."""
        async with self._opening:
            if self._transport is None:
                loop = asyncio.get_running_loop()
                await loop.create_datagram_endpoint(lambda: self, local_addr=(host, number))

    def send(self, data: bytes, address: Address) -> None:
        """To an IPv4 address; whatever cannot be sent is dropped."""
        transport, ip = self._transport, address.ip
        if transport is None or transport.is_closing():
            return
        if not isinstance(ip, IPv4Address) or not address.dialable:
            log.debug("no datagram is sent to %s", address)
        elif not transport.get_write_buffer_size():
            transport.sendto(data, (str(ip), address.port))

    async def close(self) -> None:
        """When it returns, the number is free."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
            await self._gone.wait()

    # What the event loop tells

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("_Socket", transport)
        self._gone.clear()

    @override
    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self._transport is None:
            return
        guest = sniff_datagram(data)
        handler = None if guest is None else self._handlers.get(guest)
        if handler is None:
            return
        try:
            handler(data, Address(addr[0], addr[1]).normal)
        except RemoteError as error:
            log.debug("dropping a datagram from %s: %s", addr[0], error)

    @override
    def error_received(self, exc: Exception) -> None:
        log.debug("a datagram was not sent: %s", exc)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._gone.set()
