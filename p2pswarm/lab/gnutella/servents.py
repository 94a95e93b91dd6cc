"""One node: the product's router and tables, and a list of names where it has a catalog.

It answers at once what it is asked. Its router counts for the whole laboratory what arrives where, and can
ask in the way of 2001, too: a flood that starts at an ultrapeer.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Protocol

from typing_extensions import override

from p2pswarm.formats.ids import Address
from p2pswarm.formats.words import words_of
from p2pswarm.overlay.gnutella.links.agreement import FLAT_TTL, Role
from p2pswarm.overlay.gnutella.links.link import Link
from p2pswarm.overlay.gnutella.routing.interests import Interests
from p2pswarm.overlay.gnutella.routing.replies import OURS
from p2pswarm.overlay.gnutella.routing.router import Ourselves, Router
from p2pswarm.wire.gnutella.descriptor import Descriptor, Kind
from p2pswarm.wire.gnutella.hit import QueryHit
from p2pswarm.wire.gnutella.push import Push
from p2pswarm.wire.gnutella.qrp import QueryTable
from p2pswarm.wire.gnutella.query import Query
from p2pswarm.wire.gnutella.results import Result
from p2pswarm.wire.gnutella.vendor import Vendor, VendorMessage

__all__ = ["ASKED", "PORT", "Counting", "Ear", "Servent", "answer_of", "table_of"]

PORT = 6346
SIZE = 4_000_000  # bytes of a file: nobody fetches it
ASKED = (Kind.QUERY, Kind.HIT, Kind.VENDOR)
"""What travels for questions; the rest keeps the network up."""


class Ear(Protocol):
    """Who writes down what happens in the whole network."""

    def heard(self, node: int, link: Link, head: Descriptor) -> None:
        """This message arrived."""

    def reached(self, node: int, hops: int) -> None:
        """A query came to somebody who may have what it asks for."""

    def found(self, node: int, head: Descriptor, hit: QueryHit) -> None:
        """A hit is where it was wanted."""


class Counting(Router):
    """The product's, which tells what it hears."""

    def __init__(
        self,
        number: int,
        ear: Ear,
        guid: bytes,
        role: Role,
        local: Ourselves,
        interests: Interests,
        clock: Callable[[], float],
        dice: Random,
    ) -> None:
        super().__init__(guid, role, local, interests, clock, dice)
        self._number, self._heard = number, ear.heard

    @override
    def got(self, link: Link, head: Descriptor) -> None:
        self._heard(self._number, link, head)
        super().got(link, head)

    def flood(self, query: Query, guid: bytes, ttl: int) -> None:
        """A question of ours to everybody at once, whatever we are, as far as `ttl`."""
        self._routes.first(guid, Kind.QUERY, OURS, self._clock(), FLAT_TTL)
        head = Descriptor(guid, Kind.QUERY, ttl, 0, query.encode())
        self.to_leaves(head, self._interests.words(query), None)
        for link in self.peers():
            link.tell(head)

    def go_on(self, now: float) -> None:
        """Once a second while there is a question: of `tick` only this, as nobody leaves and is missed."""
        self._questions.tick(now)


class Servent:
    """Node `number`; `own` is the table of its names, which may have more words than they have."""

    def __init__(
        self,
        number: int,
        host: str,
        role: Role,
        names: Sequence[str],
        own: QueryTable,
        ear: Ear,
        clock: Callable[[], float],
        dice: Random,
    ) -> None:
        self.number, self.names = number, names
        self.guid = number.to_bytes(16, "big")
        self._here = Address(host, PORT)
        self._ear = ear
        interests = Interests(dice, own)
        self.router = Counting(number, ear, self.guid, role, self, interests, clock, dice)

    @property
    def handled(self) -> int:
        """Messages for questions that it sent or received."""
        counts: Counter[int] = Counter()
        for link in self.router.links:
            counts.update(link.sent.messages)
            counts.update(link.received.messages)
        return sum(counts[kind] for kind in ASKED)

    # What the router tells

    def asked(self, head: Descriptor, query: Query, link: Link) -> None:
        self._ear.reached(self.number, head.hops)
        hit = answer_of(self.names, query, self._here, self.guid)
        if hit is not None:
            self.router.answer(head, hit)

    def found(self, head: Descriptor, hit: QueryHit, link: Link) -> None:
        self._ear.found(self.number, head, hit)

    def pushed(self, push: Push, link: Link) -> None:
        """Nobody fetches here."""

    def vendor(self, head: Descriptor, message: VendorMessage | Vendor, link: Link) -> None:
        """Nobody is behind a firewall."""

    def shares(self) -> tuple[int, int]:
        return len(self.names), SIZE * len(self.names)


def answer_of(names: Iterable[str], query: Query, here: Address, guid: bytes) -> QueryHit | None:
    """Those that have all the words."""
    words = set(words_of(query.text))
    results = tuple(
        Result(number, SIZE, name)
        for number, name in enumerate(names)
        if words <= set(words_of(name))
    )
    return QueryHit(here, 1000, results, guid) if results else None


def table_of(names: Iterable[str]) -> QueryTable:
    table = QueryTable()
    for name in names:
        table.add_name(name)
    return table
