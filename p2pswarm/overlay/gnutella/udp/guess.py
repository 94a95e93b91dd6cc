"""The plan of an iterative search: one ultrapeer after the other, until there is enough (GUESS 0.2).

Each ultrapeer is first asked for a key, a few ahead of their turn, and then for files, with TTL 1. The
first queries are far apart, because what is common is found at once: 1500 ms, then 0.8 times the time
before. This is how long hits are waited for; who has acknowledged lets the next one come after 200 ms,
never sooner.

The one hard thing: hosts are told by strangers, so a search could be aimed at a victim. No host is asked
twice, few ports of one host, and nobody gets more than a ping of 30 bytes who did not answer it. Sans-IO.
"""

from collections import Counter, OrderedDict
from dataclasses import dataclass

from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone, zone_of

__all__ = ["MOST_HOSTS", "MOST_WANTED", "AskKey", "Guess", "Visit"]

MOST_WANTED = 200  # results; GUESS: MUST NOT seek more
MOST_HOSTS = 10_000  # ultrapeers; GUESS: MUST NOT query more
USUAL_HOSTS = 1000
FIRST_PAUSE, FACTOR, LEAST_PAUSE = 1.5, 0.8, 0.2
PATIENCE = 2.0  # seconds for a key, and for hits after the last query
AHEAD = 3  # hosts with a key, or asked for one, whose turn has not come
MOST_KEY = 16  # bytes (query_keys)
MOST_PORTS = 3  # of one host on the Internet
MOST_OF_ONE = 50  # results of one ultrapeer that count, or one liar could end each search


@dataclass(frozen=True, slots=True)
class AskKey:
    """Send it a ping that asks for a key."""

    address: Address


@dataclass(frozen=True, slots=True)
class Visit:
    """Send it the query, with this key."""

    address: Address
    key: bytes


class Guess:
    """`learn` hosts, call `step` when `due` until it gives None, tell what came; `over` says why it ended.

    Invariant: each host is in at most one of: waiting, asked for a key, ready, visited.
    """

    def __init__(self, wanted: int, now: float, *, most: int = USUAL_HOSTS) -> None:
        self.wanted = min(max(wanted, 1), MOST_WANTED)
        self.most = min(max(most, 1), MOST_HOSTS)
        self.results = 0
        self.visited: dict[Address, bytes] = {}
        """Who was sent the query, and with which key."""
        self.silent: list[Address] = []
        """Who gave no key in time; the owner takes them out."""
        self._waiting: OrderedDict[Address, None] = OrderedDict()
        self._asked: OrderedDict[Address, float] = OrderedDict()
        self._ready: OrderedDict[Address, bytes] = OrderedDict()
        self._seen: set[Address] = set()
        self._again: set[Address] = set()  # whose key was refused once
        self._ports: Counter[str] = Counter()
        self._counted: Counter[Address] = Counter()
        self._last, self._answered = float("-inf"), True
        self._active = now  # when something last happened that may lead to more

    def learn(self, address: Address, key: bytes | None = None) -> bool:
        """An ultrapeer that may be asked, perhaps with a key we have; whether it is new."""
        if address in self._seen or len(self._seen) >= MOST_HOSTS:
            return False
        far = zone_of(address.host) is Zone.INTERNET
        if far and self._ports[address.host] >= MOST_PORTS:
            return False
        self._seen.add(address)
        self._ports[address.host] += far
        if key:
            self._ready[address] = key
        else:
            self._waiting[address] = None
        return True

    def over(self, now: float) -> str | None:
        """Why the search has ended: `enough`, `most` or `nobody left`. None while it goes on."""
        if self.results >= self.wanted:
            return "enough"
        if now < self._active + PATIENCE:
            return None
        if len(self.visited) >= self.most:
            return "most"
        return None if self._waiting or self._asked or self._ready else "nobody left"

    @property
    def due(self) -> float:
        """When to look again, unless something comes."""
        times = [self._active + PATIENCE]
        if self._asked:
            times.append(next(iter(self._asked.values())) + PATIENCE)
        if self._ready and len(self.visited) < self.most:
            times.append(self._next)
        if self._may_ask_key:
            times.append(float("-inf"))
        return min(times)

    def step(self, now: float) -> AskKey | Visit | None:
        """What to do now; call it until there is nothing."""
        while self._asked and next(iter(self._asked.values())) + PATIENCE <= now:
            address, _ = self._asked.popitem(last=False)
            self.silent.append(address)
        if self.results >= self.wanted:
            return None
        if self._ready and len(self.visited) < self.most and now >= self._next:
            address, key = self._ready.popitem(last=False)
            self.visited[address] = key
            self._last, self._answered, self._active = now, False, now
            return Visit(address, key)
        if self._may_ask_key:
            address, _ = self._waiting.popitem(last=False)
            self._asked[address] = self._active = now
            return AskKey(address)
        return None

    def got_key(self, address: Address, key: bytes, now: float) -> bool:
        """A key came; False when nobody asked for it. A second key for a visited host says: ask again."""
        if not 1 <= len(key) <= MOST_KEY:
            return False
        if self._asked.pop(address, None) is not None:
            self._ready[address] = key
        elif address in self.visited and self.visited[address] != key:
            if address in self._again:
                return False
            self._again.add(address)
            del self.visited[address]
            self._ready[address] = key
            self._answered = True
        else:
            return False
        self._active = now
        return True

    def acknowledged(self, address: Address, now: float) -> bool:
        """It has the query; False when it was never sent to it."""
        if address not in self.visited:
            return False
        self._active = now
        self._answered |= address == next(reversed(self.visited))
        return True

    def got_results(self, address: Address, count: int, now: float) -> bool:
        """So many results came over it, its own or its leaves'; False when it was not asked."""
        if not self.acknowledged(address, now):
            return False
        counted = min(count, MOST_OF_ONE - self._counted[address])
        self._counted[address] += counted
        self.results += counted
        return True

    @property
    def pause(self) -> float:
        """Seconds of patience with who was asked last."""
        return max(FIRST_PAUSE * FACTOR ** min(len(self.visited) - 1, 100), LEAST_PAUSE)

    @property
    def _next(self) -> float:
        return self._last + (LEAST_PAUSE if self._answered else self.pause)

    @property
    def _may_ask_key(self) -> bool:
        ahead = len(self._asked) + len(self._ready)
        room = self.most - len(self.visited) - ahead
        return bool(self._waiting) and ahead < AHEAD and room > 0 and self.results < self.wanted

    def check(self) -> None:
        rooms = [set(self._waiting), set(self._asked), set(self._ready), set(self.visited)]
        assert sum(map(len, rooms)) == len(set().union(*rooms))
        assert set().union(*rooms) <= self._seen
        assert len(self._seen) <= MOST_HOSTS
        assert len(self.visited) <= self.most
