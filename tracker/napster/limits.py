"""How much is too much: what one connection, one address and all of them together may do.

Nothing is refused for being a little early: who asks too much is read more slowly. Only what would stay and
fill the server is refused, connections and shared files. Nothing here waits or looks at a clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["Allowance", "Caps", "Guests", "Purpose", "allowances"]

Purpose = Literal["shares", "queries", "talk"]


@dataclass(frozen=True, slots=True)
class Caps:
    """The server's own limits; rates are per second, on average."""

    clients: int = 10_000
    clients_per_address: int = 64
    shares: int = 5_000  # of one client; OpenNap's max_shared
    files: int = 2_000_000
    queries: float = 5.0  # of one client

    @property
    def shares_per_address(self) -> int:
        return 4 * self.shares


class Allowance:
    """So much a second, and `burst` saved up. It may be overdrawn once; `wait` tells for how long."""

    __slots__ = ("_burst", "_filled", "_level", "_rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate, self._burst, self._level, self._filled = rate, burst, burst, now

    def spend(self, cost: float, now: float) -> float:
        """Take it; seconds until more may be taken."""
        self._level = self.level(now) - cost
        return max(0.0, -self._level / self._rate)

    def level(self, now: float) -> float:
        """What is saved up; negative is debt."""
        self._level = min(self._level + (now - self._filled) * self._rate, self._burst)
        self._filled = now
        return self._level

    def full(self, now: float) -> bool:
        return self.level(now) >= self._burst


# A client says much at once after its login: its files, its hotlist. What it says later is slower.
_SHARE_RATE = 100.0  # files a second, after as many as it may share at all
_QUERY_BURST = 20.0
_TALK_RATE, _TALK_BURST = 20.0, 500.0


def allowances(caps: Caps, now: float) -> Mapping[Purpose, Allowance]:
    """Those of somebody who has just come in."""
    return {
        "shares": Allowance(_SHARE_RATE, caps.shares, now),
        "queries": Allowance(caps.queries, max(_QUERY_BURST, caps.queries), now),
        "talk": Allowance(_TALK_RATE, _TALK_BURST, now),
    }


_LOGINS = (0.5, 60)  # of one address: one in two seconds, a minute's worth at once
_FAILURE = 10  # a wrong password costs as much as so many logins
_ACCOUNTS = (1 / 600, 20)  # made by one address: one in ten minutes
_WEB = (1.0, 20)  # searches by HTTP of one address


class _Address:
    __slots__ = ("accounts", "connections", "logins", "shares", "web")

    def __init__(self, now: float) -> None:
        self.connections = self.shares = 0
        self.logins = Allowance(*_LOGINS, now)
        self.accounts = Allowance(*_ACCOUNTS, now)
        self.web = Allowance(*_WEB, now)

    def quiet(self, now: float) -> bool:
        """Whether there is nothing to be remembered."""
        buckets = (self.logins, self.accounts, self.web)
        return not self.connections and all(bucket.full(now) for bucket in buckets)


class Guests:
    """Who is connected from where. An address is forgotten when it has nothing to be remembered for."""

    def __init__(self, caps: Caps) -> None:
        self._caps = caps
        self._addresses: dict[str, _Address] = {}
        self.connections = 0

    def enter(self, host: str, now: float) -> str | None:
        """A connection has come; why it cannot stay. `leave` is due in either case."""
        address = self._at(host, now)
        address.connections += 1
        self.connections += 1
        if address.connections > self._caps.clients_per_address:
            return "too many connections from your address"
        if self.connections > self._caps.clients:
            return "this server is full"
        return None

    def leave(self, host: str, now: float) -> None:
        self.connections -= 1
        address = self._addresses[host]
        address.connections -= 1
        if address.quiet(now):
            del self._addresses[host]

    def may_log_in(self, host: str, now: float) -> bool:
        return self._at(host, now).logins.spend(1, now) == 0

    def failed(self, host: str, now: float) -> None:
        """A wrong password: nobody may try many."""
        self._at(host, now).logins.spend(_FAILURE, now)

    def may_register(self, host: str, now: float) -> bool:
        return self._at(host, now).accounts.level(now) >= 1

    def registered(self, host: str, now: float) -> None:
        self._at(host, now).accounts.spend(1, now)

    def may_search_the_web(self, host: str, now: float) -> bool:
        return self._at(host, now).web.spend(1, now) == 0

    def room(self, host: str) -> int:
        """How many more files may be shared from there."""
        address = self._addresses.get(host)
        return self._caps.shares_per_address - (address.shares if address else 0)

    def shared(self, host: str, files: int) -> None:
        """So many more are shared from there, or fewer."""
        self._addresses[host].shares += files

    def tidy(self, now: float) -> None:
        """Forget addresses that have been quiet for long enough."""
        for host, address in list(self._addresses.items()):
            if address.quiet(now):
                del self._addresses[host]

    def __len__(self) -> int:
        return len(self._addresses)

    def _at(self, host: str, now: float) -> _Address:
        address = self._addresses.get(host)
        if address is None:
            address = self._addresses[host] = _Address(now)
        return address
