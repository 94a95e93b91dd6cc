"""Who asks a super node, how much he may, and which of his questions are open.

The one hard thing: anybody can send hits. So they are relayed only for a question that is open, only from a
link it was sent to, and only as many as were wanted, so many of one host. A link that was confirmed later
than a question was sent has a larger number than the question has: that tells them apart without a list.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum
from typing import Protocol

from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone, zone_of
from p2pswarm.overlay.limits import Tokens
from p2pswarm.wire.supernode.hits import Found, Hits
from p2pswarm.wire.supernode.queries import MAX_WANT

__all__ = ["OF_HOST", "OURS", "Asker", "Heard", "Neighbour", "Ours", "Question", "Role"]

OF_HOST = 20  # files of one host among the results of a question
OF_TELLER = 50  # results of one link among them, if not half of what is wanted

_HITS = (100.0, 2000.0)  # a second, and saved up, over one link
# A person asks twice a minute; a program looks for sources of all its downloads.
_QUERIES = (1.0, 30.0)

Heard = Callable[[Hits], None]


class Ours(Enum):
    """Ourselves, among those who ask and those who share."""

    OURS = "ours"


OURS = Ours.OURS


class Neighbour(Hashable, Protocol):
    """A link, as far as floods need one."""

    @property
    def remote(self) -> Address:
        """The other end of the connection."""

    @property
    def congested(self) -> bool:
        """Whether it reads more slowly than it is written to."""

    def send(self, *data: bytes) -> bool:
        """Whether these encoded frames will leave."""


class Role(StrEnum):
    """What somebody is to us."""

    STRANGER = "stranger"
    PARENT = "parent"
    CHILD = "child"
    LINK = "link"
    VISITOR = "visitor"
    SELF = "self"


# Questions of one that are open at a time; the oldest is closed. A link passes on what dozens of super nodes
# ask, and answers come within seconds.
_OPEN = {Role.CHILD: 100, Role.LINK: 1000, Role.VISITOR: 1, Role.SELF: 1000}


@dataclass(slots=True)
class Question:
    """What may still be relayed for it, and who was asked: links up to this number, but these."""

    left: int
    asked: int = 0
    passed_over: frozenset[Hashable] = frozenset()
    heard: Heard | None = None
    hosts: dict[Hashable, int] = field(default_factory=dict)
    tellers: dict[Hashable, int] = field(default_factory=dict)
    of_teller: int = MAX_WANT

    def share(self, tellers: int) -> None:
        """So many links are asked: one that makes up hits leaves place for those of others."""
        if tellers > 1:
            self.of_teller = max(self.left // 2, OF_TELLER)

    def take(self, found: Iterable[Found], teller: Hashable = None) -> tuple[Found, ...]:
        """As much of it as is still wanted, and of the link that tells it, if one does."""
        return tuple(kept for one in found if (kept := self._take(one, teller)) is not None)

    def _take(self, one: Found, teller: Hashable) -> Found | None:
        host = _counted(one.host)
        had, told = self.hosts.get(host, 0), self.tellers.get(teller, 0)
        room = self.left if teller is None else self.of_teller - told
        files = one.files[: max(0, min(self.left, OF_HOST - had, room))]
        if not files:
            return None
        self.left -= len(files)
        self.hosts[host] = had + len(files)
        self.tellers[teller] = told + len(files)
        return one if len(files) == len(one.files) else replace(one, files=files)


def _counted(address: Address) -> Hashable:
    """What counts as one host: nearby, where many share an address, its port too."""
    return address.host if zone_of(address.host) is Zone.INTERNET else address


class Asker:
    """A child, a link, a visitor, or ourselves. Invariant: so many questions are open and no more."""

    __slots__ = ("_hits", "_queries", "number", "open", "role", "zone")

    def __init__(self, role: Role, host: str, now: float) -> None:
        self.role = role
        self.zone = zone_of(host)
        self.number = 0
        """Of a confirmed link: how many were before it, and itself."""
        self.open: OrderedDict[bytes, Question] = OrderedDict()
        self._queries = Tokens(*_QUERIES, now)
        self._hits = Tokens(*_HITS, now)

    def may_ask(self, now: float) -> bool:
        """One more query of it; what links may ask, once confirmed, is shared among them elsewhere."""
        return self.number > 0 or self._queries.take(now)

    def may_answer(self, now: float) -> bool:
        """One more frame of hits."""
        return self._hits.take(now)

    def was_sent(self, question: Question, link: Hashable) -> bool:
        """Whether this one, which is the link, was sent the question."""
        return 0 < self.number <= question.asked and link not in question.passed_over

    def ask(self, guid: bytes, question: Question) -> None:
        self.open[guid] = question
        if len(self.open) > _OPEN[self.role]:
            self.open.popitem(last=False)

    def check(self) -> None:
        assert len(self.open) <= _OPEN[self.role]
        for question in self.open.values():
            assert 0 <= question.left <= MAX_WANT
            assert sum(question.hosts.values()) <= MAX_WANT
            assert all(0 < count <= OF_HOST for count in question.hosts.values())
