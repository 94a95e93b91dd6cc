"""`call` and `answer`: people who talk to each other by name, from wherever they are.

Who calls hangs up when its file was said, its pipe is at its end, or nothing more is typed; Ctrl-C hangs up,
too. Who answers takes one call after the other; a machine, which has files or a pipe, takes one and ends.
"""

import asyncio
import sys
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING

from p2pswarm.cli.conversing import Sounds, converse, sounds_of
from p2pswarm.cli.exits import Exit, UsageError, one_line, words_of
from p2pswarm.cli.obeying import Answering, Giving, Here, Visiting
from p2pswarm.cli.options import Inquiry, NameArgument, Progress, Receiving
from p2pswarm.cli.posting import noted, posting
from p2pswarm.cli.receiving import Reception
from p2pswarm.cli.report import Report
from p2pswarm.cli.running import Stop, StoppedError, run
from p2pswarm.cli.stdio import TypedLines
from p2pswarm.cli.talking import Talking
from p2pswarm.cli.telephones import Telephone, telephone
from p2pswarm.cli.text import printable
from p2pswarm.config import NetworkSettings, Settings
from p2pswarm.errors import RemoteError
from p2pswarm.overlay.query import Lookup

if TYPE_CHECKING:
    from p2pswarm.calling.call import Call
    from p2pswarm.calling.phone import Incoming

__all__ = ["answer", "call"]

DECIDE_TIME = 25.0  # seconds a person has to say yes; the caller waits 30


def call(
    name: NameArgument,
    talking: Talking,
    inquiry: Inquiry,
    networks: Visiting,
    settings: Here,
    progress: Progress,
) -> Exit:
    """Call somebody by name and talk, encrypted from end to end; Ctrl-C hangs up.

    Lines that are typed are said as text. With --in a WAV file is said, and the call ends with it; with
    --pipe it connects two programs. Each second it is told how well the other side is heard.
    """
    _check(talking, progress)
    recursive = inquiry.lookup is Lookup.RECURSIVE
    with Report(progress) as report:
        work = partial(_call, name, talking, recursive, networks, settings, report)
        return run(work, at_once=report.abandon)


def answer(
    talking: Talking,
    receiving: Receiving,
    networks: Answering,
    settings: Giving,
    progress: Progress,
) -> Exit:
    """Be found and called by name, until stopped; with --in, --out or --pipe for one call.

    On a terminal it asks before each call; elsewhere it answers. Files that somebody sends are taken as
    --accept says, and messages that wait, ours for others as well, are delivered.
    """
    _check(talking, progress)
    with Report(progress) as report:
        work = partial(_answer, talking, receiving, networks, settings, report)
        return run(work, at_once=report.abandon, when_stopped=Exit.OK)


def _check(talking: Talking, progress: Progress) -> None:
    if talking.pipe and progress.json:
        raise UsageError("standard output is the pipe's: --json has no place there")


# One calls


async def _call(
    name: str,
    talking: Talking,
    recursive: bool,
    networks: NetworkSettings,
    settings: Settings,
    report: Report,
    stop: Stop,
) -> Exit:
    sounds = sounds_of(talking, report)
    try:
        async with telephone(networks, settings, report, stop) as line:
            report.event("ringing", name=name)
            report.note(f"calling {name}")
            called = await stop.unless(line.phone.call(name, talking.wants, recursive=recursive))
            await noted(line, called.other)
            await _conversed(called, talking, sounds, TypedLines(), report, stop)
    finally:
        sounds.close()
    return Exit.OK


async def _conversed(
    call: "Call",
    talking: Talking,
    sounds: Sounds,
    typed: TypedLines,
    report: Report,
    stop: Stop,
    reception: Reception | None = None,
) -> None:
    """From the answer to the end, whoever hangs up; we were called where there is a reception.

    Raises NetworkError when the call was lost.
    """
    try:
        await stop.unless(call.open())
        report.event("answered", name=call.other)
        if call.wants == talking.wants:
            talk = converse(call, talking, sounds, typed, report, calls=reception is None)
            await stop.unless(talk)
        elif reception is not None and not talking.by_machine and reception.knows(call.wants):
            await stop.unless(reception.receive(call))
        else:
            await call.hang_up(f"no {call.wants} here, only a {talking.wants}")
    except StoppedError:
        report.note("hanging up")
        if reception is not None:
            raise
    finally:
        await call.hang_up()
    reason = printable(one_line(call.ended.result()))
    report.event("hung_up", name=call.other, reason=reason)
    report.note(f"the call with {call.other} is over{f': {reason}' if reason else ''}")


# Another one answers


async def _answer(
    talking: Talking,
    receiving: Receiving,
    networks: NetworkSettings,
    settings: Settings,
    report: Report,
    stop: Stop,
) -> Exit:
    async with telephone(networks, settings, report, stop) as line:
        post = nullcontext() if talking.by_machine else posting(line, report)
        desk = _Desk(line, talking, receiving, report, stop)
        report.note(f"{line.phone.name} can be called")
        async with post:
            while True:
                incoming = await desk.next()
                try:
                    taken = await desk.take(incoming)
                except RemoteError as error:
                    if talking.by_machine:
                        raise
                    report.note(f"{incoming.name}: {words_of(error)}")
                    taken = False
                if taken and talking.by_machine:
                    return Exit.OK


class _Desk:
    """Who rings waits here, one at a time; the others hear that we are busy."""

    def __init__(
        self, line: Telephone, talking: Talking, receiving: Receiving, report: Report, stop: Stop
    ) -> None:
        self._phone, self._talking, self._report, self._stop = line.phone, talking, report, stop
        self._typed = TypedLines()
        self._asks = not talking.by_machine and sys.stdin is not None and sys.stdin.isatty()
        ask = self._yes if self._asks else None
        self._reception = Reception(line, receiving, ask, report)
        self._waiting: asyncio.Queue[Incoming] = asyncio.Queue(1)
        self._busy = False
        self._phone.on_incoming = self._rings

    def _rings(self, incoming: "Incoming") -> None:
        if self._busy or self._waiting.full():
            self._phone.decline(incoming, "busy")
        else:
            self._waiting.put_nowait(incoming)

    async def next(self) -> "Incoming":
        self._busy = False
        incoming = await self._stop.unless(self._waiting.get())
        self._busy = True
        self._report.event("incoming", name=incoming.name)
        how = ": type y to answer, anything else to decline" if self._asks else ""
        self._report.note(f"{incoming.name} calls{how}")
        return incoming

    async def take(self, incoming: "Incoming") -> bool:
        """Whether there was a call. Raises RemoteError, HostError."""
        if self._asks and not await self._yes(DECIDE_TIME):
            self._phone.decline(incoming)
            return False
        sounds = sounds_of(self._talking, self._report)
        try:
            call = await self._stop.unless(self._phone.answer(incoming))
            await _conversed(
                call,
                self._talking,
                sounds,
                self._typed,
                self._report,
                self._stop,
                self._reception,
            )
        finally:
            sounds.close()
        return True

    async def _yes(self, seconds: float) -> bool:
        """Whether that is what is typed within this time."""
        try:
            async with asyncio.timeout(seconds):
                line = await self._stop.unless(self._typed.line())
        except TimeoutError:
            return False
        return line is not None and line.strip().lower() in ("y", "yes")
