"""The door of the rendezvous: one WebSocket for each guest, at `/code` of the tracker's port.

Programs come without `Origin`. A browser says whose page it runs, and a page of somebody else is sent away,
so that nobody guesses codes with the browsers of others. Messages are short, never compressed, and a
connection that does not answer a ping is dropped.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from random import Random
from urllib.parse import urlsplit

from aiohttp import WSMsgType, web

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.wire.rendezvous import MOST_MESSAGE, Why, decode, encode
from tracker.rendezvous.desk import Rendezvous
from tracker.rendezvous.guests import Guest, Tokens
from tracker.uploads import line_of

__all__ = ["Door"]

_SWEEP = 1.0  # seconds
_PING = 20.0  # seconds; who does not answer one within half of that is gone
_PINGS_A_SECOND, _PINGS_AT_ONCE = 1.0, 4.0  # of a guest, and its answers to ours
_FAREWELL = 1.0  # seconds for the other side to close, too
_GOING_AWAY = 1001
_UPGRADE = {"Upgrade": "websocket", "Connection": "Upgrade"}

# aiohttp warns of each who asks for a protocol inside the WebSocket, in his words: no log needs them.
logging.getLogger("aiohttp.websocket").setLevel(logging.ERROR)


class Door:
    """`open` once the service listens; `answer` each request; `aclose` sends everybody away."""

    def __init__(self, clock: Callable[[], float], dice: Random) -> None:
        self._clock = clock
        self._desk = Rendezvous(dice)
        self._inside: set[web.WebSocketResponse] = set()
        self._timer: asyncio.TimerHandle | None = None

    def open(self) -> None:
        self._desk.sweep(self._clock())
        self._timer = asyncio.get_running_loop().call_later(_SWEEP, self.open)

    async def aclose(self) -> None:
        """May be called twice."""
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.gather(*(socket.close(code=_GOING_AWAY) for socket in self._inside))

    async def answer(
        self, request: web.BaseRequest, caller: str, keep: Callable[[], Callable[[], None]]
    ) -> web.StreamResponse:
        """Until the guest leaves; `keep` is called when its connection is a WebSocket, and what it returns
        when nothing more is to be heard of it."""
        if not _from_here(request):
            return web.Response(status=403, text="that page is not of this server\n")
        socket = web.WebSocketResponse(
            timeout=_FAREWELL,
            heartbeat=_PING,
            autoping=False,
            compress=False,
            max_msg_size=MOST_MESSAGE,
        )
        if not socket.can_prepare(request):
            return web.Response(status=426, text="codes need a WebSocket\n", headers=_UPGRADE)
        awake = asyncio.Event()
        guest = self._desk.enter(caller, line_of(caller), self._clock(), awake.set)
        if guest is None:
            return web.Response(status=503, text="too many\n", headers={"Retry-After": "10"})
        try:
            await socket.prepare(request)
            hush = keep()
            self._inside.add(socket)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_tell(socket, guest, awake))
                with suppress(ConnectionError):
                    await self._hear(socket, guest)
                guest.end()
                if guest.rude:
                    hush()
        except ConnectionError:  # it was gone before the handshake
            return web.Response(status=400)
        finally:
            self._inside.discard(socket)
            self._desk.leave(guest, self._clock())
        return socket

    async def _hear(self, socket: web.WebSocketResponse, guest: Guest) -> None:
        """Until the connection ends, or somebody ends it. Raises ConnectionError."""
        pings = Tokens(_PINGS_A_SECOND, _PINGS_AT_ONCE, self._clock())
        async for message in socket:
            match message.type:
                case WSMsgType.BINARY:
                    self._received(guest, message.data)
                case WSMsgType.PING | WSMsgType.PONG if pings.take(self._clock()):
                    if message.type is WSMsgType.PING and not guest.over:
                        await socket.pong(message.data)
                case _:
                    guest.refuse(Why.RUDE)
            if guest.over:
                break

    def _received(self, guest: Guest, data: bytes) -> None:
        try:
            self._desk.received(guest, decode(data), self._clock())
        except RemoteProtocolError:
            guest.refuse(Why.RUDE)


async def _tell(socket: web.WebSocketResponse, guest: Guest, awake: asyncio.Event) -> None:
    """What the guest is to be told, and the end of the connection after its last message."""
    try:
        while True:
            while guest.out:
                await socket.send_bytes(encode(guest.out.popleft()))
            if guest.over:
                break
            await awake.wait()
            awake.clear()
        await socket.close()
    except ConnectionError:
        guest.end()


def _from_here(request: web.BaseRequest) -> bool:
    origin = request.headers.get("Origin")
    return (
        origin is None or urlsplit(origin).netloc.lower() == request.headers.get("Host", "").lower()
    )
