"""One conversation with one peer: interest, asking, serving.

Everything here runs in the socket's callback and never awaits. Messages come in through `got`, blocks through
`take_blocks`; when the socket has no more, `caught_up` answers all of it with one send of requests and starts
one read for what the peer asked. The peer owns its flags, what it owes us (`asked`, and `late` for what we no
longer wait for) and what we owe it (`upload`, a room of its own). What concerns all peers it asks of its
`Home`, the torrent.

The one hard thing: a block in `asked` is promised to this peer by the picker. Whatever takes it out of
`asked` without landing it must give it back with `unask`.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from typing_extensions import override

from p2pswarm.errors import RemoteError, RemoteProtocolError
from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.ids import BLOCK, Address, InfoHash, PieceIndex
from p2pswarm.net.rate import Limiter, Meter
from p2pswarm.net.stream import Stream
from p2pswarm.swarm.blocks import Blocks
from p2pswarm.swarm.choker import Candidate
from p2pswarm.swarm.extensions import ExtensionHome, Extensions
from p2pswarm.swarm.fast import allowed_fast_set
from p2pswarm.swarm.greeting import Name
from p2pswarm.swarm.heard import Heard
from p2pswarm.swarm.picker import OpenPiece, PiecePicker
from p2pswarm.swarm.pipeline import Pipeline
from p2pswarm.swarm.refusals import Refusals
from p2pswarm.swarm.trees import Trees
from p2pswarm.swarm.upload import BlockRange, Upload, UploadHome
from p2pswarm.wire.extension.handshake import REQQ, ExtendedHandshake
from p2pswarm.wire.extension.news import DontHave, UploadOnly
from p2pswarm.wire.extension.numbers import DONT_HAVE, HOLEPUNCH, UPLOAD_ONLY
from p2pswarm.wire.extension.pex import PexFlag
from p2pswarm.wire.hashes import Hashes, HashRange, HashReject, HashRequest
from p2pswarm.wire.peer import (
    AllowedFast,
    BitfieldMessage,
    Cancel,
    Choke,
    Extended,
    HaveAll,
    HaveNone,
    Haves,
    Interested,
    KeepAlive,
    NotInterested,
    PortMessage,
    Reject,
    Requests,
    Reserved,
    Unchoke,
    encode_haves,
    encode_requests,
)

__all__ = ["Home", "Peer"]

MAX_REQUEST = 128 << 10  # bytes in one request; we ask 16 KiB, the oldest clients asked for 128
MOST_INVALID = 300  # refused requests before the peer is dropped, as libtorrent does
CHOKE_GRACE = 2.0  # seconds in which requests may still arrive after we choked
# Bitfields that take something back, and words that BEP 6 has once: each costs us a walk over all pieces.
MOST_RESTATEMENTS = 5
MOST_LATE = 2000
MOST_PORTS = 3  # nodes of the DHT that a peer may name: its own, and where that has moved since
MOST_LOST = (
    1000  # pieces that a peer is told we no longer have; of more it learns when it comes back
)
MOST_UNSENT = 1 << 20  # bytes that may wait for a peer to read: a run of blocks, and what is small

KEEP_ALIVE = 60.0  # seconds without sending: half of what most clients wait
SILENCE = 120.0  # seconds without a byte: the other half
SNUBBED = 60.0  # seconds without a block that is owed (BEP 3, "anti-snubbing")

FAST_PIECES = 10  # BEP 6's own number


class Home(UploadHome, ExtensionHome, Protocol):
    """What a peer needs of its torrent, beside what its upload and its extensions need."""

    info_hash: InfoHash
    picker: PiecePicker
    blocks: Blocks
    down: Limiter
    trees: Trees | None  # None without version 2
    asking: bool  # False while the disk is in the way
    dht: (
        Callable[[Address], None] | None
    )  # to be told of nodes of the DHT; None for a private torrent

    def piece_reached(self, piece: OpenPiece) -> None: ...
    def wasted(self, n: int) -> None: ...
    def piece_spoiled(self, piece: PieceIndex) -> None: ...
    def cancel_others(self, block: int, winner: object) -> None: ...
    def serve_hashes(self, peer: "Peer", asked: HashRange) -> bool: ...
    def interest_changed(self, peer: "Peer") -> None: ...
    def peer_gone(self, peer: "Peer", reason: Exception | None) -> None: ...


class Peer:
    """Flags are written `am_` for us and `peer_` for the other side, as in BEP 3."""

    def __init__(
        self,
        stream: Stream,
        home: Home,
        name: Name,
        reserved: Reserved,
        *,
        outgoing: bool,
        v2: bool = False,
    ) -> None:
        self.stream = stream
        self.address = stream.remote  # where it listens, once it said so
        self.name = name
        self.client = name.peer_id.client
        self.outgoing = outgoing
        self.since = home.clock()
        self.fast = reserved.fast
        self.v2 = v2 and home.trees is not None  # it may be asked for hashes
        self.have = Bitfield(home.picker.pieces)
        self.am_choking = self.peer_choking = True
        self.am_interested = self.peer_interested = False
        self.upload_only = False
        self.asked: dict[int, float] = {}  # block -> when
        self.late: dict[
            int, int
        ] = {}  # given back since: how many answers are welcome all the same
        self.down = Meter(10.0)
        self.upload = Upload(stream, home, fast=self.fast)
        self.extensions = Extensions(self, home)
        self.pipeline = Pipeline()
        self.refusals = Refusals()
        self.stalled = False  # owes blocks and sends none: others are asked for them
        self.stalls = 0  # how often that happened
        self.gave = 0  # good pieces of which some came from it
        self.double = False  # it is connected from another address, too, and this one was given up
        self.hungry = False  # asked for less than the pipeline has room for
        self.served = float("-inf")  # until when it was unchoked last
        self._home = home
        self._extended = reserved.extended
        self._dht = reserved.dht
        self._ports = 0  # that it told
        self._counted_seed = False
        self._restatements = 0
        self._invalid = 0
        self._heard = self._spoke = self.since
        self._took = self.since  # when it last took some of what we sent
        self._unsent = 0
        self._last_block = self.since  # or when the first was asked for
        self._silent_from = self.since  # where `_last_block` stood when it stalled
        self._new_blocks = 0
        self._probe: int | None = None  # the block whose round trip is measured
        self._allowed: set[PieceIndex] = set()  # we may ask for these while choked
        self._granted: set[PieceIndex] = set()  # the peer may
        self._news: list[PieceIndex] = []  # of ours, told with the next send
        self._urgent = False  # one of them is of a piece that it lacks

    @property
    def remote(self) -> Address:
        """Where it is connected from."""
        return self.stream.remote

    @property
    def uploaded(self) -> int:
        """Bytes that we gave it."""
        return self.upload.meter.total

    @property
    def is_seed(self) -> bool:
        return self._counted_seed or self.have.all()

    @property
    def flags(self) -> str:
        """Capital letters: they; small: we. c choked, i interested."""
        pairs = (
            (self.am_interested, "i"),
            (not self.am_choking, "u"),
            (self.peer_interested, "I"),
            (not self.peer_choking, "U"),
        )
        return "".join(letter for on, letter in pairs if on)

    def snubbed(self, now: float) -> bool:
        """It owes us blocks and has sent none for a minute, however often we asked again since."""
        return self.stalled and not self.peer_choking and now - self._silent_from > SNUBBED

    def candidate(self, now: float) -> Candidate:
        return Candidate(
            key=self,
            interested=self.peer_interested,
            gives=self.down.rate,
            takes=self.upload.meter.rate,
            since=self.since,
            snubbed=self.snubbed(now),
            served=self.served if self.am_choking else now,
        )

    # The conversation

    def start(self, heard: Heard | None = None) -> None:
        """First words: what we have, then what we can do. Where a magnet `heard` it already, it was told
        that we have nothing."""
        picker = self._home.picker
        if heard is not None:
            self.send(encode_haves([*picker.have.pieces()]))
        elif self.fast and picker.whole:
            self.send(HaveAll().encode())
        elif self.fast and not picker.have.any():
            self.send(HaveNone().encode())
        elif self.fast or picker.have.any():
            self.send(BitfieldMessage(picker.have.to_wire()).encode())
        if self._extended:
            self.send(self.extensions.introduction())
        if self._dht and self._home.dht is not None:
            self.send(PortMessage(self._home.port).encode())
        if self.fast:
            self._grant_fast_pieces()

    def recall(self, heard: Heard) -> None:
        """What it said before the torrent was known counts now, as if it had just been said."""
        self.am_interested = heard.interested
        try:
            for message in heard.again(self._home.picker.pieces):
                self.got(message)
        except RemoteError as error:
            self.close(error)
        else:
            self.update_interest()
            self.caught_up()

    def _grant_fast_pieces(self) -> None:
        if self.remote.ip is None:
            return
        pieces = self._home.picker.pieces
        chosen = allowed_fast_set(self.remote.host, self._home.info_hash, pieces, FAST_PIECES)
        self._granted = {piece for piece in chosen if self._home.picker.have[piece]}
        if self._granted:
            self.send(*(AllowedFast(piece).encode() for piece in self._granted))

    def got(self, message: object) -> None:
        """Raises RemoteProtocolError when the peer broke the rules."""
        handle = _HANDLERS.get(type(message))
        if handle is not None:
            handle(self, message)

    def caught_up(self) -> None:
        now = self._home.clock()
        self._heard = now
        if self._new_blocks:
            self._last_block = now
            self.stalled = False
            self.pipeline.landed(self._new_blocks)
            self._new_blocks = 0
        self.ask()
        self.flush_urgent()
        self.upload.serve()

    def drained(self) -> None:
        self._took = self._home.clock()
        self.upload.drained()
        self.extensions.info.serve()

    def closed(self, reason: Exception | None) -> None:
        self._give_back()
        self.late.clear()
        self.upload.closed()
        self.extensions.closed()
        self._home.down.forget(self.ask)
        self._home.peer_gone(self, reason)
        self._uncount()

    def close(self, reason: Exception | None = None) -> None:
        self.stream.close(reason)

    # What they have

    def got_haves(self, message: Haves) -> None:
        picker, have, seen = self._home.picker, self.have, self._home.picker.seen
        for piece in message.pieces:
            if piece >= picker.pieces:
                raise RemoteProtocolError(f"have {piece} of {picker.pieces} pieces")
            if not have[piece]:
                have[piece] = 1
                seen(piece)
        if not self.am_interested:
            self.update_interest()

    def got_bitfield(self, message: BitfieldMessage) -> None:
        self._restate(Bitfield.from_wire(message.data, self._home.picker.pieces))

    def got_have_all(self, _: HaveAll) -> None:
        self._must_be_fast()
        self._count_restatement()
        self._restate(Bitfield.full(self._home.picker.pieces))

    def got_have_none(self, _: HaveNone) -> None:
        self._must_be_fast()
        self._count_restatement()
        self._restate(Bitfield(self._home.picker.pieces))

    def _restate(self, have: Bitfield) -> None:
        """At any time: aria2 sends its bitfield where the many Haves since the last one would be longer."""
        if have == self.have:
            return
        if (self.have & ~have).any():
            self._count_restatement()
            self._release()
            self._uncount()
        if have.all():
            self._uncount()
            self._counted_seed = True
            self._home.picker.seeds += 1
        else:
            self._count_more(have & ~self.have)
        self.have = have
        self.update_interest()

    def _count_restatement(self) -> None:
        self._restatements += 1
        if self._restatements > MOST_RESTATEMENTS:
            raise RemoteProtocolError("bitfields without end")

    def _count_more(self, added: Bitfield) -> None:
        """Each piece costs us something once; counting all anew costs the picker its order."""
        if not self.have.any():
            self._home.picker.seen_all(added)
            return
        for piece in added.pieces():
            self._home.picker.seen(piece)

    def _uncount(self) -> None:
        if self._counted_seed:
            self._home.picker.seeds -= 1
        elif self.have.any():
            self._home.picker.gone(self.have)
        self._counted_seed = False
        self.have = Bitfield(self._home.picker.pieces)

    def _must_be_fast(self) -> None:
        if not self.fast:
            raise RemoteProtocolError("a fast message without the fast extension")  # BEP 6: MUST

    def update_interest(self) -> None:
        wants = self._home.picker.wants_from(self.have)
        if wants != self.am_interested:
            self.am_interested = wants
            self.send((Interested() if wants else NotInterested()).encode())

    # Asking

    def ask(self) -> None:
        """Fill the pipeline, as far as rate limit, memory and the picker allow."""
        home = self._home
        room = self.pipeline.room(len(self.asked))
        if not room or not self.am_interested or not home.asking:
            return
        if self.stream.over or self.refusals.too_many:
            return
        have = self._askable()
        if have is None:
            return
        granted = home.down.take(room * BLOCK, BLOCK, self.ask)
        count = granted // BLOCK
        if not count:
            return
        may_open = self._open_if_harmless if self.stalled else home.blocks.open
        blocks = home.picker.pick(self, have, count, may_open)
        if not blocks and not self.asked:
            busy = home.picker.pick_busy(have, self.late)
            blocks = [] if busy is None else [busy]
        home.down.refund(granted - len(blocks) * BLOCK)
        self.hungry = len(blocks) < count
        if blocks:
            if home.trees is not None:
                home.trees.asked(self, blocks)
            self._send_requests(blocks)

    def _open_if_harmless(self, piece: PieceIndex) -> bool:
        """While it sends nothing it gets little memory, and no piece that only it may fetch."""
        home = self._home
        return not home.picker.is_suspect(piece) and home.blocks.open_sparingly(piece)

    def _askable(self) -> Bitfield | None:
        """What may be asked for: what it has and gives; while choked the fast pieces; None for nothing."""
        if not self.peer_choking:
            return self.refusals.without(self.have)
        if not self._allowed:
            return None
        only = Bitfield(len(self.have))
        for piece in self._allowed:
            only[piece] = self.have[piece]
        return self._home.picker.in_turn(only)

    def _send_requests(self, blocks: list[int]) -> None:
        now = self._home.clock()
        if not self.asked:
            self._probe = blocks[0]
            self._last_block = now
        self.asked.update(dict.fromkeys(blocks, now))
        self.send(self._taken_news() + encode_requests(self._home.picker.geometry.requests(blocks)))

    def take_blocks(self, piece: PieceIndex, begin: int, blocks: list[memoryview]) -> None:
        """The framer's landing: what this peer owes goes to its place, while it is wanted.

        Neighbours that only this peer was asked for land together: on a fast line hardly any block is not
        among them.
        """
        n, picker = len(blocks), self._home.picker
        first = piece * picker.per_piece + begin // BLOCK
        whole = n > 1 and begin % BLOCK == 0 and len(blocks[0]) == BLOCK
        inside = whole and begin + n * BLOCK <= picker.geometry.asked_size(piece)
        if inside and picker.awaits(first, n, self) and not self.stream.over:
            self._take_row(piece, begin, blocks, range(first, first + n))
            return
        for data in blocks:
            self._take_block(piece, begin, data)
            begin += len(data)

    def _take_row(
        self, piece: PieceIndex, begin: int, blocks: list[memoryview], row: range
    ) -> None:
        home, asked = self._home, self.asked
        self.down.total += len(row) * BLOCK
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
        if self.stream.over:
            return  # closed by what came before it in the same read
        home, picker, length = self._home, self._home.picker, len(data)
        block = piece * picker.per_piece + begin // BLOCK
        self.down.total += length
        asked_at = self.asked.pop(block, None)
        was_late = asked_at is None and self._is_late(block)
        if asked_at is None and not was_late:
            raise RemoteProtocolError(f"block {begin} of piece {piece}, not asked for")
        if block == self._probe and asked_at is not None:
            self._measure_trip(asked_at)
        self._new_blocks += 1
        if not picker.geometry.fits(piece, begin, length):
            home.wasted(length)
            picker.unask(block, self)
            raise RemoteProtocolError(f"{length} bytes at {begin} of piece {piece}, not asked for")
        if not picker.wants(block, self):  # somebody else was faster
            home.wasted(length)
            return
        home.blocks.put(piece, begin, [data])
        spoiled = home.trees is not None and home.trees.hash(piece, begin, [data])
        contested = was_late or picker.is_doubled(block)
        reached = picker.landed(block, self)
        if contested:
            home.cancel_others(block, self)
        if spoiled:
            home.piece_spoiled(piece)
        elif reached is not None:
            home.piece_reached(reached)

    def _measure_trip(self, asked_at: float) -> None:
        self.pipeline.rtt = self._home.clock() - asked_at
        self._probe = None

    def got_choke(self, _: Choke) -> None:
        """Without the fast extension a choke drops every request; with it each is rejected by name."""
        self.peer_choking = True
        if self.fast:
            self._release()  # what it alone was fetching, others may begin anew
        else:
            self._give_back()

    def got_unchoke(self, _: Unchoke) -> None:
        self.peer_choking = False
        self.refusals.forget()
        self._last_block = self._home.clock()
        self.stalled = False
        self.pipeline.unchoked()

    def got_reject(self, message: Reject) -> None:
        self._must_be_fast()
        picker = self._home.picker
        block = message.piece * picker.per_piece + message.begin // BLOCK
        if self.asked.pop(block, None) is not None:
            picker.unask(block, self)
            self._allowed.discard(message.piece)
            if not self.peer_choking:
                self.refusals.add(message.piece, self._home.clock())
            self._release()
        elif not self._is_late(block):
            self._count_invalid("rejects of what was never asked")

    def got_allowed_fast(self, message: AllowedFast) -> None:
        self._must_be_fast()
        if message.piece >= self._home.picker.pieces:
            raise RemoteProtocolError(f"allowed fast {message.piece}, which does not exist")
        if len(self._allowed) < 100:
            self._allowed.add(message.piece)

    def cancel(self, block: int) -> None:
        """Somebody else was faster."""
        if self.asked.pop(block, None) is not None:
            self._remember_late([block])
            self.send(Cancel(*self._home.picker.geometry.request(block)).encode())

    def _give_back(self) -> None:
        """Everything it owes may be asked of others; what still arrives is welcome."""
        self._take_back(list(self.asked))

    def _take_back(self, blocks: list[int]) -> None:
        for block in blocks:
            del self.asked[block]
            self._home.picker.unask(block, self)
        self._remember_late(blocks)
        self._release()

    def _release(self) -> None:
        """Suspect pieces begin anew with somebody else."""
        for piece in self._home.picker.release(self):
            self._home.blocks.drop(piece)
            self.give_up(piece)

    def give_up(self, piece: PieceIndex) -> None:
        """The piece begins anew without what this peer owes of it; what it still sends is late."""
        per_piece = self._home.picker.per_piece
        blocks = [block for block in self.asked if block // per_piece == piece]
        for block in blocks:
            del self.asked[block]
        self._remember_late(blocks)

    def _remember_late(self, blocks: list[int]) -> None:
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

    # Serving

    def unchoke(self) -> None:
        if self.am_choking:
            self.am_choking = False
            self.send(Unchoke().encode())

    def choke(self) -> None:
        """With the fast extension what is queued is rejected by name, after the choke."""
        if self.am_choking:
            return
        self.am_choking = True
        self.served = self._home.clock()
        self.send(Choke().encode())
        self.upload.refuse_all()

    def got_interested(self, _: Interested) -> None:
        self._set_interest(wants=True)

    def got_not_interested(self, _: NotInterested) -> None:
        self._set_interest(wants=False)

    def _set_interest(self, *, wants: bool) -> None:
        if wants != self.peer_interested:
            self.peer_interested = wants
            self._home.interest_changed(self)

    def got_requests(self, message: Requests) -> None:
        picker, have = self._home.picker, self._home.picker.have
        room, free = REQQ - len(self.upload), not self.am_choking
        owed: list[BlockRange] = []
        refused: list[BlockRange] = []
        of, size = -1, 0
        for request in message.blocks:
            piece, begin, length = request
            if piece != of:  # most are of the same piece as the one before
                if piece >= picker.pieces:
                    raise RemoteProtocolError(f"request in piece {piece} of {picker.pieces}")
                of, size = piece, picker.geometry.piece_size(piece)
            if begin + length > size:
                raise RemoteProtocolError(f"request of {begin}+{length} in piece {piece}")
            if not 0 < length <= MAX_REQUEST:
                raise RemoteProtocolError(f"request of {length} bytes")
            if not have[piece] or len(owed) >= room:
                refused.append(request)
                self._count_invalid("requests for what we do not have")
            elif free or self._fast_grant(piece, len(owed)):
                owed.append(request)
            else:
                refused.append(request)
                if self._home.clock() - self.served > CHOKE_GRACE or len(refused) > REQQ:
                    self._count_invalid("requests while choked")
        self.upload.owe(owed)
        if refused:
            self.upload.refuse(refused)

    def _fast_grant(self, piece: PieceIndex, more: int) -> bool:
        """`more` requests of the same row are granted already."""
        most = 2 * self._home.picker.per_piece
        return piece in self._granted and len(self.upload) + more < most

    def _count_invalid(self, complaint: str) -> None:
        self._invalid += 1
        if self._invalid > MOST_INVALID:
            raise RemoteProtocolError(complaint)

    def got_cancel(self, message: Cancel) -> None:
        self.upload.cancel((message.piece, message.begin, message.length))

    # Hashes of version 2

    def got_hash_request(self, message: HashRequest) -> None:
        """Also while choked."""
        if self.v2 and not self._home.serve_hashes(self, message.range):
            self._count_invalid("requests for too many hashes, or for such as cannot be")

    def got_hashes(self, message: Hashes) -> None:
        if self.v2 and self._home.trees is not None:
            self._home.trees.got_hashes(self, message)

    def got_hash_reject(self, message: HashReject) -> None:
        if self.v2 and self._home.trees is not None:
            self._home.trees.got_reject(self, message)

    # News and time

    def queue_have(self, piece: PieceIndex) -> None:
        """Tell it with the next send; when it has the piece itself that may be the tick's."""
        self._news.append(piece)
        self._urgent |= not self.have[piece]

    def flush_urgent(self) -> None:
        """Tell it now, when there is news that it may ask for."""
        if self._urgent:
            self.send(self._taken_news())

    def _taken_news(self) -> bytes:
        news, self._news, self._urgent = self._news, [], False
        return encode_haves(news)

    def tick(self, now: float) -> None:
        """Once a second: rates, depth of the pipeline, silence on either side."""
        self.down.tick(now)
        self.upload.meter.tick(now)
        self.pipeline.tick(self.down.latest, self.down.rate)
        self.refusals.tick(now)
        if self.asked and now - self._last_block > self._patience():
            self._stall()
        if self._news:
            self.send(self._taken_news())
        if now - self._spoke > KEEP_ALIVE:
            self.send(KeepAlive().encode())
        complaint = self._overdue(now)
        if complaint:
            self.close(RemoteProtocolError(complaint))
            return
        self.update_interest()
        self.ask()
        self.upload.serve()
        self.extensions.tick(now)

    def _overdue(self, now: float) -> str:
        """Why it is not worth its place any more: it says nothing, or reads nothing; '' when it is."""
        unsent = self.stream.unsent
        if unsent < self._unsent or not unsent:
            self._took = now
        self._unsent = unsent
        if now - self._heard > SILENCE:
            return f"silent for {SILENCE:.0f} s"
        if now - self._took > SILENCE or unsent > MOST_UNSENT:
            return "does not read what we send"
        return ""

    def _patience(self) -> float:
        """Seconds without a block before others are asked: eight blocks' time, between 5 and 20."""
        return min(max(5.0, 8 * BLOCK / max(self.down.rate, 1.0)), 20.0)

    def _stall(self) -> None:
        """Transmission often leaves the last block unanswered; a dead line leaves all of them."""
        self._give_back()
        if not self.stalled:
            self._silent_from = self._last_block
        self.stalled = True
        self.stalls += 1
        self.pipeline.stalled()

    def got_port(self, message: PortMessage) -> None:
        """Where its node of the DHT listens. It says so however often it likes, and we go there seldom."""
        self._ports += 1
        node = Address(self.remote.host, message.port)
        if self._home.dht is not None and node.dialable and self._ports <= MOST_PORTS:
            self._home.dht(node)

    # Extensions

    def got_extended(self, message: Extended) -> None:
        self.extensions.got(message)

    def introduced(self, hello: ExtendedHandshake) -> None:
        """It says, once or again, who it is and what it can do."""
        self.client = hello.version or self.client
        self.pipeline.takes(hello.reqq or self.pipeline.reqq)
        if hello.upload_only is not None:
            self.upload_only = hello.upload_only
        if hello.port is not None and not self.outgoing:
            self.address = Address(self.remote.host, hello.port)

    def has_lost(self, piece: PieceIndex) -> None:
        """It no longer has this one (BEP 54); what it owes of it others may be asked for."""
        if piece >= self._home.picker.pieces:
            raise RemoteProtocolError(f"lost {piece}, which does not exist")
        if not self.have[piece]:
            return
        picker = self._home.picker
        if self._counted_seed:
            self._count_restatement()
            self._counted_seed = False
            picker.seeds -= 1
            picker.seen_all(self.have)
        picker.unseen(piece)
        self.have[piece] = 0
        self._take_back([block for block in self.asked if block // picker.per_piece == piece])
        self.update_interest()

    def tell_lost(self, pieces: Sequence[PieceIndex]) -> bool:
        """We no longer have these; False when it cannot be told, or is being given one of them."""
        if not self.extensions.speaks(DONT_HAVE) or self.upload.concerns(pieces):
            return False
        if len(pieces) > MOST_LOST:
            return False
        self._news = [piece for piece in self._news if piece not in pieces]
        self.tell_upload_only(on=False)
        for piece in pieces:
            self.extensions.say(DONT_HAVE, DontHave(piece).encode())
        return True

    def tell_upload_only(self, *, on: bool) -> None:
        """Whether we want nothing more, if it cares."""
        self.extensions.say(UPLOAD_ONLY, UploadOnly(on).encode())

    @property
    def pex_flags(self) -> PexFlag | None:
        """What others are told of it; None when we do not know where it listens."""
        hello = self.extensions.hello
        if not self.outgoing and hello.port is None:
            return None
        facts = (
            (self.is_seed or self.upload_only, PexFlag.SEED),
            (hello.encryption, PexFlag.ENCRYPTION),
            (self.stream.utp, PexFlag.UTP),
            (hello.number(HOLEPUNCH), PexFlag.HOLEPUNCH),
            (self.outgoing, PexFlag.REACHABLE),
        )
        return PexFlag(sum(flag for true, flag in facts if true))

    def send(self, *buffers: bytes | memoryview) -> bool:
        self._spoke = self._home.clock()
        return self.stream.send(*buffers)

    @override
    def __repr__(self) -> str:
        return f"<Peer {self.address} {self.flags} asked {len(self.asked)} owes {len(self.upload)}>"


_HANDLERS: dict[type, Callable[..., None]] = {
    AllowedFast: Peer.got_allowed_fast,
    BitfieldMessage: Peer.got_bitfield,
    Cancel: Peer.got_cancel,
    Choke: Peer.got_choke,
    Extended: Peer.got_extended,
    HashReject: Peer.got_hash_reject,
    HashRequest: Peer.got_hash_request,
    Hashes: Peer.got_hashes,
    HaveAll: Peer.got_have_all,
    HaveNone: Peer.got_have_none,
    Haves: Peer.got_haves,
    Interested: Peer.got_interested,
    NotInterested: Peer.got_not_interested,
    PortMessage: Peer.got_port,
    Reject: Peer.got_reject,
    Requests: Peer.got_requests,
    Unchoke: Peer.got_unchoke,
}
