"""Several ways to the same thing: begin with one, and with the next when that failed or takes too long.

The one hard thing: two may get there in the same turn of the loop. One is given, the other one put away.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Generic, TypeVar

__all__ = ["first_of"]

T = TypeVar("T")
_Start = Callable[[], Coroutine[Any, Any, T]]


async def first_of(starts: Sequence[_Start[T]], head_start: float, drop: Callable[[T], None]) -> T:
    """What is there first; the rest is cancelled, or dropped. Raises the first OSError when all failed."""
    race = _Race(drop)
    try:
        async with asyncio.TaskGroup() as tasks:
            for start in starts:
                race.running.append(tasks.create_task(race.run(start)))
                await race.next_turn(head_start)
                if race.won:
                    break
    except BaseException:
        race.drop_all()
        raise
    if not race.won:
        raise race.errors[0]
    return race.won[0]


class _Race(Generic[T]):
    def __init__(self, drop: Callable[[T], None]) -> None:
        self.running: list[asyncio.Task[None]] = []
        self.won: list[T] = []  # one at most
        self.errors: list[OSError] = []
        self._drop = drop
        self._turn = asyncio.Event()

    async def run(self, start: _Start[T]) -> None:
        try:
            result = await start()
        except OSError as error:
            self.errors.append(error)
        else:
            self._arrived(result)
        self._turn.set()

    def _arrived(self, result: T) -> None:
        if self.won:
            self._drop(result)
            return
        self.won.append(result)
        for task in self.running:
            if task is not asyncio.current_task():
                task.cancel()

    async def next_turn(self, head_start: float) -> None:
        """Until one of them has ended, or so many seconds have."""
        with suppress(TimeoutError):
            async with asyncio.timeout(head_start):
                await self._turn.wait()
        self._turn.clear()

    def drop_all(self) -> None:
        for result in self.won:
            self._drop(result)
