"""One conversation with one peer: who is interested, who is choked, what is told, and how long it may last.

Everything here runs in the socket's callback and never awaits. Messages come in through `got`; when the
socket has no more, `caught_up` answers all of it with one send of requests and starts one read for what the
peer asked. The peer owns its flags. What it has, what it owes us, what we owe it and what it can do beyond
the base protocol are rooms of their own: `holdings`, `download` (where blocks land), `upload`, `extensions`.
What concerns all peers it asks of its `Home`, the torrent.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from typing_extensions import override

from p2pswarm.errors import RemoteError, RemoteProtocolError
from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.ids import Address, InfoHash, PieceIndex
from p2pswarm.net.stream import Stream
from p2pswarm.swarm.choker import Candidate
from p2pswarm.swarm.download import Download, DownloadHome
from p2pswarm.swarm.extensions import ExtensionHome, Extensions
from p2pswarm.swarm.fast import allowed_fast_set
from p2pswarm.swarm.greeting import Name
from p2pswarm.swarm.heard import Heard
from p2pswarm.swarm.holdings import Holdings
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
)

__all__ = ["Home", "Peer"]

MAX_REQUEST = 128 << 10  # bytes in one request; we ask 16 KiB, the oldest clients asked for 128
MOST_INVALID = 300  # refused requests before the peer is dropped, as libtorrent does
CHOKE_GRACE = 2.0  # seconds in which requests may still arrive after we choked
MOST_PORTS = 3  # nodes of the DHT that a peer may name: its own, and where that has moved since
# Pieces that a peer is told we no longer have; of more it learns when it comes back
MOST_LOST = 1000
MOST_UNSENT = 1 << 20  # bytes that may wait for a peer to read: a run of blocks, and what is small

KEEP_ALIVE = 60.0  # seconds without sending: half of what most clients wait
SILENCE = 120.0  # seconds without a byte: the other half

FAST_PIECES = 10  # BEP 6's own number


class Home(DownloadHome, UploadHome, ExtensionHome, Protocol):
    """What a peer needs of its torrent, beside what its rooms need."""

    info_hash: InfoHash
    dht: (
        Callable[[Address], None] | None
    )  # to be told of nodes of the DHT; None for a private torrent

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
        self.holdings = Holdings(home.picker)
        self.am_choking = self.peer_choking = True
        self.am_interested = self.peer_interested = False
        self.upload_only = False
        self.download = Download(self, home)
        self.upload = Upload(stream, home, fast=self.fast)
        self.extensions = Extensions(self, home)
        self.gave = 0  # good pieces of which some came from it
        self.double = False  # it is connected from another address, too, and this one was given up
        self.served = float("-inf")  # until when it was unchoked last
        self._home = home
        self._extended = reserved.extended
        self._dht = reserved.dht
        self._ports = 0  # that it told
        self._invalid = 0
        self._heard = self._spoke = self.since
        self._took = self.since  # when it last took some of what we sent
        self._unsent = 0
        self._granted: set[PieceIndex] = set()  # the peer may
        self._news: list[PieceIndex] = []  # of ours, told with the next send
        self._urgent = False  # one of them is of a piece that it lacks

    @property
    def remote(self) -> Address:
        """Where it is connected from."""
        return self.stream.remote

    @property
    def downloaded(self) -> int:
        """Bytes of blocks that it gave us."""
        return self.download.meter.total

    @property
    def uploaded(self) -> int:
        """Bytes that we gave it."""
        return self.upload.meter.total

    @property
    def have(self) -> Bitfield:
        """The pieces that it has."""
        return self.holdings.have

    @property
    def is_seed(self) -> bool:
        return self.holdings.whole

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
        return not self.peer_choking and self.download.silent(now)

    def candidate(self, now: float) -> Candidate:
        return Candidate(
            key=self,
            interested=self.peer_interested,
            gives=self.download.meter.rate,
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
        self.download.caught_up(now)
        if self._urgent:
            self.flush_urgent()
        self.upload.serve()

    def drained(self) -> None:
        self._took = self._home.clock()
        self.upload.drained()
        self.extensions.info.serve()

    def closed(self, reason: Exception | None) -> None:
        self.download.closed()
        self.upload.closed()
        self.extensions.closed()
        self._home.peer_gone(self, reason)
        self.holdings.forget()

    def close(self, reason: Exception | None = None) -> None:
        self.stream.close(reason)

    # What they have

    def got_haves(self, message: Haves) -> None:
        self.holdings.add(message.pieces)
        if not self.am_interested:
            self.update_interest()

    def got_bitfield(self, message: BitfieldMessage) -> None:
        have = Bitfield.from_wire(message.data, self._home.picker.pieces)
        self._restated(took_back=self.holdings.become(have))

    def got_have_all(self, _: HaveAll) -> None:
        self._must_be_fast()
        self._restated(took_back=self.holdings.become_all())

    def got_have_none(self, _: HaveNone) -> None:
        self._must_be_fast()
        self._restated(took_back=self.holdings.become_none())

    def _restated(self, *, took_back: bool) -> None:
        if took_back:
            self.download.release()
        self.update_interest()

    def has_lost(self, piece: PieceIndex) -> None:
        """It no longer has this one (BEP 54)."""
        if self.holdings.lose(piece):
            self.download.lost(piece)
            self.update_interest()

    def _must_be_fast(self) -> None:
        if not self.fast:
            raise RemoteProtocolError("a fast message without the fast extension")  # BEP 6: MUST

    def update_interest(self) -> None:
        wants = self._home.picker.wants_from(self.have)
        if wants != self.am_interested:
            self.am_interested = wants
            self.send((Interested() if wants else NotInterested()).encode())

    # What it owes us

    def got_choke(self, _: Choke) -> None:
        self.peer_choking = True
        self.download.choked()

    def got_unchoke(self, _: Unchoke) -> None:
        self.peer_choking = False
        self.download.unchoked()

    def got_reject(self, message: Reject) -> None:
        self._must_be_fast()
        if not self.download.rejected(message.piece, message.begin):
            self._count_invalid("rejects of what was never asked")

    def got_allowed_fast(self, message: AllowedFast) -> None:
        self._must_be_fast()
        self.download.allow(message.piece)

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
        self._urgent |= not self.holdings.have[piece]

    def flush_urgent(self) -> None:
        """Tell it now, when there is news that it may ask for."""
        if self._urgent:
            self.send(self.taken_news())

    def taken_news(self) -> bytes:
        """What it is to be told, for whoever sends it something anyway."""
        news, self._news, self._urgent = self._news, [], False
        return encode_haves(news)

    def tick(self, now: float) -> None:
        """Once a second: rates, what is to be told, silence on either side."""
        self.download.tick(now)
        self.upload.meter.tick(now)
        if self._news:
            self.send(self.taken_news())
        if now - self._spoke > KEEP_ALIVE:
            self.send(KeepAlive().encode())
        complaint = self._overdue(now)
        if complaint:
            self.close(RemoteProtocolError(complaint))
            return
        self.update_interest()
        self.download.ask()
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
        pipeline = self.download.pipeline
        pipeline.takes(hello.reqq or pipeline.reqq)
        if hello.upload_only is not None:
            self.upload_only = hello.upload_only
        if hello.port is not None and not self.outgoing:
            self.address = Address(self.remote.host, hello.port)

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
        asked, owes = len(self.download.asked), len(self.upload)
        return f"<Peer {self.address} {self.flags} asked {asked} owes {owes}>"


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
