"""The answers to one question, for whoever waits for them, in networks where nobody says when all are there.

The one hard thing: whoever answers says what it likes, as often as it likes. So of one host so many results
of a search count, each file once, and what comes from all together is bounded, too.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator

from p2pswarm.overlay.network import Cost
from p2pswarm.overlay.query import Hit

__all__ = ["Inbox"]

MOST_OF_ONE = 200  # results of one host by name, and of one address: names are made up at no cost
MOST = 10_000  # results of one search
MOST_WAITING = 1000  # hits that wait for whoever reads them; more are dropped


class Inbox:
    """And what they cost."""

    def __init__(self, cost: Cost) -> None:
        self.cost = cost
        self._seen: set[tuple[str, object]] = set()
        self._of: Counter[str] = Counter()
        self._hits: deque[Hit] = deque()
        self._bell = asyncio.Event()
        self._over = False

    def put(self, hits: Iterable[Hit], host: str, hops: int) -> int:
        """What somebody who says to be at `host` has, so far away; how many of them are new."""
        self.cost.hops = max(self.cost.hops, hops)
        new = list(self._new(hits, host))[: MOST_WAITING - len(self._hits)]
        if new:  # who repeats itself must not keep a search going
            self._hits.extend(new)
            self._bell.set()
        return len(new)

    def _new(self, hits: Iterable[Hit], host: str) -> Iterator[Hit]:
        for hit in hits:
            key = hit.nick, hit.sha1 or (hit.name, hit.size)
            if key in self._seen or len(self._seen) >= MOST:
                continue
            if max(self._of[hit.nick], self._of[host]) >= MOST_OF_ONE:
                return
            self._seen.add(key)
            self._of.update((hit.nick, host))
            yield hit

    def again(self) -> None:
        """It was asked anew: whoever waits has patience again."""
        self._bell.set()

    def end(self) -> None:
        """No more will come."""
        self._over = True
        self._bell.set()

    async def hits(
        self, patience: Callable[[], float | None] = lambda: None
    ) -> AsyncGenerator[Hit, None]:
        """As they come, until none has come for that long, or none will."""
        while True:
            while self._hits:
                yield self._hits.popleft()
            if self._over:
                return
            self._bell.clear()
            try:
                async with asyncio.timeout(patience()):
                    await self._bell.wait()
            except TimeoutError:
                return
