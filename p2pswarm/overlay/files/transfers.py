"""Files that move within one network: what others' hits promise is fetched, and pushed where that is needed.

The one hard thing: everything here begins with what a stranger said. So whoever is dialed is within one
budget for all, and nothing is dialed that is nearer to us than our nearest neighbour, or than who named it.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, Protocol

from p2pswarm.errors import LocalProtocolError, NetworkError, RefusedError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.thex import TigerTree
from p2pswarm.formats.zones import Zone, zone_of
from p2pswarm.overlay.budget import DialBudget
from p2pswarm.overlay.dialing import Dialing
from p2pswarm.overlay.files.downloads import Downloads
from p2pswarm.overlay.files.exchange import Exchange
from p2pswarm.overlay.files.pushed import Pushed
from p2pswarm.overlay.files.pushes import Pushes, Seek
from p2pswarm.overlay.files.serving import Hits
from p2pswarm.overlay.files.sources import NOWHERE, Source
from p2pswarm.overlay.network import Part
from p2pswarm.overlay.query import Hit
from p2pswarm.overlay.talk import Sink, Talk
from p2pswarm.wire.http.giv import Giv

__all__ = ["Place", "Transfers"]

MOST_FILES = 1000  # of which we remember who else has them
MOST_OTHERS = 50  # of one file


class Place(Protocol):
    """Our place in the network, as far as files need it."""

    guid: bytes
    budget: DialBudget

    @property
    def address(self) -> Address | None:
        """Where others can dial us; None when they cannot."""

    @property
    def zone(self) -> Zone:
        """Of our nearest neighbour."""

    def answered(self, index: int) -> bool:
        """Whether somebody heard lately that we have this file; 0 is any."""

    def send_push(self, servent: bytes, index: int, address: Address) -> bool:
        """Along the way of that servent's hits, that it dials this address; False when there is none.

        Raises LocalProtocolError for what the network cannot say.
        """

    def pass_push(self, servent: bytes, address: Address) -> bool:
        """To a node that has us bring its pushes, which shall dial that; False when there is no such.

        Who asked is on that host.
        """


class Transfers:
    """`open`, then `run` in a task of the owner's, which ends by being cancelled, then `close`.

    `listing` is for who browses us.
    """

    def __init__(
        self,
        exchange: Exchange,
        place: Place,
        seek: Seek,
        *,
        network: str,
        listing: Hits | None = None,
    ) -> None:
        clock, port = asyncio.get_running_loop().time, exchange.port
        self._exchange, self._place, self._network = exchange, place, network
        self.listing = listing
        self._tasks: asyncio.TaskGroup | None = None
        self._others: OrderedDict[bytes, list[Hit]] = OrderedDict()  # by SHA-1, not told on yet
        self._lent: list[Part] = []
        self._dialing = Dialing(port, place.budget, clock)
        self._pushes = Pushes(
            port,
            self._dialing,
            node=self._here,
            send=self._send_push,
            seek=seek,
            network=network,
        )
        self._pushed = Pushed(
            place.guid,
            self._dialing,
            exchange.serve,
            network=network,
            answered=place.answered,
            spawn=self._spawn,
        )
        self._downloads = Downloads(
            self._dialing,
            self._pushes,
            exchange.mesh,
            node=self._here,
            found=self._learned,
            network=network,
        )

    def open(self) -> None:
        """Let in who comes for a file, or with one."""
        self._exchange.enter(self)

    def close(self) -> None:
        """May be called twice."""
        self._exchange.leave(self)

    async def run(self) -> None:
        """Until cancelled; what pushes brought about ends then."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                await asyncio.Event().wait()
            finally:
                self._tasks = None

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        if self._tasks is None:
            work.close()
        else:
            self._tasks.create_task(work)

    # Giving

    @property
    def busy(self) -> bool:
        """Whether who asks for a file now would have to wait."""
        return self._exchange.busy

    def pushed(self, servent: bytes, index: int, address: Address, link: Address) -> None:
        """A neighbour brings somebody's wish that we dial it."""
        self._pushed.heard(servent, index, address, link)

    def pass_push(self, servent: bytes, address: Address) -> bool:
        """Somebody on that host has us for its push proxy."""
        return self._place.pass_push(servent, address)

    def lend(self, part: Part) -> Callable[[], None]:
        """Give what we have of a download, until what is returned is called."""
        self._exchange.mesh.begin(part)
        self._lent.append(part)

        def end() -> None:
            self._exchange.mesh.end(part)
            if part in self._lent:
                self._lent.remove(part)

        return end

    # Getting

    async def fetch(
        self, hit: Hit, offset: int, sink: Sink, gate: asyncio.Event | None = None
    ) -> int:
        """Raises BusyError, NetworkError."""
        return await self._downloads.fetch(self._source(hit), offset, sink, gate)

    async def tree(self, hit: Hit) -> TigerTree | None:
        """Raises BusyError, NetworkError."""
        return await self._downloads.tree(self._source(hit))

    async def torrent(self, hit: Hit) -> bytes:
        """Raises BusyError, NetworkError."""
        assert hit.info_hash is not None
        return await self._downloads.torrent(self._source(hit), hit.info_hash)

    def others(self, hit: Hit) -> Sequence[Hit]:
        """Who else was named meanwhile, each once."""
        return self._others.pop(hit.sha1, []) if hit.sha1 else []

    def judge(self, hit: Hit, *, good: bool) -> None:
        """Only who proved good is told on."""
        source = self._source(hit)
        if good:
            self._downloads.proved(source)
        else:
            self._downloads.failed(source)

    def answers(self, address: Address) -> bool:
        """Whether we dialed somebody there, who answered."""
        return self._dialing.has_answered(address)

    def _source(self, hit: Hit) -> Source:
        """Raises RefusedError."""
        try:
            servent = bytes.fromhex(hit.nick)
        except ValueError:
            servent = b""
        if len(servent) != 16 and hit.host is None:
            raise RefusedError(f"nobody knows where {hit.filename} is: search again")
        return Source(
            hit.host or NOWHERE,
            hit.size,
            hit.sha1,
            hit.tth,
            hit.index or 0,
            hit.name.rpartition("/")[2],
            servent if len(servent) == 16 else None,
            push=hit.firewalled or hit.host is None,
            proxies=hit.proxies,
            teller=self._place.zone,
        )

    def takes(self, giv: Giv, talk: Talk) -> bool:
        """Somebody dialed us and says GIV; whether we asked for it."""
        return self._pushes.takes(giv, talk)

    def heard(self, sha1: bytes, host: Address, teller: Address) -> bool:
        """Who wants a file, too, says where else it is; whether we fetch it."""
        for part in self._lent:
            if part.sha1 == sha1:
                self._learned(Source(host, part.size, sha1, teller=zone_of(teller.host)))
                return True
        return False

    def _learned(self, source: Source) -> None:
        """A host named another one."""
        if source.sha1 is None or source.address == self._place.address:
            return
        others = self._others.setdefault(source.sha1, [])
        if len(others) < MOST_OTHERS:
            others.append(self._hit(source))
        while len(self._others) > MOST_FILES:
            self._others.popitem(last=False)

    def _hit(self, source: Source) -> Hit:
        return Hit(
            name=source.name,
            size=source.size,
            network=self._network,
            host=None if source.push else source.address,
            nick=source.servent.hex() if source.servent else "",
            index=source.index,
            firewalled=source.push,
            proxies=tuple(_as_near(source.proxies, source.teller)),
            sha1=source.sha1,
            tth=source.tth,
        )

    def _here(self) -> Address | None:
        return self._place.address

    def _send_push(self, servent: bytes, index: int, address: Address) -> bool:
        try:
            return self._place.send_push(servent, index, address)
        except LocalProtocolError as error:  # a hit that somebody kept may have any number in it
            raise NetworkError(f"no push can ask for that: {error}") from error


def _as_near(addresses: Sequence[Address], teller: Zone) -> Iterator[Address]:
    """Without those that are nearer to us than who named them."""
    return (address for address in addresses if zone_of(address.host) <= teller)
