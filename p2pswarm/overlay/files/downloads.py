"""Files that we fetch over HTTP, with their tiger trees and torrents.

A host that can be dialed is dialed, within the budget; where it cannot, it is asked by a push to connect to
us. What hosts say of others is heard, and those that gave good bytes are told on; whoever checks the bytes
says which.
"""

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from p2pswarm.errors import FormatError, NetworkError, RefusedError
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.formats.thex import TigerTree, read_thex
from p2pswarm.formats.tiger import available
from p2pswarm.formats.urns import sha1_urn
from p2pswarm.formats.zones import zone_of
from p2pswarm.overlay.dialing import Dialing
from p2pswarm.overlay.files.asking import ask, body_of, dial_and_ask
from p2pswarm.overlay.files.fetching import Fetching, LaterError
from p2pswarm.overlay.files.mesh import MOST_OF_TELLER, Mesh
from p2pswarm.overlay.files.pushes import Pushes
from p2pswarm.overlay.files.sources import NOWHERE, Source
from p2pswarm.overlay.remembering import remember
from p2pswarm.overlay.talk import Sink, Talk
from p2pswarm.wire.http.heads import AGENT, Headers
from p2pswarm.wire.http.locations import PushLocation, read_locations, write_locations
from p2pswarm.wire.http.messages import Request, Response
from p2pswarm.wire.http.targets import TorrentOf, TreeOf

__all__ = ["Downloads"]

log = logging.getLogger(__name__)

T = TypeVar("T")

MOST_KNOWN = 1000  # hosts of which we remember something
MOST_TREE = (
    4 << 20
)  # bytes; whole trees of gtk-gnutella end at ten levels, of others at leaves of 1 KiB
# That one host is asked for in a minute: five connections that fetch no file, and gtk-gnutella bans us.
MOST_TREES = 4
MINUTE = 60.0
MOST_TORRENT = 10 << 20  # bytes, as everywhere
MESH_HEADERS = ("X-Alt", "X-Falt", "X-FAlt", "X-Gnutella-Alternate-Location")


