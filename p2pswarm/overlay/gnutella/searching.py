"""Our questions to the network, and who waits for their answers.

The one hard thing: nobody says when all answers are there. A search ends when nothing new has come for a
while, and one for a hash sooner: who has that exact file says so at once, or does not have it.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from random import Random
from typing import Protocol

from p2pswarm.errors import FormatError, LocalProtocolError, NetworkError
from p2pswarm.formats.ids import InfoHash
from p2pswarm.formats.urns import btih_urn, sha1_urn
from p2pswarm.overlay.gnutella.questions import Question
from p2pswarm.overlay.gnutella.results import Results
from p2pswarm.overlay.network import Cost
from p2pswarm.overlay.query import Digest, Hit, Query as Asked
from p2pswarm.wire.gnutella.descriptor import HEADER_SIZE, Descriptor, new_guid
from p2pswarm.wire.gnutella.hit import QueryHit
from p2pswarm.wire.gnutella.query import Query, QueryFlags

__all__ = ["Asking", "Inbox", "Searching", "question_for"]

MOST_WAITING = 1000  # hits that wait for whoever reads them; more are dropped
AFTER_HASH = 3.0  # seconds that a search for a hash goes on after its last hit
# What HUGE 0.94 writes where a hash is asked for and no words: old servents drop empty queries.
_NO_WORDS = "\\"


class Asking(Protocol):
    """The router."""

    def ask(self, query: Query, guid: bytes, wanted: int) -> Question:
        """Spread a question. Raises LocalProtocolError."""

    def stop(self, guid: bytes) -> None:
        """There is enough."""


def question_for(asked: Asked, *, firewalled: bool) -> Query:
    """In Gnutella's words. Raises NetworkError for what it cannot be asked."""
    flags = QueryFlags.FIREWALLED if firewalled else QueryFlags.NONE
    if asked.digest is not None:
        return Query(_NO_WORDS, (_urn(asked.digest),), flags=flags)
    if not asked.words:
        raise NetworkError("Gnutella cannot be asked for everything: say a word")
    return Query(" ".join(asked.words), ("urn:",), flags=flags)


def _urn(digest: Digest) -> str:
    match digest.algorithm:
        case "sha1":
            return sha1_urn(digest.value)
        case "btih":
            return btih_urn(InfoHash(digest.value))
        case other:
            raise NetworkError(f"Gnutella cannot be asked by {other}")


class Inbox:
    """The answers to one question, and what they cost."""

    def __init__(self, cost: Cost) -> None:
        self.cost = cost
        self._results = Results()
        self._hits: deque[Hit] = deque()
        self._bell = asyncio.Event()

    def put(self, hit: QueryHit, hops: int, size: int) -> int:
        """A message of so many bytes that came so far; how many of its results are new."""
        self.cost.messages += 1
        self.cost.bytes += size
        self.cost.hops = max(self.cost.hops, hops)
        new = list(self._results.hits(hit))[: MOST_WAITING - len(self._hits)]
        if new:  # who repeats itself must not keep a search going
            self._hits.extend(new)
            self._bell.set()
        return len(new)

    async def hits(self, patience: Callable[[], float]) -> AsyncGenerator[Hit, None]:
        """As they come, until none has come for that long."""
        while True:
            while self._hits:
                yield self._hits.popleft()
            self._bell.clear()
            try:
                async with asyncio.timeout(patience()):
                    await self._bell.wait()
            except TimeoutError:
                return


class Searching:
    """`wait` is how many seconds a search goes on without a new hit."""

    def __init__(self, network: Asking, dice: Random, *, wait: float, firewalled: bool) -> None:
        self._network, self._dice = network, dice
        self._wait, self._firewalled = wait, firewalled
        self._inboxes: dict[bytes, Inbox] = {}

    def found(self, head: Descriptor, hit: QueryHit) -> int:
        """A hit for a question of ours; how many of its results are new."""
        inbox = self._inboxes.get(head.guid)
        if inbox is None:
            return 0
        return inbox.put(hit, head.hops + 1, HEADER_SIZE + len(head.payload))

    async def search(self, asked: Asked, cost: Cost) -> AsyncGenerator[Hit, None]:
        """The network asks on. Raises NetworkError."""
        guid, query = new_guid(self._dice), question_for(asked, firewalled=self._firewalled)
        inbox = self._inboxes[guid] = Inbox(cost)
        try:
            question = self._ask(query, guid, asked.limit)
            try:
                async for hit in inbox.hits(lambda: self.patience(asked, cost)):
                    yield hit
            finally:
                cost.messages += question.messages
                cost.bytes += question.bytes
                self._network.stop(guid)
        finally:
            del self._inboxes[guid]

    def patience(self, asked: Asked, cost: Cost) -> float:
        """Seconds until a search with this cost so far has found all it will."""
        found = asked.digest is not None and cost.hops
        return min(self._wait, AFTER_HASH) if found else self._wait

    def _ask(self, query: Query, guid: bytes, wanted: int) -> Question:
        try:
            return self._network.ask(query, guid, wanted)
        except (LocalProtocolError, FormatError) as error:
            raise NetworkError(f"Gnutella cannot be asked that: {error}") from error
