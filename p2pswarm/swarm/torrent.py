"""One torrent: its life from check to seed, its peers, and what is told to whom.

The peers do the talking, `PiecePicker` chooses pieces, `Choker` chooses peers, `Finding` knows whom to dial,
`TorrentData` keeps the files. This room joins them: a piece is full -> store it; stored -> tell
everybody; bad -> blame; once a second -> tick, and rarely while nobody is connected. All state belongs to
the loop's thread; the only things that wait are the check at the start, dials, announces and checkpoints,
each a task that `close` waits for.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from typing_extensions import override

from p2pswarm.discovery.source import Progress
from p2pswarm.disk.pool import Stored
from p2pswarm.errors import (
    DiskError,
    DiskFullError,
    HostError,
    MetainfoError,
    P2PSwarmError,
    RemoteProtocolError,
    TrackerError,
)
from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.geometry import Geometry
from p2pswarm.formats.ids import Address, PieceIndex
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.net.rate import Meter
from p2pswarm.swarm.blame import Blame
from p2pswarm.swarm.blocks import Blocks
from p2pswarm.swarm.choker import RECHOKE_EVERY, Choker
from p2pswarm.swarm.data import TorrentData
from p2pswarm.swarm.dialer import Surroundings
from p2pswarm.swarm.entrance import TWICE, why_not
from p2pswarm.swarm.events import (
    Broadcast,
    Checking,
    Completed,
    Downloading,
    Event,
    Failed,
    Flag,
    Moving,
    Paused,
    PeerBanned,
    PeerJoined,
    PeerLeft,
    PieceDone,
    PieceFailed,
    Reusing,
    Seeding,
    State,
    StateChanged,
    Stopped,
    TrackerFailed,
    TrackerReplied,
)
from p2pswarm.swarm.extensions import Talker, offered
from p2pswarm.swarm.finding import Finding
from p2pswarm.swarm.greeting import Greeted, Name
from p2pswarm.swarm.hash_upload import Answer, HashUpload, Read
from p2pswarm.swarm.keeper import Keeper
from p2pswarm.swarm.meeting import Meetings
from p2pswarm.swarm.parting import crowded, displaced, doubles, fellow_seeds
from p2pswarm.swarm.peer import Peer
from p2pswarm.swarm.picker import OpenPiece, PiecePicker
from p2pswarm.swarm.ranges import RangeHost, RangeSource
from p2pswarm.swarm.selection import Choice, Selection
from p2pswarm.swarm.status import FileStatus, Status, file_statuses
from p2pswarm.swarm.trees import Trees
from p2pswarm.wire.extension.holepunch import Holepunch
from p2pswarm.wire.extension.pex import PexFlag
from p2pswarm.wire.hashes import HashRange
from p2pswarm.wire.peer import PeerFramer, longest_message
from p2pswarm.wire.tracker import Reply

if TYPE_CHECKING:
    from p2pswarm.disk.seeking import Seeking
    from p2pswarm.swarm.webseeds import WebSeeds

__all__ = ["Torrent"]

log = logging.getLogger(__name__)

_NO_TASKS: frozenset[Any] = frozenset()
TICK = 1.0  # seconds, while there are peers or something is under way
CHECKPOINT_EVERY = 60.0  # seconds; what was written since is in the journal
RETRY_DISK_EVERY = 5.0  # seconds, while the disk is full or failing
LOOK_EVERY = 30.0  # seconds between looks at the files of a seed
FEW_PEERS = 5  # with fewer a downloader asks its sources for more, at most so often:
HUNGRY_EVERY = 15.0  # seconds
CHORES_AT_END = 0.5  # seconds that chores on a hanging disk may hold the end
QUIET_TICKS = (
    25.0  # a second at most, of all torrents of a node together that nobody is connected to
)


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
        self.peers: dict[Name, Peer] = {}
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
        self._blame = Blame()
        self._hash_upload = HashUpload(self) if self.trees is not None else None
        self._banned: WeakSet[Any] = WeakSet()  # peers and sources
        self._choker = Choker(node.upload_slots)
        self._meetings = Meetings(self.peers.values, self._is_us, self.clock, finding.meet)
        self._events = Broadcast()
        self._finished = Flag()
        self._closing: asyncio.Task[None] | None = None
        self._work: frozenset[asyncio.Task[None]] = _NO_TASKS
        self._alive = False  # from the end of the check until it is closed or fails
        self._alarm: asyncio.TimerHandle | None = None
        self._known = False  # the check is over: `picker.have` is true
        self._over = False
        self._feeding = False
        self._telling = False
        self._neighbours: dict[Address, PexFlag] = {}
        self._looked_round = float("-inf")  # when they were written down
        self._refusals = 0  # of the node's memory, as of the last tick
        self._due: dict[str, float] = {}
        self._down_meter, self._up_meter = Meter(5.0), Meter(5.0)
        self._departed_down = self._departed_up = 0  # bytes of peers that have gone
        self._wasted = 0
        self._hash_failures = 0
        self._loop = asyncio.get_running_loop()
        self.choice = choice
        self._choosing = False
        if choice is not None:
            self.picker.want(choice.tiers(metainfo), sequential=choice.sequential)

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

    def add_source(self, host: RangeHost) -> None:
        """A host of another network that has our file, asked from the next tick on."""
        self.sources.append(RangeSource(host, self))
        self._wake()

    async def move(self, folder: Path) -> Path:
        """Move the files into another folder, while it goes on to give them. Where they are then.

        Raises HostError, DiskError, TargetExistsError; then they are where they were.
        """
        if not self._known or self._over:
            raise HostError(f"{self.metainfo.name} cannot be moved now")
        try:
            self.path = await self._keeper.move(folder, lambda d, n: self._enter(Moving(d, n)))
        finally:
            if isinstance(self.state, Moving):
                self.disk_works()
        return self.path

    async def rename(self, old: str, new: str) -> Path:
        """Give a file or folder of it another name, for good, while it goes on. Where its files are then.

        Both are paths inside the torrent's folder, with `/`; `old` is the name of now.
        Raises HostError, DiskError, TargetExistsError; then it has the name that it had, of a folder
        perhaps not all of it.
        """
        if not self._known or self._over:
            raise HostError(f"files of {self.metainfo.name} cannot be renamed now")
        self.path = await self._keeper.rename(old, new)
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
        picker = self.picker
        meta, total = self.metainfo, picker.total
        done = max(0, total - picker.lacks)
        rate = self._down_meter.rate
        peers = self.peers.values()
        sources = sum(source.active for source in self.sources)
        sources -= self.web_seeds.active if self.web_seeds else 0
        return Status(
            name=meta.name,
            info_hash=meta.info_hash,
            state=self.state,
            have=picker.have.count(),
            pieces=picker.pieces,
            done=done,
            total=total,
            down_rate=rate,
            up_rate=self._up_meter.rate,
            downloaded=self._data.downloaded_before + self._downloaded,
            uploaded=self._data.uploaded_before + self._uploaded,
            peers=len(self.peers) + sources,
            seeds=sum(peer.is_seed for peer in peers) + sources,
            availability=picker.availability(),
            eta=(total - done) / rate if rate >= 1 and done < total else None,
            wasted=self._wasted,
            hash_failures=self._hash_failures,
            trackers=self.finding.tracker_status(),
            path=self.path,
            verified_by=self._data.verified_by,
            reused=self._data.reused,
            web_seeds=self.web_seeds.status() if self.web_seeds else (),
            size=picker.geometry.content_total,
        )

    def files(self) -> list[FileStatus]:
        """What is here of each file; pad files are left out."""
        return file_statuses(self.metainfo, self._data.files, self.picker.have, self.choice)

    async def select(self, selection: Selection) -> None:
        """Other files are wanted from here on. What is on the disk stays there.

        Raises HostError for a selection that fits nothing, or at a time when none can be made; DiskError.
        """
        choice = selection.over(self.metainfo.files)
        if self._choosing or not self._alive or isinstance(self.state, Checking):
            raise HostError(f"{self.metainfo.name} is not at work, or files of it are being chosen")
        self._choosing, self.asking = True, False  # no piece is started before its file has a place
        try:
            self._drop_pieces(
                self.picker.want(choice.tiers(self.metainfo), sequential=choice.sequential)
            )
            self.choice = choice
            for source in self.sources:
                source.choose_anew()
            await self._data.select(choice.skipped, full=self.picker.full())
        except DiskError as error:
            self.disk_failed(error)
            raise
        finally:
            self._choosing = False
        self._chosen()

    def _chosen(self) -> None:
        """Downloading or seeding, as what is wanted now says."""
        if not self._alive:
            return
        for peer in list(self.peers.values()):
            peer.update_interest()
        self._keeper.note()
        if self.picker.done and isinstance(self.state, Downloading):
            self._complete()
            return
        if not self.picker.done and isinstance(self.state, Seeding):
            self._finished.clear()
            for peer in self.peers.values():
                peer.tell_upload_only(on=False)
            self.finding.book.want_again(self.clock())
        if not isinstance(self.state, Paused):
            self.disk_works()

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
            self._tick()

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
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self.finding.rest()
        for task in self._work:
            task.cancel()
        self._drop_peers()

    def fail(self, error: Exception) -> None:
        """It cannot go on: `finished()` raises this."""
        self.error = error
        self._enter(Failed(str(error)))
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
            self._enter(Stopped())
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.finding.leave())
            await self._keeper.close(known=self._known)
        self._events.end()
        self._finished.set()

    async def _check(self) -> None:
        have = await self._data.load(lambda done, total: self._enter(Checking(done, total)))
        if self.seek is not None:
            show = self._enter
            have = await self._data.fill(have, self.seek, lambda d, n: show(Reusing(d, n)))
            if self._data.learned:
                await self._plant(self._data.learned)
        await self._prepare(have)
        self._known = True
        now = self.clock()
        self._due = {"rechoke": now, "retry": now, "more": now + HUNGRY_EVERY}
        self._due |= {"note": now + CHECKPOINT_EVERY, "look": now + LOOK_EVERY}

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

    def _enter(self, state: State) -> None:
        if state != self.state:
            self.state = state
            self._wake()
            self._events.tell(StateChanged(state))

    def progress(self) -> Progress:
        """For the sources; `downloaded` and `uploaded` count this session, as BEP 3 wants."""
        left = self.picker.left
        partial = left > 0 and self.choice is not None and self.picker.done
        return Progress(self._uploaded, self._downloaded, left, partial)

    @property
    def _downloaded(self) -> int:
        peers = sum(peer.down.total for peer in self.peers.values())
        return self._departed_down + peers + sum(source.down.total for source in self.sources)

    @property
    def _uploaded(self) -> int:
        return self._departed_up + sum(peer.uploaded for peer in self.peers.values())

    # Once a second, or when something is due

    def _tick(self) -> None:
        """Everything that is due; then set the alarm for the next time."""
        self._alarm = None
        try:
            self._do_what_is_due()
        except Exception as error:  # noqa: BLE001 - nobody waits for a timer: this is where a bug shows
            self.stop(error)
        else:
            self._alarm = self._loop.call_later(self._until_next_tick(), self._tick)

    def _wake(self) -> None:
        """Something happened: from now on there may be something to do every second."""
        if self._alarm is not None and self._alarm.when() > self._loop.time() + TICK:
            self._alarm.cancel()
            self._alarm = self._loop.call_later(TICK, self._tick)

    def _do_what_is_due(self) -> None:
        now = self.clock()
        for peer in list(self.peers.values()):
            peer.tick(now)
        for source in self.sources:
            source.tick(now)
        if self.trees is not None:
            self.trees.tick(now)
        self._measure(now)
        for chore, every, work in self._chores():
            if now >= self._due[chore]:
                self._due[chore] = now + every
                work()
        self._give_up_stranded()
        self._part(now)
        self.finding.dial_more()

    def _chores(self) -> Iterator[tuple[str, float, Callable[[], None]]]:
        """What has to be done now and then as things stand: its name, every how many seconds, the work."""
        if self.peers:
            yield "rechoke", RECHOKE_EVERY, self._rechoke
        if isinstance(self.state, Paused):
            yield "retry", RETRY_DISK_EVERY, self._keeper.retry
        if self._keeper.has_news:
            yield "note", CHECKPOINT_EVERY, self._keeper.note
        if isinstance(self.state, Seeding):
            yield "look", LOOK_EVERY, self._keeper.look
        if self.asking and len(self.peers) < FEW_PEERS:
            yield "more", HUNGRY_EVERY, self.finding.need_more

    def _until_next_tick(self) -> float:
        """Seconds. Ten thousand torrents that nobody is connected to must cost next to nothing, so these
        tick only when something is due, and together a few times a second."""
        under_way = self.finding.busy or len(self.blocks) or isinstance(self.state, Checking)
        coming = any(source.active for source in self.sources)
        if self.peers or coming or under_way or self._down_meter.rate or self._up_meter.rate:
            return TICK
        due = [self._due[chore] for chore, _, _ in self._chores()]
        due.append(self.finding.book.next_dial())
        if self.asking:
            due += [source.due for source in self.sources if not source.over]
        return max(TICK, self._node.torrents() / QUIET_TICKS, min(due) - self.clock())

    def _measure(self, now: float) -> None:
        self._down_meter.total = self._downloaded
        self._up_meter.total = self._uploaded
        self._down_meter.tick(now)
        self._up_meter.tick(now)

    def _part(self, now: float) -> None:
        """Places go to those who want something of us, or have something for us."""
        if isinstance(self.state, Seeding):
            for peer in list(fellow_seeds(self.peers.values(), now)):
                peer.close(RemoteProtocolError("both of us are seeds"))
        members = [(name.peer_id, peer) for name, peer in self.peers.items()]
        for peer, kept in doubles(members, self._node.me):
            peer.double = True
            peer.close(RemoteProtocolError(f"it is connected as {kept.address}, too"))

    # Pieces

    def piece_reached(self, piece: OpenPiece) -> None:
        """All of it has landed, to be hashed and written, or some more of a large one."""
        if piece.left:
            if self.metainfo.has_v1:
                self._keeper.grown(piece)
        elif self.trees is not None:
            self.trees.judge(piece)
        else:
            self._keeper.store(piece, digests=self._blame.suspects(piece.index))

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
        self._piece_bad(piece, Stored(False, None))
        self._feed_soon()

    def blocks_bad(self, piece: OpenPiece, guilty: set[Any], wasted: int) -> None:
        """Some blocks of a piece are; the others stay."""
        self._hash_failures += 1
        self._wasted += wasted
        self._events.tell(PieceFailed(piece.index))
        log.info("%s: %d bytes of piece %d are bad", self.metainfo.name, wasted, piece.index)
        self._ban_all(guilty)
        self._feed_soon()

    @property
    def alone(self) -> bool:
        """Whether there is nobody to get anything from."""
        return not self.peers and not self.sources

    def sent_bad(self, guilty: set[Any]) -> None:
        """It is not known yet which blocks."""
        self._ban_all(guilty)

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
            self._piece_bad(piece, result)
        self._feed_soon()

    def _piece_good(self, piece: OpenPiece, result: Stored) -> None:
        self.picker.had(piece.index)
        digests = piece.leaves or result.digests
        if digests is not None:
            self._ban_all(self._blame.good(piece.index, digests))
        for source in self.sources:
            source.proved |= source in piece.senders
        for sender in piece.senders:
            if isinstance(sender, Peer):
                sender.gave += 1
        self._events.tell(PieceDone(piece.index))
        self.piece_found(piece.index)
        if not self.picker.done:
            return
        if self._data.proven:
            self._complete()
        else:
            self._prove()

    def piece_found(self, piece: PieceIndex) -> None:
        """It is ours: everybody hears of it."""
        for peer in self.peers.values():
            peer.queue_have(piece)
            if peer.am_interested and self.picker.done:
                peer.update_interest()
        self._tell_soon()

    def _piece_bad(self, piece: OpenPiece, result: Stored) -> None:
        digests = piece.leaves or result.digests
        assert digests is not None
        self._hash_failures += 1
        self._wasted += self.picker.geometry.piece_size(piece.index)
        guilty = self._blame.failed(piece.index, piece.senders, digests)
        self.picker.failed(piece.index, suspect=True)
        self._events.tell(PieceFailed(piece.index))
        log.info("%s: piece %d has a wrong hash", self.metainfo.name, piece.index)
        self._ban_all(guilty)

    def _prove(self) -> None:
        """Every piece is here, and it is not complete before the whole is verified."""
        self.asking = False
        self._enter(Checking(0, self.picker.pieces))
        self._keeper.prove()

    def proved(self) -> None:
        self._complete()

    def _complete(self) -> None:
        self.asking = False
        self._events.tell(Completed())
        self._enter(Seeding())
        self._finished.set()
        self.finding.completed()
        for peer in self.peers.values():
            peer.tell_upload_only(on=True)
        self._keeper.settle()

    def _ban_all(self, guilty: set[Any]) -> None:
        for peer in guilty:
            if peer in self._banned:
                continue  # another bad piece of it was on its way to the disk
            self._banned.add(peer)
            if isinstance(peer, Peer):
                self.finding.book.ban(peer.address, peer.name.peer_id)
            self._events.tell(PeerBanned(peer.address))
            log.warning("%s: %s sent bad data, banned", self.metainfo.name, peer.address)
            peer.close(RemoteProtocolError("sent bad data"))

    def _tell_soon(self) -> None:
        if not self._telling:
            self._telling = True
            self.soon(self._tell)

    def _tell(self) -> None:
        self._telling = False
        for peer in list(self.peers.values()):
            peer.flush_urgent()

    def _feed_soon(self) -> None:
        """Memory or pieces became free: let those ask who got less than they could carry."""
        if not self._feeding:
            self._feeding = True
            self.soon(self._feed)

    def _feed(self) -> None:
        self._feeding = False
        waiting = [peer for peer in self.peers.values() if peer.hungry or not peer.asked]
        waiting.sort(key=lambda peer: peer.stalls)  # memory goes to those who use it
        for peer in waiting:
            peer.ask()
        for source in self.sources:
            source.go_on()

    def _give_up_stranded(self) -> None:
        """When memory is short, a started piece that nobody here goes on with must not hold it for ever."""
        refusals, self._refusals = self._refusals, self._node.pieces.refusals
        if refusals == self._refusals:
            return
        coming = Bitfield(self.picker.pieces)
        for peer in self.peers.values():
            if not peer.peer_choking and not peer.stalled:
                coming |= peer.have
        for at in self.ranges_at():
            coming[at] = 1
        piece = self.picker.stranded(coming)
        if piece is not None:
            self.begin_anew(piece)

    def begin_anew(self, piece: PieceIndex) -> None:
        """What has landed of it is worth nothing, or its memory is worth more."""
        self.picker.failed(piece, suspect=False)
        self._drop_pieces([piece])
        self._feed_soon()

    def _drop_pieces(self, pieces: Sequence[PieceIndex]) -> None:
        """These are not fetched any more."""
        for piece in pieces:
            self.blocks.drop(piece)
            for peer in self.peers.values():
                peer.give_up(piece)
            for source in self.sources:
                source.give_up(piece)

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
        self._feed_soon()

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
            self._due["retry"] = self.clock() + RETRY_DISK_EVERY
            self.error = error
            self._enter(Paused(str(error)))

    def disk_works(self) -> None:
        """Whatever state the pieces call for; peers ask again."""
        self.error = None
        if self.picker.done and not self._data.proven:
            self._prove()
        elif self.picker.done:
            self._enter(Seeding())
            self._finished.set()
        elif self._data.writable:
            self.asking = not self._choosing
            self._enter(Downloading())
            if self.web_seeds is not None:
                self.sources += self.web_seeds.begin(self, self._node.dice)
            self._feed()
        else:
            missing = self.picker.missing.count()
            self._enter(Paused(f"{missing} of {self.picker.pieces} pieces are not on the disk"))

    def pieces_lost(self, pieces: Sequence[PieceIndex]) -> None:
        """Peers are told that we have less than we said (BEP 54); who cannot be told is sent away, and
        learns it when it comes back. They may have what we miss now."""
        self._finished.clear()
        for peer in list(self.peers.values()):
            if not peer.tell_lost(pieces):
                peer.close(HostError("we have less than we said"))
        self.finding.book.want_again(self.clock())

    def checking(self, done: int, total: int) -> None:
        """A check in the middle of the work of a seed shows; one in a download or a pause does not."""
        if isinstance(self.state, Seeding | Checking):
            self._enter(Checking(done, total))

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
        self._wasted += n

    def ranges_at(self) -> set[PieceIndex]:
        return {source.at for source in self.sources if source.at is not None}

    def cancel_others(self, block: int, winner: object) -> None:
        for peer in self.peers.values():
            if peer is not winner:
                peer.cancel(block)

    def interest_changed(self, peer: Peer) -> None:
        """A free place is given at once; the next round decides whether rightly."""
        if not peer.peer_interested:
            self._fill_slots()
        elif peer.am_choking and self._free_slots() > 0:
            peer.unchoke()

    def peer_gone(self, peer: Peer, reason: Exception | None) -> None:
        if self.peers.get(peer.name) is not peer:
            return
        del self.peers[peer.name]
        self._choker.gone(peer)
        if self.trees is not None and self._hash_upload is not None:
            self.trees.gone(peer)
            self._hash_upload.gone(peer)
        self._node.places.taken -= 1
        self._departed_down += peer.down.total
        self._departed_up += peer.uploaded
        over = self.picker.done and (peer.is_seed or peer.upload_only)
        useful = self.picker.wants_from(peer.have) or not over
        self.finding.book.left(peer.address, self.clock(), useful=useful and not peer.double)
        self._events.tell(PeerLeft(peer.address, str(reason or "it closed the connection")))
        self._feed_soon()
        self._fill_slots()

    # Choking

    def _free_slots(self) -> int:
        served = sum(not p.am_choking and p.peer_interested for p in self.peers.values())
        return self._choker.slots + 1 - served

    def _fill_slots(self) -> None:
        """Somebody left: whoever waited longest gets the place now, not in ten seconds."""
        waiting = [p for p in self.peers.values() if p.peer_interested and p.am_choking]
        waiting.sort(key=lambda peer: peer.served)
        for peer in waiting[: max(0, self._free_slots())]:
            peer.unchoke()

    def _rechoke(self) -> None:
        now = self.clock()
        candidates = [peer.candidate(now) for peer in self.peers.values()]
        chosen = self._choker.rechoke(candidates, self.picker.done, now, self._node.dice)
        for peer in list(self.peers.values()):
            if peer in chosen:
                peer.unchoke()
            else:
                peer.choke()

    # Peers

    def found(self, address: Address) -> None:
        """A peer names another."""
        self.finding.found(address)

    def connected(self) -> set[Address]:
        return {peer.address for peer in self.peers.values()}

    def seen_as(self, voter: Address, ip: bytes) -> None:
        """A peer says where it sees us."""
        self._node.ranking.seen_as(voter, ip)

    def neighbours(self) -> dict[Address, PexFlag]:
        """Whom we are connected to, and where they listen, as far as they said; looked at once a second."""
        now = self.clock()
        if now - self._looked_round >= TICK:
            told = ((peer.address, peer.pex_flags) for peer in self.peers.values())
            self._neighbours = {address: flags for address, flags in told if flags is not None}
            self._looked_round = now
        return self._neighbours

    def hole_punched(self, peer: Talker, message: Holepunch) -> None:
        self._meetings.heard(peer, message)

    def unreached(self, address: Address) -> None:
        self._meetings.unreached(address)

    def _is_us(self, address: Address) -> bool:
        """As far as we know under which address others see us."""
        ours = self._node.ranking.ours(address)
        return address.port == self.port and address.host in (ours, *self._node.port.hosts)

    def dialing(self) -> None:
        self._wake()

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
        at_work = self._known and not self._over and not isinstance(self.state, Failed)
        return at_work and self._data.shareable

    def welcome(self, who: Greeted) -> bool:
        """A peer that completed its handshake; False when there is no place for it."""
        stream, rival = who.stream, self.peers.get(who.name)
        refusal = self._why_not(who, rival)
        if refusal is not None:
            stream.close(RemoteProtocolError(refusal))
            return False
        v2 = who.v2 or not self.metainfo.has_v1  # who had its short name only says nothing of it
        peer = Peer(stream, self, who.name, who.reserved, outgoing=who.outgoing, v2=v2)
        if rival is not None:
            rival.close(RemoteProtocolError(TWICE))
        self.peers[who.name] = peer
        self._node.places.taken += 1
        self._wake()
        self._events.tell(PeerJoined(peer.address, peer.client))
        peer.start(who.heard)
        if peer.v2 and self.trees is not None:
            self.trees.ask(peer)
        most = longest_message(self.picker.pieces)
        stream.switch(PeerFramer(peer.take_blocks, self._node.port.scratch, most), peer)
        if who.heard is not None:
            peer.recall(who.heard)
        return True

    def _why_not(self, who: Greeted, rival: Peer | None) -> str | None:
        if not self.ready:
            return "not ready"
        dialed = None if rival is None else rival.outgoing
        refusal = why_not(who, dialed, self.finding.book, self._node.me)
        if refusal is not None:
            return refusal
        no_more = len(self.peers) >= self._node.max_peers
        no_more |= not who.outgoing and not self._node.places.free
        if rival is None and no_more and not self._make_place(who.stream.remote):
            return "no place for more peers"
        return None

    @property
    def crowded(self) -> bool:
        """Whether a host has several places, of which others may have some."""
        return crowded(self.peers.values())

    def _make_place(self, newcomer: Address) -> bool:
        """Send somebody away for it, if it may come."""
        going = displaced(self.peers.values(), newcomer, self._node.ranking.of)
        if going is None:
            return False
        peer, why = going
        peer.close(RemoteProtocolError(why))
        return True

    def _drop_peers(self, reason: Exception | None = None) -> None:
        for peer in list(self.peers.values()):
            peer.close(reason)

    @override
    def __repr__(self) -> str:
        state = type(self.state).__name__.lower()
        return f"<Torrent {self.metainfo.name} {state} peers {len(self.peers)}>"
