"""The tracker as an HTTP service: from a request to the policy and the store, and back.

It stands on aiohttp's low-level server: one handler, one look at the path, no routing, no middleware,
because `/announce` is nearly everything that is asked. The same number answers by UDP, from the same desk.

Bad questions are answered with 200 and a bencoded `failure reason`, as BEP 3 wants it.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from random import Random, SystemRandom
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from aiohttp import web

from p2pswarm.errors import RemoteProtocolError, TrackerError
from p2pswarm.wire.rendezvous import PATH as CODES
from p2pswarm.wire.tracker import Announce, Scrape, ScrapeReply, encode_failure
from tracker import pages
from tracker.config import TrackerSettings
from tracker.connections import Connection, PatientServer, bencoded
from tracker.datagrams import Datagrams
from tracker.desk import Desk
from tracker.hosting import Hosting
from tracker.listening import bind, is_every_address, own_address
from tracker.logic import IP, Policy
from tracker.napster.limits import Caps
from tracker.napster.pages import render
from tracker.napster.server import NapsterServer, NapsterSettings
from tracker.rendezvous.door import Door
from tracker.store import Limits, PeerStore
from tracker.store.memory import MemoryStore
from tracker.torrents import Library
from tracker.udp import UdpTracker
from tracker.uploads import Uploads

if TYPE_CHECKING:
    from tracker.login.service import Login

__all__ = ["TrackerService"]

_BACKLOG = 1024
_MOST_QUERY = 4096  # characters

_log = logging.getLogger(__name__)


class TrackerService:
    """A tracker to embed: after `await start()` clients announce to `url`; `aclose()` may be called twice."""

    def __init__(
        self,
        settings: TrackerSettings | None = None,
        *,
        store: PeerStore | None = None,
        dice: Random | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings or TrackerSettings()
        self._clock, self._started = clock, clock()
        dice = dice or Random()
        policy = Policy(
            self.settings.interval,
            dice,
            allow_ip=self.settings.allow_ip,
            trusted=self.settings.proxies,
        )
        self._desk = Desk(store or MemoryStore(_limits(self.settings), dice), policy, clock)
        uploads = Uploads(self.settings.upload_token_file, clock)
        self._hosting = Hosting(Library(self.settings.torrents), uploads, self._desk)
        self._codes = Door(clock, SystemRandom())
        self.napster = _napster(self.settings, clock)
        self.login = _login(self.settings)
        self._server: PatientServer | None = None
        self._listener: asyncio.Server | None = None
        self._datagrams: Datagrams | None = None
        self.port = 0
        self._base = ""

    async def start(self) -> None:
        """Listen. Raises PortTakenError when the named port is taken, HostError for a host not ours."""
        try:
            if self.login is not None:
                await self.login.start()
            await self._listen()
            if self.napster is not None:
                await self.napster.start()
        except BaseException:
            await self.aclose()
            raise
        _log.info("listening on %s:%d", self.settings.host, self.port)

    async def _listen(self) -> None:
        settings = self.settings
        tcp, udp = await asyncio.to_thread(bind, settings.host, settings.port, udp=settings.udp)
        self.port = tcp.getsockname()[1]
        self._base = _base_url(self.settings.host, self.port)
        self._server = PatientServer(self._handle, self.settings.patience)
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._server, sock=tcp, backlog=_BACKLOG)
        if udp is not None:
            answer = UdpTracker(self._desk, secrets.token_bytes(32)).answer
            self._datagrams = Datagrams(udp, answer)
            self._datagrams.start()
        self._codes.open()

    async def aclose(self) -> None:
        """Stop listening, let answers under way out, forget everybody."""
        listener, self._listener = self._listener, None
        if listener is not None and self._server is not None:
            listener.close()
            if self._datagrams is not None:
                await self._datagrams.aclose()
            await self._codes.aclose()
            await self._server.aclose()
            await self._desk.store.aclose()
            if self.napster is not None:
                await self.napster.aclose()
        if self.login is not None:
            await self.login.aclose()

    def reload(self) -> None:
        """Read again what may be changed while the service runs: the token for uploads, the deny-list."""
        self._hosting.reload()
        if self.napster is not None:
            self.napster.reload()

    @property
    def url(self) -> str:
        """Where clients announce; this machine's own address where we listen on all of them."""
        return f"{self._base}/announce"

    @property
    def udp_url(self) -> str | None:
        """The same by UDP; None when that is off."""
        base = self._base.removeprefix("http")
        return f"udp{base}/announce" if self.settings.udp else None

    @property
    def login_url(self) -> str | None:
        """Where people get their names, and by which authority; None when there is none."""
        return None if self.login is None else f"{self._base}#{self.login.authority.fingerprint}"

    def host(self, name: str, data: bytes) -> str:
        """Offer a torrent from memory at `/t/NAME.torrent`; its URL.

        Raises BencodeError or MetainfoError when it is none, ValueError for a name that is a path.
        """
        return self._base + self._hosting.host(name, data)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        assert self._server is not None
        assert isinstance(connection, Connection)
        response: web.StreamResponse
        if request.raw_path == CODES:
            keep = partial(self._server.keep, connection)
            response = await self._codes.answer(request, str(self._caller(request)), keep)
        else:
            response = await self._answer(request)
        body = response.body if isinstance(response, web.Response) else b""
        self._server.answered(connection, len(body) if isinstance(body, bytes) else 0)
        return response

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        path, _, query = request.raw_path.partition("?")
        if not path.startswith("/"):  # a whole URL, as proxies are asked
            path, query = request.rel_url.raw_path, request.rel_url.raw_query_string
        if request.method == "POST" and path == "/t/":
            return await self._hosting.upload(request, str(self._caller(request)))
        if self.login is not None and path.startswith("/login/"):
            return await self.login.answer(request, path, self._caller(request))
        if request.method not in ("GET", "HEAD"):
            return web.Response(status=405, text="only GET\n", headers={"Allow": "GET, HEAD"})
        if path in ("/announce", "/scrape"):
            return await self._ask(request, path, query.encode("utf-8", "surrogateescape"))
        match path:
            case "/":
                return web.Response(body=await self._home(), headers=pages.HEADERS)
            case "/health":
                return web.Response(text="ok\n")
            case "/stats":
                return web.json_response(await self._report())
            case _ if path == "/t" or path.startswith("/t/"):
                asked = dict(parse_qsl(query[:_MOST_QUERY]))
                hosted = await self._hosting.answer(path[len("/t/") :], asked)
                return hosted or _nothing_here()
            case "/napster" | "/napster/search" if self.napster is not None:
                return await self._search(self.napster, request, path)
            case _:
                return _nothing_here()

    async def _ask(self, request: web.BaseRequest, path: str, query: bytes) -> web.Response:
        """A client's question; a bad one is told what is wrong with it."""
        try:
            if path == "/scrape":
                return bencoded(await self._scrape(query))
            return bencoded(await self._announce(query, self._caller(request)))
        except RemoteProtocolError as error:
            self._desk.tally.refused += 1
            return bencoded(encode_failure(TrackerError(str(error))))

    async def _announce(self, query: bytes, caller: IP) -> bytes:
        announce = Announce.from_query(query)
        reply = await self._desk.announce(announce, caller)
        return reply.encode(compact=announce.compact, no_peer_id=announce.no_peer_id)

    async def _scrape(self, query: bytes) -> bytes:
        asked = Scrape.from_query(query).info_hashes
        counts = await self._desk.scrape(asked)
        return ScrapeReply(dict(zip(asked, counts, strict=True))).encode()

    async def _search(
        self, napster: NapsterServer, request: web.BaseRequest, path: str
    ) -> web.Response:
        """Files of the Napster index: a page, or JSON."""
        asked, caller = request.rel_url.query, str(self._caller(request))
        if asked.get("q") and not napster.web.may(caller):
            return web.Response(
                status=429, text="too many searches\n", headers={"Retry-After": "2"}
            )
        try:
            hits = await napster.web.search(asked, caller)
        except ValueError as error:
            return web.Response(status=400, text=f"{error}\n")
        if path == "/napster":
            text = render(asked.get("q", ""), hits, napster.report())
            return web.Response(body=text.encode(), headers=pages.HEADERS)
        answer = {"query": asked.get("q", ""), "hits": hits}
        return web.json_response(answer, headers={"X-Content-Type-Options": "nosniff"})

    def _caller(self, request: web.BaseRequest) -> IP:
        forwarded = None
        if self.settings.proxies:
            forwarded = ",".join(request.headers.getall("X-Forwarded-For", ())) or None
        return self._desk.policy.caller(request.remote or "", forwarded)

    async def _report(self) -> dict[str, int | float]:
        await self._desk.sweep()
        assert self._server is not None
        self._desk.tally.dropped = self._server.dropped
        totals, uptime = await self._desk.store.totals(), self._clock() - self._started
        report = self._desk.tally.report(totals, uptime, len(self._server.connections))
        return report | (self.napster.report() if self.napster is not None else {})

    async def _home(self) -> bytes:
        return pages.home(self.url, await self._report()).encode()


