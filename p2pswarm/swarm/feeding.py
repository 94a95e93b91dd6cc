"""Memory and pieces that became free, handed to those who can use them; one torrent's.

The one hard thing: memory belongs to all torrents of a node. So when it is short, who uses it asks first, and
a started piece that nobody here goes on with gives up what it holds.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.ids import PieceIndex
from p2pswarm.swarm.blocks import Blocks, BufferPool
from p2pswarm.swarm.peer import Peer
from p2pswarm.swarm.picker import PiecePicker
from p2pswarm.swarm.ranges import RangeSource

__all__ = ["Feeding"]


class Feeding:
    """Peers ask by themselves after every block; here they are told that there is more to ask for."""

    __slots__ = (
        "_blocks",
        "_coming",
        "_loop",
        "_peers",
        "_picker",
        "_pool",
        "_refusals",
        "_sources",
    )

    def __init__(
        self,
        picker: PiecePicker,
        blocks: Blocks,
        pool: BufferPool,
        peers: Mapping[Any, Peer],
        sources: Sequence[RangeSource],
    ) -> None:
        self._picker = picker
        self._blocks = blocks
        self._pool = pool
        self._peers = peers
        self._sources = sources
        self._coming = False
        self._refusals = 0  # of the pool, as of the last look
        self._loop = asyncio.get_running_loop()

    def soon(self) -> None:
        """Let those ask who got less than they could carry."""
        if not self._coming:
            self._coming = True
            self._loop.call_soon(self.now)

    def now(self) -> None:
        self._coming = False
        downloads = [peer.download for peer in self._peers.values()]
        waiting = [each for each in downloads if each.hungry or not each.asked]
        waiting.sort(key=lambda download: download.stalls)  # memory goes to those who use it
        for download in waiting:
            download.ask()
        for source in self._sources:
            source.go_on()

    def ranges_at(self) -> set[PieceIndex]:
        """Where the bytes come in a row."""
        return {source.at for source in self._sources if source.at is not None}

    def give_up_stranded(self) -> None:
        """When memory is short, a started piece that nobody here goes on with must not hold it for ever."""
        refusals, self._refusals = self._refusals, self._pool.refusals
        if refusals == self._refusals:
            return
        coming = Bitfield(self._picker.pieces)
        for peer in self._peers.values():
            if not peer.peer_choking and not peer.download.stalled:
                coming |= peer.have
        for at in self.ranges_at():
            coming[at] = 1
        piece = self._picker.stranded(coming)
        if piece is not None:
            self.begin_anew(piece)

    def begin_anew(self, piece: PieceIndex) -> None:
        """What has landed of it is worth nothing, or its memory is worth more."""
        self._picker.failed(piece, suspect=False)
        self.drop([piece])
        self.soon()

    def drop(self, pieces: Sequence[PieceIndex]) -> None:
        """These are not fetched any more."""
        for piece in pieces:
            self._blocks.drop(piece)
            for peer in self._peers.values():
                peer.download.give_up(piece)
            for source in self._sources:
                source.give_up(piece)
