"""A Gnutella network behind the common door: search and be found, fetch and give."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from pathlib import Path

from p2pswarm.formats.ids import Address
from p2pswarm.formats.words import words_of
from p2pswarm.overlay.catalog import Catalog
from p2pswarm.overlay.files.exchange import Exchange
from p2pswarm.overlay.files.moves import Moves
from p2pswarm.overlay.files.sources import Source
from p2pswarm.overlay.files.transfers import Transfers
from p2pswarm.overlay.gnutella.place.slots import Wish
from p2pswarm.overlay.gnutella.search.results import NAME
from p2pswarm.overlay.gnutella.servent import Servent
from p2pswarm.overlay.limits import Tokens
from p2pswarm.overlay.living import Life
from p2pswarm.overlay.network import Cost, NetworkStatus
from p2pswarm.overlay.query import Digest, Hit, Query
from p2pswarm.overlay.tools import Tools

__all__ = ["Gnutella"]

log = logging.getLogger(__name__)

MOST_WORDS = 6  # of a name, when its file is looked for again

# Searches for hosts that only a push reaches, a second and saved up: strangers name such hosts, too.
SEEKS = (1 / 10, 6.0)


class Gnutella(Moves):
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
        self._life = Life("Gnutella")

    async def join(self) -> None:
        """Raises NetworkError when no host that we know lets us in; it goes on being tried until `leave`."""
        await self._life.begin(self._servent.open, self._live)
        await self._servent.first()

    async def _live(self) -> None:
        self._transfers.open()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._transfers.run())
            tasks.create_task(self._servent.run())

    async def leave(self) -> None:
        await self._life.end(self._transfers.close)

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


def _again(source: Source) -> Iterator[Query]:
    """What finds it once more; gtk-gnutella's ultrapeers ask no leaf for a hash."""
    if source.sha1 is not None:
        yield Query(digest=Digest("sha1", source.sha1))
    words = tuple(words_of(source.name))[:MOST_WORDS]
    if words:
        yield Query(words)
