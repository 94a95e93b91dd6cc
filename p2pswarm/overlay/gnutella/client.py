"""A Gnutella network behind the common door: search and be found, fetch and give."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from pathlib import Path

from p2pswarm.errors import NetworkError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.thex import TigerTree
from p2pswarm.formats.words import words_of
from p2pswarm.overlay.catalog import Catalog
from p2pswarm.overlay.files.exchange import Exchange
from p2pswarm.overlay.files.sources import Source
from p2pswarm.overlay.files.transfers import Transfers
from p2pswarm.overlay.gnutella.place.slots import Wish
from p2pswarm.overlay.gnutella.search.results import NAME
from p2pswarm.overlay.gnutella.servent import Servent
from p2pswarm.overlay.limits import Tokens
from p2pswarm.overlay.network import Cost, NetworkStatus, Part
from p2pswarm.overlay.query import Digest, Hit, Query
from p2pswarm.overlay.talk import Sink
from p2pswarm.overlay.tools import Tools

__all__ = ["Gnutella"]

log = logging.getLogger(__name__)

MOST_WORDS = 6  # of a name, when its file is looked for again

# Searches for hosts that only a push reaches, a second and saved up: strangers name such hosts, too.
SEEKS = (1 / 10, 6.0)


class Gnutella:
    """A `FileNetwork`. `firewalled`: tell everybody that nobody can dial us."""

    name = NAME

    def __init__(
        self,
        tools: Tools,
        exchange: Exchange,
        host_file: Path,
        guid: bytes,
        *,
        connect: Sequence[Address] = (),
        wish: Wish = Wish.AUTO,
        legacy: bool = False,
        wait: float = 10.0,
        firewalled: bool = False,
    ) -> None:
        self._servent = Servent(
            tools,
            host_file,
            guid,
            connect=connect,
            wish=wish,
            legacy=legacy,
            wait=wait,
            firewalled=firewalled,
        )
        self._transfers = Transfers(
            exchange,
            self._servent,
            self._seek,
            network=NAME,
            listing=self._servent.listing,
        )
        self._seeks = Tokens(*SEEKS, asyncio.get_running_loop().time())
        self._servent.serve(self._transfers)
        self._life: asyncio.Task[None] | None = None
        self._opening = asyncio.Lock()
        self._left = 0  # times

    async def join(self) -> None:
        """Raises NetworkError when no host that we know lets us in; it goes on being tried until `leave`."""
        left = self._left
        async with self._opening:
            if self._life is None:
                await self._servent.open()
                if self._left != left:
                    raise NetworkError("we left Gnutella while we joined it")
                self._transfers.open()
                self._life = asyncio.create_task(self._live())
                self._life.add_done_callback(_ended)
        await self._servent.first()

    async def _live(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._transfers.run())
            tasks.create_task(self._servent.run())

    async def leave(self) -> None:
        self._left += 1
        life, self._life = self._life, None
        if life is not None:
            life.cancel()
            self._transfers.close()
            await asyncio.wait([life])

    def share(self, catalog: Catalog) -> None:
        """Once. Raises InvalidStateError the second time."""
        self._servent.share(catalog)

    def status(self) -> NetworkStatus:
        """How it stands."""
        return self._servent.status()

    # Looking for files

    async def search(self, query: Query, cost: Cost) -> AsyncGenerator[Hit, None]:
        """Raises NetworkError."""
        async with aclosing(self._servent.search(query, cost)) as hits:
            async for hit in hits:
                yield hit

    # Getting them

    async def fetch(
        self, hit: Hit, offset: int, sink: Sink, gate: asyncio.Event | None = None
    ) -> int:
        """The bytes of a hit from `offset` on, read while the gate is open; returns how many.

        Raises BusyError, NetworkError.
        """
        return await self._transfers.fetch(hit, offset, sink, gate)

    async def torrent(self, hit: Hit) -> bytes:
        """The .torrent of a hit with an info-hash, from its host, which is one of us.

        Nothing says yet that it is what it should be. Raises BusyError, NetworkError.
        """
        return await self._transfers.torrent(hit)

    async def tree(self, hit: Hit) -> TigerTree | None:
        """The tiger tree of a hit from its host, with the root that the hit told; None when there is none.

        Raises BusyError, NetworkError.
        """
        return await self._transfers.tree(hit)

    def others(self, hit: Hit) -> Sequence[Hit]:
        """Hosts that a host of this file has named meanwhile, each once."""
        return self._transfers.others(hit)

    def judge(self, hit: Hit, *, good: bool) -> None:
        """What its host gave was what it should be, or was not: others hear of it."""
        self._transfers.judge(hit, good=good)

    def lend(self, part: Part) -> Callable[[], None]:
        """Give others what we have of a download, until what is returned is called."""
        return self._transfers.lend(part)

    def answers(self, address: Address) -> bool:
        """Whether a host of this network was found there when we dialed it. A hit alone is only a claim."""
        return self._transfers.answers(address)

    async def _seek(self, source: Source) -> None:
        """Search for it once more, until that servent answers. Raises NetworkError."""
        if not self._seeks.take(asyncio.get_running_loop().time()):
            return
        nick = source.servent.hex() if source.servent else ""
        for query in _again(source):
            async with aclosing(self._servent.search(query, Cost())) as found:
                async for hit in found:
                    if hit.nick == nick:
                        return


def _ended(life: asyncio.Task[None]) -> None:
    if not life.cancelled() and (error := life.exception()) is not None:
        log.error("a bug in p2pswarm", exc_info=error)


def _again(source: Source) -> Iterator[Query]:
    """What finds it once more; gtk-gnutella's ultrapeers ask no leaf for a hash."""
    if source.sha1 is not None:
        yield Query(digest=Digest("sha1", source.sha1))
    words = tuple(words_of(source.name))[:MOST_WORDS]
    if words:
        yield Query(words)
