"""The metaserver: programs of the first years ask it, on port 8875, which index server to go to.

It says `ip:port` in one line. What a caller says is thrown away, so nothing can be said wrong or too often;
but who hangs up on unread bytes takes back what was said last, so the caller has a moment to hang up first.
"""

import asyncio
from collections.abc import Callable
from typing import cast

from typing_extensions import override

from p2pswarm.formats.ids import Address

__all__ = ["Metaserver"]

LINGER = 2.0  # seconds
MOST_CALLERS = 100  # then the first one has to go


class Metaserver:
    """`port` is that of the index server, which is at the address that was called."""

    def __init__(self, port: Callable[[], int]) -> None:
        self._port = port
        self._callers: dict[asyncio.Transport, None] = {}

    def knock(self) -> asyncio.Protocol:
        """Somebody connects."""
        return _Caller(self)

    def came(self, caller: asyncio.Transport) -> None:
        self._callers[caller] = None
        host = caller.get_extra_info("sockname")[0]
        caller.write(f"{Address(host, self._port()).normal}\n".encode())
        caller.write_eof()
        if len(self._callers) > MOST_CALLERS:
            next(iter(self._callers)).abort()

    def left(self, caller: asyncio.Transport) -> None:
        self._callers.pop(caller, None)

    def hang_up(self) -> None:
        for caller in list(self._callers):
            caller.abort()


class _Caller(asyncio.Protocol):
    def __init__(self, meta: Metaserver) -> None:
        self._meta = meta

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it
        self._timer = asyncio.get_running_loop().call_later(LINGER, self._transport.abort)
        self._meta.came(self._transport)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self._meta.left(self._transport)
