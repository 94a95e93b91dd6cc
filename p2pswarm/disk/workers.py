"""Threads that take jobs, and the way their results come back to the loop.

The cheapest hop that Python has: a SimpleQueue there, a deque and one `call_soon_threadsafe` back, which
carries everything that finished before the loop woke up (about 4 µs a job where an executor takes 15).
Threads are daemons, so that the second Ctrl-C does not wait for a disk that hangs.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any

from p2pswarm.errors import LocalProtocolError

__all__ = ["Deliver", "Job", "Workers", "attempt"]

Job = Callable[[], Any]
Deliver = Callable[[Any, Exception | None], None]
"""Called on the loop with the job's result, or with None and what it raised."""


class Workers:
    """At most `limit` threads, started when there is work for them. Created inside a running loop.

    Invariant: `_unfinished` counts the jobs that were put and not delivered; only the loop writes it.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._jobs: SimpleQueue[tuple[Job, Deliver] | None] = SimpleQueue()
        self._results: deque[tuple[Deliver, Any, Exception | None]] = deque()
        self._threads: list[Thread] = []
        self._unfinished = 0
        self._woken = False
        self._closed = False
        self._idle = asyncio.Event()
        self._idle.set()

    def put(self, job: Job, deliver: Deliver) -> None:
        """Run `job` in a thread, in the order of the calls; then `deliver` on the loop."""
        if self._closed:
            raise LocalProtocolError("a job for a disk pool that is closed")
        self._unfinished += 1
        self._idle.clear()
        self._jobs.put((job, deliver))
        if len(self._threads) < min(self._limit, self._unfinished):
            self._threads.append(Thread(target=self._work, name="p2pswarm-disk", daemon=True))
            self._threads[-1].start()

    async def aclose(self) -> None:
        """Wait until every job that was put is delivered, then end the threads. May be called twice."""
        self._closed = True
        await self._idle.wait()
        threads, self._threads = self._threads, []
        for _ in threads:
            self._jobs.put(None)
        for thread in threads:
            thread.join()  # it has nothing left to do

    def _work(self) -> None:
        while (task := self._jobs.get()) is not None:
            job, deliver = task
            self._results.append((deliver, *attempt(job)))
            # What is appended before `_woken` is read is seen by the drain that clears it.
            if not self._woken:
                self._woken = True
                self._loop.call_soon_threadsafe(self._drain)
            del task, job, deliver  # an idle thread must not keep a piece's buffer alive

    def _drain(self) -> None:
        self._woken = False
        while self._results:
            deliver, result, error = self._results.popleft()
            self._unfinished -= 1
            if not self._unfinished:
                self._idle.set()
            try:
                deliver(result, error)
            except BaseException:
                self._loop.call_soon(self._drain)  # one receiver's bug is not the next one's
                raise


def attempt(job: Job) -> tuple[Any, Exception | None]:
    """The job's result, or what it raised: nothing may be lost on the way between threads."""
    try:
        return job(), None
    except Exception as error:  # noqa: BLE001 - delivered, and raised there
        return None, error
