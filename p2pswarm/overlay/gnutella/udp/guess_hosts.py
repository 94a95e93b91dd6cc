"""Ultrapeers that answer queries by UDP, and the keys they gave us; one list for all searches.

Every acknowledgement names more of them, true or not. So what one teller told replaces only what it told
before, and who has answered us is not pushed out by hearsay (Daswani and Garcia-Molina, Pong-Cache
Poisoning, 2004). Sans-IO.
"""

from collections import Counter
from dataclasses import dataclass

from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import zone_of

__all__ = ["KEY_LIFE", "GuessHosts"]

KEY_LIFE = 3600.0  # seconds; programs change their keys after hours, and say so when one is old
MOST_OF_ONE = 50  # hosts of one teller


@dataclass(slots=True)
class _Host:
    teller: str
    heard: float | None = None  # when it last answered us
    key: bytes | None = None
    keyed: float = 0.0


class GuessHosts:
    """`told` of a host, `answered` by it, or `silent`. Invariant: at most 500, at most 50 of one teller."""

    MOST = 500

    def __init__(self) -> None:
        self._hosts: dict[Address, _Host] = {}  # the oldest first
        self._told: Counter[str] = Counter()  # hosts that never answered, by teller

    def __len__(self) -> int:
        return len(self._hosts)

    def told(self, address: Address, teller: str) -> bool:
        """`teller` (a host) says that one is there; whether it may be asked."""
        address, ip = address.normal, address.ip
        if ip is None or ip.version != 4 or not address.dialable:
            return False
        if zone_of(address.host) > zone_of(teller):
            return False
        if address not in self._hosts:
            if self._told[teller] >= MOST_OF_ONE:
                self._remove(next(a for a, h in self._hosts.items() if _is_hearsay(h, teller)))
            elif len(self._hosts) >= self.MOST:
                self._remove(min(self._hosts, key=self._worth))
            self._hosts[address] = _Host(teller)
            self._told[teller] += 1
        return True

    def answered(self, address: Address, now: float, key: bytes | None = None) -> None:
        """It sent us a pong, perhaps with a key for us."""
        host = self._hosts.pop(address, None)
        if host is None:
            return
        if host.heard is None:
            self._unknow(host.teller)
        host.heard = now
        if key is not None:
            host.key, host.keyed = key, now
        self._hosts[address] = host  # the latest

    def silent(self, address: Address) -> None:
        """It did not answer in time."""
        if address in self._hosts:
            self._remove(address)

    def key(self, address: Address, now: float) -> bytes | None:
        """What it wants to see in a query of ours."""
        host = self._hosts.get(address)
        return host.key if host is not None and 0 <= now - host.keyed < KEY_LIFE else None

    def known(self, n: int) -> list[Address]:
        """Whom to ask: who answered, the latest first, then who was told, likewise."""
        latest = list(reversed(self._hosts))
        latest.sort(key=lambda address: self._hosts[address].heard is None)
        return latest[:n]

    def proven(self, n: int) -> list[Address]:
        """Whom to tell others: only who has answered us."""
        latest = reversed(self._hosts.items())
        return [address for address, host in latest if host.heard is not None][:n]

    def _worth(self, address: Address) -> tuple[bool, float]:
        """The least is given up first; of equals the oldest."""
        heard = self._hosts[address].heard
        return heard is not None, heard or 0.0

    def _remove(self, address: Address) -> None:
        host = self._hosts.pop(address)
        if host.heard is None:
            self._unknow(host.teller)

    def _unknow(self, teller: str) -> None:
        self._told[teller] -= 1
        if not self._told[teller]:
            del self._told[teller]

    def check(self) -> None:
        assert len(self._hosts) <= self.MOST
        told = Counter(host.teller for host in self._hosts.values() if host.heard is None)
        assert told == self._told
        assert all(count <= MOST_OF_ONE for count in told.values())


def _is_hearsay(host: _Host, teller: str) -> bool:
    return host.heard is None and host.teller == teller
