"""Pieces that a peer refuses though it has them and does not choke us: its disk fails, or it plays with us.

The one hard thing: a refused block is free again, and the same peer would be the next to be asked for it. So
its piece rests, and who refuses very much is asked again a second later.
"""

from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.ids import PieceIndex

__all__ = ["Refusals"]

REST = 10.0  # seconds in which this peer is not asked for a piece
MOST_A_SECOND = 32


class Refusals:
    """One peer's."""

    __slots__ = ("_count", "_rests_until")

    def __init__(self) -> None:
        self._rests_until: dict[PieceIndex, float] = {}
        self._count = 0  # in this second

    @property
    def too_many(self) -> bool:
        """It is not to be asked before the next tick."""
        return self._count >= MOST_A_SECOND

    def add(self, piece: PieceIndex, now: float) -> None:
        self._rests_until[piece] = now + REST
        self._count += 1

    def tick(self, now: float) -> None:
        """Once a second."""
        self._count = 0
        if self._rests_until:
            rests = self._rests_until.items()
            self._rests_until = {piece: until for piece, until in rests if until > now}

    def forget(self) -> None:
        """It unchokes us: what it refused because it was about to choke us may be asked for."""
        self._rests_until.clear()

    def without(self, have: Bitfield) -> Bitfield:
        """Those of its pieces that do not rest."""
        if not self._rests_until:
            return have
        left = have.copy()
        for piece in self._rests_until:
            left[piece] = False
        return left
