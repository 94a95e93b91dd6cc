"""HTTP connections, and the end of those that only hold a place.

aiohttp gives a connection all the time in the world between two requests, and to a client that does not
read its answer. Here one rule covers every slow-loris: within `patience` seconds of connecting, or of the
last answer, the next request has to be complete and that answer taken. Only who keeps reading a large
answer gets more time. When all places are taken, whoever has done nothing for longest makes room for the
newcomer. The connections are kept in the order of their last answer, so looking for the overdue ones
touches no others, and one timer serves them all. A WebSocket has rules of its own (`rendezvous/door.py`); it
takes a place and is not looked at here.

The one hard thing: what a WebSocket brings in one read may be 40 000 pings, and aiohttp takes them all before
anybody can hang up. So it gets a little in each turn of the loop, and the rest waits with the kernel.
"""

import asyncio
import logging
import resource
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from typing_extensions import override

from p2pswarm.errors import TrackerError
from p2pswarm.wire.tracker import encode_failure

__all__ = ["Connection", "PatientServer", "bencoded"]

_MAX_CONNECTIONS = 16_384
_MIN_CONNECTIONS = 32  # even where the system lets us have next to no files
_SPARE_FILES = 128  # left for everything that is not a connection
_SLICE = 1024  # bytes of a WebSocket in a turn of the loop
_READS_ON = 64 << 10  # bytes that a reader of a large answer must take within `patience`

_NOTHING = memoryview(b"")

_log = logging.getLogger(__name__)


def bencoded(body: bytes) -> web.Response:
    """What trackers say is plain text to HTTP, and always 200: clients look at nothing else."""
    return web.Response(body=body, headers={"Content-Type": "text/plain"})


class Connection(web.RequestHandler):
    """One client. `since` is when it last got an answer, `owed` how much of a large one is still to go."""

    __slots__ = ("_full", "_hushed", "_server", "_unread", "kept", "owed", "since")

    def __init__(self, server: "PatientServer", loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            server,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]  # aiohttp's word for "none"; URLs hold passkeys
            lingering_time=1.0,
        )
        self._server = server
        self.since, self.owed = loop.time(), 0
        self.kept = False  # it is a WebSocket
        self._unread, self._hushed = _NOTHING, False
        self._full = False  # aiohttp takes no more of what it says for now

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._server.admit(self)
        super().connection_made(transport)

    @override
    def connection_lost(self, exc: BaseException | None) -> None:
        self._server.dismiss(self)
        super().connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        if not self.kept:
            super().data_received(data)
            if getattr(self, "_message_tail", b"") and self.transport is not None:
                self.transport.abort()  # it does not wait for our handshake (RFC 6455, 4.1)
        elif self._unread:
            self._unread = memoryview(bytes(self._unread) + data)
        elif not self._hushed:
            self._unread = memoryview(data)
            self._stop_listening()
            self._take()

    def hush(self) -> None:
        """Nothing more that it says is heard; it may still be told something."""
        self._hushed, self._unread = True, _NOTHING
        self._stop_listening()

    def _take(self) -> None:
        """A slice, and the next one in the next turn."""
        if self.transport is None or self._hushed:
            return
        data, self._unread = self._unread[:_SLICE], self._unread[_SLICE:]
        super().data_received(bytes(data))
        if self._unread:
            self._loop.call_soon(self._take)
        elif not self._full and self.transport is not None:
            self.transport.resume_reading()

    def _stop_listening(self) -> None:
        """Behind aiohttp's back, which then does not pause when it is full: it would take that for done."""
        if self.transport is not None:
            self.transport.pause_reading()

    @override
    def pause_reading(self) -> None:
        self._full = True
        super().pause_reading()

    @override
    def resume_reading(self, *args: bool, **more: bool) -> None:
        """aiohttp has room again."""
        self._full = False
        super().resume_reading(*args, **more)
        if self._unread or self._hushed:
            self._stop_listening()

    @override
    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What cannot be read as HTTP gets a short answer, and no traceback in the log."""
        if status != 400:
            return super().handle_error(request, status, exc, message)
        _log.debug("a request that is not proper HTTP: %r", exc)
        if isinstance(exc, LineTooLong):
            response = bencoded(encode_failure(TrackerError("the request is too long")))
        else:
            response = web.Response(status=400, text="this is not HTTP as the tracker knows it\n")
        response.force_close()
        return response


class PatientServer(web.Server):
    """aiohttp's low-level server with places for so many connections, and patience for so long."""

    def __init__(
        self, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], patience: float
    ) -> None:
        super().__init__(handler)
        self.dropped = 0
        self._patience = patience
        self._places = max(_open_files() - _SPARE_FILES, _MIN_CONNECTIONS)
        self._waiting: OrderedDict[Connection, None] = OrderedDict()
        self._kept: set[Connection] = set()
        self._every = min(1.0, patience / 4)
        self._timer = self._loop.call_later(self._every, self._look_around)

    @override
    def __call__(self) -> Connection:
        return Connection(self, self._loop)

    def admit(self, connection: Connection) -> None:
        while self._waiting and len(self._waiting) + len(self._kept) >= self._places:
            self._drop(next(iter(self._waiting)))
        self._waiting[connection] = None

    def dismiss(self, connection: Connection) -> None:
        self._waiting.pop(connection, None)
        self._kept.discard(connection)

    def keep(self, connection: Connection) -> Callable[[], None]:
        """It becomes a WebSocket; what is returned ends that it is heard."""
        if connection in self._waiting:
            del self._waiting[connection]
            self._kept.add(connection)
            connection.kept = True
        return connection.hush

    def answered(self, connection: Connection, size: int) -> None:
        """A complete request came in and gets an answer of `size` bytes."""
        if connection in self._waiting:
            connection.since, connection.owed = self._loop.time(), size
            self._waiting.move_to_end(connection)

    async def aclose(self) -> None:
        """Drop everybody, after a moment for the answers under way."""
        self._timer.cancel()
        self.pre_shutdown()
        await self.shutdown(timeout=0.5)

    def _look_around(self) -> None:
        """Drop the overdue, except readers of a large answer who took their share of it."""
        overdue = self._loop.time() - self._patience
        while self._waiting:
            connection = next(iter(self._waiting))
            if connection.since > overdue:
                break
            left = connection.transport.get_write_buffer_size() if connection.transport else 0
            if 0 < left <= connection.owed - _READS_ON:
                self.answered(connection, left)
            else:
                self._drop(connection)
        self._timer = self._loop.call_later(self._every, self._look_around)

    def _drop(self, connection: Connection) -> None:
        del self._waiting[connection]
        self.dropped += 1
        if connection.transport is not None:
            connection.transport.abort()


def _open_files() -> int:
    """How many files this process may have open, as far as we care."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = _MAX_CONNECTIONS + _SPARE_FILES
    return enough if soft == resource.RLIM_INFINITY else min(soft, enough)
