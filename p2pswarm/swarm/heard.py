"""What a peer said before anybody knew how many pieces there are, kept to be said again.

A magnet's peers do not wait for its metadata: they tell what they have, unchoke us, offer fast pieces. None
of it can be checked yet, and all of it counts as soon as there is a torrent, on the same connection. What is
kept is what it comes to, not every message: at most 64 KiB of a peer, for an info dictionary of 10 MiB has no
room for the hashes of more pieces; of version 2, whose hashes are elsewhere, four times that. Sans-IO.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.ids import PieceIndex
from p2pswarm.wire.extension.metadata import MAX_METADATA
from p2pswarm.wire.peer import (
    AllowedFast,
    BitfieldMessage,
    Choke,
    Extended,
    HaveAll,
    HaveNone,
    Haves,
    Interested,
    NotInterested,
    PortMessage,
    Requests,
    Unchoke,
)

if TYPE_CHECKING:
    from p2pswarm.wire.extension.handshake import ExtendedHandshake

__all__ = ["MOST_PIECES", "Heard"]

MOST_PIECES = MAX_METADATA // 20  # a SHA-1 of each is in the info; not so in version 2 alone
MOST_FAST = 100  # as much as a torrent's peer remembers


class Heard:
    """One peer's words. `hello` is all its extended handshakes together."""

    def __init__(self, most: int = MOST_PIECES) -> None:
        self._most = most  # pieces
        self.hello: ExtendedHandshake | None = None
        self.has_any = False  # whether it has pieces, as it says
        self.interested = False  # whether we told it that we are
        self._have = bytearray()  # as in a bitfield, as long as what was said needs
        self._simple: HaveAll | HaveNone | None = None  # said last, instead of a bitfield
        self._choke: Choke | Unchoke = Choke()
        self._interest: Interested | NotInterested = NotInterested()
        self._fast: set[PieceIndex] = set()
        self._port: PortMessage | None = None

    def got(self, message: object) -> None:
        """Raises RemoteProtocolError for what no peer may say to one that has nothing."""
        match message:
            case BitfieldMessage():
                self._check(8 * len(message.data) - 7)
                self._have, self._simple = bytearray(message.data), None
                self.has_any = any(message.data)
            case HaveAll() | HaveNone():
                self._have, self._simple = bytearray(), message
                self.has_any = isinstance(message, HaveAll)
            case Haves():
                self._add(message.pieces)
            case Choke() | Unchoke():
                self._choke = message
            case Interested() | NotInterested():
                self._interest = message
            case AllowedFast() if len(self._fast) < MOST_FAST:
                self._fast.add(message.piece)
            case PortMessage():
                self._port = message
            case Requests():
                raise RemoteProtocolError("a request to one that has nothing")
            case _:
                pass

    def _add(self, pieces: list[PieceIndex]) -> None:
        self._check(max(pieces))
        self._have.extend(bytes(max(0, max(pieces) // 8 + 1 - len(self._have))))
        self.has_any = True
        for piece in pieces:
            self._have[piece // 8] |= 0x80 >> piece % 8

    def _check(self, piece: int) -> None:
        if piece >= self._most:
            raise RemoteProtocolError(f"piece {piece} of a torrent that has not so many")

    def again(self, pieces: int) -> Iterator[object]:
        """The messages, for a torrent of so many pieces, whose peer checks them as if said now."""
        if self.hello is not None:
            yield Extended(0, self.hello.encode())
        if self._simple is not None:
            yield self._simple
        if self._have and isinstance(self._simple, HaveAll):
            yield Haves(_pieces(self._have))
        elif self._have:
            yield BitfieldMessage(bytes(self._have).ljust(-(-pieces // 8), b"\0"))
        yield from map(AllowedFast, sorted(self._fast))
        yield self._interest
        yield self._choke
        if self._port is not None:
            yield self._port


def _pieces(have: bytearray) -> list[PieceIndex]:
    return [PieceIndex(n) for n in range(8 * len(have)) if have[n // 8] & 0x80 >> n % 8]
