"""Our client as HTTP client: one request at a time against strangers who may be hostile.

A URL comes out of somebody's torrent, so whoever wrote it chooses whom we talk to. Hence: only http and
https, certificates verified, no proxy from the environment, no cookies. A name is looked up once per request
and the connection goes to what was found. Nobody on the Internet may send us on into the local network.

The one hard thing is a kept connection: it answers for a name that points elsewhere by now. A client keeps
none, unless all that it asks may go equally near.

A node that uses certain local addresses asks from those, and from a family that has none it does not ask.
"""

import os
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from ipaddress import ip_address
from socket import AF_UNSPEC, AddressFamily, gaierror

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from typing_extensions import override
from yarl import URL

from p2pswarm.discovery.families import NoAddressError, by_family, family_of
from p2pswarm.discovery.names import Names, SystemNames
from p2pswarm.errors import TrackerError
from p2pswarm.formats.zones import Zone, zone_of
from p2pswarm.net.binding import EVERYWHERE

__all__ = ["Admit", "HttpClient", "in_words", "parsed"]

USER_AGENT = "p2pswarm/0.1"
CONNECT_TIMEOUT = 10.0  # seconds
_PING = 20.0  # seconds; a WebSocket whose other end does not answer is given up after half of that
_KEPT = 15.0  # seconds that a connection waits for the next request, where any is kept
_MAX_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

Admit = Callable[[URL, Zone], None]
"""Raises TrackerError when this URL, whose server is so near, is not to be asked."""

_found: ContextVar[list[ResolveResult]] = ContextVar("_found")


class _AlreadyFound(AbstractResolver):
    """Answers with what this request has looked up, whatever a second look would say."""

    @override
    async def resolve(
        self, host: str, port: int = 0, family: AddressFamily = AF_UNSPEC
    ) -> list[ResolveResult]:
        return _found.get()

    @override
    async def close(self) -> None:
        """Nothing is open."""


