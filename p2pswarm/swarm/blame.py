"""Who sent the bad block? Found without punishing the innocent.

A piece with a bad hash from one sender alone is that sender's fault. With several, each block's digest and
sender are kept, the piece is fetched again by one peer alone, and when it is good at last, whoever had sent
a block that differs from the good one is to blame. libtorrent calls this smart ban.
"""

from collections.abc import Hashable, Sequence

from p2pswarm.formats.ids import PieceIndex

__all__ = ["Blame"]

# Pieces under suspicion at a time; beyond it the oldest is forgotten, so that poison costs no memory.
MOST = 256


class Blame:
    """Keeps the digests of bad pieces until the good one is known."""

    def __init__(self) -> None:
        self._bad: dict[PieceIndex, list[tuple[Hashable, bytes, int]]] = {}

    def suspects(self, piece: PieceIndex) -> bool:
        """Whether digests of the good piece would tell something."""
        return piece in self._bad

    def failed(
        self, piece: PieceIndex, senders: Sequence[Hashable], digests: Sequence[bytes]
    ) -> set[Hashable]:
        """The piece was bad. Returns whom this proves guilty: the only sender, or nobody yet."""
        known = set(senders) - {None}  # nobody sends a pad
        if len(known) == 1:
            return known
        seen = self._bad.setdefault(piece, [])
        seen += zip(senders, digests, range(len(digests)), strict=True)
        while len(self._bad) > MOST:
            del self._bad[next(iter(self._bad))]
        return set()

    def good(self, piece: PieceIndex, digests: Sequence[bytes]) -> set[Hashable]:
        """The piece is good now. Returns everybody who had sent something else for one of its blocks."""
        return {who for who, digest, n in self._bad.pop(piece, []) if digests[n] != digest}
