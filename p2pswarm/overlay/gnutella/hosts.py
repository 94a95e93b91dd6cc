"""The host cache: whom we could dial to get into the network, this time and the next.

Anybody can put addresses into it (X-Try lists, pongs), so nobody can fill it: what one teller told is a
tenth at most and replaces only its own, and who was once connected is not pushed out by hearsay. An address
that never completed a handshake is dialed at most once in ten minutes; since an address can be pushed out
and told again, whoever dials asks the network's `DialBudget` as well. Nothing here ages out: after a week
offline old addresses are all there is. Times are seconds since 1970, as the cache outlives the process.
Sans-IO: `dump` and `load` are bytes.
"""

import json
import logging
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
from random import Random
from typing import Any

from typing_extensions import override

from p2pswarm.errors import FormatError
from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone, zone_of

__all__ = ["MOST", "Host", "Hosts"]

log = logging.getLogger(__name__)

MOST = 1000
MOST_OF_ONE = MOST // 10  # addresses of one teller
MOST_PROVEN = MOST // 2  # who was once connected; the others are told
STRANGER_EVERY = 600.0  # seconds between dials to an address that never completed a handshake
FRIEND_EVERY = 30.0  # for one that did, doubled with each failure in a row
FRIEND_AT_MOST = 3600.0
CACHE_EVERY = 600.0  # seconds between questions to a UDP host cache
SAVE_EVERY = 60.0
MOST_BYTES = 1 << 20  # of a file: a thousand hosts are 150 KiB
_RECENT, _OLD = 3600.0, 86400.0  # seconds since it was seen: three classes of freshness
_PROVEN = ""  # the row of those who were connected; no teller has this name


@dataclass(slots=True)
class Host:
    """What is known of one address."""

    address: Address
    seen: float  # when it was last told or connected
    tried: float = 0.0  # when it was last dialed
    failed: int = 0  # dials in a row that led to nothing
    proven: bool = False  # a handshake was completed, whether or not it had a place for us
    ultrapeer: bool = False
    udp_cache: bool = False  # answers PING with SCP over UDP
    asked: float = 0.0  # when, over UDP

    def may_be_dialed(self, now: float) -> bool:
        """A clock that was put back does not make it wait longer."""
        if not self.tried:
            return True
        pause = STRANGER_EVERY
        if self.proven:
            pause = min(FRIEND_EVERY * 2 ** min(self.failed, 10), FRIEND_AT_MOST)
        return abs(now - self.tried) >= pause

    @property
    def group(self) -> str:
        """What probably has one owner: a /16, or a /32 of IPv6; a near address stands for itself."""
        ip = self.address.ip
        if ip is None or zone_of(self.address.host) is not Zone.INTERNET:
            return str(self.address)
        return ip.packed[: 2 if ip.version == 4 else 4].hex()


