"""Which info-hashes a node names to those who survey the DHT (BEP 51).

A node that has more than fit into a reply names some, drawn by dice, and the same ones for as long as it
says: a survey gains nothing by asking it again and again.
"""

from collections.abc import Collection
from random import Random

from p2pswarm.formats.ids import InfoHash

__all__ = ["INTERVAL", "MOST", "Samples"]

MOST = 20  # info-hashes in a reply, as libtorrent sends; nodes of both families fit beside them
INTERVAL = 21_600  # seconds; the longest that BEP 51 allows, and libtorrent's


class Samples:
    """One draw for all who ask, whoever they are."""

    def __init__(self, dice: Random) -> None:
        self._dice = dice
        self._drawn: tuple[InfoHash, ...] = ()
        self._again_at = 0.0

    def draw(self, known: Collection[InfoHash], now: float) -> tuple[InfoHash, ...]:
        """Up to MOST of those that the node has peers for."""
        if len(known) <= MOST:
            return tuple(known)
        if now >= self._again_at or len(self._drawn) < MOST:
            self._drawn = tuple(self._dice.sample(list(known), MOST))
            self._again_at = now + INTERVAL
        return self._drawn

    def wait(self, now: float) -> int:
        """Seconds until other ones may be named."""
        return INTERVAL if now >= self._again_at else round(self._again_at - now)
