"""Messages that wait: written by `message`, delivered by it or by `answer`, as soon as both are there.

Who is not there is tried again, after longer and longer pauses that are never the same for two.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from random import Random
from typing import TYPE_CHECKING

from p2pswarm.cli.exits import one_line, words_of
from p2pswarm.cli.report import Report
from p2pswarm.cli.telephones import Telephone
from p2pswarm.cli.text import counted, printable
from p2pswarm.errors import P2PSwarmError

if TYPE_CHECKING:
    from p2pswarm.calling.outbox import Heard, Outbox
    from p2pswarm.wire.calling.letters import Message

__all__ = ["deliver", "heard_in", "known", "noted", "outbox_in", "posting", "tell_message"]

LOOK_EVERY = 10.0  # seconds; another command may have written something
FIRST_PAUSE, LONGEST_PAUSE = 30.0, 600.0  # seconds until somebody is tried again


def outbox_in(line: Telephone) -> "Outbox":
    from p2pswarm.calling.outbox import Outbox

    return Outbox(line.folder / "outbox")


def heard_in(line: Telephone) -> "Heard":
    from p2pswarm.calling.outbox import Heard

    return Heard(line.folder / "heard")


async def noted(line: Telephone, name: str) -> None:
    """He is a contact from now on. Raises DiskError."""
    from p2pswarm.calling.contacts import Contacts

    await line.disk(Contacts(line.folder / "contacts").add, name)


async def known(line: Telephone, name: str) -> bool:
    """Whether he is a contact. Raises DiskError."""
    from p2pswarm.calling.contacts import Contacts

    return bool(await line.disk(Contacts(line.folder / "contacts").__contains__, name))


def tell_message(sender: str, message: "Message", report: Report) -> None:
    """One that somebody wrote while we were away, or he."""
    when = datetime.fromtimestamp(min(message.time, time.time())).astimezone()
    text = printable(one_line(message.text))
    report.result(
        f"{sender} ({when:%Y-%m-%d %H:%M}): {text}",
        name=sender,
        text=message.text,
        time=message.time,
    )


async def deliver(line: Telephone, name: str, report: Report) -> int:
    """What waits for him, and what waits for us there; how many of ours. Raises RemoteError, HostError."""
    from p2pswarm.calling.letters import Letters
    from p2pswarm.wire.calling.letters import MESSAGE

    call = await line.phone.call(name, MESSAGE)
    letters = Letters(
        call,
        outbox_in(line),
        heard_in(line),
        lambda message: tell_message(name, message, report),
        line.disk,
    )
    try:
        await call.open()
        count = await letters.run()
    finally:
        await call.hang_up()
    await noted(line, name)
    if count:
        report.event("delivered", name=name, messages=count)
        report.note(f"{counted(count, 'message')} delivered to {name}")
    return count


@asynccontextmanager
async def posting(line: Telephone, report: Report) -> AsyncIterator[None]:
    """While the body runs, what waits is delivered."""
    post = asyncio.create_task(_post(line, report, Pauses(Random())))
    try:
        yield
    finally:
        post.cancel()
        await asyncio.wait([post])


async def _post(line: Telephone, report: Report, pauses: "Pauses") -> None:
    clock: Callable[[], float] = asyncio.get_running_loop().time
    while True:
        try:
            names = await line.disk(outbox_in(line).names)
        except P2PSwarmError as error:
            report.note(words_of(error))
            names = []
        for name in names:
            if not pauses.due(name, clock()):
                continue
            try:
                await deliver(line, name, report)
            except P2PSwarmError as error:
                report.event("waiting", name=name, reason=words_of(error))
                pauses.failed(name, clock())
            else:
                pauses.done(name)
        await asyncio.sleep(LOOK_EVERY)


class Pauses:
    """When to try whom again: sans-IO, and bounded by the outbox."""

    def __init__(self, dice: Random) -> None:
        self._dice = dice
        self._next: dict[str, tuple[float, float]] = {}  # when, and the pause after that

    def due(self, name: str, now: float) -> bool:
        return name not in self._next or self._next[name][0] <= now

    def failed(self, name: str, now: float) -> None:
        _, pause = self._next.get(name, (now, FIRST_PAUSE))
        later = now + pause * self._dice.uniform(0.5, 1.5)
        self._next[name] = later, min(2 * pause, LONGEST_PAUSE)

    def done(self, name: str) -> None:
        self._next.pop(name, None)
