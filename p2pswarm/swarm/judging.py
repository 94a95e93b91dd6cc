"""Who gets the credit for good pieces of one torrent, and who is sent away for bad ones.

`Blame` finds out who sent a bad block, where it can be found out; here that has its consequences. The one
hard thing: another bad piece of the same sender may be on its way to the disk, and it is banned once.
"""

import logging
from typing import Any
from weakref import WeakSet

from p2pswarm.disk.pool import Stored
from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.ids import PieceIndex
from p2pswarm.swarm.addresses import AddressBook
from p2pswarm.swarm.blame import Blame
from p2pswarm.swarm.events import Broadcast, PeerBanned, PieceDone, PieceFailed
from p2pswarm.swarm.peer import Peer
from p2pswarm.swarm.picker import OpenPiece, PiecePicker
from p2pswarm.swarm.ranges import RangeSource
from p2pswarm.swarm.traffic import Traffic

__all__ = ["Judging"]

log = logging.getLogger(__name__)


class Judging:
    """One torrent's. Senders are peers and hosts of other networks."""

    __slots__ = ("_banned", "_blame", "_book", "_events", "_name", "_picker", "_traffic")

    def __init__(
        self, name: str, picker: PiecePicker, book: AddressBook, traffic: Traffic, events: Broadcast
    ) -> None:
        self._name = name
        self._picker = picker
        self._book = book
        self._traffic = traffic
        self._events = events
        self._blame = Blame()
        self._banned: WeakSet[Any] = WeakSet()

    def suspects(self, piece: PieceIndex) -> bool:
        """Whether it was bad before, so that the digests of its blocks tell who was to blame."""
        return self._blame.suspects(piece)

    def good(self, piece: OpenPiece, result: Stored) -> None:
        """It is ours: so much for its senders, and against those who sent something else of it before."""
        self._picker.had(piece.index)
        digests = piece.leaves or result.digests
        if digests is not None:
            self.ban(self._blame.good(piece.index, digests))
        for sender in piece.senders:
            if isinstance(sender, Peer):
                sender.gave += 1
            elif isinstance(sender, RangeSource):
                sender.proved = True
        self._events.tell(PieceDone(piece.index))

    def bad(self, piece: OpenPiece, result: Stored) -> None:
        """All of it is fetched again, and by whom tells who was to blame."""
        digests = piece.leaves or result.digests
        assert digests is not None
        self._traffic.hash_failures += 1
        self._traffic.wasted += self._picker.geometry.piece_size(piece.index)
        guilty = self._blame.failed(piece.index, piece.senders, digests)
        self._picker.failed(piece.index, suspect=True)
        self._events.tell(PieceFailed(piece.index))
        log.info("%s: piece %d has a wrong hash", self._name, piece.index)
        self.ban(guilty)

    def blocks_bad(self, piece: OpenPiece, guilty: set[Any], wasted: int) -> None:
        """Some blocks of it are; the others stay."""
        self._traffic.hash_failures += 1
        self._traffic.wasted += wasted
        self._events.tell(PieceFailed(piece.index))
        log.info("%s: %d bytes of piece %d are bad", self._name, wasted, piece.index)
        self.ban(guilty)

    def ban(self, guilty: set[Any]) -> None:
        for peer in guilty:
            if peer in self._banned:
                continue
            self._banned.add(peer)
            if isinstance(peer, Peer):
                self._book.ban(peer.address, peer.name.peer_id)
            self._events.tell(PeerBanned(peer.address))
            log.warning("%s: %s sent bad data, banned", self._name, peer.address)
            peer.close(RemoteProtocolError("sent bad data"))
