"""The metaserver: programs of the first years ask it, on port 8875, which index server to go to.

It says `ip:port` in one line and hangs up. Nothing is read, so nothing can be said wrong or too often.
"""

import asyncio
from collections.abc import Callable
from typing import cast

from typing_extensions import override

from p2pswarm.formats.ids import Address

__all__ = ["Metaserver"]


class Metaserver(asyncio.Protocol):
    """One caller. `port` is that of the index server, which is at the address that was called."""

    def __init__(self, port: Callable[[], int]) -> None:
        self._port = port

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        caller = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it
        host = caller.get_extra_info("sockname")[0]
        caller.write(f"{Address(host, self._port()).normal}\n".encode())
        caller.close()
