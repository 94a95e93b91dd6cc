"""Somebody is called who may not be there: again and again, until he is.

The one hard thing: who waits must cost little, and many may wait for the same one. So pauses grow, and are
never the same for two; and who does not pick up, or does not want to, is not rung again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import TypeVar

from p2pswarm.errors import DeclinedError, NetworkError, UnknownNameError

__all__ = ["Pauses", "helps", "when_there"]

T = TypeVar("T")
FIRST_PAUSE, LONGEST_PAUSE = 3.0, 30.0  # seconds: a super node lets one ring another once in ten


class Pauses:
    """Longer and longer ones, from one to another. Sans-IO."""

    def __init__(self, first: float, longest: float, dice: Random) -> None:
        self._pause, self._longest, self._dice = first, longest, dice

    def next(self) -> float:
        pause, self._pause = self._pause, min(2 * self._pause, self._longest)
        return pause * self._dice.uniform(0.7, 1.3)


def helps(error: NetworkError, *, friend: bool) -> bool:
    """Whether to wait may help; of a `friend` we know that he has his name, also where nobody else does."""
    if isinstance(error, DeclinedError):
        return error.reason in ("busy", "too-often")
    return friend or not isinstance(error, UnknownNameError)


async def when_there(
    call: Callable[[], Awaitable[T]],
    patience: float,
    told: Callable[[NetworkError], None],
    dice: Random,
    *,
    friend: bool,
) -> T:
    """What `call` returns as soon as it does; `told` hears why it does not yet.

    Raises what it raises, when to wait does not help, or `patience` seconds were not enough.
    """
    clock = asyncio.get_running_loop().time
    ends, pauses = clock() + patience, Pauses(FIRST_PAUSE, LONGEST_PAUSE, dice)
    while True:
        try:
            return await call()
        except NetworkError as error:
            left = ends - clock()
            if left <= 0 or not helps(error, friend=friend):
                raise
            told(error)
        await asyncio.sleep(min(pauses.next(), left))
