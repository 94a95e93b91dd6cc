"""Tests of sockets run on every event loop that we run on."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

try:
    import uvloop
except ImportError:  # as on Windows, where a node runs on asyncio alone
    LOOPS = {"asyncio": asyncio.new_event_loop}
else:
    LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}

__all__ = ["on_every_loop"]

PATIENCE = 10.0  # seconds; every event that a story waits for comes in a fraction of one


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
