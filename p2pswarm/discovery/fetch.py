"""Our client as HTTP client: one GET at a time against strangers who may be hostile.

A tracker's URL comes out of somebody's torrent, so whoever wrote it chooses whom we talk to. Hence: only
http and https, certificates verified, no proxy from the environment, no cookies, no connection kept (a
kept one would answer for a name that points elsewhere by now). A name is looked up once per request and
the connection goes to what was found. Nobody on the Internet may send us on into the local network, and
on our own machine only the paths of a tracker are asked (libtorrent's `ssrf_mitigation`). Bodies are
counted before and after they are unpacked, so a gzip bomb ends at the limit.

A node that uses certain local addresses asks from those, and from a family that has none it does not ask.
"""

import asyncio
import zlib
from collections.abc import Sequence
from contextvars import ContextVar
from http import HTTPStatus
from ipaddress import ip_address
from socket import AF_UNSPEC, AddressFamily, gaierror

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from typing_extensions import override
from yarl import URL

from p2pswarm.discovery.families import NoAddressError, by_family, family_of
from p2pswarm.discovery.names import Names, SystemNames
from p2pswarm.discovery.trackers import Body
from p2pswarm.errors import TrackerError
from p2pswarm.formats.zones import Zone, zone_of
from p2pswarm.net.binding import EVERYWHERE
from p2pswarm.wire.tracker import MAX_REPLY

__all__ = ["HttpFetch"]

USER_AGENT = "p2pswarm/0.1"
CONNECT_TIMEOUT = 10.0  # seconds
_MAX_REDIRECTS = 3
_AT_ONCE = 50  # requests; libtorrent's number: a thousand torrents must not start in one moment
_GZIP_OR_ZLIB = 47  # zlib's window bits for "whichever of the two the header says"
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


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


class HttpFetch:
    """Lazily opened client sessions; `fetch(url, timeout)` asks a tracker, `get` anybody."""

    def __init__(self, names: Names | None = None, *, hosts: Sequence[str] = EVERYWHERE) -> None:
        """`hosts` are the local addresses to ask from, so that a tracker sees us where we listen."""
        self._names = names or SystemNames()
        self._hosts = by_family(hosts)
        self._sessions: dict[str, aiohttp.ClientSession] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def __call__(self, url: str, seconds: float, family: AddressFamily = AF_UNSPEC) -> bytes:
        """A tracker's answer, at most 1 MiB; only over one family, if one is named. Raises TrackerError."""
        return await self.get(url, seconds, family=family, tracker=True)

    async def get(
        self,
        url: str,
        seconds: float = 30.0,
        *,
        limit: int = MAX_REPLY,
        family: AddressFamily = AF_UNSPEC,
        tracker: bool = False,
    ) -> bytes:
        """The body of a 200 answer of at most `limit` bytes. Raises TrackerError.

        `seconds` count from the moment when fewer than fifty other requests are under way.
        `tracker` confines the request to a tracker's paths when the server is this machine.
        """
        target = _parse(url)
        async with self._slots:
            try:
                async with asyncio.timeout(seconds):
                    return await self._follow(target, limit, family, tracker)
            except TimeoutError as error:
                raise TrackerError(f"no answer within {seconds:g} s") from error
            except (aiohttp.ClientError, OSError, ValueError) as error:
                raise TrackerError(_in_words(error)) from error

    async def aclose(self) -> None:
        """May be called twice; a later request opens a new session."""
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            await session.close()

    async def _follow(self, url: URL, limit: int, family: AddressFamily, tracker: bool) -> Body:
        farthest = Zone.THIS_MACHINE
        for _ in range(1 + _MAX_REDIRECTS):
            here, found = await self._look_up(url, family)
            zones = set(map(zone_of, found))
            _refuse_trespass(url, max(zones), farthest, tracker)
            farthest = min(farthest, *zones)
            async with self._open(here).get(url, allow_redirects=False) as response:
                if response.status not in _REDIRECTS:
                    body = Body(await _body(response, limit))
                    body.far = farthest is Zone.INTERNET
                    return body
                location = URL(response.headers.get("Location", ""), encoded=True)
                url = _parse(str(url.join(location)))
        raise TrackerError(f"redirected more than {_MAX_REDIRECTS} times")

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
            raise NoAddressError(_in_words(error)) from error

    def _open(self, here: str) -> aiohttp.ClientSession:
        """The session that asks from this local address, or from any."""
        if here not in self._sessions:
            connector = aiohttp.TCPConnector(
                resolver=_AlreadyFound(),
                use_dns_cache=False,
                force_close=True,
                limit=_AT_ONCE,
                local_addr=(here, 0) if here else None,
            )
            self._sessions[here] = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT),
                headers={"User-Agent": USER_AGENT, "Accept-Encoding": "gzip"},
                auto_decompress=False,
                trust_env=False,
            )
        return self._sessions[here]


def _parse(url: str) -> URL:
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


def _refuse_trespass(url: URL, nearest: Zone, farthest: Zone, tracker: bool) -> None:
    if nearest > farthest:
        raise TrackerError("redirected into a nearer network: refused")
    paths = ("/announce", "/scrape")
    if tracker and nearest is Zone.THIS_MACHINE and not url.raw_path.startswith(paths):
        raise TrackerError("a tracker on this machine must have a path that begins with /announce")


async def _body(response: aiohttp.ClientResponse, limit: int) -> bytes:
    if response.status != HTTPStatus.OK:
        raise TrackerError(f"the server answered with HTTP status {response.status}")
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            raise TrackerError(f"the answer has more than {limit} bytes")
    return _unpack(bytes(body), response.headers.get("Content-Encoding", "identity").lower(), limit)


def _unpack(body: bytes, encoding: str, limit: int) -> bytes:
    if encoding == "identity":
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise TrackerError("the answer has an encoding that was not asked for")
    unpacker = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        plain = unpacker.decompress(body, limit + 1)
    except zlib.error as error:
        raise TrackerError("the answer is not the gzip it claims to be") from error
    if len(plain) > limit:
        raise TrackerError(f"the answer has more than {limit} bytes")
    if not unpacker.eof:
        raise TrackerError("the answer's gzip is cut short")
    return plain


def _in_words(error: Exception) -> str:
    """One line without the URL, which may hold a passkey."""
    match error:
        case aiohttp.ClientSSLError():
            return "the server's certificate is not valid for it"
        case aiohttp.ServerDisconnectedError():
            return "the server closed the connection without an answer"
        case OSError():
            return f"cannot be reached: {error.strerror or 'no connection'}"
        case aiohttp.ClientError():
            return f"the answer is not proper HTTP ({type(error).__name__})"
        case _:
            return "not a URL that can be asked"
