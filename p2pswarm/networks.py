"""What a node shares, finds and fetches: its catalog and its search networks, joined to its torrents.

Hits become downloads next door (`fetching`). Here downloads of our files are served: whoever asks for the
torrent of one finds it seeded.

To seed a file it is read once more, and who asks for the torrents of many must not keep the disk busy: at
most two files are read for one asker at a time, and four in all. Who asks beyond that is told to come later
(Napster's 619, Gnutella's 503), and does. What was read once is known from then on, also after a restart.
"""

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import partial
from hashlib import sha1
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from p2pswarm.config import NETWORKS, NetworkSettings
from p2pswarm.disk.pool import DiskPool
from p2pswarm.errors import BusyError, HostError, NetworkError
from p2pswarm.fetching import Fetching, renamed
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.net.tasks import tell_bug
from p2pswarm.overlay.catalog import Catalog
from p2pswarm.overlay.network import FileNetwork, NetworkStatus
from p2pswarm.overlay.query import Hit, Query
from p2pswarm.overlay.search import Find, Search
from p2pswarm.overlay.tools import Seed, Tools
from p2pswarm.swarm.data import TorrentData
from p2pswarm.swarm.events import Checking
from p2pswarm.swarm.torrent import Torrent

if TYPE_CHECKING:
    from p2pswarm.overlay.files.exchange import Exchange
    from p2pswarm.overlay.supernode.client import Supernode

__all__ = ["Adding", "Networks"]

log = logging.getLogger(__name__)

MOST_SEEDED = 50  # files of the catalog that are seeded at a time
MOST_READ = 4  # files of the catalog that are read at a time because their torrents were asked for,
MOST_READ_FOR_ONE = 2  # and for one asker
HOSTS, GUID = Path("gnutella", "hosts.json"), Path("gnutella", "guid")  # in the data folder
SUPERNODES, NODE_ID = Path("supernode", "hosts.json"), Path("supernode", "id")
SEED_TIME = 10.0  # seconds that whoever asks for a torrent waits until it is seeded


class Adding(Protocol):
    """`Node.add`."""

    def __call__(
        self,
        source: Metainfo,
        *,
        save_to: Path | None = None,
        data: Path | None = None,
        peers: Sequence[Address] = (),
        kind: Callable[..., TorrentData] = TorrentData,
    ) -> Awaitable[Torrent]: ...


class Held(Protocol):
    """Who we are in a network, so that nobody else on this machine is."""

    def close(self) -> None:
        """May be called twice."""


