"""One torrent: its life from check to seed, and what follows from what.

`Company` has the peers, and they do the talking; `PiecePicker` chooses pieces, `Finding` knows whom to dial,
`Keeper` and `TorrentData` keep the files, `Judging` finds who is to blame, `Feeding` hands on what became
free, `Arranging` has the files that are wanted, `Ticking` the alarm. This room owns the state and joins them:
a piece is full -> store it; stored -> tell everybody; bad -> blame; once a second -> whatever is due. All of
it belongs to the loop's thread; the only things that wait are the check at the start, dials, announces and
checkpoints, each a task that `close` waits for.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from p2pswarm.discovery.source import Progress
from p2pswarm.disk.pool import Stored
from p2pswarm.errors import (
    DiskError,
    DiskFullError,
    MetainfoError,
    P2PSwarmError,
    TrackerError,
)
from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.geometry import Geometry
from p2pswarm.formats.ids import Address, PieceIndex
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.swarm.arranging import Arranging
from p2pswarm.swarm.blocks import Blocks
from p2pswarm.swarm.choker import RECHOKE_EVERY
from p2pswarm.swarm.company import Company
from p2pswarm.swarm.data import TorrentData
from p2pswarm.swarm.dialer import Surroundings
from p2pswarm.swarm.events import (
    Broadcast,
    Checking,
    Completed,
    Downloading,
    Event,
    Failed,
    Flag,
    Paused,
    Reusing,
    Seeding,
    State,
    StateChanged,
    Stopped,
    TrackerFailed,
    TrackerReplied,
)
from p2pswarm.swarm.extensions import Talker, offered
from p2pswarm.swarm.feeding import Feeding
from p2pswarm.swarm.finding import Finding
from p2pswarm.swarm.greeting import Greeted
from p2pswarm.swarm.hash_upload import Answer, HashUpload, Read
from p2pswarm.swarm.judging import Judging
from p2pswarm.swarm.keeper import Keeper
from p2pswarm.swarm.peer import Peer
from p2pswarm.swarm.picker import OpenPiece, PiecePicker
from p2pswarm.swarm.ranges import RangeHost, RangeSource
from p2pswarm.swarm.selection import Choice, Selection
from p2pswarm.swarm.status import FileStatus, Status, snapshot
from p2pswarm.swarm.ticking import Chore, Ticking
from p2pswarm.swarm.traffic import Traffic
from p2pswarm.swarm.trees import Trees
from p2pswarm.wire.extension.holepunch import Holepunch
from p2pswarm.wire.extension.pex import PexFlag
from p2pswarm.wire.hashes import HashRange
from p2pswarm.wire.tracker import Reply

if TYPE_CHECKING:
    from p2pswarm.disk.seeking import Seeking
    from p2pswarm.swarm.webseeds import WebSeeds

__all__ = ["Torrent"]

log = logging.getLogger(__name__)

_NO_TASKS: frozenset[Any] = frozenset()
CHECKPOINT_EVERY = 60.0  # seconds; what was written since is in the journal
RETRY_DISK_EVERY = 5.0  # seconds, while the disk is full or failing
LOOK_EVERY = 30.0  # seconds between looks at the files of a seed
FEW_PEERS = 5  # with fewer a downloader asks its sources for more, at most so often:
HUNGRY_EVERY = 15.0  # seconds
CHORES_AT_END = 0.5  # seconds that chores on a hanging disk may hold the end


class Torrent:
    """Made and run by a `Node`; everything public here may be called from the node's loop."""

    def __init__(
        self,
        metainfo: Metainfo,
        data: TorrentData,
        path: Path,
        finding: Finding,
        node: Surroundings,
        choice: Choice | None = None,
    ) -> None:
        self.metainfo = metainfo
        self.path = path
        self.state: State = Checking(0, metainfo.piece_count)
        self.error: Exception | None = None
        self.sources: list[RangeSource] = []  # hosts of other networks, and web seeds
        self.web_seeds: WebSeeds | None = None  # the node's to give, and
        # where on this machine a download may find what it misses:
        self.seek: Callable[[Metainfo], Seeking] | None = None
        self.finding = finding
        finding.trackers[0].told = self._tracker_told
        self.learned: Callable[[Metainfo], None] = lambda metainfo: None  # told of new piece layers
        # What a peer asks of its home
        self.info_hash = metainfo.info_hash
        self.piece_length = metainfo.piece_length
        self.picker = PiecePicker(Geometry.of(metainfo), node.dice)
        self.blocks = Blocks(node.pieces, self.picker.geometry)
        self.trees = Trees(metainfo, self) if metainfo.v2 is not None else None
        if self.trees is not None:
            data.expected = self.trees.forest.expected
        self.reads = node.reads
        self.down, self.up = node.down, node.up
        self.info = None if metainfo.private else metainfo.info
        self.dht = None if metainfo.private else node.dht
        self.hides = node.encryption != "off"
        self.offered = offered(private=metainfo.private, pex=node.pex, utp=node.port.speaks_utp)
        self.asking = False
        self.clock = node.clock
        # Its own
        self._node = node
        self._data = data
        self._keeper = Keeper(data, self, metainfo.name)
        self._events = Broadcast()
        self._company = Company(self, node, self._events)
        self.peers = self._company.peers
        self._traffic = Traffic(self.peers, self.sources)
        self._feeding = Feeding(self.picker, self.blocks, node.pieces, self.peers, self.sources)
        self._judging = Judging(
            metainfo.name, self.picker, finding.book, self._traffic, self._events
        )
        self._ticking = Ticking(self, node.torrents)
        self._arranging = Arranging(self, data, self._keeper, choice)
        self._hash_upload = HashUpload(self) if self.trees is not None else None
        self._finished = Flag()
        self._closing: asyncio.Task[None] | None = None
        self._work: frozenset[asyncio.Task[None]] = _NO_TASKS
        self._alive = False  # from the end of the check until it is closed or fails
        self._known = False  # the check is over: `picker.have` is true
        self._over = False
        self._loop = asyncio.get_running_loop()

    # For users

    def events(self) -> AsyncIterator[Event]:
        """What happens from now on; ends when the torrent is taken out of its node."""
        return self._events.listen()

    async def finished(self) -> None:
        """Wait until every piece is verified and written, or the torrent is taken out of its node.

        Raises what made it fail; a pause is no failure.
        """
        while not self._finished.is_set():
            await self._finished.wait()
        if isinstance(self.state, Failed) and self.error is not None:
            raise self.error

    def add_peer(self, address: Address) -> None:
        """A peer the user named: tried at once and again."""
        self.finding.add(address)

    def await_peer(self, address: Address) -> None:
        """Whoever got a link to this from us is there, or will be in a moment: tried some times."""
        self.finding.add(address, named=False)

    def add_source(self, host: RangeHost) -> None:
        """A host of another network that has our file, asked from the next tick on."""
        self.sources.append(RangeSource(host, self))
        self.wake()

    async def move(self, folder: Path) -> Path:
        """Move the files into another folder, while it goes on to give them. Where they are then.

        Raises HostError, DiskError, TargetExistsError; then they are where they were.
        """
        await self._arranging.move(folder)
        return self.path

    async def rename(self, old: str, new: str) -> Path:
        """Give a file or folder of it another name, for good, while it goes on. Where its files are then.

        Both are paths inside the torrent's folder, with `/`; `old` is the name of now.
        Raises HostError, DiskError, TargetExistsError; then it has the name that it had, of a folder
        perhaps not all of it.
        """
        await self._arranging.rename(old, new)
        return self.path

    @property
    def deserted(self) -> str | None:
        """Why the rest will never come: only hosts of other networks can give it, for nobody has its hashes,
        and the last of them was given up."""
        if self._data.swarms or not self.asking or not self.sources:
            return None
        if any(source.active or not source.over for source in self.sources):
            return None
        return self.sources[-1].trouble

    def status(self) -> Status:
        return snapshot(self, self._data, self._traffic)

    def files(self) -> list[FileStatus]:
        """What is here of each file; pad files are left out."""
        return self._arranging.files()

    async def select(self, selection: Selection) -> None:
        """Other files are wanted from here on. What is on the disk stays there.

        Raises HostError for a selection that fits nothing, or at a time when none can be made; DiskError.
        """
        await self._arranging.select(selection)

    # Life

    async def start(self) -> None:
        """Check; from then on download and seed until `close`. Never raises what is to be seen as state."""
        try:
            await self._check()
        except P2PSwarmError as error:
            self.stop(error)
        else:
            self._alive = True
            if self.picker.whole:
                self.finding.never_lacked()
            self.disk_works()
            self.finding.begin(self, self._turn())
            self._ticking.tick()

    def _turn(self) -> float:
        """Seconds until it may search. A seed waits for its turn: its trackers know it from before."""
        return self._node.turns.wait(self.clock()) if self.picker.done else 0.0

    def stop(self, error: Exception) -> None:
        """It cannot go on, for a reason outside or for a bug of ours."""
        while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]  # a task group adds nothing that a person wants to read
        if isinstance(error, P2PSwarmError):
            log.info("%s: %s", self.metainfo.name, error)
        else:
            log.error("%s: a bug in p2pswarm", self.metainfo.name, exc_info=error)
        self._rest()
        self.fail(error)

    def _rest(self) -> None:
        self._alive = self.asking = False
        self._ticking.rest()
        self.finding.rest()
        for task in self._work:
            task.cancel()
        self._company.drop_all()

    def fail(self, error: Exception) -> None:
        """It cannot go on: `finished()` raises this."""
        self.error = error
        self.enter(Failed(str(error)))
        self._finished.set()

    async def close(self) -> None:
        """After `start` ended or was cancelled: tell the trackers, note what we have, close the files."""
        if self._closing is None:
            self._over = True
            self._closing = self._loop.create_task(self._end())
        # Whoever gives up waiting leaves it to itself: half closed, nobody else could have the files.
        await asyncio.shield(self._closing)

    async def _end(self) -> None:
        self._rest()
        work = self._work | self.finding.tasks
        if work:
            await asyncio.wait(work, timeout=CHORES_AT_END)
        if not isinstance(self.state, Failed):
            self.enter(Stopped())
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.finding.leave())
            await self._keeper.close(known=self._known)
        self._events.end()
        self._finished.set()

    async def _check(self) -> None:
        have = await self._data.load(lambda done, total: self.enter(Checking(done, total)))
        if self.seek is not None:
            show = self.enter
            have = await self._data.fill(have, self.seek, lambda d, n: show(Reusing(d, n)))
            if self._data.learned:
                await self._plant(self._data.learned)
        await self._prepare(have)
        self._known = True
        self._ticking.put_off(rechoke=0.0, retry=0.0, more=HUNGRY_EVERY)
        self._ticking.put_off(note=CHECKPOINT_EVERY, look=LOOK_EVERY)

    async def _plant(self, layers: Mapping[bytes, bytes]) -> None:
        """Piece layers that local files told before any peer could: the trees are made anew."""
        if self.trees is not None:
            self.metainfo = await self._data.with_layers(layers)
            self.picker.admit(list(self.trees.forest.unknown()))
            self.trees = Trees(self.metainfo, self)
            self._data.expected = self.trees.forest.expected
            self.learned(self.metainfo)

    async def _prepare(self, have: Bitfield) -> None:
        """Raises DiskError, unless there is just no room yet."""
        while True:
            try:
                return await self._keeper.prepare(have)
            except DiskFullError as error:
                self.disk_failed(error)
                await asyncio.sleep(RETRY_DISK_EVERY)

    def enter(self, state: State) -> None:
        if state != self.state:
            self.state = state
            self.wake()
            self._events.tell(StateChanged(state))

    def progress(self) -> Progress:
        """For the sources; `downloaded` and `uploaded` count this session, as BEP 3 wants."""
        traffic = self._traffic
        left, partial = self.picker.left, self._arranging.partial
        return Progress(traffic.uploaded, traffic.downloaded, left, partial)

    # Once a second, or when something is due

    def wake(self) -> None:
        """Something happened, and more may follow."""
        self._ticking.wake()

    def do_what_is_due(self) -> None:
        now = self.clock()
        for peer in list(self.peers.values()):
            peer.tick(now)
        for source in self.sources:
            source.tick(now)
        if self.trees is not None:
            self.trees.tick(now)
        self._traffic.measure(now)
        self._ticking.do_chores(now)
        self._feeding.give_up_stranded()
        self._company.part(now, seeding=isinstance(self.state, Seeding))
        self.finding.dial_more()

    def chores(self) -> Iterator[Chore]:
        """What has to be done now and then as things stand."""
        if self.peers:
            yield Chore("rechoke", RECHOKE_EVERY, self._company.rechoke)
        if isinstance(self.state, Paused):
            yield Chore("retry", RETRY_DISK_EVERY, self._keeper.retry)
        if self._keeper.has_news:
            yield Chore("note", CHECKPOINT_EVERY, self._keeper.note)
        if isinstance(self.state, Seeding):
            yield Chore("look", LOOK_EVERY, self._keeper.look)
        if self.asking and len(self.peers) < FEW_PEERS:
            yield Chore("more", HUNGRY_EVERY, self.finding.need_more)

    @property
    def busy(self) -> bool:
        """Whether it wants a look every second."""
        if self.peers or self.finding.busy or len(self.blocks) or isinstance(self.state, Checking):
            return True
        return self._traffic.flows or any(source.active for source in self.sources)

    def next_try(self) -> float:
        """When somebody may be reached again."""
        due = [self.finding.book.next_dial()]
        if self.asking:
            due += [source.due for source in self.sources if not source.over]
        return min(due)

    # Pieces

    def piece_reached(self, piece: OpenPiece) -> None:
        """All of it has landed, to be hashed and written, or some more of a large one."""
        if piece.left:
            if self.metainfo.has_v1:
                self._keeper.grown(piece)
        elif self.trees is not None:
            self.trees.judge(piece)
        else:
            self._keeper.store(piece, digests=self._judging.suspects(piece.index))

    def piece_spoiled(self, piece: PieceIndex) -> None:
        """A block of it is not what its leaf says."""
        if self.trees is not None:
            self.trees.spoiled(piece)

    def piece_whole(self, piece: OpenPiece, leaves: bytes | None) -> None:
        """All of it has landed, and nothing is wrong with it so far."""
        self._keeper.store(piece, digests=False, leaves=leaves)

    def piece_unexplained(self, piece: OpenPiece) -> None:
        """It is bad, and nobody gives the hashes that tell which blocks of it are."""
        self.blocks.drop(piece.index)
        self._judging.bad(piece, Stored(False, None))
        self._feeding.soon()

    def blocks_bad(self, piece: OpenPiece, guilty: set[Any], wasted: int) -> None:
        """Some blocks of a piece are; the others stay."""
        self._judging.blocks_bad(piece, guilty, wasted)
        self._feeding.soon()

    @property
    def alone(self) -> bool:
        """Whether there is nobody to get anything from."""
        return not self.peers and not self.sources

    def sent_bad(self, guilty: set[Any]) -> None:
        """It is not known yet which blocks."""
        self._judging.ban(guilty)

    def contradicted(self, piece: PieceIndex) -> None:
        """Nobody can mend that."""
        what = f"version 1 and version 2 want different bytes in piece {piece}"
        self.stop(MetainfoError(f"this torrent contradicts itself: {what}"))

    def piece_stored(self, piece: OpenPiece, result: Stored) -> None:
        """It was hashed, and written if it was good; its buffer is free."""
        if result.contradicts:
            self.contradicted(piece.index)
            return
        if self.trees is not None:
            self.trees.stored(piece, ok=result.ok)
        if result.ok:
            self._piece_good(piece, result)
        else:
            self._judging.bad(piece, result)
        self._feeding.soon()

    def _piece_good(self, piece: OpenPiece, result: Stored) -> None:
        self._judging.good(piece, result)
        self.piece_found(piece.index)
        if not self.picker.done:
            return
        if self._data.proven:
            self.complete()
        else:
            self._prove()

    def piece_found(self, piece: PieceIndex) -> None:
        """It is ours: everybody hears of it."""
        self._company.tell_have(piece)

    def _prove(self) -> None:
        """Every piece is here, and it is not complete before the whole is verified."""
        self.asking = False
        self.enter(Checking(0, self.picker.pieces))
        self._keeper.prove()

    def proved(self) -> None:
        self.complete()

    def complete(self) -> None:
        self.asking = False
        self._events.tell(Completed())
        self.enter(Seeding())
        self._finished.set()
        self.finding.completed()
        self._company.tell_upload_only(on=True)
        self._keeper.settle()

    def begin_anew(self, piece: PieceIndex) -> None:
        """What has landed of it is worth nothing, or its memory is worth more."""
        self._feeding.begin_anew(piece)

    def drop_pieces(self, pieces: Sequence[PieceIndex]) -> None:
        self._feeding.drop(pieces)

    # Hashes of version 2

    def hash_givers(self) -> list[Peer]:
        """Who may be asked for them."""
        return [peer for peer in self.peers.values() if peer.v2]

    def serve_hashes(self, peer: Peer, asked: HashRange) -> bool:
        """Whether an honest peer would ask this."""
        if self.trees is None or self._hash_upload is None:
            return True
        return self._hash_upload.asked(peer, asked, self.trees.forest)

    def work_out(
        self, job: Callable[[Read], Answer | None], done: Callable[[Answer | None], None]
    ) -> None:
        self.spawn(self._work_out(job, done))

    async def _work_out(
        self, job: Callable[[Read], Answer | None], done: Callable[[Answer | None], None]
    ) -> None:
        done(await self._data.work_out(job))

    def pieces_known(self) -> None:
        """More pieces can be judged."""
        self._feeding.soon()

    def layers_known(self) -> None:
        """All of them are; who keeps the torrent keeps them with it."""
        if self.trees is not None:
            self.spawn(self._keep_layers(self.trees.forest.layers()))

    async def _keep_layers(self, layers: Mapping[bytes, bytes]) -> None:
        self.metainfo = await self._data.with_layers(layers)
        self.learned(self.metainfo)

    # What the keeper tells

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Something that waits, for as long as this torrent is at work."""
        if self._alive:
            task = self._loop.create_task(work)
            self._work |= {task}
            task.add_done_callback(self._worked)
        else:
            work.close()

    def _worked(self, task: asyncio.Task[None]) -> None:
        self._work -= {task}
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            self.stop(error)

    def disk_failed(self, error: DiskError) -> None:
        """Nothing is asked for until the disk takes it; `Keeper.retry` finds out."""
        if not self._over:
            if not isinstance(self.state, Paused):
                log.warning("%s: paused: %s", self.metainfo.name, error)
            self.asking = False
            self._ticking.put_off(retry=RETRY_DISK_EVERY)
            self.error = error
            self.enter(Paused(str(error)))

    def disk_works(self) -> None:
        """Whatever state the pieces call for; peers ask again."""
        self.error = None
        if self.picker.done and not self._data.proven:
            self._prove()
        elif self.picker.done:
            self.enter(Seeding())
            self._finished.set()
        elif self._data.writable:
            self.asking = not self._arranging.choosing
            self.enter(Downloading())
            if self.web_seeds is not None:
                self.sources += self.web_seeds.begin(self, self._node.dice)
            self._feeding.now()
        else:
            missing = self.picker.missing.count()
            self.enter(Paused(f"{missing} of {self.picker.pieces} pieces are not on the disk"))

    def pieces_lost(self, pieces: Sequence[PieceIndex]) -> None:
        """Peers may have what we miss now."""
        self._finished.clear()
        self._company.tell_lost(pieces)
        self.finding.book.want_again(self.clock())

    def want_again(self) -> None:
        """A seed that is told to want more is one no longer."""
        self._finished.clear()
        self._company.tell_upload_only(on=False)
        self.finding.book.want_again(self.clock())

    def checking(self, done: int, total: int) -> None:
        """A check in the middle of the work of a seed shows; one in a download or a pause does not."""
        if isinstance(self.state, Seeding | Checking):
            self.enter(Checking(done, total))

    def read_failed(self, piece: PieceIndex, error: DiskError) -> None:
        self._keeper.read_failed(piece, error)

    # What peers ask of their home

    @property
    def port(self) -> int:
        return self._node.port.number

    @property
    def upload_only(self) -> bool:
        """Whether we want nothing from anybody."""
        return self.picker.done

    def soon(self, call: Callable[[], None]) -> None:
        self._loop.call_soon(call)

    def read(
        self, offset: int, into: Sequence[memoryview], done: Callable[[DiskError | None], None]
    ) -> None:
        self._data.read(offset, into, done)

    def wasted(self, n: int) -> None:
        self._traffic.wasted += n

    def ranges_at(self) -> set[PieceIndex]:
        return self._feeding.ranges_at()

    def cancel_others(self, block: int, winner: object) -> None:
        for peer in self.peers.values():
            if peer is not winner:
                peer.download.cancel(block)

    def interest_changed(self, peer: Peer) -> None:
        self._company.interest_changed(peer)

    def peer_gone(self, peer: Peer, reason: Exception | None) -> None:
        if self._company.gone(peer, reason):
            self._traffic.gone(peer)
            if self.trees is not None and self._hash_upload is not None:
                self.trees.gone(peer)
                self._hash_upload.gone(peer)
            self._feeding.soon()

    # Peers

    def found(self, address: Address) -> None:
        """A peer names another."""
        self.finding.found(address)

    def connected(self) -> set[Address]:
        return self._company.connected()

    def seen_as(self, voter: Address, ip: bytes) -> None:
        """A peer says where it sees us."""
        self._node.ranking.seen_as(voter, ip)

    def neighbours(self) -> dict[Address, PexFlag]:
        return self._company.neighbours()

    def hole_punched(self, peer: Talker, message: Holepunch) -> None:
        self._company.hole_punched(peer, message)

    def unreached(self, address: Address) -> None:
        self._company.unreached(address)

    def dialing(self) -> None:
        self.wake()

    def _tracker_told(self, url: str, news: Reply | TrackerError) -> None:
        if isinstance(news, TrackerError):
            self._events.tell(TrackerFailed(url, str(news)))
        else:
            self._events.tell(TrackerReplied(url, len(news.addresses())))

    @property
    def shareable(self) -> bool:
        """Whether others can check what they get of it."""
        return self._data.shareable

    @property
    def ready(self) -> bool:
        """Whether peers may come in."""
        return self.settled and not isinstance(self.state, Failed) and self._data.shareable

    @property
    def settled(self) -> bool:
        """Whether it is known what is on the disk, and that is not given up yet."""
        return self._known and not self._over

    @property
    def at_work(self) -> bool:
        """From the end of the check until it is closed or fails."""
        return self._alive

    def welcome(self, who: Greeted) -> bool:
        """A peer that completed its handshake; False when there is no place for it."""
        return self._company.welcome(who)

    @property
    def crowded(self) -> bool:
        """Whether a host has several places, of which others may have some."""
        return self._company.crowded

    @override
    def __repr__(self) -> str:
        state = type(self.state).__name__.lower()
        return f"<Torrent {self.metainfo.name} {state} peers {len(self.peers)}>"
