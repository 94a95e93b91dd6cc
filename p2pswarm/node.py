"""The composition root: everything is built and joined here.

A node has one port, one pool of disk threads, one budget of memory and any number of torrents. Two nodes
live happily in one process: nothing in this project is global.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random, SystemRandom
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Self

from typing_extensions import override

from p2pswarm.claiming import Claim
from p2pswarm.config import NetworkSettings, Settings
from p2pswarm.discovering import Discovery
from p2pswarm.discovery.trackers import Body
from p2pswarm.disk.handles import Shelf
from p2pswarm.disk.pool import DiskPool
from p2pswarm.disk.renaming import Rename
from p2pswarm.disk.resume import ResumeFolder
from p2pswarm.disk.seeking import Seeking
from p2pswarm.disk.torrents import TorrentFolder
from p2pswarm.errors import HostError, NetworkError
from p2pswarm.formats.bencode import MAX_SIZE
from p2pswarm.formats.ids import Address, InfoHash, PeerId
from p2pswarm.formats.magnet import Magnet
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.formats.names import Names
from p2pswarm.magnets import Magnets, Tiers
from p2pswarm.net.port import Port
from p2pswarm.net.rate import Limiter
from p2pswarm.reusing import Reusing
from p2pswarm.roster import Roster
from p2pswarm.swarm.blocks import BufferPool
from p2pswarm.swarm.data import TorrentData
from p2pswarm.swarm.desk import Desk
from p2pswarm.swarm.dialer import Dial, Places, Surroundings, Turns
from p2pswarm.swarm.finding import Finding
from p2pswarm.swarm.ranking import Ranking
from p2pswarm.swarm.selection import Selection, linked_selection
from p2pswarm.swarm.status import MetadataStatus, Status
from p2pswarm.swarm.torrent import Torrent
from p2pswarm.welcoming import Welcoming

if TYPE_CHECKING:
    from p2pswarm.discovery.dht.dht import Dht
    from p2pswarm.feeds import Feeds
    from p2pswarm.networks import Networks
    from p2pswarm.overlay.people.client import PeopleStatus
    from p2pswarm.overlay.query import Hit, Query
    from p2pswarm.overlay.search import Find, Search
    from p2pswarm.overlay.supernode.client import Supernode
    from p2pswarm.overlay.tools import Seed, Tools
    from p2pswarm.presence import Presence
    from p2pswarm.swarm.metadata import MetadataSwarm

__all__ = ["Node", "NodeStatus"]

Source = Metainfo | Magnet | Path | str | bytes

log = logging.getLogger(__name__)

# Bytes of blocks read and not yet taken by the kernel, all peers together: 64 runs of half a megabyte.
READ_BUDGET = 32 << 20
# Seeds a second that announce themselves at the start. Their trackers know them from before, and an
# announce costs as much as starting one more torrent.
SEEDS_ANNOUNCED = 200.0
# Seconds that jobs of a hanging disk may hold the exit, after their torrents' own
POOL_AT_END = 0.3


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """A snapshot of the whole node."""

    port: int
    peer_id: PeerId
    torrents: tuple[Status, ...]
    magnets: tuple[MetadataStatus, ...] = ()


@dataclass(frozen=True, slots=True)
class _Machinery:
    """What works in a node from `open` on."""

    disk: DiskPool
    discovery: Discovery
    desk: Desk
    surroundings: Surroundings
    magnets: Magnets
    kept: TorrentFolder


class Node:
    """`async with Node() as node: torrent = await node.add("x.torrent")`."""

    def __init__(
        self,
        settings: Settings | None = None,
        networks: NetworkSettings | None = None,
        *,
        dice: Random | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self._dice = dice or Random()
        self.me = PeerId.new(self._dice)
        self._port = Port(self.settings.bind, self.settings.port)
        if self.settings.transport != "tcp":
            # Whoever guesses its numbers is believed to be where he is not.
            self._port.speak_utp(dice or SystemRandom())
        self._torrents: Roster[Torrent] = Roster()
        self._starts: dict[InfoHash, asyncio.Task[None]] = {}  # of torrents that are checked
        self._pieces = BufferPool(self.settings.memory)
        self._reads = BufferPool(READ_BUDGET)
        self._machinery: _Machinery | None = None
        self._is_open = False
        self._places = Places(self.settings.max_connections)
        self._welcoming = Welcoming(
            self.settings,
            self._port,
            self.me,
            self._dice,
            self._places,
            self._torrents,
            self._pieceless,
            lambda: self._is_open,
        )
        self._welcoming.route()
        self._network_settings = networks or NetworkSettings()
        self._networks: Networks | None = None
        self._people: Presence | None = None
        self._feeds: Feeds | None = None

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    @property
    def port(self) -> int:
        """Where we listen; known once the node is open."""
        return self._port.number

    @property
    def networks(self) -> "Networks":
        """What this node shares, finds and fetches. A node that does none of it never imports it."""
        if self._networks is None:
            from p2pswarm.networks import Networks

            self._networks = Networks(
                self._network_settings,
                self.settings.data_dir,
                self._tools,
                self.add,
                self.remove,
                self._torrents,
                index_threads=min(self.settings.disk_threads, 1),
                turned=self._turned,
            )
        return self._networks

    @property
    def people(self) -> "Presence":
        """Our place among people: found by name and rung, if we want to. Raises HostError when not open."""
        if self._people is None:
            from p2pswarm.presence import Presence

            self._people = Presence(
                self._network_settings,
                self.settings.data_dir,
                self._port,
                self._working().disk,
                self._dice,
                lambda: self.networks,
                self.settings.meet,
            )
        return self._people

    @property
    def standing(self) -> "PeopleStatus | None":
        """Our place among people; None for who was never there."""
        return self._people.status() if self._people is not None else None

    def _turned(self, supernode: "Supernode", serves: bool) -> None:
        """Who serves in the supernode network serves people, too."""
        if self._is_open and (serves or self._people is not None):
            self.people.turned(supernode, serves=serves)

    @property
    def dht(self) -> "Dht | None":
        """Our node of the DHT, while this one is open and the settings want it."""
        return self._machinery.discovery.dht if self._machinery is not None else None

    @property
    def feeds(self) -> "Feeds":
        """The feeds that are followed or published. Raises HostError when the node is not open."""
        if self._feeds is None:
            from p2pswarm.feeds import Feeds

            ours = self._working()
            self._feeds = Feeds(ours.surroundings, self._finding, ours.disk)
        return self._feeds

    @property
    def torrents(self) -> Mapping[InfoHash, Torrent]:
        """By main name; a hybrid is found by its other name too (BEP 52)."""
        return MappingProxyType(self._torrents)

    def status(self) -> NodeStatus:
        torrents = tuple(torrent.status() for torrent in self._torrents.values())
        swarms = self._machinery.magnets.swarms.values() if self._machinery else ()
        return NodeStatus(self.port, self.me, torrents, tuple(swarm.status() for swarm in swarms))

    async def open(self) -> None:
        """Listen. Raises PortTakenError."""
        disk = DiskPool(threads=self.settings.disk_threads)
        desk = Desk(disk, ResumeFolder(self.settings.data_dir / "resume"), Shelf(), self._dice)
        discovery = Discovery(self.settings, self._port, self.me, self._dice)
        surroundings = self._surroundings(discovery)
        kept = TorrentFolder(self.settings.data_dir / "torrents")
        magnets = Magnets(kept, disk, surroundings, self._finding, self._torrents)
        self._machinery = _Machinery(disk, discovery, desk, surroundings, magnets, kept)
        await self._port.open()
        self._port.whereabouts.moved = self._moved
        self._is_open = True
        await discovery.open()
        if self.settings.meet:
            try:
                discovery.introducer = await self.people.meet()
            except NetworkError as error:
                log.warning("nobody introduces peers to us: %s", error)

    def _moved(self) -> None:
        """We are in another network: whoever knew where we were is told again, as soon as is polite."""
        if self._machinery is not None:
            self._machinery.discovery.moved()
        for roster in (self._torrents, *self._pieceless()):
            for swarm in roster.values():
                swarm.finding.need_more()

    async def aclose(self) -> None:
        """Tell trackers, note what we have, close everything. May be called twice; takes at most 3 s."""
        self._is_open = False
        if self._people is not None:
            await self._people.aclose()
        if self._networks is not None:
            await self._networks.aclose()
        swarms = [self._machinery.magnets.aclose()] if self._machinery is not None else []
        swarms += [self._feeds.aclose()] if self._feeds is not None else []
        torrents = (self.remove(torrent) for torrent in list(self._torrents.values()))
        await asyncio.gather(*swarms, *torrents)
        if self._machinery is not None:
            await self._machinery.discovery.aclose()
        await self._port.close()
        if self._machinery is not None:
            try:
                async with asyncio.timeout(POOL_AT_END):
                    await self._machinery.disk.aclose()
            except TimeoutError:
                log.warning("the disk hangs; its threads end with the process")

    async def add(
        self,
        source: Source,
        *,
        save_to: Path | None = None,
        data: Path | None = None,
        peers: Sequence[Address] = (),
        select: Selection | None = None,
        rename: Sequence[Rename] = (),
        reuse: Sequence[Path] = (),
        preallocate: bool = False,
        kind: Callable[..., TorrentData] = TorrentData,
    ) -> Torrent:
        """Start a torrent.

        `source` is a parsed torrent, the bytes of one, a path, an http(s) URL, or a magnet link: then this
        waits until peers have told what the torrent is, however long that takes. It is downloaded into the
        folder `save_to` (here, by default), or seeded from `data`, a folder or file that is only read.
        `select` says which files are wanted; where it does not, a magnet link may.
        `rename` gives its files or folders other names, for good.
        What a download misses is looked for in `reuse`, folders and files that are only read, and in the
        other torrents of this node, before anybody is asked. With `preallocate` it takes its room on the disk
        at once.
        `kind` says what becomes of the data: anything but the default is for search networks.
        Raises MetainfoError, BencodeError, DiskError, TrackerError (for a URL), FormatError (for a magnet),
        InUseError, HostError.
        """
        ours = self._working()
        given = await self._read(source)
        near = _is_near(given) and kind is TorrentData
        swarm: MetadataSwarm | None = None
        linked: Sequence[Address] = ()
        if isinstance(given, Magnet):
            select = linked_selection(given.select, select)
            source, swarm = await ours.magnets.find(given, peers)
            linked = () if source.private else given.peers
        else:
            source = given
        try:
            here = self._torrents
            claim = Claim(source, save_to or Path(), data, kind, ours.desk, here, select, rename)
            metainfo, path, torrent_data, choice = await claim.made(ours.disk, self._working)
        except BaseException:
            if swarm is not None:
                await ours.magnets.give_up(swarm)
            raise
        finding = self._finding_for(metainfo, swarm)
        torrent = Torrent(metainfo, torrent_data, path, finding, ours.surroundings, choice)
        torrent.learned = ours.magnets.keep
        if data is None:
            torrent.seek = self._seek(reuse)
            torrent_data.preallocate = preallocate
        torrent.web_seeds = ours.discovery.web_seeds(metainfo, near=near)
        for address in peers:
            torrent.add_peer(address)
        for address in linked:
            torrent.await_peer(address)
        self._begin(torrent, swarm)
        return torrent

    async def _read(self, source: Source) -> Source:
        """What is behind a URL, and what a link says."""
        if isinstance(source, str) and _is_url(source):
            return await self._working().discovery.fetch.get(source, limit=MAX_SIZE)
        return Magnet.parse(source) if isinstance(source, str) and _is_magnet(source) else source

    def _begin(self, torrent: Torrent, swarm: "MetadataSwarm | None") -> None:
        """It is one of ours from here on; the `swarm` that told it gives it its connections."""
        magnets = self._working().magnets
        self._torrents.add(torrent, Names.of(torrent.metainfo))
        start = self._starts[torrent.info_hash] = asyncio.create_task(torrent.start())
        start.add_done_callback(partial(self._started, torrent))
        if swarm is not None:
            start.add_done_callback(lambda _: magnets.hand_over(swarm, torrent.welcome))

    async def fetch_metadata(
        self, magnet: Magnet | str, *, peers: Sequence[Address] = ()
    ) -> Metainfo:
        """The torrent that a magnet link names, from its peers or where it is kept; nothing is downloaded.

        Waits for as long as it takes. Raises FormatError, HostError.
        """
        ours = self._working()
        magnet = Magnet.parse(magnet) if isinstance(magnet, str) else magnet
        names = magnet.names
        here = self._torrents.any_of(names)
        if here is not None and names.met_by(Names.of(here.metainfo)):
            return here.metainfo
        metainfo, swarm = await ours.magnets.find(magnet, peers)
        if swarm is not None:
            await ours.magnets.give_up(swarm)
        return metainfo

    def _finding(self, names: Names, tiers: Tiers, *, private: bool = False) -> Finding:
        finding = Finding(names, self._working().surroundings)
        self._search_all(finding, names, tiers, private=private)
        return finding

    def _finding_for(self, metainfo: Metainfo, swarm: "MetadataSwarm | None") -> Finding:
        """Where its peers are looked for: by the search that goes on, where it began as a magnet."""
        names, tiers, private = Names.of(metainfo), metainfo.trackers, metainfo.private
        if swarm is None:
            return self._finding(names, tiers, private=private)
        self._working().magnets.learn(swarm, names)
        self._search_all(swarm.finding, names, tiers, private=private)
        return swarm.finding

    def _search_all(self, finding: Finding, names: Names, tiers: Tiers, *, private: bool) -> None:
        """Every swarm of these names that is not searched yet."""
        ours = self._working()
        searched = finding.names.swarms if finding.trackers else ()
        finding.learn(names)
        for name in names.swarms:
            if name not in searched:
                trackers = ours.discovery.trackers(tiers, name, ours.surroundings.ranking.seen_as)
                others = () if private else ours.discovery.others(name, finding.introduced)
                finding.add_swarm(name, trackers, others)

    def _seek(self, folders: Sequence[Path]) -> Callable[[Metainfo], Seeking]:
        """Where a download may find pieces on this machine."""
        ours = self._working()
        return Reusing(folders, self._torrents, ours.desk.resumes, ours.kept).seek

    def _started(self, torrent: Torrent, start: asyncio.Task[None]) -> None:
        """It was cancelled, or lives on by itself. Anything else is a bug of ours, and nobody waits here."""
        del self._starts[torrent.info_hash]
        error = None if start.cancelled() else start.exception()
        if isinstance(error, Exception):
            torrent.stop(error)

    def search(self, query: "Query", via: Sequence[str] = ()) -> "Search":
        """In the networks that were joined: `async with node.search(query) as search: ...`."""
        return self.networks.search(query, via)

    async def download(
        self, what: "Hit | Find | Sequence[Hit]", *, save_to: Path | None = None
    ) -> Torrent:
        """A file that a search found, from every host that is known to have it.

        Raises NetworkError when no host gives what is needed to begin, and what `add` raises.
        """
        return await self.networks.download(what, save_to or Path())

    async def remove(self, torrent: Torrent) -> None:
        """Stop it and forget it; its files stay. May be called twice, and at once."""
        if self._torrents.get(torrent.info_hash) is not torrent:
            return
        start = self._starts.get(torrent.info_hash)
        if start is not None:
            start.cancel()
            await asyncio.wait([start])
        await torrent.close()
        self._torrents.remove(torrent, torrent.finding.names)

    def _working(self) -> _Machinery:
        """Raises HostError when the node is not open."""
        if not self._is_open or self._machinery is None:
            raise HostError("the node is not open: use `async with Node()`")
        return self._machinery

    def _tools(self, seed: "Seed") -> "Tools":
        """What a search network works with. Raises HostError."""
        from p2pswarm.overlay.tools import Tools

        ours, slots = self._working(), self.settings.upload_slots
        return Tools(self._port, ours.disk, ours.surroundings.up, self._dice, seed, slots)

    def _surroundings(self, discovery: Discovery) -> Surroundings:
        loop = asyncio.get_running_loop()
        return Surroundings(
            port=self._port,
            dials=self._dials(),
            encryption=self.settings.encryption,
            me=self.me,
            down=Limiter(self.settings.down_limit, loop.time, loop.call_later),
            up=Limiter(self.settings.up_limit, loop.time, loop.call_later),
            pieces=self._pieces,
            reads=self._reads,
            dice=self._dice,
            clock=loop.time,
            upload_slots=self.settings.upload_slots,
            max_peers=self.settings.max_peers,
            places=self._places,
            turns=Turns(SEEDS_ANNOUNCED),
            torrents=lambda: len(self._torrents),
            ranking=Ranking(),
            pex=self.settings.pex,
            relayed=self._welcoming.greet_relayed,
            dht=discovery.named if self.settings.dht else None,
        )

    def _dials(self) -> Sequence[Dial]:
        """TCP first: it is cheaper."""
        dials = {"tcp": self._port.dial, "utp": self._port.dial_utp}
        wanted = self.settings.transport
        return tuple(dials.values()) if wanted == "both" else (dials[wanted],)

    def _pieceless(self) -> Sequence[Roster[Any]]:
        """Our swarms that have no pieces."""
        magnets = [self._machinery.magnets.swarms] if self._machinery is not None else []
        return [*magnets, self._feeds.swarms] if self._feeds is not None else magnets

    @override
    def __repr__(self) -> str:
        return f"<Node {self.settings.bind}:{self.port} torrents {len(self._torrents)}>"


def _is_url(text: str) -> bool:
    return text.lower().startswith(("http://", "https://"))


def _is_near(source: Source) -> bool:
    """Whether who gave us the torrent may know our own network: nobody on the Internet, and no link."""
    return not (source.far if isinstance(source, Body) else isinstance(source, Magnet))


def _is_magnet(text: str) -> bool:
    return text.strip()[:8].lower() == "magnet:?"
