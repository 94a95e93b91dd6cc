"""Files that move, either way: what our hits promise is given, what others' hits promise is fetched.

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
from p2pswarm.overlay.catalog import Catalog
from p2pswarm.overlay.dialing import Dialing
from p2pswarm.overlay.files.downloads import Downloads
from p2pswarm.overlay.files.mesh import Mesh
from p2pswarm.overlay.files.pushed import Pushed
from p2pswarm.overlay.files.pushes import Pushes, Seek
from p2pswarm.overlay.files.queue import UploadSlots
from p2pswarm.overlay.files.serving import Serving
from p2pswarm.overlay.files.sources import NOWHERE, Source
from p2pswarm.overlay.files.uploads import Uploads
from p2pswarm.overlay.network import Part
from p2pswarm.overlay.query import Hit
from p2pswarm.overlay.tables import Shared
from p2pswarm.overlay.talk import Sink
from p2pswarm.overlay.tools import Tools
from p2pswarm.wire.gnutella.push import Push
from p2pswarm.wire.sniff import Guest

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

    def send_push(self, push: Push) -> bool:
        """Along the way of that servent's hits; False when there is none."""

    def pass_push(self, servent: bytes, address: Address) -> bool:
        """To a leaf of ours, which shall dial that; False when there is no such leaf."""

    def listing(self, files: Sequence[Shared]) -> bytes:
        """These files as query hits, for who browses us."""


class Transfers:
    """`open`, then `run` in a task of the owner's, which ends by being cancelled."""

    def __init__(self, tools: Tools, place: Place, seek: Seek, *, network: str) -> None:
        clock = asyncio.get_running_loop().time
        self._port, self._place, self._network = tools.port, place, network
        self._tasks: asyncio.TaskGroup | None = None
        self._others: OrderedDict[bytes, list[Hit]] = OrderedDict()  # by SHA-1, not told on yet
        self._mesh = Mesh()
        self._dialing = Dialing(tools.port, place.budget, clock)
        self._serving = Serving(tools.disk, self._mesh, seed=tools.seed, hits=place.listing)
        self._uploads = Uploads(
            tools.port,
            self._serving,
            self._mesh,
            UploadSlots(tools.slots),
            tools.up,
            spawn=self._spawn,
            proxy=place.pass_push,
            found=self._heard,
        )
        self._pushes = Pushes(
            tools.port,
            self._dialing,
            node=self._here,
            send=self._send_push,
            seek=seek,
            spawn=self._spawn,
        )
        self._pushed = Pushed(
            place.guid,
            self._dialing,
            self._uploads.serve,
            answered=place.answered,
            spawn=self._spawn,
        )
        self._downloads = Downloads(
            self._dialing, self._pushes, self._mesh, node=self._here, found=self._learned
        )

    def open(self) -> None:
        """Let in who comes for a file, or with one."""
        self._port.route(Guest.HTTP, self._uploads.came)
        self._port.route(Guest.GIV, self._pushes.came)

    async def run(self) -> None:
        """Until cancelled; what is under way ends then."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                await asyncio.Event().wait()
            finally:
                self._tasks = None
                self._uploads.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        if self._tasks is None:
            work.close()
        else:
            self._tasks.create_task(work)

    # Giving

    def share(self, catalog: Catalog) -> None:
        self._serving.share(catalog)

    @property
    def busy(self) -> bool:
        """Whether who asks for a file now would have to wait."""
        return self._uploads.busy

    def pushed(self, push: Push, link: Address) -> None:
        """A neighbour brings somebody's wish that we dial it."""
        self._pushed.heard(push, link)

    def lend(self, part: Part) -> Callable[[], None]:
        """Give what we have of a download, until what is returned is called."""
        self._mesh.begin(part)
        return lambda: self._mesh.end(part)

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

    def _heard(self, sha1: bytes, host: Address, teller: Address) -> None:
        """Who wants a file that we fetch, too, says where else it is."""
        part = self._mesh.partial(sha1)
        if part is not None:
            self._learned(Source(host, part.size, sha1, teller=zone_of(teller.host)))

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
            return self._place.send_push(Push(servent, index, address))
        except LocalProtocolError as error:  # a hit that somebody kept may have any number in it
            raise NetworkError(f"no push can ask for that: {error}") from error


def _as_near(addresses: Sequence[Address], teller: Zone) -> Iterator[Address]:
    """Without those that are nearer to us than who named them."""
    return (address for address in addresses if zone_of(address.host) <= teller)
