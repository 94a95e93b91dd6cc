"""One peer without a socket: what landing, asking and serving cost in framer, peer, picker and upload.

The peer, the picker, the buffers and the framer are the real ones. The stream takes everything at once and
keeps it; the torrent around the peer does as little as it may: what is full counts as written.
"""

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from types import SimpleNamespace

from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.geometry import Geometry
from p2pswarm.formats.ids import BLOCK, Address, InfoHash, PeerId, PieceIndex
from p2pswarm.net.rate import Limiter
from p2pswarm.swarm.blocks import Blocks, BufferPool
from p2pswarm.swarm.peer import Peer
from p2pswarm.swarm.picker import OpenPiece, PiecePicker
from p2pswarm.wire.framer import Scratch
from p2pswarm.wire.peer import (
    HEAD,
    HaveAll,
    Interested,
    PeerFramer,
    Request,
    Reserved,
    Unchoke,
    encode_requests,
    put_piece_head,
)
from scripts.bench.gauges import Gauge

__all__ = ["PIECE", "SIZE", "ask", "cut_blocks", "cut_requests", "land", "serve"]

PIECE = 512 << 10  # bytes
SIZE = 64 << 20  # bytes of the torrent
PIECES = SIZE // PIECE
DEPTH = 500  # requests in flight, the most a peer gets
RUN = 32  # blocks asked of us in one go

Read = Callable[[int, Sequence[memoryview], Callable[[object], None]], None]


class Line:
    """A stream whose kernel takes everything."""

    remote = local = Address("127.0.0.1", 1)
    idle = True
    over = False
    unsent = 0

    def __init__(self) -> None:
        self.sent: list[bytes | memoryview] = []

    def send(self, *buffers: bytes | memoryview) -> bool:
        self.sent += buffers
        return True


class House:
    """What a peer asks of its torrent; no time passes in it."""

    info_hash = InfoHash(bytes(20))
    piece_length = PIECE
    port = 1
    asking = True
    trees = None  # version 1
    info = dht = None
    offered: frozenset[str] = frozenset()
    upload_only = hides = False

    def __init__(self, read: Read | None = None) -> None:
        geometry = Geometry(SIZE, PIECE)
        self.picker = PiecePicker(geometry, Random(1))
        self.blocks = Blocks(BufferPool(64 << 20), geometry)
        self.reads = BufferPool(8 << 20)
        self.down = self.up = Limiter(0, self.clock, lambda _, call: None)
        self.calls: deque[Callable[[], None]] = deque()
        self.read = read

    def clock(self) -> float:
        return 0.0

    def piece_reached(self, piece: OpenPiece) -> None:
        assert not piece.left, "these pieces are small"
        self.blocks.drop(piece.index)
        self.picker.had(piece.index)

    def soon(self, call: Callable[[], None]) -> None:
        self.calls.append(call)

    def interest_changed(self, peer: Peer) -> None:
        """Nobody else is here."""


class Talk:
    """The peer, and the framer that feeds it."""

    def __init__(self, house: House) -> None:
        self.line, self.house = Line(), house
        name = SimpleNamespace(peer_id=PeerId.new(Random(1)))
        self.peer = Peer(self.line, house, name, Reserved.ours(), outgoing=True)  # type: ignore[arg-type]
        pipeline = self.peer.download.pipeline
        pipeline.reqq = pipeline.depth = DEPTH
        self.framer = PeerFramer(self.peer.download.take_blocks, Scratch())

    def hear(self, n: int) -> None:
        """So many bytes came."""
        for message in self.framer.received(n):
            self.peer.got(message)

    def asked(self) -> list[Request]:
        """What was asked since the last time."""
        sent, self.line.sent = b"".join(self.line.sent), []
        found: list[Request] = []
        framer = PeerFramer(lambda *_: None, Scratch(len(sent) + 1))
        framer.get_buffer()[: len(sent)] = sent
        for message in framer.received(len(sent)):
            found += [Request(*each) for each in getattr(message, "blocks", ())]
        return found


def _fill(framer: PeerFramer, blocks: Sequence[Request]) -> int:
    """Write these blocks where the kernel would; returns how many bytes they are."""
    view, at = memoryview(framer.get_buffer().obj), 0
    for block in blocks:
        put_piece_head(view, at, block.piece, block.begin, block.length)
        at += HEAD + block.length
    return at


def _unmeasured(_what: str, _worth: int, job: Callable[[], object]) -> None:
    job()


def _download(batch: int, *, landing: Gauge = _unmeasured, asking: Gauge = _unmeasured) -> None:
    """The whole torrent, `batch` blocks in one go."""
    talk = Talk(House())
    talk.peer.got(HaveAll())
    talk.peer.got(Unchoke())
    talk.peer.download.pipeline.depth = DEPTH
    talk.peer.download.ask()
    waiting = deque(talk.asked())
    while waiting:
        blocks = [waiting.popleft() for _ in range(min(batch, len(waiting)))]
        n = _fill(talk.framer, blocks)
        landing("block", len(blocks), partial(talk.hear, n))
        asking("block", len(blocks), talk.peer.caught_up)
        waiting += talk.asked()
    assert talk.house.picker.done


def land(gauge: Gauge, batch: int) -> None:
    """From the scratch buffer through the framer into a piece, and the picker's note of it."""
    _download(batch, landing=gauge)


def ask(gauge: Gauge, batch: int) -> None:
    """Requests for what has landed: chosen, encoded, sent."""
    _download(batch, asking=gauge)


def cut_blocks(gauge: Gauge, batch: int) -> None:
    """The framer alone: blocks land nowhere."""
    framer = PeerFramer(lambda *_: None, Scratch())
    n = _fill(framer, [Request(PieceIndex(0), at * BLOCK, BLOCK) for at in range(batch)])
    for _ in range(SIZE // BLOCK // batch):
        gauge("block", batch, lambda: list(framer.received(n)))


def cut_requests(gauge: Gauge, batch: int) -> None:
    """The framer alone: rows of requests."""
    framer = PeerFramer(lambda *_: None, Scratch())
    row = encode_requests([(1, at * BLOCK, BLOCK) for at in range(batch)])
    framer.get_buffer()[: len(row)] = row
    for _ in range(SIZE // BLOCK // batch):
        gauge("block", batch, lambda: list(framer.received(len(row))))


def serve(gauge: Gauge, read: Read) -> None:
    """From the bytes of 32 requests to the send of 32 blocks, read as `read` does it."""
    talk = Talk(House(read))
    talk.house.picker.start_with(Bitfield.full(PIECES))
    talk.peer.got(Interested())
    talk.peer.unchoke()
    talk.peer.upload.meter.rate = 1e9  # a fast peer gets whole runs
    for piece in range(PIECES):
        row = encode_requests([(piece, at, BLOCK) for at in range(0, RUN * BLOCK, BLOCK)])
        talk.framer.get_buffer()[: len(row)] = row
        talk.line.sent.clear()
        gauge("block", RUN, partial(_answer, talk, len(row)))
        assert sum(map(len, talk.line.sent)) == RUN * (HEAD + BLOCK)


def _answer(talk: Talk, n: int) -> None:
    talk.hear(n)
    talk.peer.caught_up()
    while talk.house.calls:
        talk.house.calls.popleft()()
