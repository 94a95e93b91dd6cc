"""When a torrent looks after itself: once a second while something goes on, else when something is due.

The one hard thing: ten thousand torrents that nobody is connected to must cost next to nothing. So those
tick only when something is due, and together a few times a second.
"""

import asyncio
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

__all__ = ["TICK", "Chore", "Ticked", "Ticking"]

TICK = 1.0  # seconds, while there are peers or something is under way
QUIET_TICKS = 25.0  # a second at most, of all torrents of a node together that are alone


class Chore(NamedTuple):
    """Something that has to be done every so many seconds, as long as things stand as they do."""

    name: str
    every: float
    work: Callable[[], None]


class Ticked(Protocol):
    """What this needs of the torrent."""

    @property
    def busy(self) -> bool: ...

    def clock(self) -> float: ...
    def do_what_is_due(self) -> None: ...
    def chores(self) -> Iterator[Chore]: ...
    def next_try(self) -> float: ...
    def stop(self, error: Exception) -> None: ...


class Ticking:
    """One torrent's alarm, and when each chore of it is due."""

    __slots__ = ("_alarm", "_due", "_loop", "_torrent", "_torrents")

    def __init__(self, torrent: Ticked, torrents: Callable[[], int]) -> None:
        self._torrent = torrent
        self._torrents = torrents  # how many the node has
        self._alarm: asyncio.TimerHandle | None = None
        self._due: dict[str, float] = {}
        self._loop = asyncio.get_running_loop()

    def put_off(self, **chores: float) -> None:
        """Each of these is due in so many seconds."""
        now = self._torrent.clock()
        self._due |= {name: now + seconds for name, seconds in chores.items()}

    def tick(self) -> None:
        """Everything that is due; then set the alarm for the next time."""
        self._alarm = None
        try:
            self._torrent.do_what_is_due()
        except Exception as error:  # noqa: BLE001 - nobody waits for a timer: this is where a bug shows
            self._torrent.stop(error)
        else:
            self._alarm = self._loop.call_later(self._until_next(), self.tick)

    def wake(self) -> None:
        """Something happened: from now on there may be something to do every second."""
        if self._alarm is not None and self._alarm.when() > self._loop.time() + TICK:
            self._alarm.cancel()
            self._alarm = self._loop.call_later(TICK, self.tick)

    def rest(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def do_chores(self, now: float) -> None:
        for chore in self._torrent.chores():
            if now >= self._due[chore.name]:
                self._due[chore.name] = now + chore.every
                chore.work()

    def _until_next(self) -> float:
        torrent = self._torrent
        if torrent.busy:
            return TICK
        due = [self._due[chore.name] for chore in torrent.chores()]
        due.append(torrent.next_try())
        return max(TICK, self._torrents() / QUIET_TICKS, min(due) - torrent.clock())
