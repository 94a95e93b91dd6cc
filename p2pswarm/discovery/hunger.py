"""When a source asks again: in its own time, sooner while peers are short, never after its end."""

import asyncio
from contextlib import suppress

__all__ = ["Hunger"]


class Hunger:
    """Of one source's `run`. Being short counts from the last `sated` on."""

    def __init__(self) -> None:
        self._short = asyncio.Event()
        self._left = asyncio.Event()

    @property
    def over(self) -> bool:
        return self._left.is_set()

    def sated(self) -> None:
        """Somebody is being looked for now."""
        self._short.clear()

    def need_more(self) -> None:
        self._short.set()

    def leave(self) -> None:
        """Whoever rests is woken."""
        self._left.set()
        self._short.set()

    async def pause(self, seconds: float) -> None:
        """So long in any case."""
        await _unless(self._left, seconds)

    async def rest(self, least: float, most: float) -> None:
        """Seconds: `least` in any case, and no more than that while somebody is needed."""
        await self.pause(least)
        await _unless(self._short, most - least)


async def _unless(event: asyncio.Event, seconds: float) -> None:
    """Wait for it, but no longer."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
