"""Dynamic querying: the owner of a query asks one neighbour after the other, farther if results are rare.

First a probe: TTL 1 to a few neighbours whose last-hop table has the words. How many results came from how
many hosts tells how rare the file is, and so how far the next neighbour has to carry the query for our
share of what is still wanted. Between two neighbours we wait for the hits (LimeWire's proposal of 2003; a
leaf that filters hits itself guides the query by BEAR/11 and BEAR/12). Our owner keeps the time: it calls
`step` when `due`, and sends what it gets. Sans-IO.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Generic, TypeVar

from typing_extensions import override

from p2pswarm.overlay.gnutella.links.agreement import MAX_TTL, MOST_DEGREE

__all__ = [
    "MOST_OF_ONE_LEAF",
    "WANTED_BY_LEAF",
    "Candidate",
    "DynamicQuery",
    "Probe",
    "hosts",
]

WANTED_BY_LEAF = 50  # of a leaf's: it has three ultrapeers
MOST_OF_ONE_LEAF = 10  # queries of one leaf at a time: one in 18 s for the whole lifetime of each
PROBES = 3
HORIZON = 300_000  # hosts, theoretically
LIFETIME = 180.0  # seconds
PER_HOP = 2.4  # seconds that hits need per hop
LESS_PER_HOP = 0.1  # so much less in each round once the content is known to be rare
LEAST_PER_HOP = 1.4  # the proposal speaks of ten such rounds
RARE = (3000, 10)  # hosts asked, results: more and fewer is rare
NOTHING_AMONG = 100  # hosts: without results as if one of so many had one; TTL 3 first at degree 32
LEAF_ANSWERS = 10.0  # seconds
STOP = 0xFFFF  # what a leaf says to end it

Link = TypeVar("Link", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Candidate(Generic[Link]):
    """A neighbouring ultrapeer, as far as a query looks at it."""

    link: Link
    degree: int = 32  # X-Degree
    max_ttl: int = MAX_TTL  # X-Max-TTL
    matches: bool | None = None  # whether its last-hop table has the words; None without a table
    extends: bool = False  # X-Ext-Probes: it takes the same GUID again with a larger TTL

    @property
    def farthest(self) -> int:
        return max(1, min(self.max_ttl, MAX_TTL))


@dataclass(frozen=True, slots=True)
class Probe(Generic[Link]):
    """The query is to be sent over this link with this TTL."""

    link: Link
    ttl: int


def hosts(degree: int, ttl: int) -> int:
    """How many ultrapeers a query reaches over one link, if there are no circles."""
    branches = max(1, min(degree, MOST_DEGREE) - 1)
    return int(sum(branches**hop for hop in range(ttl)))


class DynamicQuery(Generic[Link]):
    """One query's way through the neighbours.

    Invariants: who is asked again is asked farther; the horizon is kept; once `ended`, nothing is sent.
    """

    def __init__(self, wanted: int = WANTED_BY_LEAF, *, guided: bool = False) -> None:
        self.wanted = wanted
        self.guided = guided  # the leaf tells how many results it kept
        self.results = 0
        self.horizon = 0
        self.due = inf  # when `step` is to be called
        self.ended: str | None = None  # why
        self._sent: dict[Link, int] = {}  # TTL
        self._per_hop = PER_HOP
        self._began = 0.0
        # Results that went to the leaf, and of them when it last said how many it kept
        self._routed = 0
        self._routed_then = 0
        self._leaf_is_asked = False  # and its answer awaited, until `due`

    @property
    def done(self) -> bool:
        return self.ended is not None

    def begin(self, candidates: Sequence[Candidate[Link]], now: float) -> list[Probe[Link]]:
        """The probes to send at once; `candidates` in the order in which to prefer them."""
        self._began = now
        sure = [each for each in candidates if each.matches and each.extends]
        ttl, chosen = (1, sure) if sure else (2, _worth_a_try(candidates))
        probes = [self._send(each, ttl) for each in chosen[:PROBES]]
        self.due = now + (PER_HOP * ttl if probes else 0.0)
        return probes

    def step(self, now: float, candidates: Sequence[Candidate[Link]]) -> Probe[Link] | None:
        """The next link to ask, when it is time; None when not, or when it has `ended`."""
        if now >= self.due and self._leaf_is_asked:
            self._give_up_on_leaf()
        if now < self.due:
            return None
        if now - self._began >= LIFETIME:
            self._end("lifetime")
            return None
        left = [each for each in candidates if self._can_take(each)]
        if not left:
            self._end("no links left")
            return None
        for each in sorted(left, key=self._order):
            ttl = self._ttl_for(each, len(left))
            if ttl is not None:
                probe = self._send(each, ttl)
                self._wait(now, ttl)
                return probe
        self._end("horizon")
        return None

    def add_results(self, n: int) -> None:
        """So many results were sent to who asks."""
        self._routed += n
        if not self.guided:
            self._count(self._routed)

    def asks_leaf(self, now: float) -> bool:
        """Whether a BEAR/11 is to be sent now: before a next step of a guided query, if there were hits."""
        waits = self._leaf_is_asked or now < self.due
        if not self.guided or waits or self._routed == self._routed_then:
            return False
        self._leaf_is_asked, self.due = True, now + LEAF_ANSWERS
        return True

    def leaf_says(self, n: int, now: float) -> None:
        """BEAR/12: so many results it kept in all; it may say so unasked."""
        if n == STOP:
            self._end("the leaf has enough")
        elif self.guided and not self.done:
            if self._leaf_is_asked:
                self._leaf_is_asked, self.due = False, now
            self._routed_then = self._routed
            self._count(n)

    def _give_up_on_leaf(self) -> None:
        """It promised to answer and did not, so it loses its say: the results that it was sent count."""
        self._leaf_is_asked = self.guided = False
        self._count(self._routed)

    def _count(self, results: int) -> None:
        self.results = results
        if results >= self.wanted:
            self._end("results")

    def _end(self, why: str) -> None:
        if not self.done:
            self.ended, self.due = why, inf

    def _order(self, candidate: Candidate[Link]) -> tuple[int, int]:
        """Who was not asked yet first, and of those who has the words."""
        return self._sent.get(candidate.link, 0), _hopeless(candidate)

    def _can_take(self, candidate: Candidate[Link]) -> bool:
        """Whether it can still be asked: for the first time, or farther. A last hop must match."""
        sent = self._sent.get(candidate.link)
        if sent is not None:
            return candidate.extends and sent < candidate.farthest
        return candidate.matches is not False or candidate.farthest > 1

    def _ttl_for(self, candidate: Candidate[Link], connections: int) -> int | None:
        """The smallest TTL that reaches its part of the hosts, within our horizon."""
        sent = self._sent.get(candidate.link, 0)
        least = max(sent + 1, 2 if candidate.matches is False else 1)
        ttl, per_connection = least, self._hosts_needed() / connections
        while ttl < candidate.farthest and hosts(candidate.degree, ttl) < per_connection:
            ttl += 1
        while ttl >= least and self.horizon + _more(candidate.degree, sent, ttl) > HORIZON:
            ttl -= 1
        return ttl if ttl >= least else None

    def _hosts_needed(self) -> float:
        """HQ = (D - r) / RH, with RH = r / hosts asked."""
        if not self.results:
            return float(self.wanted * max(self.horizon, NOTHING_AMONG))
        return (self.wanted - self.results) * self.horizon / self.results

    def _send(self, candidate: Candidate[Link], ttl: int) -> Probe[Link]:
        self.horizon += _more(candidate.degree, self._sent.get(candidate.link, 0), ttl)
        self._sent[candidate.link] = ttl
        return Probe(candidate.link, ttl)

    def _wait(self, now: float, ttl: int) -> None:
        most_hosts, few_results = RARE
        if self.horizon > most_hosts and self.results < few_results:
            self._per_hop = max(LEAST_PER_HOP, self._per_hop - LESS_PER_HOP)
        self.due = now + self._per_hop * ttl

    def check(self) -> None:
        assert 0 <= self.horizon <= HORIZON
        assert all(1 <= ttl <= MAX_TTL for ttl in self._sent.values())
        assert not self.done or self.due == inf

    @override
    def __repr__(self) -> str:
        state = self.ended or f"due {self.due:.1f}"
        return f"<DynamicQuery {self.results}/{self.wanted} of {self.horizon} hosts, {state}>"


def _more(degree: int, sent: int, ttl: int) -> int:
    return hosts(degree, ttl) - hosts(degree, sent)


def _worth_a_try(candidates: Sequence[Candidate[Link]]) -> list[Candidate[Link]]:
    """Whom to probe with TTL 2 when nobody is known to have the words, as before there were tables.

    Who does not take the same GUID again is lost for a larger TTL: a tenth of the links may be spent so.
    """
    far = sorted((each for each in candidates if each.farthest > 1), key=_hopeless)
    again = [each for each in far if each.extends]
    return again + [each for each in far if not each.extends][: len(candidates) // 10]


def _hopeless(candidate: Candidate[Link]) -> int:
    """Who has the words first, who has not last."""
    return {True: 0, None: 1, False: 2}[candidate.matches]
