"""Our questions to the network, and who waits for their answers.

The one hard thing: nobody says when all answers are there. A search ends when nothing new has come for a
while, and one for a hash sooner: who has that exact file says so at once, or does not have it.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from typing import Protocol

from p2pswarm.errors import LocalProtocolError, NetworkError
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.formats.urns import btih_urn, sha1_urn
from p2pswarm.formats.zones import Zone, zone_of
from p2pswarm.overlay.gnutella.routing.dynamic import LIFETIME
from p2pswarm.overlay.gnutella.routing.questions import Question
from p2pswarm.overlay.gnutella.search.results import hits_of
from p2pswarm.overlay.gnutella.udp.guessing import Cost as Spent, Guessing
from p2pswarm.overlay.inbox import Inbox
from p2pswarm.overlay.network import Cost
from p2pswarm.overlay.query import Digest, Hit, Query as Asked
from p2pswarm.wire.gnutella.descriptor import HEADER_SIZE, Descriptor
from p2pswarm.wire.gnutella.hit import QueryHit
from p2pswarm.wire.gnutella.query import Query, QueryFlags

__all__ = ["Asking", "Marking", "Searching", "question_for"]

# Of a question; gtk-gnutella sends none of more than 256 on, and we may add some to what is asked.
MOST_BYTES = 220
AFTER_HASH = 3.0  # seconds that a search for a hash goes on after its last hit
# What HUGE 0.94 writes where a hash is asked for and no words: old servents drop empty queries.
_NO_WORDS = "\\"


class Asking(Protocol):
    """The router."""

    def ask(self, query: Query, guid: bytes, wanted: int) -> Question:
        """Spread a question. Raises LocalProtocolError."""

    def stop(self, guid: bytes) -> None:
        """There is enough."""


class Marking(Protocol):
    """Who knows whether and how hits come by UDP."""

    def asking(self, query: Query, wanted: int) -> tuple[Query, bytes]:
        """The question as it leaves, and its GUID."""

    def asked(self, guid: bytes) -> None:
        """It has ended."""

    def came(self, head: Descriptor, hit: QueryHit, sender: Address) -> None:
        """A hit by UDP."""


def question_for(asked: Asked, *, firewalled: bool) -> Query:
    """In Gnutella's words. Raises NetworkError for what it cannot be asked."""
    flags = QueryFlags.FIREWALLED if firewalled else QueryFlags.NONE
    if asked.digest is None and not asked.words:
        raise NetworkError("Gnutella cannot be asked for everything: say a word")
    if asked.digest is not None:
        question = Query(_NO_WORDS, (_urn(asked.digest),), flags=flags)
    else:
        question = Query(" ".join(asked.words), ("urn:",), flags=flags)
    try:
        size = len(question.encode())
    except LocalProtocolError as error:
        raise NetworkError(f"Gnutella cannot be asked that: {error}") from error
    if size > MOST_BYTES:
        raise NetworkError("Gnutella cannot be asked so much at once: say fewer words")
    return question


def _urn(digest: Digest) -> str:
    match digest.algorithm:
        case "sha1":
            return sha1_urn(digest.value)
        case "btih":
            return btih_urn(InfoHash(digest.value))
        case other:
            raise NetworkError(f"Gnutella cannot be asked by {other}")


class Searching:
    """`wait` is how many seconds a search goes on without a new hit."""

    def __init__(
        self,
        network: Asking,
        marking: Marking,
        guessing: Guessing,
        *,
        wait: float,
        firewalled: bool,
    ) -> None:
        self._network, self._marking, self._guessing = network, marking, guessing
        self._wait, self._firewalled = wait, firewalled
        self._inboxes: dict[bytes, Inbox] = {}

    def found(self, head: Descriptor, hit: QueryHit, teller: Zone) -> int:
        """A hit for a question of ours, from somebody there; how many of its results are new."""
        inbox = self._inboxes.get(head.guid)
        if inbox is None:
            return 0
        inbox.cost.messages += 1
        inbox.cost.bytes += HEADER_SIZE + len(head.payload)
        return inbox.put(hits_of(hit, teller), hit.address.host, head.hops + 1)

    async def recursive(self, asked: Asked, cost: Cost) -> AsyncGenerator[Hit, None]:
        """The network asks on. Raises NetworkError."""
        question = question_for(asked, firewalled=self._firewalled)
        with self._inbox(question, asked, cost) as (query, guid, inbox):
            spread = self._network.ask(query, guid, asked.limit)
            # Ultrapeers spread it no longer than that, and a liar has something new for ever.
            clock = asyncio.get_running_loop().time
            end = clock() + LIFETIME + self._wait

            def patience() -> float:
                return min(self.patience(asked, cost), end - clock())

            try:
                async with aclosing(inbox.hits(patience)) as hits:
                    async for hit in hits:
                        yield hit
            finally:
                cost.messages += spread.messages
                cost.bytes += spread.bytes
                self._network.stop(guid)

    async def iterative(self, asked: Asked, cost: Cost) -> AsyncGenerator[Hit, None]:
        """We ask one ultrapeer after the other (GUESS). Raises NetworkError."""
        question = question_for(asked, firewalled=self._firewalled)
        with self._inbox(question, asked, cost) as (query, guid, inbox):

            def found(head: Descriptor, hit: QueryHit, sender: Address) -> None:
                self._marking.came(head, hit, sender)
                inbox.put(hits_of(hit, zone_of(sender.host)), hit.address.host, head.hops + 1)

            spent = Spent()
            asking = asyncio.ensure_future(
                self._guessing.search(query, guid, asked.limit, found, cost=spent)
            )
            asking.add_done_callback(lambda _: inbox.end())
            try:
                async with aclosing(inbox.hits()) as hits:
                    async for hit in hits:
                        yield hit
            finally:
                asking.cancel()
                await asyncio.wait([asking])
                cost.messages += spent.messages_out + spent.messages_in
                cost.bytes += spent.bytes_out + spent.bytes_in
            if not asking.cancelled():
                asking.result()  # what went wrong, if anything
                if not spent.visited:
                    raise NetworkError("nobody whom we know answers queries by UDP (GUESS)")

    @contextmanager
    def _inbox(
        self, question: Query, asked: Asked, cost: Cost
    ) -> Iterator[tuple[Query, bytes, Inbox]]:
        """The question as it leaves, its GUID, and where answers come in. Raises NetworkError."""
        query, guid = self._marking.asking(question, asked.limit)
        inbox = self._inboxes[guid] = Inbox(cost)
        try:
            yield query, guid, inbox
        except LocalProtocolError as error:
            raise NetworkError(f"Gnutella cannot be asked that: {error}") from error
        finally:
            del self._inboxes[guid]
            self._marking.asked(guid)

    def patience(self, asked: Asked, cost: Cost) -> float:
        """Seconds until a search with this cost so far has found all it will."""
        found = asked.digest is not None and cost.hops
        return min(self._wait, AFTER_HASH) if found else self._wait
