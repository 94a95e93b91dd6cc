"""What we have of what others look for.

Queries that may find something wait for a moment; one worker asks the catalog for each, and the answers go
back the way of the query. When too many wait, those of who asked most are not answered: a hit that comes late
is worth nothing, and a hit that somebody else gives is worth the same.

A push may be asked of us for what we have told of lately, and for nothing else.
"""

import asyncio
import logging
import re
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import NamedTuple
from urllib.parse import unquote

from p2pswarm.errors import DiskError, FormatError, LocalProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.urns import read_urn
from p2pswarm.formats.words import words_of
from p2pswarm.formats.zones import Zone
from p2pswarm.overlay.catalog import Catalog
from p2pswarm.overlay.gnutella.search.waiting import Waiting
from p2pswarm.overlay.query import Digest, Query as Wanted
from p2pswarm.overlay.remembering import remember
from p2pswarm.overlay.tables import Shared
from p2pswarm.wire.gnutella.descriptor import Descriptor, Kind
from p2pswarm.wire.gnutella.endpoints import pack_endpoints
from p2pswarm.wire.gnutella.hit import QueryHit
from p2pswarm.wire.gnutella.query import Query, QueryFlags
from p2pswarm.wire.gnutella.results import Result

__all__ = ["Answering", "Asked", "Presence"]

log = logging.getLogger(__name__)

MOST_RESULTS = 64  # of one query
IN_ONE_HIT = 16  # results, and
MOST_BYTES = 4096  # of them, if there is more than one; gtk-gnutella takes no hit beyond 16 KiB
MOST_TEXT = 512  # characters of a query that are looked at; no file name has more
REMEMBERED = 600.0  # seconds that a push may be asked of us for what we told of
MOST_REMEMBERED = 10_000  # files
SPEED = 1000  # kbit/s; nobody has measured it


class Presence(NamedTuple):
    """Who says so: what a hit tells of us."""

    guid: bytes
    port: int
    firewalled: bool
    busy: bool
    proxies: Sequence[Address]


class Asked(NamedTuple):
    """A query that is for us: who asks sees us at `host`, and its neighbour is in `zone`.

    `asker` brought it: a link, or a host by UDP.
    """

    head: Descriptor
    query: Query
    host: str
    zone: Zone
    asker: Hashable = None