class HttpClient:
    """Lazily opened client sessions, one for each local address that is asked from."""

    def __init__(
        self,
        names: Names | None = None,
        *,
        hosts: Sequence[str] = EVERYWHERE,
        most: int,
        keep: bool = False,
    ) -> None:
        """`hosts` are the local addresses to ask from; `most` connections are open at a time."""
        self._names = names or SystemNames()
        self._hosts = by_family(hosts)
        self._most, self._keep = most, keep
        self._sessions: dict[str, aiohttp.ClientSession] = {}

    @asynccontextmanager
    async def get(
        self, url: URL, admit: Admit, headers: Mapping[str, str], family: AddressFamily = AF_UNSPEC
    ) -> AsyncIterator[tuple[aiohttp.ClientResponse, Zone]]:
        """The answer, after redirects, and the farthest zone that had a part in it.

        Raises TrackerError, aiohttp.ClientError, OSError, ValueError; `in_words` says the others.
        """
        farthest = Zone.THIS_MACHINE
        for _ in range(1 + _MAX_REDIRECTS):
            here, found = await self._look_up(url, family)
            zones = set(map(zone_of, found))
            if max(zones) > farthest:
                raise TrackerError("redirected into a nearer network: refused")
            admit(url, max(zones))
            farthest = min(farthest, *zones)
            asking = self._open(here).get(url, allow_redirects=False, headers=headers)
            async with asking as response:
                if response.status not in _REDIRECTS:
                    yield response, farthest
                    return
                location = URL(response.headers.get("Location", ""), encoded=True)
                url = parsed(str(url.join(location)))
        raise TrackerError(f"redirected more than {_MAX_REDIRECTS} times")

    @asynccontextmanager
    async def post(
        self, url: URL, admit: Admit, body: bytes, headers: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer of exactly that server: what is posted goes nowhere else, so a redirect is an answer.

        `admit` hears of the farthest zone where the host may be. Raises what `get` raises.
        """
        here, found = await self._look_up(url, AF_UNSPEC)
        admit(url, min(map(zone_of, found)))
        asking = self._open(here).post(url, data=body, allow_redirects=False, headers=headers)
        async with asking as response:
            yield response

    @asynccontextmanager
    async def websocket(
        self, url: URL, most: int
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """A WebSocket at an http or https URL, for messages of at most `most` bytes; never redirected.

        Raises TrackerError, aiohttp.ClientError, OSError, ValueError.
        """
        here, _ = await self._look_up(url, AF_UNSPEC)
        opening = self._open(here).ws_connect(
            url, max_msg_size=most, heartbeat=_PING, timeout=aiohttp.ClientWSTimeout(ws_close=1.0)
        )
        async with opening as socket:
            yield socket

    async def aclose(self) -> None:
        """May be called twice; a later request opens a new session."""
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            await session.close()

    async def _look_up(self, url: URL, family: AddressFamily) -> tuple[str, list[str]]:
        """The local address to ask from, and those of the host for this request that it can ask at."""
        host, port = url.host or "", url.port or 0
        if host.replace(".", "").isdigit() or ":" in host:
            hosts = [str(ip_address(host))]  # ValueError for 2130706433, 127.1 and the like
            places = []
        else:
            places = await self._resolve(host, port, family)
            hosts = [each["host"] for each in places]
        usable = [each for each in hosts if family in (AF_UNSPEC, family_of(each))]
        sources = [each for each in map(self._source, usable) if each is not None]
        if not sources:
            raise NoAddressError("cannot be reached: no address of a family that is used")
        here = sources[0]
        fitting = [each for each in usable if self._source(each) == here]
        _found.set([each for each in places if each["host"] in fitting])
        return here, fitting

    def _source(self, host: str) -> str | None:
        """The local address that can ask there: "" for any, None when there is none."""
        family = family_of(host)
        here = None if family is None else self._hosts.get(family)
        return "" if here in EVERYWHERE else here

    async def _resolve(self, host: str, port: int, family: AddressFamily) -> list[ResolveResult]:
        try:
            return await self._names.resolve(host, port, family)
        except gaierror as error:
            raise NoAddressError(in_words(error)) from error

    def _open(self, here: str) -> aiohttp.ClientSession:
        """The session that asks from this local address, or from any."""
        if here not in self._sessions:
            connector = aiohttp.TCPConnector(
                resolver=_AlreadyFound(),
                use_dns_cache=False,
                force_close=not self._keep,
                keepalive_timeout=_KEPT if self._keep else None,
                limit=self._most,
                local_addr=(here, 0) if here else None,
            )
            self._sessions[here] = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT),
                headers={"User-Agent": USER_AGENT},
                auto_decompress=False,
                trust_env=False,
                trace_configs=[_no_detours()],
            )
        return self._sessions[here]


def _no_detours() -> aiohttp.TraceConfig:
    """Redirects are followed by `get` or not at all; a WebSocket's cannot be switched off otherwise."""

    async def refuse(*_: object) -> None:
        raise TrackerError("redirected: refused")

    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(refuse)
    return trace


def parsed(url: str) -> URL:
    """The URL with its escapes as they are. Raises TrackerError."""
    if not url.isascii() or not url.isprintable() or " " in url:
        raise TrackerError("not a URL: it has characters that need escaping")
    try:
        target = URL(url, encoded=True)
        port = target.port
    except ValueError as error:
        raise TrackerError("not a URL") from error
    if target.scheme not in ("http", "https") or not target.host or not port:
        raise TrackerError("not an http or https URL with a host")
    return target


def in_words(error: Exception) -> str:
    """One line without the URL, which may hold a passkey."""
    match error:
        case aiohttp.ClientSSLError():
            return "the server's certificate is not valid for it"
        case aiohttp.ServerDisconnectedError():
            return "the server closed the connection without an answer"
        case _ if isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError):
            return "the encrypted connection broke off"  # its numbers are no errno
        case OSError(errno=int(number)) if number > 0:
            return f"cannot be reached: {os.strerror(number)}"  # asyncio's words are a programmer's
        case OSError():
            return f"cannot be reached: {error.strerror or 'no connection'}"
        case aiohttp.ClientError():
            return f"the answer is not proper HTTP ({type(error).__name__})"
        case _:
            return "not a URL that can be asked"
