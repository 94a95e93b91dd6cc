"""Which super nodes we know and may dial: named by the user, by the operator, or kept in the host cache.

The one hard thing: what strangers told is dialed within the network's budget, while who has answered us
lately must be there at once when a parent dies, however short ago we dialed it. So those few are remembered
here, beside the cache with its pauses. Sans-IO.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from random import Random

from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone
from p2pswarm.overlay.budget import DialBudget
from p2pswarm.overlay.hosts.hosts import Hosts
from p2pswarm.overlay.remembering import remember
from p2pswarm.overlay.supernode.options import Options

__all__ = ["Known"]

MOST_LIVE = 200  # who answered lately, which is as many as one list of hosts holds
MOST_LOST = 20  # who did so and then failed; they come after all others
MOST_OURS = 10  # addresses under which we met ourselves


class Known:
    """`candidates` to ping or dial, `may_dial` before each dial, and then what became of it.

    `wall` is the world's clock, which the host cache outlives the process with.
    """

    def __init__(
        self,
        hosts: Hosts,
        budget: DialBudget,
        options: Options,
        dice: Random,
        wall: Callable[[], float],
    ) -> None:
        self.hosts = hosts
        self._budget, self._options = budget, options
        self._pings = DialBudget()
        self._dice, self._wall = dice, wall
        self._named = [address.normal for address in options.connect]
        self._listed = [address.normal for address in options.supernodes]
        # Who answered us last, newest last; and who then did not: or was it our line?
        self._live: OrderedDict[Address, None] = OrderedDict()
        self._lost: OrderedDict[Address, None] = OrderedDict()
        self._ours: OrderedDict[Address, None] = OrderedDict()

    def candidates(self, n: int, busy: Iterable[Address] = ()) -> list[Address]:
        """At most `n` that could be dialed: who answered lately, who is named and who is told, by turns."""
        left_out = {address.normal for address in busy} | self._ours.keys()
        if self._listed:
            rows = [self._shuffled(self._listed)]
        else:
            others = left_out | self._live.keys() | set(self._named)
            told = self.hosts.candidates(self._wall(), self._dice, n, busy=others)
            rows = [self._shuffled(self._live), self._shuffled(self._named), told]
        chosen: dict[Address, None] = {}
        for place in range(max(map(len, rows), default=0)):
            chosen.update(dict.fromkeys(row[place] for row in rows if place < len(row)))
        chosen.update(dict.fromkeys(self._shuffled(self._lost)))
        return [address for address in chosen if address not in left_out][:n]

    def believes(self, address: Address) -> bool:
        """Whether a super node may be there at all: where the operator lists them, no others are."""
        return not self._listed or address.normal in self._listed

    def may_dial(self, address: Address, now: float) -> bool:
        """Whether it may be dialed now; it then counts as dialed."""
        address = address.normal
        if address in self._ours or (self._listed and address not in self._listed):
            return False
        trusted = address in self._listed or address in self._named
        # The cache believed nobody who is farther away than what he told, so the zone is settled.
        if not trusted and not self._budget.may_dial(address, Zone.THIS_MACHINE, now):
            return False
        self.hosts.dialed(address, self._wall())
        return True

    def may_ping(self, address: Address, now: float) -> bool:
        """Whether it may be asked by UDP; strangers as rarely as they are dialed."""
        address = address.normal
        met = address in self._live or address in self._lost or self.hosts.proven(address)
        if met or address in self._listed or address in self._named:
            return True
        return self._pings.may_dial(address, Zone.THIS_MACHINE, now)

    def answered(self, address: Address) -> None:
        """We dialed it or pinged it, and a super node is there, whatever it said."""
        address = address.normal
        self._budget.answered(address)
        self.hosts.connected(address, self._wall(), hub=True)
        self._lost.pop(address, None)
        remember(self._live, address, None, MOST_LIVE)

    def ordinary(self, address: Address) -> None:
        """A node of ours is there, but no super node."""
        self._budget.answered(address)
        self.hosts.connected(address, self._wall(), hub=False)
        self.failed(address)

    def failed(self, address: Address) -> None:
        """We dialed it, and it did not answer."""
        if address.normal in self._live:
            del self._live[address.normal]
            remember(self._lost, address.normal, None, MOST_LOST)

    def ourselves(self, address: Address) -> None:
        """That was us."""
        self.hosts.forget(address)
        self._live.pop(address.normal, None)
        remember(self._ours, address.normal, None, MOST_OURS)

    def lately(self) -> list[Address]:
        """Who answered us last, the newest first."""
        return list(reversed(self._live))

    def told(self, address: Address, teller: str, zone: Zone) -> None:
        """`teller`, a host in `zone`, says that a super node is there."""
        if not self._listed:
            self.hosts.tell(address, teller, self._wall(), zone=zone, hub=True)

    @property
    def nobody(self) -> bool:
        """Whether we know no other node at all, so that ours may be the first of the network."""
        told = self._named or self._listed or self._live or self._lost
        return not len(self.hosts) and not set(told) - self._ours.keys()

    def _shuffled(self, addresses: Collection[Address]) -> list[Address]:
        return self._dice.sample(list(addresses), len(addresses))
