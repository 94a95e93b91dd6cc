"""Connections from one local number to several places: so a NAT shows all of them the same number of its own.

That is how two meet by TCP whom nobody can dial (simultaneous open, RFC 9293, 3.5): each asks somebody in the
open where a connection from this number is seen, then both connect to each other from it at the same time.

The one hard thing: a number that a socket has is taken. All that share it have to say so before they take it
(SO_REUSEPORT; SO_REUSEADDR for those that are closing).
"""

import asyncio
import socket

from p2pswarm.formats.ids import Address
from p2pswarm.net.stream import Stream

__all__ = ["dial_from"]


async def dial_from(here: tuple[str, int], to: Address, stream: Stream) -> None:
    """Connect `stream`; number 0 is any, an empty host any of ours. Raises OSError."""
    loop = asyncio.get_running_loop()
    try:
        sock = await _connected(loop, here, to)
    except NotImplementedError:  # a loop without sockets: in virtual time
        await loop.create_connection(lambda: stream, to.host, to.port, local_addr=here)
        return
    try:
        await loop.create_connection(lambda: stream, sock=sock)
    except BaseException:
        sock.close()
        raise


async def _connected(
    loop: asyncio.AbstractEventLoop, here: tuple[str, int], to: Address
) -> socket.socket:
    if to.ip is None:
        raise OSError(f"{to} is a name")
    family = socket.AF_INET if to.ip.version == 4 else socket.AF_INET6
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        connecting = loop.sock_connect(sock, (str(to.ip), to.port))
        try:
            _take_number(sock, here)
        except OSError:
            connecting.close()  # it was not begun
            raise
        await connecting
    except BaseException:
        sock.close()
        raise
    return sock


def _take_number(sock: socket.socket, here: tuple[str, int]) -> None:
    """Raises OSError."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "SO_REUSEPORT"):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(here)
