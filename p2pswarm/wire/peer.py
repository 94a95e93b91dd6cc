"""The peer protocol: handshake and messages of BEP 3, 6 (fast) and 10 (extended), both directions; those
of BEP 52 (hashes) stand in a room of their own.

One class per message: its number, its fields, how it is written. Reading is the framer's work: it cuts
the stream at the length prefixes. A block becomes no message: the framer gives its bytes to the *landing*
where they lie, so that a block is copied once between the socket and the piece it is part of. Requests,
the other half of the traffic, come as one message for as many as stand in a row. This is one of the four
rooms that carry the speed.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import ClassVar

from typing_extensions import override

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.ids import InfoHash, PeerId, PieceIndex
from p2pswarm.wire.framer import MOST_KEPT, CuttingFramer, Scratch
from p2pswarm.wire.hashes import NUMBERS, read_hash_message

__all__ = [
    "HANDSHAKE",
    "HEAD",
    "MAX_MESSAGE",
    "AllowedFast",
    "BitfieldMessage",
    "Cancel",
    "Choke",
    "Extended",
    "HandshakeFramer",
    "Have",
    "HaveAll",
    "HaveNone",
    "Haves",
    "Hello",
    "Ident",
    "Interested",
    "KeepAlive",
    "Landing",
    "NotInterested",
    "PeerFramer",
    "PortMessage",
    "Reject",
    "Request",
    "Requests",
    "Reserved",
    "Suggest",
    "Unchoke",
    "Unknown",
    "encode_haves",
    "encode_requests",
    "longest_message",
    "put_piece_head",
]

HANDSHAKE = b"\x13BitTorrent protocol"

# Bytes after the length prefix. A bitfield of 2 097 152 pieces, the most we accept, has 262 145.
MAX_MESSAGE = 300 << 10
# Blocks given to a landing at once: those of a full read, if they are of the usual size
MOST_LANDED = 128
FIRST_PORTION, SMALL_PORTION = 16 << 10, 512  # bytes read of who sends no blocks; the first doubles
MUCH, MUCH_IN = 16, 100  # messages in one go, and the bytes of each, from which on they are a flood
MAX_EXTENDED = 66 << 10  # an extended handshake, of which 64 KiB are read, and its numbers

Landing = Callable[[PieceIndex, int, list[memoryview]], None]
"""piece, begin, blocks: neighbours of one length arrived, one at least, the first of them at `begin`.

Their bytes are there until this returns. Raises RemoteProtocolError."""

_LENGTH = Struct(">I")
_BARE = Struct(">IB")
_ONE = Struct(">IBI")
_BLOCK = Struct(">IBIII")
_PIECE = Struct(">IBII")
_U32 = Struct(">I")
HEAD = _PIECE.size  # bytes before a block on the wire
_THREE_U32 = Struct(">III")


class Reserved(bytes):
    """The eight reserved bytes of a handshake: what the sender can do."""

    __slots__ = ()

    @classmethod
    def ours(cls, *, dht: bool = False, v2: bool = False) -> "Reserved":
        """BEP 10 (extension protocol) and BEP 6 (fast extension); BEP 5 for a node of the DHT; `v2` where
        the torrent may be talked about in BEP 52's way."""
        return cls(b"\0\0\0\0\0\x10\0" + bytes((0x04 | 0x01 * dht | 0x10 * v2,)))

    @property
    def extended(self) -> bool:
        return bool(self[5] & 0x10)

    @property
    def fast(self) -> bool:
        return bool(self[7] & 0x04)

    @property
    def dht(self) -> bool:
        return bool(self[7] & 0x01)

    @property
    def v2(self) -> bool:
        """Beside the version 1 name of a hybrid: an answer may say the version 2 name (BEP 52)."""
        return bool(self[7] & 0x10)


@dataclass(slots=True)
class Hello:
    """The first 48 bytes of a handshake; an acceptor may answer as soon as it has them."""

    reserved: Reserved
    info_hash: InfoHash

    def encode(self) -> bytes:
        return HANDSHAKE + self.reserved + self.info_hash


@dataclass(slots=True)
class Ident:
    """The last 20 bytes of a handshake; some peers send them only after they got our Hello."""

    peer_id: PeerId

    def encode(self) -> bytes:
        return bytes(self.peer_id)


@dataclass(slots=True)
class KeepAlive:
    """Nothing, sent so that the connection is not taken for dead."""

    def encode(self) -> bytes:
        return b"\0\0\0\0"


@dataclass(slots=True)
class _Bare:
    """A message that is only its number."""

    number: ClassVar[int]

    def encode(self) -> bytes:
        return _BARE.pack(1, self.number)


class Choke(_Bare):
    """The sender will not answer requests."""

    number = 0


class Unchoke(_Bare):
    """The sender answers requests from now on."""

    number = 1


class Interested(_Bare):
    """The sender would ask for blocks if it were unchoked."""

    number = 2


