"""Whether we can be called, told whenever that changes: at home at a super node, and in the directory.

The one hard thing: homes come and go by themselves, and our record is written again and again. So nothing is
told of a short while, and who was found once stays findable while a new record is on its way.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from p2pswarm.cli.report import Report

if TYPE_CHECKING:
    from p2pswarm.overlay.people.client import People, PeopleStatus

__all__ = ["Standing", "told_whether_callable"]

EVERY = 0.5  # seconds
SHORT = 3.0  # seconds that are nothing to tell of


class _Turn(NamedTuple):
    """What has changed."""

    event: str
    text: str
    reason: str = ""


class Standing:
    """Sans-IO: `look` now and then."""

    def __init__(self, name: str, now: float) -> None:
        self._name, self._since = name, now
        self._told: bool | None = None
        self._was = False

    def look(self, status: "PeopleStatus", now: float) -> _Turn | None:
        """What is to be told of it."""
        if status.homes and (status.published or self._told):
            self._since = now
            if self._told:
                return None
            self._told = self._was = True
            return _Turn("callable", f"{self._name} can be called")
        if self._told is False or now - self._since < SHORT:
            return None
        self._told = False
        return self._lost(status)

    def _lost(self, status: "PeopleStatus") -> _Turn:
        since = "any more" if self._was else "yet"
        if status.homes:
            reason = status.trouble or "no super node has said so"
            text = f"{self._name} is not in the directory {since}: {reason}"
        else:
            reason = status.trouble or "none answers"
            text = f"no super node takes us in {since}: {reason}"
        return _Turn("not_callable", text, reason)


@asynccontextmanager
async def told_whether_callable(people: "People", name: str, report: Report) -> AsyncIterator[None]:
    """While the body runs."""
    watch = asyncio.create_task(_watch(people, name, report))
    try:
        yield
    finally:
        watch.cancel()
        await asyncio.wait([watch])


async def _watch(people: "People", name: str, report: Report) -> None:
    clock = asyncio.get_running_loop().time
    standing = Standing(name, clock())
    while True:
        turn = standing.look(people.status(), clock())
        if turn is not None:
            more = {"reason": turn.reason} if turn.reason else {}
            report.event(turn.event, name=name, **more)
            report.note(turn.text, again=True)
        await asyncio.sleep(EVERY)
