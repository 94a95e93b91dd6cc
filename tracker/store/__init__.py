"""Who is in which swarm: the door behind which a store keeps it, and the values that pass through.

One verb per act of a tracker, so that one announce is one round trip wherever the peers are kept. Times
are seconds on a monotonic clock that the caller reads. A store never refuses: a peer that it has no room
for is served like any other and only not listed. The contract is `tests/tracker/test_store.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from p2pswarm.formats.ids import InfoHash
from p2pswarm.wire.tracker import Counts, Event

__all__ = ["Limits", "PeerStore", "Swarm", "SwarmPeer", "Totals"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is remembered at most: a tracker's memory must not depend on how many strangers knock."""

    swarms: int = 1_000_000
    peers: int = 2_000_000
    peers_per_swarm: int = 10_000
    per_host: int = 20_000
    """Entries of one public address (IPv6: one /64). Private ones are exempt: many hide behind a proxy."""


@dataclass(slots=True)
class SwarmPeer:
    """A peer is where it listens: `address` is compact, 6 or 18 bytes (BEP 23, BEP 7)."""

    address: bytes
    peer_id: bytes
    seed: bool


@dataclass(slots=True)
class Swarm:
    """What an announce yields: the swarm's size, others in it, and whether the asker is among them now."""

    counts: Counts
    peers: Sequence[SwarmPeer]
    listed: bool


class Totals(NamedTuple):
    """All swarms together."""

    swarms: int
    peers: int
    seeds: int


class PeerStore(Protocol):
    """Where swarms are kept."""

    async def announce(
        self, swarm: InfoHash, peer: SwarmPeer, event: Event, want: int, now: float
    ) -> Swarm:
        """Note that `peer` is there (`stopped`: is not any more) and pick at most `want` others at random.

        A seed is given seeds only where nobody downloads, and few; nobody is given itself. A peer's
        `completed` counts once.
        """

    async def scrape(self, swarms: Sequence[InfoHash]) -> list[Counts]:
        """The size of each swarm, zeros where there is none."""

    async def expire(self, before: float) -> int:
        """Forget who was last heard of before that second; how many. Costs as much as it forgets."""

    async def totals(self) -> Totals: ...

    async def aclose(self) -> None: ...