class NotInterested(_Bare):
    """The sender wants nothing the receiver has."""

    number = 3


class HaveAll(_Bare):
    """BEP 6: instead of a bitfield that is all ones."""

    number = 14


class HaveNone(_Bare):
    """BEP 6: instead of a bitfield that is all zeros."""

    number = 15


@dataclass(slots=True)
class _OnePiece:
    """A message about one piece."""

    number: ClassVar[int]
    piece: PieceIndex

    def encode(self) -> bytes:
        return _ONE.pack(5, self.number, self.piece)


class Have(_OnePiece):
    """The sender now has this piece, verified."""

    number = 4


@dataclass(slots=True)
class Haves:
    """Haves as they are read: the pieces of all that stood in a row."""

    pieces: list[PieceIndex]


class Suggest(_OnePiece):
    """BEP 6: this piece would be cheap for the sender to serve."""

    number = 13


class AllowedFast(_OnePiece):
    """BEP 6: this piece may be asked for even while choked."""

    number = 17


@dataclass(slots=True)
class _OneBlock:
    """A message about a range of bytes inside one piece."""

    number: ClassVar[int]
    piece: PieceIndex
    begin: int
    length: int

    def encode(self) -> bytes:
        return _BLOCK.pack(13, self.number, self.piece, self.begin, self.length)


class Request(_OneBlock):
    """The sender wants this block."""

    number = 6


@dataclass(slots=True)
class Requests:
    """Requests as they are read: piece, begin and length of each that stood in a row."""

    blocks: list[tuple[PieceIndex, int, int]]


class Cancel(_OneBlock):
    """The sender does not want this block any more."""

    number = 8


class Reject(_OneBlock):
    """BEP 6: this request will not be answered with a piece."""

    number = 16


@dataclass(slots=True)
class BitfieldMessage:
    """Which pieces the sender has; raw, because only the torrent knows how many there are."""

    data: bytes

    def encode(self) -> bytes:
        return _BARE.pack(1 + len(self.data), 5) + self.data


@dataclass(slots=True)
class PortMessage:
    """BEP 5: the UDP port of the sender's DHT node."""

    port: int

    def encode(self) -> bytes:
        return _BARE.pack(3, 9) + self.port.to_bytes(2, "big")


@dataclass(slots=True)
class Extended:
    """BEP 10: `id` 0 is the extended handshake, others are the receiver's own numbers."""

    id: int
    payload: bytes

    def encode(self) -> bytes:
        return _BARE.pack(2 + len(self.payload), 20) + bytes((self.id,)) + self.payload


@dataclass(slots=True)
class Unknown:
    """A message number nobody told us about; ignored, as BEP 3's successors expect."""

    number: int


def put_piece_head(into: memoryview, at: int, piece: int, begin: int, length: int) -> None:
    """Write the `HEAD` bytes before a block on the wire."""
    _PIECE.pack_into(into, at, 9 + length, 7, piece, begin)


def encode_haves(pieces: Sequence[int]) -> bytes:
    """Many Haves in one string of bytes, for one send."""
    pack = _ONE.pack
    return b"".join([pack(5, 4, piece) for piece in pieces])


def encode_requests(requests: Sequence[tuple[int, int, int]]) -> bytes:
    """Many Requests (piece, begin, length) in one string of bytes, for one send."""
    pack = _BLOCK.pack
    return b"".join([pack(13, 6, *request) for request in requests])


