"""Whom we would rather be connected to when there is no place for all (BEP 40).

Everybody in a swarm ranks a connection alike, by the addresses of its ends; so we have to know ours, as it is
seen from outside: peers tell it, and one alone is not believed. Until then all rank alike, and whoever came
first stays. Somebody near, who costs no line to the world, is above everybody far.
"""

from ipaddress import ip_address

from p2pswarm.discovery.dht.ids import Votes
from p2pswarm.formats.ids import Address
from p2pswarm.formats.priority import priority
from p2pswarm.formats.zones import Zone, zone_of

__all__ = ["NEAR", "UNKNOWN", "Ranking"]

NEAR = 1 << 32  # above any checksum
UNKNOWN = 0


class Ranking:
    """One of a node."""

    def __init__(self) -> None:
        self.votes = {4: Votes(), 6: Votes()}

    def seen_as(self, voter: Address, ip: bytes) -> None:
        """A peer says under which address it sees us. Whoever is near sees us as nobody else does."""
        ours = ip_address(ip)
        if zone_of(voter.host) is Zone.INTERNET and ours.is_global:
            self.votes[ours.version].cast(voter, str(ours))

    def of(self, peer: Address) -> int:
        """How much a connection to this one matters; more is more."""
        if peer.ip is None:
            return UNKNOWN
        if zone_of(peer.host) is not Zone.INTERNET:
            return NEAR
        ours = self.ours(peer)
        return UNKNOWN if ours is None else priority(Address(ours, 0), Address(peer.host, 0))

    def ours(self, peer: Address) -> str | None:
        """Our address as those see it who are of the same family as this one; None when nobody knows."""
        return None if peer.ip is None else self.votes[peer.ip.version].winner
