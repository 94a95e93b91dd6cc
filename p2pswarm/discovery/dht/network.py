"""What a node has in one of the two networks: its id there, the nodes it knows, what others see of it.

Sans-IO.
"""

from random import Random

from p2pswarm.discovery.dht.ids import Votes, is_secure, random_id, secure_id
from p2pswarm.discovery.dht.routing import Table
from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import zone_of
from p2pswarm.wire.krpc import Contact, Family, NodeId, family_of

__all__ = ["Network", "near_enough"]

_NEVER = float("-inf")


class Network:
    """BEP 32: nothing is shared between the two."""

    REFRESHED = 600.0  # seconds between lookups of our own id, as libtorrent
    LONELY, SOONER = (
        16,
        60.0,
    )  # with fewer nodes, sooner: whom we asked may have been as new as we are

    def __init__(self, family: Family, own: NodeId | None, dice: Random) -> None:
        self.family = family
        self.table = Table(own or random_id(dice))
        self._votes = Votes()
        self._dice = dice
        self._refreshed = _NEVER

    @property
    def id(self) -> NodeId:
        return self.table.own

    @property
    def external(self) -> str | None:
        """Our address, as most others see it."""
        return self._votes.winner

    def answered(self, contact: Contact, external: Address | None, now: float) -> None:
        """A node answered, and said how it sees us."""
        self.table.answered(contact, now)
        if external is None or external.ip is None or family_of(external) is not self.family:
            return
        self._votes.cast(contact.address, external.host)
        winner = self._votes.winner
        if winner is not None and not is_secure(self.id, winner):
            self.table = self.table.moved(secure_id(winner, self._dice))
            self._refreshed = _NEVER

    def to_look_for(self, now: float) -> NodeId | None:
        """The target of a lookup that is due for the table's sake; it counts as done."""
        lonely = self.table.proven() < self.LONELY
        if now - self._refreshed >= (self.SOONER if lonely else self.REFRESHED):
            self._refreshed = now
            return self.id
        return self.table.stale(now, self._dice)


def near_enough(named: Address, namer: Address) -> bool:
    """Whether to believe it: nobody names an address that is nearer to us than itself."""
    return zone_of(named.host) <= zone_of(namer.host)
