"""What one peer owes us: the blocks that it was asked for, and where they land.

How many it may owe at one time its `Pipeline` says; which blocks those are, the picker. When it goes silent
they are asked of others, and what it sends all the same is welcome: `late` knows how often each may come.

The one hard thing: a block in `asked` is promised to this peer by the picker. Whatever takes it out of
`asked` without landing it must give it back with `unask`.
"""

from collections.abc import Iterable
from typing import Protocol

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.ids import BLOCK, PieceIndex
from p2pswarm.net.rate import Limiter, Meter
from p2pswarm.net.stream import Stream
from p2pswarm.swarm.blocks import Blocks
from p2pswarm.swarm.holdings import Holdings
from p2pswarm.swarm.picker import OpenPiece, PiecePicker
from p2pswarm.swarm.pipeline import Pipeline
from p2pswarm.swarm.refusals import Refusals
from p2pswarm.swarm.trees import TreePeer, Trees
from p2pswarm.wire.peer import Cancel, encode_requests

__all__ = ["Debtor", "Download", "DownloadHome"]

MOST_LATE = 2000  # blocks that are given back and may come all the same
MOST_ALLOWED = 100  # pieces that a peer may give us while it chokes us
SNUBBED = 60.0  # seconds without a block that is owed (BEP 3, "anti-snubbing")


class Debtor(TreePeer, Protocol):
    """Who owes: the picker knows by it who was asked for what."""

    stream: Stream
    holdings: Holdings
    fast: bool
    am_interested: bool
    peer_choking: bool

    def taken_news(self) -> bytes: ...


class DownloadHome(Protocol):
    """What asking and landing need of the torrent."""

    picker: PiecePicker
    blocks: Blocks
    down: Limiter
    trees: Trees | None  # None without version 2
    asking: bool  # False while the disk is in the way

    def clock(self) -> float: ...
    def piece_reached(self, piece: OpenPiece) -> None: ...
    def wasted(self, n: int) -> None: ...
    def piece_spoiled(self, piece: PieceIndex) -> None: ...
    def cancel_others(self, block: int, winner: object) -> None: ...


