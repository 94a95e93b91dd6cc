"""Host names looked up by the system, so that nobody has to wait for it.

The system's lookup blocks a thread and cannot be cancelled; with a name server that does not answer it takes
ten seconds and more. A loop that closes waits for the threads it lent, and so does the interpreter at its
end. Hence every lookup has a thread of its own that nobody waits for: who stops, stops.

What is found has the form that aiohttp wants, but a node that asks nobody by HTTP never imports it.
"""

import asyncio
import socket
import threading
from contextlib import suppress
from socket import AF_UNSPEC, AddressFamily
from typing import TYPE_CHECKING, Any, Protocol

from typing_extensions import override

if TYPE_CHECKING:
    from aiohttp.abc import ResolveResult

__all__ = ["Names", "SystemNames"]


class Names(Protocol):
    """Who knows the addresses of a host. Raises OSError, UnicodeError."""

    async def resolve(
        self, host: str, port: int = 0, family: AddressFamily = AF_UNSPEC
    ) -> "list[ResolveResult]": ...


class SystemNames(Names):
    """What `/etc/hosts`, the name server and the rest of the system say."""

    @override
    async def resolve(
        self, host: str, port: int = 0, family: AddressFamily = AF_UNSPEC
    ) -> "list[ResolveResult]":
        places = await _in_own_thread(host, port, family)
        return [_result(host, each) for each in places]


async def _in_own_thread(host: str, port: int, family: AddressFamily) -> list[Any]:
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[Any]] = loop.create_future()

    def give(places: list[Any], error: Exception | None) -> None:
        if answer.done():
            return  # nobody waits any more
        if error is None:
            answer.set_result(places)
        else:
            answer.set_exception(error)

    def look_up() -> None:
        places: list[Any] = []
        failed: Exception | None = None
        try:
            places = socket.getaddrinfo(
                host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
            )
        except (OSError, UnicodeError) as error:
            failed = error
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(give, places, failed)

    threading.Thread(target=look_up, name=f"look up {host}", daemon=True).start()
    return await answer


def _result(name: str, place: Any) -> "ResolveResult":
    family, _, protocol, _, address = place
    scope = f"%{address[3]}" if len(address) == 4 and address[3] else ""  # of a link-local address
    return {
        "hostname": name,
        "host": address[0] + scope,
        "port": address[1],
        "family": family,
        "proto": protocol,
        "flags": socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    }
