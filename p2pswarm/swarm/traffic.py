"""What came and went for one torrent in this session, those who left included, and what was for nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

from p2pswarm.net.rate import Meter
from p2pswarm.swarm.peer import Peer
from p2pswarm.swarm.ranges import RangeSource

__all__ = ["Traffic"]


class Traffic:
    """Bytes of blocks. Those who are here count for themselves, so a block costs nothing here."""

    __slots__ = (
        "_departed_down",
        "_departed_up",
        "_peers",
        "_sources",
        "down",
        "hash_failures",
        "up",
        "wasted",
    )

    def __init__(self, peers: Mapping[Any, Peer], sources: Sequence[RangeSource]) -> None:
        self._peers = peers
        self._sources = sources
        self._departed_down = self._departed_up = 0
        self.down, self.up = Meter(5.0), Meter(5.0)
        self.wasted = 0
        self.hash_failures = 0

    @property
    def downloaded(self) -> int:
        peers = sum(peer.downloaded for peer in self._peers.values())
        return self._departed_down + peers + sum(source.down.total for source in self._sources)

    @property
    def uploaded(self) -> int:
        return self._departed_up + sum(peer.uploaded for peer in self._peers.values())

    @property
    def flows(self) -> bool:
        """Whether something came or went lately."""
        return bool(self.down.rate or self.up.rate)

    def gone(self, peer: Peer) -> None:
        """It is not among the peers any more."""
        self._departed_down += peer.downloaded
        self._departed_up += peer.uploaded

    def measure(self, now: float) -> None:
        """Once a second."""
        self.down.total = self.downloaded
        self.up.total = self.uploaded
        self.down.tick(now)
        self.up.tick(now)