class Download:
    """The debts of one peer. `meter` counts the bytes of blocks that came."""

    __slots__ = (
        "_allowed",
        "_home",
        "_last_block",
        "_new_blocks",
        "_peer",
        "_probe",
        "_refusals",
        "_silent_from",
        "asked",
        "hungry",
        "late",
        "meter",
        "pipeline",
        "stalled",
        "stalls",
    )

    def __init__(self, peer: Debtor, home: DownloadHome) -> None:
        self.asked: dict[int, float] = {}  # block -> when
        self.late: dict[int, int] = {}  # given back since: how many answers are welcome
        self.meter = Meter(10.0)
        self.pipeline = Pipeline()
        self.stalled = False  # owes blocks and sends none: others are asked for them
        self.stalls = 0  # how often that happened
        self.hungry = False  # asked for less than the pipeline has room for
        self._peer = peer
        self._home = home
        self._last_block = home.clock()  # or when the first was asked for
        self._silent_from = self._last_block  # where that stood when it stalled
        self._new_blocks = 0
        self._probe: int | None = None  # the block whose round trip is measured
        self._allowed: set[PieceIndex] = set()  # we may ask for these while choked
        self._refusals = Refusals()

    def silent(self, now: float) -> bool:
        """It owes us blocks and has sent none for a minute, however often we asked again since."""
        return self.stalled and now - self._silent_from > SNUBBED

    # Asking

    def ask(self) -> None:
        """Fill the pipeline, as far as rate limit, memory and the picker allow."""
        home, peer = self._home, self._peer
        room = self.pipeline.room(len(self.asked))
        if not room or not peer.am_interested or not home.asking:
            return
        if peer.stream.over or self._refusals.too_many:
            return
        have = self._askable()
        if have is None:
            return
        granted = home.down.take(room * BLOCK, BLOCK, self.ask)
        count = granted // BLOCK
        if not count:
            return
        may_open = self._open_if_harmless if self.stalled else home.blocks.open
        blocks = home.picker.pick(peer, have, count, may_open)
        if not blocks and not self.asked:
            busy = home.picker.pick_busy(have, self.late)
            blocks = [] if busy is None else [busy]
        home.down.refund(granted - len(blocks) * BLOCK)
        self.hungry = len(blocks) < count
        if blocks:
            if home.trees is not None:
                home.trees.asked(peer, blocks)
            self._send_requests(blocks)

    def _open_if_harmless(self, piece: PieceIndex) -> bool:
        """While it sends nothing it gets little memory, and no piece that only it may fetch."""
        home = self._home
        return not home.picker.is_suspect(piece) and home.blocks.open_sparingly(piece)

    def _askable(self) -> Bitfield | None:
        """What may be asked for: what it has and gives; while choked the fast pieces; None for nothing."""
        have = self._peer.holdings.have
        if not self._peer.peer_choking:
            return self._refusals.without(have)
        if not self._allowed:
            return None
        only = Bitfield(len(have))
        for piece in self._allowed:
            only[piece] = have[piece]
        return self._home.picker.in_turn(only)

    def _send_requests(self, blocks: list[int]) -> None:
        now, geometry = self._home.clock(), self._home.picker.geometry
        if not self.asked:
            self._probe = blocks[0]
            self._last_block = now
        self.asked.update(dict.fromkeys(blocks, now))
        self._peer.send(self._peer.taken_news() + encode_requests(geometry.requests(blocks)))

    def cancel(self, block: int) -> None:
        """Somebody else was faster."""
        if self.asked.pop(block, None) is not None:
            self._remember_late([block])
            self._peer.send(Cancel(*self._home.picker.geometry.request(block)).encode())

    # Landing

    def take_blocks(self, piece: PieceIndex, begin: int, blocks: list[memoryview]) -> None:
        """The framer's landing: what this peer owes goes to its place, while it is wanted.

        Neighbours that only this peer was asked for land together: on a fast line hardly any block is not
        among them.
        """
        n, picker = len(blocks), self._home.picker
        first = piece * picker.per_piece + begin // BLOCK
        whole = n > 1 and begin % BLOCK == 0 and len(blocks[0]) == BLOCK
        inside = whole and begin + n * BLOCK <= picker.geometry.asked_size(piece)
        if inside and picker.awaits(first, n, self._peer) and not self._peer.stream.over:
            self._take_row(piece, begin, blocks, range(first, first + n))
            return
        for data in blocks:
            self._take_block(piece, begin, data)
            begin += len(data)

    def _take_row(
        self, piece: PieceIndex, begin: int, blocks: list[memoryview], row: range
    ) -> None:
        home, asked = self._home, self.asked
        self.meter.total += len(row) * BLOCK
        if self._probe is not None and self._probe in row:
            self._measure_trip(asked[self._probe])
        for block in row:
            del asked[block]
        self._new_blocks += len(row)
        home.blocks.put(piece, begin, blocks)
        spoiled = home.trees is not None and home.trees.hash(piece, begin, blocks)
        reached = home.picker.landed_row(row.start, len(row))
        if spoiled:
            home.piece_spoiled(piece)
        elif reached is not None:
            home.piece_reached(reached)

    def _take_block(self, piece: PieceIndex, begin: int, data: memoryview) -> None:
        peer = self._peer
        if peer.stream.over:
            return  # closed by what came before it in the same read
        home, picker, length = self._home, self._home.picker, len(data)
        block = piece * picker.per_piece + begin // BLOCK
        self.meter.total += length
        asked_at = self.asked.pop(block, None)
        was_late = asked_at is None and self._is_late(block)
        if asked_at is None and not was_late:
            raise RemoteProtocolError(f"block {begin} of piece {piece}, not asked for")
        if block == self._probe and asked_at is not None:
            self._measure_trip(asked_at)
        self._new_blocks += 1
        if not picker.geometry.fits(piece, begin, length):
            home.wasted(length)
            picker.unask(block, peer)
            raise RemoteProtocolError(f"{length} bytes at {begin} of piece {piece}, not asked for")
        if not picker.wants(block, peer):  # somebody else was faster
            home.wasted(length)
            return
        home.blocks.put(piece, begin, [data])
        spoiled = home.trees is not None and home.trees.hash(piece, begin, [data])
        contested = was_late or picker.is_doubled(block)
        reached = picker.landed(block, peer)
        if contested:
            home.cancel_others(block, peer)
        if spoiled:
            home.piece_spoiled(piece)
        elif reached is not None:
            home.piece_reached(reached)

    def _measure_trip(self, asked_at: float) -> None:
        self.pipeline.rtt = self._home.clock() - asked_at
        self._probe = None

    def caught_up(self, now: float) -> None:
        """Everything that came in one go has landed: ask for more."""
        if self._new_blocks:
            self._last_block = now
            self.stalled = False
            self.pipeline.landed(self._new_blocks)
            self._new_blocks = 0
        self.ask()

    # What the peer says of it

    def choked(self) -> None:
        """Without the fast extension a choke drops every request; with it each is rejected by name."""
        if self._peer.fast:
            self.release()  # what it alone was fetching, others may begin anew
        else:
            self._give_back(list(self.asked))

    def unchoked(self) -> None:
        self._refusals.forget()
        self._last_block = self._home.clock()
        self.stalled = False
        self.pipeline.unchoked()

    def allow(self, piece: PieceIndex) -> None:
        """It gives this one while it chokes us, too (BEP 6)."""
        if piece >= self._home.picker.pieces:
            raise RemoteProtocolError(f"allowed fast {piece}, which does not exist")
        if len(self._allowed) < MOST_ALLOWED:
            self._allowed.add(piece)

    def rejected(self, piece: PieceIndex, begin: int) -> bool:
        """It will not send this block. Whether it was asked for it."""
        picker = self._home.picker
        block = piece * picker.per_piece + begin // BLOCK
        if self.asked.pop(block, None) is None:
            return self._is_late(block)
        picker.unask(block, self._peer)
        self._allowed.discard(piece)
        if not self._peer.peer_choking:
            self._refusals.add(piece, self._home.clock())
        self.release()
        return True

    def lost(self, piece: PieceIndex) -> None:
        """It has the piece no more: what it owes of it others may be asked for."""
        self._give_back(self._owed_of(piece))

    # What is not waited for any more

    def _owed_of(self, piece: PieceIndex) -> list[int]:
        per_piece = self._home.picker.per_piece
        return [block for block in self.asked if block // per_piece == piece]

    def _give_back(self, blocks: list[int]) -> None:
        """These may be asked of others; what still arrives is welcome."""
        for block in blocks:
            del self.asked[block]
            self._home.picker.unask(block, self._peer)
        self._remember_late(blocks)
        self.release()

    def release(self) -> None:
        """Suspect pieces begin anew with somebody else."""
        for piece in self._home.picker.release(self._peer):
            self._home.blocks.drop(piece)
            self.give_up(piece)

    def give_up(self, piece: PieceIndex) -> None:
        """The piece begins anew without what this peer owes of it; what it still sends is late."""
        blocks = self._owed_of(piece)
        for block in blocks:
            del self.asked[block]
        self._remember_late(blocks)

    def _remember_late(self, blocks: Iterable[int]) -> None:
        for block in blocks:
            self.late[block] = self.late.get(block, 0) + 1
        while len(self.late) > MOST_LATE:
            del self.late[next(iter(self.late))]

    def _is_late(self, block: int) -> bool:
        """Whether this answer was still to come. Who was asked again may answer again."""
        answers = self.late.pop(block, 0)
        if answers > 1:
            self.late[block] = answers - 1
        return answers > 0

    # Time

    def tick(self, now: float) -> None:
        """Once a second: rate, depth of the pipeline, silence."""
        self.meter.tick(now)
        self.pipeline.tick(self.meter.latest, self.meter.rate)
        self._refusals.tick(now)
        if self.asked and now - self._last_block > self._patience():
            self._stall()

    def _patience(self) -> float:
        """Seconds without a block before others are asked: eight blocks' time, between 5 and 20."""
        return min(max(5.0, 8 * BLOCK / max(self.meter.rate, 1.0)), 20.0)

    def _stall(self) -> None:
        """Transmission often leaves the last block unanswered; a dead line leaves all of them."""
        self._give_back(list(self.asked))
        if not self.stalled:
            self._silent_from = self._last_block
        self.stalled = True
        self.stalls += 1
        self.pipeline.stalled()

    def closed(self) -> None:
        """The connection is gone, and nothing will come."""
        self._give_back(list(self.asked))
        self.late.clear()
        self._home.down.forget(self.ask)
