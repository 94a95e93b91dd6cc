"""The host cache of a network: whom we could dial to get into it, this time and the next.

Anybody can put addresses into it (X-Try lists, pongs), so nobody can fill it: what one teller told is a
tenth at most and replaces only its own, and who was once connected is not pushed out by hearsay. An address
that never completed a handshake is dialed at most once in ten minutes; since an address can be pushed out
and told again, whoever dials asks the network's `DialBudget` as well. Nothing here ages out: after a week
offline old addresses are all there is. Times are seconds since 1970, as the cache outlives the process.
Sans-IO: `dump` and `load` are bytes.
"""

import logging
from collections import OrderedDict
from collections.abc import Iterable
from random import Random

from typing_extensions import override

from p2pswarm.errors import FormatError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone, zone_of
from p2pswarm.overlay.hosts.host import Host, read_hosts, write_hosts

__all__ = ["MOST", "Hosts"]

log = logging.getLogger(__name__)

MOST = 1000
CACHE_EVERY = 600.0  # seconds between questions to a UDP host cache
SAVE_EVERY = 60.0
_PROVEN = ""  # the row of those who were connected; no teller has this name


class Hosts:
    """`tell` what was heard, `candidates` to dial, and what became of it.

    `network` is for the log.
    Invariants: every host is in exactly one row; no row is longer than it may be; at most `most` in all.
    """

    def __init__(self, network: str, most: int = MOST) -> None:
        self.network = network
        self._most, self._most_of_one, self._most_proven = most, most // 10, most // 2
        self._hosts: dict[Address, Host] = {}
        self._row_of: dict[Address, str] = {}
        self._rows: dict[
            str, OrderedDict[Address, None]
        ] = {}  # teller -> its addresses, the oldest first
        self._changed = False
        self._saved = float("-inf")

    def __len__(self) -> int:
        return len(self._hosts)

    def __contains__(self, address: Address) -> bool:
        return address.normal in self._hosts

    def tell(
        self,
        address: Address,
        teller: str,
        now: float,
        *,
        zone: Zone = Zone.INTERNET,
        hub: bool = False,
    ) -> bool:
        """`teller` (its host) in `zone` says that somebody is there; whether that is kept."""
        address = address.normal
        if not address.dialable or zone_of(address.host) > zone:
            return False
        host = self._hosts.get(address)
        if host is None:
            host = Host(address, now)
            self._put(host, teller or "?")
        host.seen = max(host.seen, now)
        host.hub |= hub
        self._changed = True
        return True

    def candidates(
        self, now: float, dice: Random, n: int, *, busy: Iterable[Address] = ()
    ) -> list[Address]:
        """Up to `n` addresses to dial next, the best first; none of `busy` (connected or being dialed).

        Fresh and never failed first, hubs before others, and of each /16 one before the next of any.
        """
        left_out = {address.normal for address in busy}
        may = [
            host
            for host in self._hosts.values()
            if host.address not in left_out and host.may_be_dialed(now)
        ]
        dice.shuffle(may)
        may.sort(key=lambda host: host.order(now))
        return _spread(may, n)

    def udp_caches(self, now: float, dice: Random, n: int) -> list[Address]:
        """Whom to ask for more over UDP; they count as asked."""
        able = [
            host
            for host in self._hosts.values()
            if host.hub and (not host.asked or abs(now - host.asked) >= CACHE_EVERY)
        ]
        dice.shuffle(able)
        able.sort(key=lambda host: host.order(now))
        chosen = _spread(able, n)
        for address in chosen:
            self._hosts[address].asked = now
        return chosen

    def dialed(self, address: Address, now: float) -> None:
        """A dial begins. Until `connected` it counts as failed: we may be stopped before we know."""
        host = self._hosts.get(address.normal)
        if host is not None:
            host.tried, host.failed = now, host.failed + 1
            self._changed = True

    def proven(self, address: Address) -> bool:
        """Whether it ever completed a handshake with us."""
        return self._row_of.get(address.normal) == _PROVEN

    def connected(self, address: Address, now: float, *, hub: bool | None = None) -> None:
        """We dialed it and it greeted us: it is what it was said to be. A refusal (503) is one, too."""
        address = address.normal
        if not address.dialable:
            return
        host = self._hosts.get(address) or Host(address, now)
        host.seen, host.failed, host.proven = now, 0, True
        if hub is not None:
            host.hub = hub
        self._remove(address)
        self._put(host, _PROVEN)
        self._changed = True

    def forget(self, address: Address) -> None:
        """It is not to be dialed: it is us, or no node of this network."""
        if self._remove(address.normal):
            self._changed = True

    def wants_saving(self, now: float) -> bool:
        """Whether `dump` is worth writing: there is news, and the last one is a minute old."""
        return self._changed and not 0 <= now - self._saved < SAVE_EVERY

    def dump(self, now: float) -> bytes:
        """For a file. The owner writes it whole or not at all."""
        self._changed, self._saved = False, now
        return write_hosts((host, self._row_of[host.address]) for host in self._hosts.values())

    def load(self, data: bytes) -> None:
        """What `dump` gave. A damaged or hostile file counts as none, with a line in the log."""
        try:
            read = read_hosts(data)
        except FormatError as error:
            log.warning("%s: what was remembered of hosts starts empty: %s", self.network, error)
            return
        for host, teller in read:
            if host.proven and not host.failed:
                host.tried = 0.0  # the pause was another session's; this one shall get in at once
            self._remove(host.address)
            self._put(host, _PROVEN if host.proven else teller or "?")

    def _put(self, host: Host, teller: str) -> None:
        row = self._rows.setdefault(teller, OrderedDict())
        most = self._most_proven if teller == _PROVEN else self._most_of_one
        if len(row) >= most:
            self._remove(self._least(row))
        elif len(self._hosts) >= self._most:
            told = [row for teller, row in self._rows.items() if teller != _PROVEN]
            self._remove(self._least(max(told, key=len)))
        self._rows.setdefault(teller, row)[host.address] = None
        self._row_of[host.address] = teller
        self._hosts[host.address] = host

    def _least(self, row: OrderedDict[Address, None]) -> Address:
        """Whom of a row to give up: who failed most, and of those the oldest."""
        return max(row, key=lambda address: self._hosts[address].failed)

    def _remove(self, address: Address) -> bool:
        if self._hosts.pop(address, None) is None:
            return False
        teller = self._row_of.pop(address)
        del self._rows[teller][address]
        if not self._rows[teller]:
            del self._rows[teller]
        return True

    def check(self) -> None:
        assert len(self._hosts) <= self._most
        assert self._hosts.keys() == self._row_of.keys()
        assert sum(map(len, self._rows.values())) == len(self._hosts)
        for teller, row in self._rows.items():
            most = self._most_proven if teller == _PROVEN else self._most_of_one
            assert 0 < len(row) <= most
            assert all(self._row_of[address] == teller for address in row)
            assert all(self._hosts[address].proven is (teller == _PROVEN) for address in row)

    @override
    def __repr__(self) -> str:
        return f"<Hosts {len(self)}, {len(self._rows.get(_PROVEN, ()))} proven>"


def _spread(hosts: list[Host], n: int) -> list[Address]:
    """The first of each group, then the second of each, until there are enough."""
    turns: dict[str, int] = {}
    order: list[tuple[int, int, Address]] = []
    for place, host in enumerate(hosts):
        turn = turns[host.group] = turns.get(host.group, -1) + 1
        order.append((turn, place, host.address))
    return [address for _, _, address in sorted(order)[:n]]