class Answering:
    """`asked` from the router, `run` in a task of the owner's.

    `us` is who we are now, `answer` sends hits back to who asked.
    """

    def __init__(
        self,
        us: Callable[[], Presence],
        answer: Callable[[Asked, list[QueryHit]], object],
        clock: Callable[[], float],
    ) -> None:
        self._us, self._answer, self._clock = us, answer, clock
        self._catalog: Catalog | None = None
        self._waiting: Waiting[Asked] = Waiting()
        self._bell = asyncio.Event()
        self._told: OrderedDict[int, float] = OrderedDict()  # file -> when

    def share(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def shares(self) -> tuple[int, int]:
        """Files and bytes."""
        return (self._catalog.files, self._catalog.bytes) if self._catalog else (0, 0)

    def told(self, index: int) -> bool:
        """Whether somebody heard lately that we have this file; 0 is any."""
        when = self._told.get(index) if index else next(reversed(self._told.values()), None)
        return when is not None and self._clock() - when <= REMEMBERED

    def asked(self, asked: Asked) -> None:
        if self._is_for_us(asked.query) and self._waiting.put(asked.asker, asked):
            self._bell.set()

    def _is_for_us(self, query: Query) -> bool:
        """Two that nobody can dial never meet (min_speed, bit 14)."""
        return self._catalog is not None and not (
            query.flags & QueryFlags.FIREWALLED and self._us().firewalled
        )

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._bell.wait()
            self._bell.clear()
            while self._waiting:
                asked = self._waiting.take()
                results = await self.results(asked.query)
                try:
                    hits = list(self.hits(results, asked.host))
                    if hits:
                        self._answer(asked, hits)
                except LocalProtocolError as error:  # names of ours may be longer than a message
                    log.info("gnutella: not answered: %s", error)

    async def results(self, query: Query) -> list[Result]:
        """What we have of it; nothing when the catalog cannot be read now."""
        catalog, asked = self._catalog, _asked(query)
        if catalog is None or asked is None:
            return []
        try:
            found = await catalog.search(asked)
        except DiskError as error:
            log.info("gnutella: not answered: %s", error)
            return []
        return [_result(shared) for shared in found if _fits(shared)]

    def hits(self, results: Sequence[Result], host: str) -> Iterator[QueryHit]:
        """Messages that say so, for somebody who sees us at `host`."""
        us = self._us()
        ggep = {"BH": b""}  # whoever wants to see all that we share may
        if us.firewalled and us.proxies:
            ggep["PUSH"] = pack_endpoints(us.proxies)
        for some in _portions(results):
            self._remember(some)
            yield QueryHit(
                Address(host, us.port),
                SPEED,
                tuple(some),
                us.guid,
                push=us.firewalled,
                busy=us.busy,
                measured=False,
                ggep=ggep,
            )

    def listing(self, files: Sequence[Shared], host: str) -> bytes:
        """These files as messages, one after the other, for who browses us."""
        results = [_result(shared) for shared in files if _fits(shared)]
        guid = self._us().guid
        return b"".join(
            Descriptor(guid, Kind.HIT, 1, 0, hit.encode()).encode()
            for hit in self.hits(results, host)
        )

    def _remember(self, results: Sequence[Result]) -> None:
        now = self._clock()
        for result in results:
            remember(self._told, result.index, now, MOST_REMEMBERED)


def _asked(query: Query) -> Wanted | None:
    """In the words of the catalog; None when nothing in particular is asked for."""
    digest = _digest(query)
    words = tuple(words_of(query.text[:MOST_TEXT]))
    if digest is None and not words:
        return None
    return Wanted(words, digest=digest, limit=MOST_RESULTS)


def _digest(query: Query) -> Digest | None:
    if query.sha1:
        return Digest("sha1", query.sha1)
    for urn in query.urns:
        try:
            named = read_urn(urn)
        except FormatError:  # a bare `urn:` asks for hashes, which everybody gets
            continue
        if named.info_hash:
            return Digest("btih", named.info_hash)
    return None


def _portions(results: Sequence[Result]) -> Iterator[list[Result]]:
    """For one message each, and no content twice in one: gtk-gnutella bans whose hit has twins."""
    left = [(len(result.encode()), result) for result in results]
    while left:
        some: list[Result] = []
        others: list[tuple[int, Result]] = []
        room, contents = MOST_BYTES, set[bytes | None]()
        for size, result in left:
            if some and (len(some) == IN_ONE_HIT or size > room or result.sha1 in contents):
                others.append((size, result))
                continue
            some.append(result)
            room -= size
            if result.sha1 is not None:
                contents.add(result.sha1)
        yield some
        left = others


# A name that leads out of a folder once a program takes it for a part of an URL. (The catalog knows no names
# that lead out by themselves.)
_LEADS_OUT = re.compile(r"(^|/)(\.\.?)?\Z|(^|/)\.\./")


def _fits(shared: Shared) -> bool:
    """gtk-gnutella bans who tells of a name that leads out."""
    leads_out = _LEADS_OUT.search(unquote(_name(shared)))
    return shared.id < 1 << 32 and "\0" not in shared.name and not leads_out


def _name(shared: Shared) -> str:
    return shared.name.rpartition("/")[2]


def _result(shared: Shared) -> Result:
    """The name alone, since many programs take one with a folder for an attack; the folder beside it."""
    folder, name = shared.name.rpartition("/")[0], _name(shared)
    ggep = {"PATH": folder.encode("utf-8", "replace")} if folder else {}
    return Result(shared.id, shared.size, name, shared.sha1, shared.tth, shared.info_hash, ggep)
