"""Standard input and output of a command that talks: lines that a person types, bytes of a program's pipe.

Both may block for as long as they like: a terminal at which nobody types, a pipe that nobody reads. So each
read and write is made in a thread that nobody waits for at the end, unlike those of the event loop's pool.
"""

import asyncio
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

__all__ = ["StandardPipe", "TypedLines"]

T = TypeVar("T")
MOST_LINE = 4000  # bytes that are said as one line


def _in_daemon(job: Callable[[], T]) -> "asyncio.Future[T]":
    """What `job` returns or raises. One that is stuck does not keep the process."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def tell(result: T | None, error: OSError | None) -> None:
        if not done.done():
            if error is None:
                done.set_result(result)  # type: ignore[arg-type]  # None only with an error
            else:
                done.set_exception(error)

    def run() -> None:
        result: T | None = None
        error: OSError | None = None
        try:
            result = job()
        except OSError as raised:
            error = raised
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(tell, result, error)

    threading.Thread(target=run, name="stdio", daemon=True).start()
    return done


class StandardPipe:
    """Standard input and output as the ends of a call's pipe."""

    def __init__(self, source: int = 0, target: int = 1) -> None:
        self._source, self._target = source, target

    async def read(self, most: int) -> bytes:
        return await _in_daemon(lambda: os.read(self._source, most))

    async def write(self, data: bytes) -> None:
        while data:
            data = data[await self._written(data) :]

    async def _written(self, data: bytes) -> int:
        return await _in_daemon(lambda: os.write(self._target, data))

    async def write_end(self) -> None:
        """Whoever reads sees the end, though the process goes on a moment."""
        await _in_daemon(lambda: os.dup2(os.open(os.devnull, os.O_WRONLY), self._target))


class TypedLines:
    """Lines of standard input, one after the other; whoever stops waiting for one loses none."""

    def __init__(self, source: int = 0) -> None:
        self._source = source
        self._came = b""
        self._ended = False
        self._reading: asyncio.Future[bytes] | None = None

    async def line(self) -> str | None:
        """Without its end; None when there are no more."""
        while not self._ended and b"\n" not in self._came and len(self._came) < MOST_LINE:
            if self._reading is None:
                self._reading = _in_daemon(lambda: os.read(self._source, MOST_LINE))
            try:
                data = await asyncio.shield(self._reading)
            except OSError:  # closed, or of a terminal whose foreground we are not
                data = b""
            self._reading = None
            self._came += data
            self._ended = not data
        if not self._came:
            return None
        line, _, self._came = self._came.partition(b"\n")
        self._came = line[MOST_LINE:] + (b"\n" if line[MOST_LINE:] else b"") + self._came
        text = line[:MOST_LINE].decode("utf-8", "replace").rstrip("\r")
        return text.encode()[:MOST_LINE].decode("utf-8", "ignore")  # broken bytes become longer
