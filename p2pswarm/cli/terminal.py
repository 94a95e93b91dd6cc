"""The one person at a terminal: asked one thing at a time, and a call comes before everything else.

The one hard thing: what is typed may be an answer, or a line of a call. So whatever else is asked waits while
somebody calls or talks, is interrupted by a call, and is asked again after that.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from p2pswarm.cli.report import Report

__all__ = ["Lines", "Terminal"]


class Lines(Protocol):
    """What is typed (`p2pswarm.cli.stdio`)."""

    async def line(self) -> str | None: ...


class Terminal:
    """Who calls takes it (`taken`) and asks (`yes`); whoever else asks waits his turn (`yes_between`)."""

    def __init__(self, lines: Lines, report: Report) -> None:
        self.lines, self._report = lines, report
        self._free = asyncio.Event()
        self._free.set()
        self._turn = asyncio.Lock()
        self._question: asyncio.Timeout | None = None

    @contextmanager
    def taken(self) -> Iterator[None]:
        """By a call, from its ring to its end; by one at a time."""
        self._free.clear()
        if self._question is not None:
            self._question.reschedule(0)
            self._question = None
        try:
            yield
        finally:
            self._free.set()

    async def yes(self, seconds: float) -> bool | None:
        """Whether that is what is typed; None when nothing is."""
        try:
            async with asyncio.timeout(seconds):
                return _is_yes(await self.lines.line())
        except TimeoutError:
            return None

    async def yes_between(self, question: str, seconds: float) -> bool:
        """The same in all these seconds in which nobody calls."""
        try:
            async with asyncio.timeout(seconds), self._turn:
                while True:
                    await self._free.wait()
                    self._report.note(question, again=True)
                    said = await self._unless_taken()
                    if said is not None:
                        return said
        except TimeoutError:
            return False

    async def _unless_taken(self) -> bool | None:
        try:
            async with asyncio.timeout(None) as self._question:
                return _is_yes(await self.lines.line())
        except TimeoutError:
            return None
        finally:
            self._question = None


def _is_yes(line: str | None) -> bool:
    return line is not None and line.strip().lower() in ("y", "yes")
