"""Datagrams from another number than the node's, by which somebody finds out what his NAT filters (RFC 5780).

The sockets are opened when the first wants to know, so only super nodes have them; nothing is heard on them.
"""

import asyncio
import logging

from p2pswarm.formats.ids import Address
from p2pswarm.net.port import Port
from p2pswarm.net.udp import Datagrams

__all__ = ["Elsewhere"]

log = logging.getLogger(__name__)


class Elsewhere:
    """`close` at the end."""

    def __init__(self, port: Port) -> None:
        self._port = port
        self._datagrams = Datagrams()
        self._opening: asyncio.Task[None] | None = None

    def send(self, data: bytes, to: Address) -> None:
        """The first is dropped: who asked asks again."""
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
        self._datagrams.send(data, to)

    async def close(self) -> None:
        """May be called twice."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        await self._datagrams.close()

    async def _open(self) -> None:
        for host in self._port.hosts:
            try:
                await self._datagrams.open(host, 0)
            except OSError as error:
                log.debug("no second socket on %s: %s", host, error)
