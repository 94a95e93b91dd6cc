"""Peer exchange (BEP 11): what we tell one peer of the others, and what we believe of what it tells us.

Told is the difference to what was told before: once a minute at most, fifty addresses each way, more in the
first message, and only of peers that we are connected to. Whoever tells us too often or too much breaks the
protocol; of one peer no more than fifty addresses are believed at a time, and in a minute, whatever it takes
back: nobody has us dial all the world. Sans-IO.
"""

from collections.abc import Mapping

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import zone_of
from p2pswarm.wire.extension.pex import Pex, PexFlag

__all__ = ["PexListener", "PexTeller"]

EVERY = 60.0  # seconds between two messages to the same peer
MOST_AT_FIRST = 200
MOST_LATER = 50  # added, and as many dropped
LOOK_EVERY = 5.0  # seconds between looks whether there is something to tell

MOST_HEARD = 6  # messages in a minute; with the seventh libtorrent drops a peer
MOST_KEPT = 50  # addresses of one peer; libtorrent's number
MOST_NEW = 50  # in a minute, of one peer: what BEP 11 lets it add


class PexTeller:
    """What one peer was told. It never hears of itself, nor, from elsewhere, of our local network."""

    def __init__(self, peer: Address) -> None:
        self._peer = peer.normal
        self._zone = zone_of(peer.host)
        self._told: frozenset[Address] = frozenset()
        self._next = float("-inf")
        self._most = MOST_AT_FIRST

    def is_due(self, now: float) -> bool:
        """Whether it is worth while to look whom we are connected to."""
        return now >= self._next

    def news(self, now: float, connected: Mapping[Address, PexFlag]) -> Pex | None:
        """What to tell it now; None when it knows all of it."""
        fit = {address for address in connected if self._may_know(address)}
        dropped = sorted(self._told - fit)[:MOST_LATER]
        added = sorted(fit - self._told)[: self._most]
        if not added and not dropped:
            self._next = now + LOOK_EVERY
            return None
        self._told = (self._told | frozenset(added)) - frozenset(dropped)
        self._next, self._most = now + EVERY, MOST_LATER
        return Pex([(address, connected[address]) for address in added], dropped)

    def _may_know(self, address: Address) -> bool:
        itself = address == self._peer or not address.dialable
        return not itself and zone_of(address.host) <= self._zone


class PexListener:
    """What one peer told us and has not taken back."""

    def __init__(self, peer: Address) -> None:
        self._zone = zone_of(peer.host)
        self._times: tuple[float, ...] = ()  # of its last messages
        self._kept: dict[Address, PexFlag] = {}
        self._minute, self._new_in_it = float("-inf"), 0

    def heard(self, pex: Pex, now: float) -> list[tuple[Address, PexFlag]]:
        """Whom we did not know of from this peer. Raises RemoteProtocolError when it tells too often."""
        if len(self._times) == MOST_HEARD and now - self._times[0] < EVERY:
            raise RemoteProtocolError(f"more than {MOST_HEARD} ut_pex messages in a minute")
        self._times = (*self._times, now)[-MOST_HEARD:]
        if now - self._minute >= EVERY:
            self._minute, self._new_in_it = now, 0
        for address in pex.dropped:
            self._kept.pop(address, None)
        return self._new(pex)

    def _new(self, pex: Pex) -> list[tuple[Address, PexFlag]]:
        new = []
        for address, flags in pex.added:
            if len(self._kept) >= MOST_KEPT or self._new_in_it >= MOST_NEW:
                break
            if address not in self._kept and zone_of(address.host) <= self._zone:
                self._kept[address] = flags
                self._new_in_it += 1
                new.append((address, flags))
        return new

    def flags(self, address: Address) -> PexFlag | None:
        """What it said of this one; None when it does not know it."""
        return self._kept.get(address)