def longest_message(pieces: int) -> int:
    """Bytes of the longest message in a torrent of so many pieces: its bitfield, or an extended one."""
    return max(1 + (pieces + 7) // 8, MAX_EXTENDED)


class HandshakeFramer(CuttingFramer):
    """Cuts a Hello and an Ident; what follows stays unread for the PeerFramer."""

    def __init__(self, scratch: Scratch | None = None) -> None:
        super().__init__(scratch)
        self._greeted = False
        self._done = False

    @override
    def _cut(self, view: memoryview, into: list[object]) -> int:
        """Raises RemoteProtocolError as soon as the bytes cannot be a handshake."""
        used = 0
        if not self._greeted:
            start = view[: len(HANDSHAKE)].tobytes()
            if not HANDSHAKE.startswith(start):
                raise RemoteProtocolError("not a BitTorrent handshake")
            if len(view) < 48:
                return 0
            into.append(Hello(Reserved(view[20:28]), InfoHash(view[28:48].tobytes())))
            self._greeted, used = True, 48
        if not self._done and len(view) >= used + 20:
            into.append(Ident(PeerId(view[used : used + 20].tobytes())))
            self._done, used = True, used + 20
        return used


class PeerFramer(CuttingFramer):
    """Everything after the handshake.

    Who says many things at once and no blocks is read in small portions, or it would hold the loop for as
    long as it takes to answer them all: nine bytes may cost as much to hear as a block. uvloop reads up to
    32 times in one turn.
    """

    def __init__(
        self, landing: Landing, scratch: Scratch | None = None, most: int = MAX_MESSAGE
    ) -> None:
        super().__init__(scratch)
        self._landing = landing
        self._most = most  # bytes of one message: what half a message may cost us for each peer
        self._portion = FIRST_PORTION
        self._window = min(len(self._view), FIRST_PORTION)

    @override
    def received(self, n: int) -> Iterator[object]:
        """Lands blocks and yields everything else, in the order of the wire. Raises RemoteProtocolError."""
        view, at, end = self._view, 0, len(self._kept) + n
        most, land, landed, said = self._most, self._landing, False, 0
        length_at, head_at = _LENGTH.unpack_from, _PIECE.unpack_from
        while end - at >= 4:
            (length,) = length_at(view, at)
            stop = at + 4 + length
            if length > most:
                raise RemoteProtocolError(f"a message of {length} bytes")
            if stop > end:
                break
            if length == 0:
                said += 1
                yield KeepAlive()
            elif view[at + 4] == 7:
                if length < 9:
                    raise RemoteProtocolError("a piece message without its numbers")
                _, _, piece, begin = head_at(view, at)
                blocks, step, follows = [view[at + HEAD : stop]], length + 4, begin
                while stop + step <= end and len(blocks) < MOST_LANDED:
                    follows += length - 9
                    if head_at(view, stop) != (length, 7, piece, follows):
                        break
                    blocks.append(view[stop + HEAD : stop + step])
                    stop += step
                land(piece, begin, blocks)
                landed = True
            elif length == 13 and view[at + 4] == 6:
                said += 1
                requests = _requests(view[at:end])
                stop = at + _BLOCK.size * len(requests)
                yield Requests(requests)
            elif length == 5 and view[at + 4] == 4:
                said += 1
                pieces = _haves(view[at:end])
                stop = at + _ONE.size * len(pieces)
                yield Haves(pieces)
            else:
                said += 1
                yield _read(view[at + 4], view[at + 5 : stop])
            at = stop
        self._kept = view[at:end].tobytes()
        self._take_portion(landed=landed, floods=said > MUCH and said * MUCH_IN > n)

    def _take_portion(self, *, landed: bool, floods: bool) -> None:
        """How much is read next."""
        self._portion = SMALL_PORTION if floods else min(2 * self._portion, MOST_KEPT)
        least = min(len(self._view), MOST_KEPT, len(self._kept) + self._portion)
        self._window = len(self._view) if landed and not floods else least


def _requests(view: memoryview) -> list[tuple[PieceIndex, int, int]]:
    """The requests that stand in a row at the start of `view`."""
    whole = len(view) - len(view) % _BLOCK.size
    requests: list[tuple[PieceIndex, int, int]] = []
    for length, number, piece, begin, size in _BLOCK.iter_unpack(view[:whole]):
        if number != 6 or length != 13:
            break
        requests.append((piece, begin, size))
    return requests


def _haves(view: memoryview) -> list[PieceIndex]:
    """The pieces of the Haves that stand in a row at the start of `view`."""
    whole = len(view) - len(view) % _ONE.size
    pieces: list[PieceIndex] = []
    for length, number, piece in _ONE.iter_unpack(view[:whole]):
        if number != 4 or length != 5:
            break
        pieces.append(piece)
    return pieces


_BARE_KINDS = {kind.number: kind for kind in (Choke, Unchoke, Interested, NotInterested)} | {
    kind.number: kind for kind in (HaveAll, HaveNone)
}
_PIECE_KINDS = {kind.number: kind for kind in (Suggest, AllowedFast)}
_BLOCK_KINDS = {kind.number: kind for kind in (Cancel, Reject)}

_KNOWN = {*_PIECE_KINDS, *_BLOCK_KINDS, *_BARE_KINDS, Have.number, Request.number, 9, 20}


def _read(number: int, body: memoryview) -> object:
    """One message other than a block. Raises RemoteProtocolError for a body of the wrong length."""
    size = len(body)
    if number in _PIECE_KINDS and size == 4:
        return _PIECE_KINDS[number](PieceIndex(_U32.unpack(body)[0]))
    if number in _BLOCK_KINDS and size == 12:
        return _BLOCK_KINDS[number](*_THREE_U32.unpack(body))
    if number in _BARE_KINDS and size == 0:
        return _BARE_KINDS[number]()
    if number == 5:
        return BitfieldMessage(body.tobytes())
    if number == 20 and size >= 1:
        return Extended(body[0], body[1:].tobytes())
    if number == 9 and size == 2:
        return PortMessage(int.from_bytes(body, "big"))
    if number in NUMBERS:
        return read_hash_message(number, body)
    if number in _KNOWN:
        raise RemoteProtocolError(f"message {number} with {size} bytes")
    return Unknown(number)
