"""Work that is dear and that anybody may cause: in slices, so that others have a turn between them.

Nothing is refused: how much may wait is up to whoever gives it.
"""

import asyncio
from collections import deque
from collections.abc import Callable

__all__ = ["Slices"]


class Slices:
    """One after the other, in the order in which they came."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()

    def add(self, work: Callable[[], None]) -> None:
        """Do this soon."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._go_on)
        self._waiting.append(work)

    def _go_on(self) -> None:
        """One in a turn of the loop, in which uvloop accepts one connection, too."""
        work = self._waiting.popleft()
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._go_on)
        work()
