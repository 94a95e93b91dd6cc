"""Who announced itself to us: peers by info-hash and network, for half an hour, so many and no more.

When there are too many info-hashes, the smallest swarm goes: a flood of names with one peer each pushes out
its own. Sans-IO.
"""

from collections import OrderedDict
from collections.abc import Iterator
from random import Random

from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.wire.krpc import Family, family_of

__all__ = ["PeerStore"]

_Swarm = OrderedDict[
    Address, tuple[float, bool]
]  # oldest first: until when, and whether it is a seed


class PeerStore:
    """The figures are libtorrent's."""

    SWARMS, PEERS = 2000, 500
    LIFE = 1800.0  # seconds; peers announce again every 15 minutes

    def __init__(self) -> None:
        self._swarms: dict[tuple[Family, InfoHash], _Swarm] = {}
        self._sweeps = 0.0  # when the next one is due

    def __len__(self) -> int:
        return len(self._swarms)

    def add(self, info_hash: InfoHash, peer: Address, now: float, *, seed: bool) -> None:
        key = family_of(peer), info_hash
        swarm = self._swarms.get(key)
        if swarm is None:
            self._make_room(now)
            swarm = self._swarms[key] = OrderedDict()
        swarm[peer] = now + self.LIFE, seed
        swarm.move_to_end(peer)
        if len(swarm) > self.PEERS:
            swarm.popitem(last=False)

    def peers(
        self,
        info_hash: InfoHash,
        family: Family,
        now: float,
        dice: Random,
        most: int,
        *,
        noseed: bool = False,
    ) -> list[Address]:
        """Any `most` of them; without seeds for one that is a seed itself (BEP 33)."""
        found = [
            peer for peer, seed in self.members(info_hash, family, now) if not (noseed and seed)
        ]
        return dice.sample(found, min(len(found), most))

    def members(
        self, info_hash: InfoHash, family: Family, now: float
    ) -> Iterator[tuple[Address, bool]]:
        """All of them, and whether each is a seed."""
        swarm = self._swarms.get((family, info_hash), OrderedDict())
        return ((peer, seed) for peer, (until, seed) in swarm.items() if until > now)

    def info_hashes(self, family: Family, now: float) -> list[InfoHash]:
        """Those that have peers (BEP 51)."""
        self._sweep(now)
        return [info_hash for each, info_hash in self._swarms if each is family]

    def sweep(self, now: float) -> None:
        """Once in a while; what is over goes."""
        if now >= self._sweeps:
            self._sweep(now)
            self._sweeps = now + 60.0

    def _sweep(self, now: float) -> None:
        for key, swarm in list(self._swarms.items()):
            while swarm and next(iter(swarm.values()))[0] <= now:
                swarm.popitem(last=False)
            if not swarm:
                del self._swarms[key]

    def _make_room(self, now: float) -> None:
        self.sweep(now)
        while len(self._swarms) >= self.SWARMS:
            del self._swarms[min(self._swarms, key=lambda key: len(self._swarms[key]))]