class Hosts:
    """`tell` what was heard, `candidates` to dial, and what became of it.

    Invariants: every host is in exactly one row; no row is longer than it may be; at most 1000 in all.
    """

    def __init__(self) -> None:
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
        ultrapeer: bool = False,
        udp_cache: bool = False,
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
        host.ultrapeer |= ultrapeer
        host.udp_cache |= udp_cache
        self._changed = True
        return True

    def candidates(
        self, now: float, dice: Random, n: int, *, busy: Iterable[Address] = ()
    ) -> list[Address]:
        """Up to `n` addresses to dial next, the best first; none of `busy` (connected or being dialed).

        Fresh and never failed first, ultrapeers before others, and of each /16 one before the next of any.
        """
        left_out = {address.normal for address in busy}
        may = [
            host
            for host in self._hosts.values()
            if host.address not in left_out and host.may_be_dialed(now)
        ]
        dice.shuffle(may)
        may.sort(key=lambda host: _order(host, now))
        return _spread(may, n)

    def udp_caches(self, now: float, dice: Random, n: int) -> list[Address]:
        """Whom to ask for more over UDP; they count as asked."""
        able = [
            host
            for host in self._hosts.values()
            if (host.udp_cache or host.ultrapeer)
            and (not host.asked or abs(now - host.asked) >= CACHE_EVERY)
        ]
        dice.shuffle(able)
        able.sort(key=lambda host: (not host.udp_cache, _order(host, now)))
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

    def connected(self, address: Address, now: float, *, ultrapeer: bool = False) -> None:
        """It completed a handshake: it is what it was said to be. A refusal (503) is one, too."""
        address = address.normal
        if not address.dialable:
            return
        host = self._hosts.get(address) or Host(address, now)
        host.seen, host.failed, host.proven, host.ultrapeer = now, 0, True, ultrapeer
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
        rows = [_to_json(host, self._row_of[host.address]) for host in self._hosts.values()]
        return json.dumps({"version": 1, "hosts": rows}, indent=0).encode()

    def load(self, data: bytes) -> None:
        """What `dump` gave. A damaged or hostile file counts as none, with a line in the log."""
        try:
            read = _read(data)
        except (ValueError, TypeError, KeyError, RecursionError, FormatError) as error:
            log.warning("the host cache cannot be read, so it starts empty: %s", error)
            return
        for host, teller in read:
            self._remove(host.address)
            self._put(host, _PROVEN if host.proven else teller or "?")

    def _put(self, host: Host, teller: str) -> None:
        row = self._rows.setdefault(teller, OrderedDict())
        most = MOST_PROVEN if teller == _PROVEN else MOST_OF_ONE
        if len(row) >= most:
            self._remove(self._least(row))
        elif len(self._hosts) >= MOST:
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
        assert len(self._hosts) <= MOST
        assert self._hosts.keys() == self._row_of.keys()
        assert sum(map(len, self._rows.values())) == len(self._hosts)
        for teller, row in self._rows.items():
            assert 0 < len(row) <= (MOST_PROVEN if teller == _PROVEN else MOST_OF_ONE)
            assert all(self._row_of[address] == teller for address in row)
            assert all(self._hosts[address].proven is (teller == _PROVEN) for address in row)

    @override
    def __repr__(self) -> str:
        return f"<Hosts {len(self)}, {len(self._rows.get(_PROVEN, ()))} proven>"


def _order(host: Host, now: float) -> tuple[int, int, bool]:
    age = abs(now - host.seen)
    return min(host.failed, 3), (age > _RECENT) + (age > _OLD), not host.ultrapeer


def _spread(hosts: list[Host], n: int) -> list[Address]:
    """The first of each group, then the second of each, until there are enough."""
    turns: dict[str, int] = {}
    order: list[tuple[int, int, Address]] = []
    for place, host in enumerate(hosts):
        turn = turns[host.group] = turns.get(host.group, -1) + 1
        order.append((turn, place, host.address))
    return [address for _, _, address in sorted(order)[:n]]


_FLAGS = ("proven", "ultrapeer", "udp_cache")
_TIMES = ("seen", "tried", "asked")


def _to_json(host: Host, teller: str) -> dict[str, Any]:
    flags = {name: True for name in _FLAGS if getattr(host, name)}
    times = {name: round(getattr(host, name), 3) for name in _TIMES}
    return {"address": str(host.address), "teller": teller, "failed": host.failed, **times, **flags}


def _read(data: bytes) -> list[tuple[Host, str]]:
    """Raises whatever says that it is not ours."""
    if len(data) > MOST_BYTES:
        raise ValueError(f"{len(data)} bytes")
    content = json.loads(data)
    if content["version"] != 1 or not isinstance(content["hosts"], list):
        raise ValueError("another version")
    return [_from_json(row) for row in content["hosts"][:MOST]]


def _from_json(row: dict[str, Any]) -> tuple[Host, str]:
    address = Address.parse(row["address"]).normal
    times = {name: float(row[name]) for name in _TIMES}
    failed, teller = row["failed"], row["teller"]
    fine = type(failed) is int and 0 <= failed < 1 << 31 and isinstance(teller, str)
    if not fine or not address.dialable or not all(map(isfinite, times.values())):
        raise ValueError(f"nonsense about {address}")
    host = Host(address, times["seen"], times["tried"], failed, asked=times["asked"])
    for name in _FLAGS:
        setattr(host, name, row.get(name, False) is True)
    return host, teller
