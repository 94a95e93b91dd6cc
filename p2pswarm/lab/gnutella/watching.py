"""What is written down while one question goes through the network."""

from collections import Counter
from collections.abc import Callable, Sequence

from p2pswarm.lab.architecture import Outcome, Question
from p2pswarm.lab.gnutella.servents import ASKED
from p2pswarm.lab.wires import Host
from p2pswarm.overlay.gnutella.links.link import Link
from p2pswarm.wire.gnutella.descriptor import Descriptor, Kind
from p2pswarm.wire.gnutella.hit import QueryHit

__all__ = ["Step", "Watch"]

Step = tuple[float, int, int]
"""When a query came, from whom and to whom."""


class Watch:
    """An `Ear`. `begin` before each question."""

    def __init__(self, clock: Callable[[], float], hosts: Sequence[Host]) -> None:
        self._clock, self._hosts = clock, hosts
        self.begin()

    def begin(self, *, steps: bool = False) -> None:
        """Everything is counted anew; with `steps`, each query is written down."""
        self.tally: Counter[tuple[int, int]] = Counter()
        """Messages by kind and hops."""
        self.reach: Counter[int] = Counter()
        """Nodes that were asked, by hops that the query had made before it came."""
        self.hits: dict[int, int] = {}
        """Who was found, and how many hops away."""
        self.first: int | None = None
        """Messages until the first hit had come."""
        self.steps: list[Step] = []
        self._numbers = {
            host.name: number for number, host in enumerate(self._hosts if steps else ())
        }

    def heard(self, node: int, link: Link, head: Descriptor) -> None:
        self.tally[head.kind, head.hops] += 1
        if self._numbers and head.kind == Kind.QUERY:
            self.steps.append((self._clock(), self._numbers[link.remote.host], node))

    def reached(self, node: int, hops: int) -> None:
        self.reach[hops] += 1

    def found(self, node: int, head: Descriptor, hit: QueryHit) -> None:
        if self.first is None:
            self.first = sum(self.messages().values())
        self.hits.setdefault(int.from_bytes(hit.servent, "big"), head.hops + 1)

    def queries(self) -> list[int]:
        """By hops that they had made."""
        most = max((hops for kind, hops in self.tally if kind == Kind.QUERY), default=-1)
        return [self.tally[Kind.QUERY, hops] for hops in range(most + 1)]

    def messages(self) -> Counter[str]:
        """For questions, by kind."""
        counts: Counter[str] = Counter()
        for (kind, _), count in self.tally.items():
            if kind in ASKED:
                counts[Kind(kind).name.lower()] += count
        return counts

    def outcome(self, question: Question, **more: int) -> Outcome:
        """`more` are messages that went another way than over links."""
        holders = question.thing.holders
        found = {node: hops for node, hops in self.hits.items() if node in holders}
        nearest = min(found.values(), default=None)
        messages = {**self.messages(), **more}
        return Outcome(messages, len(found), len(holders), nearest, self.first)