class Networks:
    """`await join(name)` before anything else; `aclose()` at the end, which may be called twice."""

    def __init__(
        self,
        settings: NetworkSettings,
        folder: Path,
        tools: Callable[[Seed], Tools],
        add: Adding,
        remove: Callable[[Torrent], Awaitable[None]],
        torrents: Mapping[InfoHash, Torrent],
        *,
        index_threads: int,
        turned: "Callable[[Supernode, bool], None]" = lambda supernode, serves: None,
    ) -> None:
        """`turned` hears whether we serve in the supernode network."""
        self._turned = turned
        self._settings = settings
        self._folder = folder
        self._tools = tools
        self._add, self._remove, self._torrents = add, remove, torrents
        self._index_threads = index_threads
        self._index: DiskPool | None = None
        self._joined: dict[str, FileNetwork] = {}
        self._exchange: Exchange | None = None
        self._joining = asyncio.Lock()
        self._over = False
        self._held: list[Held] = []
        self._seeded: OrderedDict[InfoHash, Torrent] = OrderedDict()
        self._adding = asyncio.Lock()
        self._reading: Counter[str] = Counter()  # files, by who asked for them
        self._chores: set[asyncio.Task[None]] = set()
        self._fetching = Fetching(self._network, add, self._begin)
        self.catalog: Catalog | None = None

    # Being in networks

    def set_up(self) -> list[str]:
        """The networks that can be joined with what we know. Raises HostError when there is none."""
        settings = self._settings
        hosts = settings.connect or (self._folder / HOSTS).exists()
        supernodes = settings.supernodes or (self._folder / SUPERNODES).exists()
        names = [
            *(["gnutella"] if hosts else []),
            *(["napster"] if settings.napster_server else []),
            *(["supernode"] if supernodes else []),
        ]
        if not names:
            raise HostError(
                "no network is set up: name a Gnutella host with --connect, a super node with "
                "--via supernode --connect, or a Napster server with --napster-server"
            )
        return names

    async def join(self, name: str, *, visiting: bool = False) -> None:
        """`visiting`: to ask host by host alone, where nobody has to take us in for that.

        Raises HostError for one that we do not know, or that was not set up; NetworkError when the
        first attempt fails: others follow by themselves; DiskError."""
        async with self._joining:
            network = self._joined.get(name)
            if network is None:
                network = await self._made(name, visiting=visiting)
                if self._over:
                    self._let_go()
                    raise HostError("the node was closed meanwhile")
                self._joined[name] = network
                if self.catalog is not None:
                    network.share(self.catalog)
        await network.join()

    async def _made(self, name: str, *, visiting: bool = False) -> FileNetwork:
        makers: dict[str, Callable[[Tools], Awaitable[FileNetwork]]] = {
            "gnutella": self._gnutella,
            "napster": self._napster,
            "supernode": partial(self._supernode, visiting=visiting),
        }
        if name not in makers:
            raise HostError(f"{name} is not a network we know: {', '.join(NETWORKS)}")
        return await makers[name](self._tools(self._seed))

    # Each network is loaded when it is joined: together they take longer than all the rest.

    async def _gnutella(self, tools: Tools) -> FileNetwork:
        from p2pswarm.overlay.gnutella.client import Gnutella
        from p2pswarm.overlay.gnutella.place.slots import Wish
        from p2pswarm.overlay.identity import Identity
        from p2pswarm.wire.gnutella.descriptor import new_guid

        settings = self._settings
        wish = Wish.FLAT if settings.flood else Wish(settings.gnutella_role)
        identity = await tools.disk.run(
            Identity.take, self._folder / GUID, new_guid(tools.dice), "Gnutella"
        )
        self._held.append(identity)
        return Gnutella(
            tools,
            self._moving(tools),
            self._folder / HOSTS,
            identity.guid,
            connect=settings.connect,
            wish=wish,
            legacy=settings.gnutella_04,
            wait=settings.wait,
            firewalled=settings.firewalled,
        )

    async def _supernode(self, tools: Tools, *, visiting: bool) -> FileNetwork:
        from p2pswarm.discovery.places import need_one, places
        from p2pswarm.overlay.identity import Identity
        from p2pswarm.overlay.supernode.client import Supernode
        from p2pswarm.overlay.supernode.options import Options, Wish
        from p2pswarm.wire.gnutella.descriptor import new_guid

        settings = self._settings
        connect, supernodes = await asyncio.gather(
            places(settings.connect), places(settings.supernodes)
        )
        need_one(settings.supernodes, supernodes)
        need_one(settings.connect, connect)
        options = Options(
            Wish.VISITOR if visiting else Wish(settings.supernode_role),
            settings.children,
            settings.links,
            settings.rewire,
            settings.promote_after,
            supernodes,
            connect,
            settings.firewalled,
            settings.wait,
        )
        knows = connect or supernodes or (self._folder / SUPERNODES).exists()
        if not options.willing and not knows:  # and nobody comes to an ordinary node
            raise HostError("which super node? Name one with --connect")
        identity = await tools.disk.run(
            Identity.take, self._folder / NODE_ID, new_guid(tools.dice), "the supernode network"
        )
        self._held.append(identity)
        exchange, hosts = self._moving(tools), self._folder / SUPERNODES
        supernode = Supernode(tools, exchange, hosts, identity.guid, options)
        supernode.follow(partial(self._turned, supernode))
        return supernode

    def _moving(self, tools: Tools) -> "Exchange":
        """One for all networks whose files move by HTTP, made with the first of them."""
        from p2pswarm.overlay.files.exchange import Exchange

        if self._exchange is None:
            self._exchange = Exchange(tools)
            if self.catalog is not None:
                self._exchange.share(self.catalog)
            if not self._over:
                self._begin(self._exchange.run())
        return self._exchange

    async def _napster(self, tools: Tools) -> FileNetwork:
        from p2pswarm.overlay.napster.client import Napster
        from p2pswarm.overlay.napster.naming import Naming

        settings, server = self._settings, self._settings.napster_server
        if server is None:
            raise HostError("which Napster server? Name it with --napster-server")
        wish = settings.napster_nick, settings.napster_password
        naming = Naming(self._folder / "accounts", server, *wish, tools.disk)
        self._held.append(naming)
        await naming.take()
        return Napster(
            server,
            tools,
            nick=naming.nick,
            password=naming.password,
            firewalled=settings.firewalled,
            another=naming.another,
        )

    def _let_go(self) -> None:
        for held in self._held:
            held.close()

    async def aclose(self) -> None:
        self._over = True
        await asyncio.gather(*(network.leave() for network in self._joined.values()))
        self._let_go()
        chores = list(self._chores)
        for chore in chores:
            chore.cancel()
        if chores:
            await asyncio.wait(chores)
        catalog, self.catalog = self.catalog, None
        if catalog is not None:
            await catalog.aclose()
        if self._index is not None:
            await self._index.aclose()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Something that goes on by itself, until it is done or we end."""
        chore = asyncio.create_task(work)
        self._chores.add(chore)
        chore.add_done_callback(self._ended)

    def _ended(self, chore: asyncio.Task[None]) -> None:
        self._chores.discard(chore)
        tell_bug(chore)

    # Sharing

    async def share(self, folders: Sequence[Path]) -> Catalog:
        """Offer these folders and files in every network, now and later. Once.

        Raises DiskError, HostError, InUseError.
        """
        if self.catalog is not None:
            raise HostError("something is shared already")
        self._index = self._index or DiskPool(threads=self._index_threads)
        key = "\0".join(str(folder.resolve()) for folder in folders)
        name = f"{sha1(key.encode(errors='surrogateescape'), usedforsecurity=False).hexdigest()[:16]}.db"
        disk = self._tools(self._seed).disk
        self.catalog = await Catalog.open(
            self._folder / "catalog" / name, folders, disk=disk, index=self._index
        )
        self._begin(self.catalog.run())
        if self._exchange is not None:
            self._exchange.share(self.catalog)
        for network in self._joined.values():
            network.share(self.catalog)
        return self.catalog

    async def _seed(self, info_hash: InfoHash, asker: str) -> None:
        """Somebody has asked for the torrent of one of our files.

        Raises BusyError when too many are read at the moment, DiskError, HostError.
        """
        async with self._adding:  # of those who ask at the same moment, the others find it there
            if info_hash not in self._torrents:
                of_one = self._reading[asker] >= MOST_READ_FOR_ONE
                if of_one or self._reading.total() >= MOST_READ:
                    raise BusyError("too many files are being read for who asks for torrents")
                await self._add_ours(info_hash, asker)
        torrent = self._seeded.get(info_hash)
        if torrent is None:
            return
        try:
            async with asyncio.timeout(SEED_TIME):
                await torrent.finished()
        except TimeoutError:
            log.debug("%s is still being checked", torrent.path)  # who comes too early comes again

    async def _add_ours(self, info_hash: InfoHash, asker: str) -> None:
        found = await self.catalog.torrent(info_hash) if self.catalog else None
        if self.catalog is None or found is None:
            return
        shared, metainfo = found
        path = await self.catalog.path(shared)
        torrent = await self._add(renamed(metainfo, path.name), data=path)
        self._seeded[info_hash] = torrent
        self._reading[asker] += 1
        self._begin(self._until_read(torrent, asker))
        await self._stop_some()

    async def _until_read(self, torrent: Torrent, asker: str) -> None:
        try:
            events = torrent.events()
            while isinstance(torrent.state, Checking) and await anext(events, None) is not None:
                pass
        finally:
            self._reading -= Counter((asker,))

    async def _stop_some(self) -> None:
        """The oldest that nobody fetches makes room."""
        idle = [(each, torrent) for each, torrent in self._seeded.items() if not torrent.peers]
        for info_hash, torrent in idle[: max(0, len(self._seeded) - MOST_SEEDED)]:
            del self._seeded[info_hash]
            await self._remove(torrent)

    # Searching and fetching

    def status(self) -> list[NetworkStatus]:
        """How we stand in each that was joined."""
        return [network.status() for network in self._joined.values()]

    def search(self, query: Query, via: Sequence[str] = ()) -> Search:
        """In these networks, by default all that were joined. Raises HostError for one that was not."""
        for name in via:
            if name not in self._joined:
                raise HostError(f"{name} was not joined")
        chosen = [self._joined[name] for name in via or self._joined]
        return Search(chosen, query)

    async def download(self, what: Hit | Find | Sequence[Hit], save_to: Path) -> Torrent:
        """One file, from all these hosts at once.

        Raises NetworkError when no host gives what is needed to begin; and what adding a torrent raises.
        """
        hits = [what] if isinstance(what, Hit) else what.hits if isinstance(what, Find) else what
        return await self._fetching.download(hits, save_to)

    def _network(self, hit: Hit) -> FileNetwork:
        network = self._joined.get(hit.network)
        if network is None:
            raise NetworkError(f"{hit.network} was not joined")
        return network
