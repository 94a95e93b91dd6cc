"""One query to several networks at once; their hits become files.

Hits of one file, from any network, are folded into one `Find` by the hashes they share.

The one hard thing: networks are slow, endless or broken each in its own way, and a person waits for the
first hit. So each runs in a task of its own, hits come out as they come, and one that fails only says so.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from time import perf_counter
from types import TracebackType
from typing import Self

from p2pswarm.errors import P2PSwarmError
from p2pswarm.overlay.network import Cost, SearchNetwork
from p2pswarm.overlay.query import Digest, Hit, Query

__all__ = ["Find", "Folding", "Search"]

log = logging.getLogger(__name__)

MAX_FINDS = 10_000  # files of one search; who answers more than that is not answered with memory
MAX_HOSTS = 64  # of one file; a swarm needs no more to begin with
WAITING = 1000  # hits that wait for whoever reads them; then their networks wait too


@dataclass(slots=True)
class Find:
    """One file, and who says to have it. `known` holds for each algorithm the first hash that was claimed."""

    hits: list[Hit] = field(default_factory=list)
    known: dict[str, bytes] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.hits[0].name

    @property
    def size(self) -> int:
        return self.hits[0].size

    def agrees(self, hit: Hit) -> bool:
        """No hash contradicts. A file that shares a weak hash and differs in a strong one is another."""
        return hit.size == self.size and all(
            self.known.get(name, value) == value for name, value in hit.digests()
        )

    def add(self, hit: Hit) -> bool:
        """False when this host was known to have it, or enough hosts are."""
        who = (hit.network, hit.nick, hit.host)
        if len(self.hits) >= MAX_HOSTS:
            return False
        if any((known.network, known.nick, known.host) == who for known in self.hits):
            return False
        self.hits.append(hit)
        for name, value in hit.digests():
            self.known.setdefault(name, value)
        return True


class Folding:
    """Hits become files. Every hash of a find leads to it; the first claim of a hash owns it."""

    def __init__(self) -> None:
        self.finds: list[Find] = []
        self.dropped = 0  # hits of more files than we hold
        self._by: dict[Digest, Find] = {}

    def add(self, hit: Hit) -> Find | None:
        """The file, if it is a new one; a double only makes the first one richer."""
        digests = list(hit.digests())
        for digest in digests:
            find = self._by.get(digest)
            if find is not None and find.agrees(hit):
                find.add(hit)
                self._lead_to(find, digests)
                return None
        if len(self.finds) >= MAX_FINDS:
            self.dropped += 1
            return None
        find = Find()
        find.add(hit)
        self.finds.append(find)
        self._lead_to(find, digests)
        return find

    def _lead_to(self, find: Find, digests: Sequence[Digest]) -> None:
        for digest in digests:
            self._by.setdefault(digest, find)


class Search:
    """`async with Search(networks, query) as search: async for find in search: ...`

    A file is given once, when its first hit comes; hosts that come later are in the same `Find`.
    """

    def __init__(self, networks: Sequence[SearchNetwork], query: Query) -> None:
        self.costs = {network.name: Cost() for network in networks}
        self.failures: dict[str, P2PSwarmError] = {}
        self._networks = networks
        self._query = query
        self._folding = Folding()
        self._hits: asyncio.Queue[Hit | None] = asyncio.Queue(WAITING)
        self._tasks = asyncio.TaskGroup()
        self._running: list[asyncio.Task[None]] = []

    @property
    def finds(self) -> Sequence[Find]:
        """Every file so far, in the order in which they were given."""
        return self._folding.finds

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        tasks = self._tasks
        self._running = [tasks.create_task(self._ask(network)) for network in self._networks]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._running:
            task.cancel()
        if isinstance(error, asyncio.CancelledError):
            await self._tasks.__aexit__(kind, error, trace)
        else:  # what was raised in the body is no failure of a task, and comes out as it is
            await self._tasks.__aexit__(None, None, None)

    async def __aiter__(self) -> AsyncIterator[Find]:
        left = len(self._networks)
        while left:
            hit = await self._hits.get()
            if hit is None:
                left -= 1
                continue
            find = self._folding.add(hit)
            if find is not None:
                yield find

    async def _ask(self, network: SearchNetwork) -> None:
        # Not the loop's clock: uvloop's stands still during a turn and counts whole milliseconds.
        cost, began = self.costs[network.name], perf_counter()
        try:
            async for hit in self._fitting(network, cost):
                cost.hits += 1
                cost.last = perf_counter() - began
                if cost.first is None:
                    cost.first = cost.last
                await self._hits.put(hit)
        except P2PSwarmError as error:
            log.debug("%s: %s", network.name, error)
            self.failures[network.name] = error
        cost.took = perf_counter() - began
        await self._hits.put(None)

    async def _fitting(self, network: SearchNetwork, cost: Cost) -> AsyncIterator[Hit]:
        """As many as were asked for, of those that answer the question."""
        left = self._query.limit
        async with aclosing(network.search(self._query, cost)) as hits:
            async for hit in hits:
                if self._query.fits(hit):
                    yield hit
                    left -= 1
                    if not left:
                        return
