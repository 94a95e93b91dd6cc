"""Runs the asynchronous part of a command: uvloop where it exists, open files, Ctrl-C.

The first SIGINT or SIGTERM asks the command to end, which it does cleanly; the second ends the process at
once. A terminal that is closed (SIGHUP) asks, too. A command looks at `Stop.requested` between its steps,
sleeps with `Stop.sleep`, and wraps what may take long in `Stop.unless`.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from p2pswarm.cli.exits import Exit

__all__ = ["Stop", "StoppedError", "run"]

T = TypeVar("T")


class StoppedError(Exception):
    """Ctrl-C came while something was awaited."""


class Stop:
    """Whether the person wants an end, and the way to sleep until then."""

    def __init__(self, at_once: Callable[[], None]) -> None:
        self.requested = False
        self._at_once = at_once
        self._awake = asyncio.Event()
        self._asked = asyncio.Event()

    def request(self) -> None:
        """Ctrl-C: the first time ask, the second time do not return."""
        if self.requested:
            self._at_once()
            os._exit(Exit.STOPPED)
        self.requested = True
        self._asked.set()
        self.wake()

    def hang_up(self) -> None:
        """The terminal is closed: both the kernel and the shell say so, and that is not Ctrl-C twice."""
        if not self.requested:
            self.request()

    def wake(self) -> None:
        """Something changed: whoever sleeps should look."""
        self._awake.set()

    async def sleep(self, seconds: float) -> None:
        """Until the time is over or somebody calls `wake`."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._awake.wait(), seconds)
        self._awake.clear()

    async def unless(self, work: Awaitable[T]) -> T:
        """The result of `work`; raises StoppedError, with `work` cancelled, if Ctrl-C comes first."""
        working = asyncio.ensure_future(work)
        asked = asyncio.ensure_future(self._asked.wait())
        try:
            await asyncio.wait({working, asked}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise StoppedError
            return working.result()
        finally:
            for task in (working, asked):
                task.cancel()
            await asyncio.gather(working, asked, return_exceptions=True)


def run(
    work: Callable[[Stop], Coroutine[Any, Any, Exit]],
    *,
    at_once: Callable[[], None] = lambda: None,
    when_stopped: Exit = Exit.STOPPED,
) -> Exit:
    """`work` in a new event loop; `at_once` is called before a second Ctrl-C ends the process."""
    _raise_open_files()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_supervised(work, at_once, when_stopped))


async def _supervised(
    work: Callable[[Stop], Coroutine[Any, Any, Exit]],
    at_once: Callable[[], None],
    when_stopped: Exit,
) -> Exit:
    stop = Stop(at_once)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.request)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as under nohup
        loop.add_signal_handler(signal.SIGHUP, stop.hang_up)
    try:
        return await work(stop)
    except StoppedError:
        return when_stopped


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:  # Windows, PyPy: asyncio's own loop does the same, slower
        return asyncio.new_event_loop
    return uvloop.new_event_loop


def _raise_open_files() -> None:
    """Every peer and every open file of a torrent is a descriptor; the soft limit is often only 1024."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS refuses "unlimited"; then it stays
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
