"""Which addresses are ours now, looked at every few seconds: machines walk from one network into another.

Nobody tells a connection that the address it began at is gone. What the other side sends gets lost, and who
only takes would wait for minutes. Here it ends, and whoever had it dials anew.

The one hard thing: addresses come and go while others stay, as those do that hide us in IPv6. So a connection
ends for its own address alone; and only who has lost one is somewhere else.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from weakref import WeakSet

from p2pswarm.errors import NetworkError
from p2pswarm.net.stream import Stream

__all__ = ["Whereabouts"]

log = logging.getLogger(__name__)

EVERY = 3.0  # seconds; a look takes a quarter of a millisecond


class Whereabouts:
    """`begin` once the addresses are ours; `end` may be called twice."""

    def __init__(self, ours: Callable[[], Iterable[str]]) -> None:
        self._ours = ours
        self._before: frozenset[str] = frozenset()
        self._streams: WeakSet[Stream] = WeakSet()
        self._timer: asyncio.TimerHandle | None = None
        self.moved: Callable[[], None] = _nothing
        """An address is gone that was ours."""

    def begin(self) -> None:
        self._before = frozenset(self._ours())
        self._wait()

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def watch(self, stream: Stream) -> Stream:
        """It ends when its address does."""
        self._streams.add(stream)
        return stream

    def look(self) -> None:
        """What is gone since the last time?"""
        now = frozenset(self._ours())
        gone, self._before = self._before - now, now
        if gone:
            log.debug("not ours any more: %s", ", ".join(sorted(gone)))
            for stream in list(self._streams):
                if stream.local.host in gone and not stream.over:
                    stream.close(NetworkError("our address is another one now"))
            self.moved()

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(EVERY, self._tick)

    def _tick(self) -> None:
        self._wait()
        self.look()


def _nothing() -> None:
    """Nobody wants to know."""
