"""Being in a network: from `join` to `leave`, whatever happens between the two."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from p2pswarm.errors import NetworkError
from p2pswarm.net.tasks import tell_bug

__all__ = ["Life", "at_once"]


class Life:
    """The one task of a network that we are in; it ends by being cancelled."""

    def __init__(self, network: str) -> None:
        self._network = network
        self._task: asyncio.Task[None] | None = None
        self._opening = asyncio.Lock()
        self._ends = 0  # times

    async def begin(
        self, prepare: Callable[[], Awaitable[None]], live: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        """Live, unless it does already. Raises NetworkError when it was ended meanwhile, and what `prepare`
        raises."""
        ends = self._ends
        async with self._opening:
            if self._task is not None:
                return
            await prepare()
            if self._ends != ends:
                raise NetworkError(f"we left {self._network} while we joined it")
            self._task = asyncio.create_task(live())
            self._task.add_done_callback(tell_bug)

    async def end(self, closing: Callable[[], None] = lambda: None) -> None:
        """`closing` is called when there is something to end. May be called twice."""
        self._ends += 1
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            closing()
            await asyncio.wait([task])


async def at_once() -> None:
    """Nothing has to be there first."""
