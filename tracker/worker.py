"""A thread of its own for what would hold the event loop: databases and password hashes.

Jobs run one after another, in order, and are functions of their arguments; results come back on the loop.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["Worker"]

T = TypeVar("T")

log = logging.getLogger(__name__)


class Worker:
    """After `aclose` nothing more is run and nobody hears of what was running."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._threads = ThreadPoolExecutor(1, name)
        self._closed = False
        self.waiting = 0  # jobs not done yet

    def do(
        self, job: Callable[[], T], done: Callable[[T], None], failed: Callable[[], None]
    ) -> None:
        """Call `done` with the job's result, or `failed` when it raised; why is in the log."""
        if self._closed:
            return
        self.waiting += 1
        loop = asyncio.get_running_loop()
        self._threads.submit(self._run, loop, job, done, failed)

    async def run(self, job: Callable[[], T]) -> T:
        """For who may wait; raises what the job raises."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, job)

    async def aclose(self) -> None:
        """What is running ends first; what is waiting is dropped."""
        self._closed = True
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)

    def _run(
        self,
        loop: asyncio.AbstractEventLoop,
        job: Callable[[], T],
        done: Callable[[T], None],
        failed: Callable[[], None],
    ) -> None:
        try:
            result = job()
        except Exception:  # a thread's last chance to say so
            log.exception("a job of %s failed", self._name)
            loop.call_soon_threadsafe(self._deliver, failed)
        else:
            loop.call_soon_threadsafe(self._deliver, lambda: done(result))

    def _deliver(self, tell: Callable[[], None]) -> None:
        self.waiting -= 1
        if not self._closed:
            tell()