def _limits(settings: TrackerSettings) -> Limits:
    return Limits(
        swarms=settings.max_swarms,
        peers=2 * settings.max_swarms,
        peers_per_swarm=settings.max_peers,
        per_host=settings.max_per_address,
    )


def _login(settings: TrackerSettings) -> "Login | None":
    """Imported for whoever has one: what it stands on takes long."""
    if settings.login is None:
        return None
    from tracker.login.service import Login

    return Login(settings.login)


def _napster(settings: TrackerSettings, clock: Callable[[], float]) -> NapsterServer | None:
    if settings.napster is None:
        return None
    caps = Caps(
        clients=settings.napster_max_clients,
        clients_per_address=settings.napster_max_per_address,
        shares=settings.napster_max_shares,
        files=settings.napster_max_files,
        queries=settings.napster_query_rate,
    )
    values = NapsterSettings(
        host=settings.host,
        port=settings.napster,
        version=version("p2pswarm"),
        caps=caps,
        index=settings.napster_file,
        accounts=settings.napster_accounts,
        deny=settings.napster_deny,
        audit=settings.napster_audit,
        motd=settings.napster_motd,
        idle=settings.napster_idle,
        meta=settings.napster_meta,
    )
    return NapsterServer(values, clock)


def _base_url(host: str, port: int) -> str:
    host = own_address() if is_every_address(host) else host
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _nothing_here() -> web.Response:
    return web.Response(status=404, text="there is nothing here\n")
