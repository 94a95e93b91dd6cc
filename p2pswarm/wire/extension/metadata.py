"""ut_metadata (BEP 9): the info dictionary of a torrent, given from peer to peer in pieces of 16 KiB.

The bytes of a piece follow the bencoded dictionary of its message directly, so what is a dictionary has to be
read as the prefix it is.
"""

from dataclasses import dataclass

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats import bencode
from p2pswarm.wire.extension.body import read_body

__all__ = [
    "MAX_METADATA",
    "METADATA_PIECE",
    "MetadataMessage",
    "MetadataPiece",
    "MetadataReject",
    "MetadataRequest",
    "read_metadata",
]

METADATA_PIECE = 16 << 10  # bytes; the last piece is shorter
MAX_METADATA = 10 << 20  # bytes of an info dictionary; libtorrent believes in 4 MiB when told
_MAX_MESSAGE = 17 << 10  # libtorrent rejects what is longer
_MAX_TOKENS = 50  # values
_MAX_PIECES = MAX_METADATA // METADATA_PIECE


@dataclass(slots=True)
class MetadataRequest:
    """The sender wants this piece."""

    piece: int

    def encode(self) -> bytes:
        return bencode.encode({b"msg_type": 0, b"piece": self.piece})


@dataclass(slots=True)
class MetadataPiece:
    """One piece; `total` is the size of the whole, 0 when it was not said."""

    piece: int
    total: int
    data: bytes

    def encode(self) -> bytes:
        head = {b"msg_type": 1, b"piece": self.piece, b"total_size": self.total}
        return bencode.encode(head) + self.data


@dataclass(slots=True)
class MetadataReject:
    """The sender will not give this piece: it has none, or was asked too much."""

    piece: int

    def encode(self) -> bytes:
        return bencode.encode({b"msg_type": 2, b"piece": self.piece})


MetadataMessage = MetadataRequest | MetadataPiece | MetadataReject


def read_metadata(payload: bytes) -> MetadataMessage | None:
    """What a peer sent; None for a kind that came after BEP 9, which asks to ignore it.

    Raises RemoteProtocolError.
    """
    head, end = read_body("ut_metadata", payload, most=_MAX_MESSAGE, tokens=_MAX_TOKENS)
    kind, piece = _number(head.get(b"msg_type")), _number(head.get(b"piece"))
    if kind > 2:
        return None
    if piece >= _MAX_PIECES:
        raise RemoteProtocolError(f"ut_metadata: piece {piece}")
    if kind != 1:
        return MetadataReject(piece) if kind else MetadataRequest(piece)
    total = _number(head.get(b"total_size", 0))
    data = payload[end:]
    if total > MAX_METADATA or not 0 < len(data) <= METADATA_PIECE:
        raise RemoteProtocolError(f"ut_metadata: {len(data)} bytes of {total}")
    return MetadataPiece(piece, total, data)


def _number(value: object) -> int:
    if not isinstance(value, int) or value < 0:
        raise RemoteProtocolError("ut_metadata: a number is missing or odd")
    return value
