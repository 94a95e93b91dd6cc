"""The peer protocol read message by message: blocks and requests one by one, in the order of the wire.

The product's framer is made for many at a time: blocks become no messages, requests and haves one for a row.
Tests that ask what was said, and in which order, read with this one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from p2pswarm.formats.ids import PieceIndex
from p2pswarm.wire.framer import Scratch
from p2pswarm.wire.peer import (
    HEAD,
    MAX_MESSAGE,
    Have,
    Haves,
    PeerFramer,
    Request,
    Requests,
    put_piece_head,
)

__all__ = ["Piece", "SingleFramer", "piece_head"]


@dataclass(slots=True)
class Piece:
    """A block that was read."""

    piece: PieceIndex
    begin: int
    data: bytes


def piece_head(piece: int, begin: int, length: int) -> bytes:
    """What stands before a block on the wire."""
    head = bytearray(HEAD)
    put_piece_head(memoryview(head), 0, piece, begin, length)
    return bytes(head)


class SingleFramer:
    """A `PeerFramer` around which everything is a message of its own."""

    def __init__(self, scratch: Scratch | None = None, most: int = MAX_MESSAGE) -> None:
        self._framer = PeerFramer(self._land, scratch, most)
        self._landed: list[Piece] = []

    def get_buffer(self, hint: int = -1) -> memoryview:
        return self._framer.get_buffer(hint)

    def received(self, n: int) -> Iterator[object]:
        for message in self._framer.received(n):
            yield from self._take_landed()
            if isinstance(message, Requests):
                yield from (Request(*block) for block in message.blocks)
            elif isinstance(message, Haves):
                yield from map(Have, message.pieces)
            else:
                yield message
        yield from self._take_landed()

    def unread(self) -> bytes:
        return self._framer.unread()

    def _land(self, piece: PieceIndex, begin: int, blocks: list[memoryview]) -> None:
        for data in blocks:
            self._landed.append(Piece(piece, begin, bytes(data)))
            begin += len(data)

    def _take_landed(self) -> list[Piece]:
        landed, self._landed = self._landed, []
        return landed