class Downloads:
    """`node` says where others can dial us, None when they cannot; `found` hears of more sources."""

    def __init__(
        self,
        dialing: Dialing,
        pushes: Pushes,
        mesh: Mesh,
        *,
        node: Callable[[], Address | None],
        found: Callable[[Source], None],
        network: str,
    ) -> None:
        self._dialing = dialing
        self._pushes = pushes
        self._mesh = mesh
        self._node = node
        self._found = found
        self._network = network
        self._clock = asyncio.get_running_loop().time
        self._due: OrderedDict[object, float] = OrderedDict()  # when busy hosts may be asked again
        self._told: OrderedDict[object, frozenset[bytes]] = OrderedDict()
        self._thex: OrderedDict[object, str] = OrderedDict()  # where a host said its tree is
        self._trees: OrderedDict[object, deque[float]] = (
            OrderedDict()
        )  # when hosts were asked for one

    async def fetch(
        self,
        source: Source,
        offset: int,
        sink: Sink,
        gate: asyncio.Event | None = None,
    ) -> int:
        """Its bytes from `offset` on into the sink, until that has enough; returns how many.

        Nothing is read while the gate is closed.
        Raises BusyError, RefusedError, NetworkError, RemoteProtocolError.
        """
        fetching = Fetching(
            source,
            self._connect,
            lambda: self._headers(source),
            lambda talk, response: self._heard(source, talk, response),
            self._network,
        )
        self._check_due(source, source.who)
        try:
            return await fetching.run(offset, sink, gate)
        except LaterError as error:
            self._put_off(source.who, error)
            raise
        except RefusedError:
            self.failed(source)
            raise

    async def tree(self, source: Source) -> TigerTree | None:
        """The tree of its file, as the hit's root has it; None when it has none, or was asked for many.

        Raises BusyError, NetworkError, RemoteProtocolError.
        """
        if source.sha1 is None or source.tth is None or not available():
            return None
        targets = [self._thex.get(source.who), str(TreeOf(source.sha1))]
        for target in filter(None, dict.fromkeys(targets)):
            if not self._may_ask_for_tree(source.address.host):
                return None
            message = await self._whole(source, target, MOST_TREE)
            try:
                if message is not None:
                    return read_thex(message, source.size, source.tth)
            except FormatError as error:
                log.info("%s: %s: %s", self._network, source.address, error)
        return None

    def _may_ask_for_tree(self, host: str) -> bool:
        now, times = self._clock(), self._trees.get(host) or deque(maxlen=MOST_TREES)
        if len(times) == MOST_TREES and now < times[0] + MINUTE:
            return False
        times.append(now)
        remember(self._trees, host, times, MOST_KNOWN)
        return True

    async def torrent(self, source: Source, info_hash: InfoHash) -> bytes:
        """The torrent of its file, from another p2pswarm; whoever takes it checks the hash.

        Raises BusyError, RefusedError, NetworkError, RemoteProtocolError.
        """
        data = await self._whole(source, str(TorrentOf(info_hash)), MOST_TORRENT)
        if data is None:
            raise RefusedError(f"{source.address} has no torrent of it")
        return data

    async def _whole(self, source: Source, target: str, most: int) -> bytes | None:
        """All of something small; None when it is not there."""
        self._check_due(source, source.who)
        self._check_due(source, (source.who, target))
        talk, response = await self._connect(source, Request("GET", target, self._headers(source)))
        try:
            if response.code != 503:
                return await body_of(talk, response, most) if _is_complete(response) else None
        finally:
            talk.close()
        # A tree that is not computed yet says nothing of the file, which has slots of its own.
        later = LaterError(f"{source.address} is busy", response.retry_after)
        self._put_off((source.who, target), later)
        raise later

    # Connections

    def _put_off(self, what: object, later: LaterError) -> None:
        remember(self._due, what, self._clock() + later.seconds, MOST_KNOWN)

    def _check_due(self, source: Source, what: object) -> None:
        wait = self._due.get(what, 0.0) - self._clock()
        if wait > 0:
            raise LaterError(f"{source.address} has no place for {wait:.0f} s more", int(wait))

    async def _connect(self, source: Source, request: Request) -> tuple[Talk, Response]:
        """A host may be firewalled and not know; gtk-gnutella says that it is until somebody connects."""
        pushed = source.push and not self._dialing.has_answered(source.address)
        first, then = (self._push, self._dial) if pushed else (self._dial, self._push)
        try:
            return await first(source, request)
        except NetworkError as error:
            if isinstance(error, RefusedError) and not pushed:
                raise  # it is there, and no servent
            log.debug("%s: %s", self._network, error)
            problem = error
        try:
            return await then(source, request)
        except NetworkError as error:
            raise problem from error

    async def _dial(self, source: Source, request: Request) -> tuple[Talk, Response]:
        if not source.address.dialable:
            raise NetworkError(f"{source.address} is no address")
        return await dial_and_ask(
            self._dialing, source.address, source.teller, request, source.size
        )

    async def _push(self, source: Source, request: Request) -> tuple[Talk, Response]:
        talk = await self._pushes.request(source)
        try:
            return talk, await ask(talk, request)
        except BaseException:
            talk.close()
            raise

    def _headers(self, source: Source) -> Headers:
        now, here, headers = self._clock(), self._node(), Headers()
        headers["Host"] = str(source.address)
        headers["User-Agent"] = AGENT
        headers["Connection"] = "Keep-Alive"
        headers["X-Queue"] = "1.0"
        headers["X-Features"] = "queue/1.0"
        if here is not None:
            headers["X-Node"] = str(here)
        if source.sha1 is not None:
            headers["X-Gnutella-Content-URN"] = sha1_urn(source.sha1)
            ours = [here] if here and self._mesh.partial(source.sha1) else []
            good = ours + self._mesh.good(source.sha1, now, source.address)
            bad = self._mesh.bad(source.sha1, now, source.address)
            for name, hosts in (("X-Alt", good), ("X-NAlt", bad)):
                if hosts:
                    headers[name] = write_locations(hosts)
        return headers

    # What hosts say and prove

    def _heard(self, source: Source, talk: Talk, response: Response) -> None:
        uri = response.headers.get("X-Thex-URI", "").partition(";")[0].strip()
        if uri.startswith("/"):
            remember(self._thex, source.who, uri, MOST_KNOWN)
        if source.sha1 is not None:
            for name in MESH_HEADERS:
                for location in read_locations(response.headers.get(name, ""))[:MOST_OF_TELLER]:
                    self._learn(source, source.sha1, talk.remote, location)

    def _learn(
        self, source: Source, sha1: bytes, teller: Address, location: Address | PushLocation
    ) -> None:
        """Nobody is believed more than that it may be worth a try."""
        zone, base = zone_of(teller.host), replace(source, servent=None, push=False, proxies=())
        if isinstance(location, Address):
            if self._mesh.heard(sha1, location, teller, self._clock()):
                self._found(replace(base, address=location, teller=zone))
        elif location.proxies and self._is_new(sha1, teller, location):
            proxied = replace(base, servent=location.servent, push=True, proxies=location.proxies)
            self._found(replace(proxied, address=NOWHERE, teller=zone))

    def _is_new(self, sha1: bytes, teller: Address, location: PushLocation) -> bool:
        """Likewise for those behind firewalls: one host tells of so many for a file and no more."""
        key = sha1, teller.host
        told = self._told.get(key, frozenset())
        if location.servent in told or len(told) >= MOST_OF_TELLER:
            return False
        remember(self._told, key, told | {location.servent}, MOST_KNOWN)
        return True

    def proved(self, source: Source) -> None:
        """What it gave is right; now others are told of it."""
        if source.sha1 is not None and not source.push:
            self._mesh.proved(source.sha1, source.address, self._clock())

    def failed(self, source: Source) -> None:
        """It gave wrong bytes, or does not have them."""
        if source.sha1 is not None and not source.push:
            self._mesh.failed(source.sha1, source.address, self._clock())


def _is_complete(response: Response) -> bool:
    """Whether all of it comes. Raises RemoteProtocolError."""
    given = response.given
    complete = given is None or (given.start, given.end) == (0, given.size)
    return response.code in (200, 206) and complete
