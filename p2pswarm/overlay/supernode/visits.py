"""The plan of an iterative search: one super node after the other, until there is enough.

The asker visits each itself: a short exchange whose answer ends with whom to ask next. As with GUESS the
first visits are far apart, because what is common is found at once: 1500 ms, then 0.8 times the time before.
Who has answered lets the next one come after 200 ms, never sooner.

The one hard thing: the next hosts are told by strangers. What one teller told is few, each teller's hosts
have their turn, and of one host on the Internet few ports are dialed: so one liar steers a small part of a
search. Sans-IO.
"""

from collections import Counter, OrderedDict

from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone, owner_of, zone_of

__all__ = ["MOST_VISITS", "MOST_WANTED", "VISIT_TIME", "Visits"]

MOST_WANTED = 200  # results
MOST_VISITS = 1000  # super nodes
FIRST_PAUSE, FACTOR, LEAST_PAUSE = 1.5, 0.8, 0.2
MOST_OF_TELLER = 20  # hosts that one super node sends us to
MOST_PORTS = 3  # of one host on the Internet
MOST_OF_ONE = 50  # results of one super node that count, or one liar could end each search
MOST_AT_ONCE = 10  # visits that have not ended
VISIT_TIME = 10.0  # seconds that a visit may take, all in all
_OURSELVES = ""  # the teller of hosts that we knew


class Visits:
    """`learn` hosts, `step` when `due`, tell `got` and `left`; `over` says why it ended.

    Invariant: each host is in at most one of: waiting, being visited, done.
    """

    def __init__(self, want: int, *, most: int = MOST_VISITS) -> None:
        self.want = min(max(want, 1), MOST_WANTED)
        self.most = min(max(most, 1), MOST_VISITS)
        self.results = 0
        self.visited = 0
        self._rows: OrderedDict[str, list[Address]] = OrderedDict()  # teller -> hosts that wait
        self._visiting: set[Address] = set()
        self._seen: set[Address] = set()
        self._ports: Counter[str] = Counter()
        self._told: Counter[str] = Counter()
        self._counted: Counter[Address] = Counter()
        self._last, self._latest, self._answered = float("-inf"), Address("?", 0), True

    def know(self, address: Address) -> bool:
        """One of the super nodes that we knew; whether it is new."""
        return self._add(address.normal, _OURSELVES)

    def learn(self, address: Address, teller: Address) -> bool:
        """`teller`, whom we visit, sends us there; whether we go."""
        address = address.normal
        if teller.normal not in self._visiting or self._told[owner_of(teller)] >= MOST_OF_TELLER:
            return False
        if not address.dialable or zone_of(address.host) > zone_of(teller.host):
            return False
        new = self._add(address, owner_of(teller))
        self._told[owner_of(teller)] += new
        return new

    def over(self) -> str | None:
        """Why the search has ended: `enough`, `most` or `nobody left`. None while it goes on."""
        if self.results >= self.want:
            return "enough"
        if self._visiting:
            return None
        if self.visited >= self.most:
            return "most"
        return None if self._rows else "nobody left"

    @property
    def due(self) -> float:
        """When the next visit may begin; `inf` when something else has to happen first."""
        can = self._rows and self.visited < self.most and len(self._visiting) < MOST_AT_ONCE
        if not can or self.results >= self.want:
            return float("inf")
        return self._last + (LEAST_PAUSE if self._answered else self._pause)

    def step(self, now: float) -> Address | None:
        """Whom to visit now; each visit ends in `left`, within `VISIT_TIME`."""
        if now < self.due:
            return None
        teller, row = self._rows.popitem(last=False)
        address = row.pop(0)
        if row:
            self._rows[teller] = row  # the others have their turn first
        self._visiting.add(address)
        self.visited += 1
        self._last, self._latest, self._answered = now, address, False
        return address

    def got(self, address: Address, count: int) -> int:
        """So many results came from there; how many of them count."""
        address = address.normal
        if address not in self._visiting:
            return 0
        counted = min(count, MOST_OF_ONE - self._counted[address], self.want - self.results)
        self._counted[address] += counted
        self.results += counted
        return counted

    def left(self, address: Address) -> None:
        """It said that this is all, or we gave it up."""
        self._visiting.discard(address.normal)
        self._answered |= address.normal == self._latest

    @property
    def _pause(self) -> float:
        """Seconds of patience with who was visited last."""
        return max(FIRST_PAUSE * FACTOR ** min(self.visited - 1, 100), LEAST_PAUSE)

    def _add(self, address: Address, teller: str) -> bool:
        far = zone_of(address.host) is Zone.INTERNET
        if address in self._seen or (far and self._ports[address.host] >= MOST_PORTS):
            return False
        self._seen.add(address)
        self._ports[address.host] += far
        self._rows.setdefault(teller, []).append(address)
        return True

    def check(self) -> None:
        waiting = [address for row in self._rows.values() for address in row]
        assert len(set(waiting) | self._visiting) == len(waiting) + len(self._visiting)
        assert set(waiting) | self._visiting <= self._seen
        assert all(self._rows.values())
        assert self.visited <= self.most
        assert len(self._visiting) <= MOST_AT_ONCE
