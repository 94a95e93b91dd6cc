"""Event loops for tests on real sockets: one whose clock a busy machine does not move, and every loop that we
run on.
"""

import asyncio
import selectors
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.support.patience import PATIENCE

try:
    import uvloop
except ImportError:  # as on Windows, where a node runs on asyncio alone
    uvloop = None

__all__ = ["SteadyLoop", "on_every_loop"]

_MOST = 0.02  # seconds by which the clock moves at a time


class _Brief(selectors.DefaultSelector):
    """Waits so briefly that what is longer was no waiting."""

    def select(self, timeout: float | None = None) -> list[Any]:
        return super().select(timeout if timeout is None else min(timeout, _MOST))


class SteadyLoop(asyncio.SelectorEventLoop):
    """Its clock stands still while the process does, as on a machine that is busy with others.

    Both ends of what a test times are in this process: what one of them had no time to say, the other one
    shall not miss.
    """

    def __init__(self) -> None:
        self._now = self._looked = time.monotonic()
        super().__init__(_Brief())

    def time(self) -> float:
        looked = time.monotonic()
        self._now += min(looked - self._looked, _MOST)
        self._looked = looked
        return self._now


LOOPS = (
    {"asyncio": SteadyLoop}
    if uvloop is None
    else {"asyncio": SteadyLoop, "uvloop": uvloop.new_event_loop}
)


def on_every_loop(story: Callable[[], Awaitable[None]]) -> Callable[[str], None]:
    """Make a test of a coroutine function without arguments."""

    async def told() -> None:
        async with asyncio.timeout(PATIENCE):
            await story()

    @pytest.mark.parametrize("loop", LOOPS)
    def test(loop: str) -> None:
        with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
            runner.run(told())

    return test
