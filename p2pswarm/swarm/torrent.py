"""One torrent: its life from check to seed, its peers, and what is told to whom.

The peers do the talking, `PiecePicker` chooses pieces, `Choker` chooses peers, `AddressBook` knows whom to
dial, `TorrentData` keeps the files. This room joins them: a piece is full -> store it; stored -> tell
everybody; bad -> blame; once a second -> tick. All state belongs to the loop's thread; the only things that
wait are the check at the start, dials, announces and checkpoints, each a task in this torrent's group.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

from typing_extensions import override

from p2pswarm.discovery.source import Progress
from p2pswarm.discovery.trackers import Trackers
from p2pswarm.disk.pool import Stored
from p2pswarm.errors import (
    DiskError,
    DiskFullError,
    HostError,
    P2PSwarmError,
    RemoteProtocolError,
    TrackerError,
)
from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.ids import Address, PieceIndex
from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.net.rate import Meter
from p2pswarm.swarm.addresses import AddressBook
from p2pswarm.swarm.blame import Blame
from p2pswarm.swarm.blocks import Blocks
from p2pswarm.swarm.choker import RECHOKE_EVERY, Choker
from p2pswarm.swarm.data import TorrentData
from p2pswarm.swarm.dialer import Dialer, Surroundings
from p2pswarm.swarm.events import (
    Broadcast,
    Checking,
    Completed,
    Downloading,
    Event,
    Failed,
    Paused,
    PeerBanned,
    PeerJoined,
    PeerLeft,
    PieceDone,
    PieceFailed,
    Seeding,
    State,
    StateChanged,
    Stopped,
    TrackerFailed,
    TrackerReplied,
)
from p2pswarm.swarm.greeting import Greeted, Name
from p2pswarm.swarm.peer import Peer
from p2pswarm.swarm.picker import OpenPiece, PiecePicker
from p2pswarm.swarm.status import Status
from p2pswarm.wire.peer import PeerFramer, longest_message
from p2pswarm.wire.tracker import Reply

__all__ = ["Torrent"]

log = logging.getLogger(__name__)

TICK = 1.0  # seconds
CHECKPOINT_EVERY = 60.0  # seconds; what was written since is in the journal
RETRY_DISK_EVERY = 5.0  # seconds, while the disk is full or failing
LOOK_EVERY = 30.0  # seconds between looks at the files of a seed
FEW_PEERS = 5  # with fewer a downloader asks its trackers for more, at most so often:
HUNGRY_EVERY = 15.0  # seconds
SEEDS_PART_AFTER = 5.0  # seconds that two seeds stay connected, so that both learn it
LEAVE_TIME = 2.0  # seconds that saying goodbye to trackers may take


class Torrent:
    """Made and run by a `Node`; everything public here may be called from the node's loop."""

    def __init__(
        self,
        metainfo: Metainfo,
        data: TorrentData,
        path: Path,
        trackers: Trackers,
        node: Surroundings,
    ) -> None:
        self.metainfo = metainfo
        self.path = path
        self.state: State = Checking(0, metainfo.piece_count)
        self.error: Exception | None = None
        self.peers: dict[Name, Peer] = {}
        self.trackers = trackers
        trackers.told = self._tracker_told
        # What a peer asks of its home
        self.info_hash = metainfo.info_hash
        self.piece_length = metainfo.piece_length
        self.picker = PiecePicker(
            metainfo.total, metainfo.piece_length, metainfo.piece_count, node.dice
        )
        self.blocks = Blocks(node.pieces, metainfo.piece_length)
        self.reads = node.reads
        self.down, self.up = node.down, node.up
        self.asking = False
        self.clock = node.clock
        # Its own
        self._node = node
        self._data = data
        self._book = AddressBook()
        self._dialer = Dialer(self._book, node, metainfo.info_hash, self.welcome)
        self._blame = Blame()
        self._choker = Choker(node.upload_slots)
        self._events = Broadcast()
        self._finished = asyncio.Event()
        self._closed = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self._stuck: list[OpenPiece] = []  # full pieces that the disk did not take
        self._storing: set[PieceIndex] = set()  # full pieces that the disk has now
        self._stored_one = asyncio.Event()
        self._lost: set[PieceIndex] = set()  # ours, until the disk failed to sync them
        self._unreadable: set[PieceIndex] = set()  # ours, until reading them failed
        self._known = False  # the check is over: `picker.have` is true
        self._over = False
        self._feeding = False
        self._telling = False
        self._dial_waits = False
        self._refusals = 0  # of the node's memory, as of the last tick
        self._busy: set[str] = set()  # chores under way
        self._due: dict[str, float] = {}
        self._down_meter, self._up_meter = Meter(5.0), Meter(5.0)
        self._departed_down = self._departed_up = 0  # bytes of peers that have gone
        self._wasted = 0
        self._hash_failures = 0
        self._loop = asyncio.get_running_loop()

    # For users

    def events(self) -> AsyncIterator[Event]:
        """What happens from now on; ends when the torrent is taken out of its node."""
        return self._events.listen()

    async def finished(self) -> None:
        """Wait until every piece is verified and written. Raises what made the torrent fail."""
        await self._finished.wait()
        if self.error is not None:
            raise self.error

    def add_peer(self, address: Address) -> None:
        """A peer the user named: tried at once and again."""
        self._book.add(address, self.clock(), trusted=True)
        self._dial_more()

    def status(self) -> Status:
        picker = self.picker
        meta, done = self.metainfo, self.metainfo.total - picker.left
        rate = self._down_meter.rate
        peers = self.peers.values()
        return Status(
            name=meta.name,
            info_hash=meta.info_hash,
            state=self.state,
            have=picker.have.count(),
            pieces=picker.pieces,
            done=done,
            total=meta.total,
            down_rate=rate,
            up_rate=self._up_meter.rate,
            downloaded=self._data.downloaded_before + self._downloaded,
            uploaded=self._data.uploaded_before + self._uploaded,
            peers=len(self.peers),
            seeds=sum(peer.is_seed for peer in peers),
            availability=picker.availability(),
            eta=(meta.total - done) / rate if rate >= 1 and done < meta.total else None,
            wasted=self._wasted,
            hash_failures=self._hash_failures,
            trackers=self.trackers.status(),
            path=self.path,
        )

    # Life

    async def run(self) -> None:
        """Check, then download and seed until cancelled. Never raises what the user should see as state."""
        try:
            await self._check()
            await self._live()
        except P2PSwarmError as error:
            log.info("%s: %s", self.metainfo.name, error)
            self.fail(error)
        finally:
            self.asking = False
            self._drop_peers()

    def fail(self, error: Exception) -> None:
        """It cannot go on: `finished()` raises this."""
        self.error = error
        self._enter(Failed(str(error)))
        self._finished.set()

    async def close(self) -> None:
        """After `run` was cancelled: tell the trackers, note what we have, close the files."""
        if self._over:
            await self._closed.wait()
            return
        self._over = True
        self._drop_peers()  # who came while the tasks were ending
        try:
            await self._end()
        finally:
            self._closed.set()

    async def _end(self) -> None:
        if not isinstance(self.state, Failed):
            self._enter(Stopped())
        async with asyncio.TaskGroup() as tasks:
            if self._known:
                tasks.create_task(self._leave())
            tasks.create_task(self._close_data())
        if (
            not self._storing
        ):  # else a disk that hangs still has a buffer, which nobody may use again
            self.blocks.drop_all()
        self._events.end()
        self._finished.set()

    async def _close_data(self) -> None:
        """What the disk is writing now still counts; a disk that hangs is not waited for."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_TIME):
                await self._stores_done()
        have = self.picker.have.copy() if self._known else None
        await self._data.close(have, self._uploaded, self._downloaded)

    async def _leave(self) -> None:
        try:
            async with asyncio.timeout(LEAVE_TIME):
                await self.trackers.leave()
        except TimeoutError:
            log.debug("%s: the trackers did not take our goodbye in time", self.metainfo.name)

    async def _check(self) -> None:
        have = await self._data.load(lambda done, total: self._enter(Checking(done, total)))
        await self._prepare(have)
        self.picker.start_with(have)
        self._known = True
        now = self.clock()
        self._due = {"rechoke": now, "disk": now, "more": now + HUNGRY_EVERY}
        self._due |= {"checkpoint": now + CHECKPOINT_EVERY, "look": now + LOOK_EVERY}

    async def _prepare(self, have: Bitfield) -> None:
        """Raises DiskError, unless there is just no room yet."""
        while True:
            try:
                return await self._data.prepare(have)
            except DiskFullError as error:
                self._pause(error)
                await asyncio.sleep(RETRY_DISK_EVERY)

    async def _live(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                self._resume_work()
                tasks.create_task(self.trackers.run(self.progress, self._found))
                while True:
                    self._tick()
                    await asyncio.sleep(TICK)
            finally:
                self._tasks = None  # a group that ends takes no more

    def _resume_work(self) -> None:
        """Whatever state the pieces call for; peers ask again."""
        self.error = None
        if self.picker.done:
            self._enter(Seeding())
            self._finished.set()
        elif self._data.writable:
            self.asking = True
            self._enter(Downloading())
            self._feed()
        else:
            missing = self.picker.missing.count()
            self._enter(Paused(f"{missing} of {self.picker.pieces} pieces are not on the disk"))

    def _enter(self, state: State) -> None:
        if state != self.state:
            self.state = state
            self._events.tell(StateChanged(state))

    def progress(self) -> Progress:
        """For the trackers; `downloaded` and `uploaded` count this session, as BEP 3 wants."""
        return Progress(self._uploaded, self._downloaded, self.picker.left)

    @property
    def _downloaded(self) -> int:
        return self._departed_down + sum(peer.down.total for peer in self.peers.values())

    @property
    def _uploaded(self) -> int:
        return self._departed_up + sum(peer.upload.meter.total for peer in self.peers.values())

    # Once a second

    def _tick(self) -> None:
        now = self.clock()
        for peer in list(self.peers.values()):
            peer.tick(now)
        self._measure(now)
        if self._is_due("rechoke", now, RECHOKE_EVERY):
            self._rechoke(now)
        if isinstance(self.state, Paused) and self._is_due("disk", now, RETRY_DISK_EVERY):
            self._retry_disk()
        if self._is_due("checkpoint", now, CHECKPOINT_EVERY):
            self._chore("checkpoint", self._checkpoint)
        if isinstance(self.state, Seeding) and self._is_due("look", now, LOOK_EVERY):
            self._chore("look", self._look_at_files)
        if self.asking and len(self.peers) < FEW_PEERS and self._is_due("more", now, HUNGRY_EVERY):
            self.trackers.need_more()
        self._give_up_stranded()
        self._part_with_seeds(now)
        self._dial_more()

    def _is_due(self, what: str, now: float, every: float) -> bool:
        if now < self._due[what]:
            return False
        self._due[what] = now + every
        return True

    def _measure(self, now: float) -> None:
        self._down_meter.total = self._downloaded
        self._up_meter.total = self._uploaded
        self._down_meter.tick(now)
        self._up_meter.tick(now)

    def _chore(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Something for the disk that takes a while; one of its kind at a time."""
        if name not in self._busy and self._tasks is not None:
            self._busy.add(name)
            self._tasks.create_task(self._do_chore(name, work))

    async def _do_chore(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
        except DiskError as error:
            self._pause(error)
        finally:
            self._busy.discard(name)

    async def _checkpoint(self) -> None:
        """Raises DiskError; when the data could not be synced, nobody knows what the disk holds of it."""
        have = self.picker.have.copy()
        try:
            await self._data.checkpoint(have, self._uploaded, self._downloaded)
        except DiskError as error:
            if not self._data.writable:  # only the next start takes longer
                log.warning("%s: %s", self.metainfo.name, error)
                return
            unsafe = set(self._data.unsynced(have).pieces())
            self._lost |= unsafe
            self._disown(unsafe)
            raise

    def _part_with_seeds(self, now: float) -> None:
        """Two that want nothing of each other leave their places to others."""
        if not isinstance(self.state, Seeding):
            return
        for peer in list(self.peers.values()):
            if (peer.is_seed or peer.upload_only) and now - peer.since > SEEDS_PART_AFTER:
                peer.close(RemoteProtocolError("both of us are seeds"))

    # Pieces

    def piece_full(self, piece: OpenPiece) -> None:
        """Every block has landed: hash it and write it."""
        size = self.picker.piece_size(piece.index)
        self._storing.add(piece.index)
        self._data.store(
            piece.index,
            self.blocks.whole(piece.index, size),
            lambda result: self._stored(piece, result),
            digests=self._blame.suspects(piece.index),
        )

    async def _stores_done(self) -> None:
        while self._storing:
            self._stored_one.clear()
            await self._stored_one.wait()

    def _stored(self, piece: OpenPiece, result: Stored | DiskError) -> None:
        self._storing.discard(piece.index)
        self._stored_one.set()
        if self._over:
            if not isinstance(result, DiskError) and result.ok:
                self.picker.had(piece.index)
            return
        if isinstance(result, DiskError):
            self._stuck.append(piece)  # still in memory: nothing has to be fetched again
            self._pause(result)
            return
        self.blocks.drop(piece.index)
        if result.ok:
            self._piece_good(piece, result)
        else:
            self._piece_bad(piece, result)
        self._feed_soon()

    def _piece_good(self, piece: OpenPiece, result: Stored) -> None:
        self.picker.had(piece.index)
        if result.digests is not None:
            self._ban_all(self._blame.good(piece.index, result.digests))
        self._events.tell(PieceDone(piece.index))
        self._tell_everybody(piece.index)
        if self.picker.done:
            self._complete()

    def _tell_everybody(self, piece: PieceIndex) -> None:
        for peer in self.peers.values():
            peer.queue_have(piece)
            if peer.am_interested and self.picker.done:
                peer.update_interest()
        self._tell_soon()

    def _piece_bad(self, piece: OpenPiece, result: Stored) -> None:
        assert result.digests is not None
        self._hash_failures += 1
        self._wasted += self.picker.piece_size(piece.index)
        guilty = self._blame.failed(piece.index, piece.senders, result.digests)
        self.picker.failed(piece.index, suspect=True)
        self._events.tell(PieceFailed(piece.index))
        log.info("%s: piece %d has a wrong hash", self.metainfo.name, piece.index)
        self._ban_all(guilty)

    def _complete(self) -> None:
        self.asking = False
        self._events.tell(Completed())
        self._enter(Seeding())
        self._finished.set()
        self.trackers.completed()
        self._chore("look", self._look_at_files)
        self._chore("checkpoint", self._checkpoint)

    def _ban_all(self, guilty: set[Any]) -> None:
        for peer in guilty:
            self._book.ban(peer.address, peer.name.peer_id)
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
            peer.flush_news()

    def _feed_soon(self) -> None:
        """Memory or pieces became free: let those ask who got less than they could carry."""
        if not self._feeding:
            self._feeding = True
            self.soon(self._feed)

    def _feed(self) -> None:
        self._feeding = False
        waiting = [peer for peer in self.peers.values() if peer.hungry or not peer.asked]
        for peer in sorted(
            waiting, key=lambda peer: peer.stalls
        ):  # memory goes to those who use it
            peer.ask()

    def _give_up_stranded(self) -> None:
        """When memory is short, a started piece that nobody here goes on with must not hold it for ever."""
        refusals, self._refusals = self._refusals, self._node.pieces.refusals
        if refusals == self._refusals:
            return
        coming = Bitfield(self.picker.pieces)
        for peer in self.peers.values():
            if not peer.peer_choking and not peer.stalled:
                coming |= peer.have
        piece = self.picker.stranded(coming)
        if piece is not None:
            self.picker.failed(piece, suspect=False)
            self.blocks.drop(piece)
            for peer in self.peers.values():
                peer.give_up(piece)
            self._feed_soon()

    # The disk in the way

    def _pause(self, error: DiskError) -> None:
        if not self._over:
            log.warning("%s: paused: %s", self.metainfo.name, error)
            self.asking = False
            self._due["disk"] = self.clock() + RETRY_DISK_EVERY
            self.error = error
            self._enter(Paused(str(error)))

    def _retry_disk(self) -> None:
        """Try what did not work; whatever fails again pauses again."""
        if self._data.writable:
            self._chore("retry", self._retry_stores)
        else:
            self._chore("look", self._look_at_files)

    async def _retry_stores(self) -> None:
        await self._checkpoint()
        await self._verify(self._lost)
        self._lost.clear()
        stuck, self._stuck = self._stuck, []
        for piece in stuck:
            self.piece_full(piece)
        await self._stores_done()
        if not self._stuck:
            self._resume_work()

    def read_failed(self, piece: PieceIndex, error: DiskError) -> None:
        """A file is gone, shorter than it was, changed or broken: what it holds now decides."""
        if piece not in self._unreadable:
            log.warning("%s: piece %d cannot be read: %s", self.metainfo.name, piece, error)
        self._unreadable.add(piece)
        self._chore("look", self._look_at_files)

    async def _look_at_files(self) -> None:
        """Read again what somebody changed and what could not be read, and believe only that."""
        settled = self.picker.done or not self._data.writable
        doubtful = await self._data.look(self.picker.have, settled=settled)
        doubtful |= self._unreadable
        if doubtful:
            self._disown(doubtful)
            await self._verify(doubtful)
            broken = {piece for piece in self._unreadable if self.picker.missing[piece]}
            self._unreadable = (
                set() if self._data.writable else broken
            )  # what is fetched is written anew
        waits = self._stuck or self._lost  # for the disk; `_retry_stores` goes on
        if (doubtful or self.error is not None) and not waits:
            self._resume_work()

    def _disown(self, pieces: set[PieceIndex]) -> None:
        """These are not ours until they are verified again. Peers cannot be told that we have less than
        we said, so they are sent away, and learn it when they come back."""
        lost = [piece for piece in pieces if self.picker.have[piece]]
        for piece in lost:
            self.picker.lost(piece)
        if lost:
            log.warning("%s: %d pieces are in doubt", self.metainfo.name, len(lost))
            self._drop_peers(HostError("our files were changed"))
            self._book.want_again(self.clock())

    async def _verify(self, pieces: set[PieceIndex]) -> None:
        """Read and hash these again: those that are good are ours."""
        good = await self._data.check(pieces, self._checking)
        for piece in pieces:
            if good[piece] and self.picker.missing[piece] and piece not in self.blocks:
                self.picker.had(piece)
                self._tell_everybody(piece)

    def _checking(self, done: int, total: int) -> None:
        """A check in the middle of the work of a seed shows; one in a download or a pause does not."""
        if isinstance(self.state, Seeding | Checking):
            self._enter(Checking(done, total))

    # What peers ask of their home

    @property
    def port(self) -> int:
        return self._node.port.number

    def soon(self, call: Callable[[], None]) -> None:
        self._loop.call_soon(call)

    def read(self, offset: int, into: memoryview, done: Callable[[DiskError | None], None]) -> None:
        self._data.read(offset, into, done)

    def wasted(self, n: int) -> None:
        self._wasted += n

    def cancel_others(self, block: int, winner: Peer) -> None:
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
        self._departed_down += peer.down.total
        self._departed_up += peer.upload.meter.total
        useful = self.picker.wants_from(peer.have) or not (self.picker.done and peer.is_seed)
        self._book.left(peer.address, self.clock(), useful=useful)
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

    def _rechoke(self, now: float) -> None:
        candidates = [peer.candidate(now) for peer in self.peers.values()]
        chosen = self._choker.rechoke(candidates, self.picker.done, now, self._node.dice)
        for peer in list(self.peers.values()):
            if peer in chosen:
                peer.unchoke()
            else:
                peer.choke()

    # Peers

    def _found(self, address: Address) -> None:
        """A tracker names somebody, and often many in one go."""
        self._book.add(address, self.clock())
        if not self._dial_waits:
            self._dial_waits = True
            self.soon(self._dial_more)

    def _tracker_told(self, url: str, news: Reply | TrackerError) -> None:
        if isinstance(news, TrackerError):
            self._events.tell(TrackerFailed(url, str(news)))
        else:
            self._events.tell(TrackerReplied(url, len(news.addresses())))

    def _dial_more(self) -> None:
        self._dial_waits = False
        if self._tasks is not None:
            connected = {peer.address for peer in self.peers.values()}
            self._dialer.dial_more(connected, self._tasks)

    @property
    def ready(self) -> bool:
        """Whether peers may come in."""
        return self._known and not self._over and not isinstance(self.state, Failed)

    def welcome(self, who: Greeted) -> bool:
        """A peer that completed its handshake; False when there is no place for it."""
        stream = who.stream
        refusal = "gone already" if stream.over else self._why_not(who)
        if refusal is not None:
            stream.close(RemoteProtocolError(refusal))
            return False
        peer = Peer(stream, self, who.name, who.reserved, outgoing=who.outgoing)
        rival = self.peers.get(who.name)
        if rival is not None:
            rival.close(RemoteProtocolError("a second connection from the same peer"))
        self.peers[who.name] = peer
        self._events.tell(PeerJoined(peer.address, peer.client))
        peer.start()
        most = longest_message(self.picker.pieces)
        stream.switch(PeerFramer(peer.landing, self._node.port.scratch, most), peer)
        return True

    def _why_not(self, who: Greeted) -> str | None:
        rival = self.peers.get(who.name)
        if not self.ready:
            return "not ready"
        if self._book.is_banned(who.stream.remote, who.peer_id):
            return "banned"
        if rival is not None and not self._replaces(who, rival):
            return "a second connection from the same peer"
        if rival is None and len(self.peers) >= self._node.max_peers:
            return "no place for more peers"
        return None

    def _replaces(self, who: Greeted, rival: Peer) -> bool:
        """Both sides dialed: the connection made by the greater id stays, so that both keep the same."""
        if who.outgoing == rival.outgoing:
            return False
        return who.outgoing == (self._node.me > who.peer_id)

    def _drop_peers(self, reason: Exception | None = None) -> None:
        for peer in list(self.peers.values()):
            peer.close(reason)

    @override
    def __repr__(self) -> str:
        state = type(self.state).__name__.lower()
        return f"<Torrent {self.metainfo.name} {state} peers {len(self.peers)}>"
