"""`answer`: be called by name. One conversation at a time, and beside it what needs no person.

Who answers takes one call after the other; a machine, which has files or a pipe, takes one and ends with it.
Whoever rings says what for: so messages are taken unasked, files as --accept says, and a person is asked for
calls.

The one hard thing: strangers ring, too. Those who wait for the person are few and not for long, a few more
bring something meanwhile, and one caller alone has one place of each kind.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

from p2pswarm.cli.calling import check, conversed
from p2pswarm.cli.conversing import sounds_of
from p2pswarm.cli.exits import Exit, one_line, words_of
from p2pswarm.cli.obeying import Answering, Giving
from p2pswarm.cli.options import Progress, Receiving
from p2pswarm.cli.posting import posting
from p2pswarm.cli.receiving import Reception
from p2pswarm.cli.report import Report
from p2pswarm.cli.running import Stop, run
from p2pswarm.cli.stdio import TypedLines
from p2pswarm.cli.talking import Talking
from p2pswarm.cli.telephones import Telephone, telephone
from p2pswarm.cli.terminal import Terminal
from p2pswarm.cli.text import printable
from p2pswarm.config import NetworkSettings, Settings
from p2pswarm.errors import HostError, RemoteError

if TYPE_CHECKING:
    from p2pswarm.calling.call import Call
    from p2pswarm.calling.phone import Incoming

__all__ = ["answer"]

DECIDE_TIME = 25.0  # seconds a person has to say yes; the caller waits 30
MOST_WAITING = 4  # callers until the person has decided about another one
MOST_BESIDE = 4  # of each kind, beside a conversation


def answer(
    talking: Talking,
    receiving: Receiving,
    networks: Answering,
    settings: Giving,
    progress: Progress,
) -> Exit:
    """Be found and called by name, until stopped; with --in, --out or --pipe for one call.

    On a terminal it asks before each call; elsewhere it answers. Files that somebody sends are taken as
    --accept says, and messages that wait, ours for others as well, are delivered, also during a call.
    """
    check(talking, progress)
    with Report(progress, piped=talking.pipe) as report:
        work = partial(_answer, talking, receiving, networks, settings, report)
        return run(work, at_once=report.abandon, when_stopped=Exit.OK)


async def _answer(
    talking: Talking,
    receiving: Receiving,
    networks: NetworkSettings,
    settings: Settings,
    report: Report,
    stop: Stop,
) -> Exit:
    if talking.by_machine:
        sounds_of(talking, report).close()  # what is wrong with a file is told now, not to a caller
    async with telephone(networks, settings, report, stop, answers=True) as line:
        post = nullcontext() if talking.by_machine else posting(line, report)
        desk = _Desk(line, talking, receiving, report, stop)
        async with post, desk.beside():
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
    """Who rings: for the person in turn, or brings something at once; the others hear that we are busy."""

    def __init__(
        self, line: Telephone, talking: Talking, receiving: Receiving, report: Report, stop: Stop
    ) -> None:
        self._phone, self._talking, self._report, self._stop = line.phone, talking, report, stop
        self._terminal = Terminal(TypedLines(), report)
        self._asks = not talking.by_machine and sys.stdin is not None and sys.stdin.isatty()
        ask = self._terminal.yes_between if self._asks else None
        self._reception = Reception(line, receiving, ask, report)
        self._waiting: asyncio.Queue[Incoming] = asyncio.Queue(MOST_WAITING)
        self._talks = False
        self._beside: dict[asyncio.Task[None], Incoming] = {}
        self._open: dict[bytes, Call] = {}  # of those, by session
        self._phone.on_incoming = self._rings

    def _rings(self, incoming: "Incoming") -> None:
        if incoming.want != self._talking.wants:
            self._begin_beside(incoming)
        elif self._talks or self._waiting.full():
            self._phone.decline(incoming, "busy")
            self._missed(incoming)
        else:
            self._waiting.put_nowait(incoming)

    def _missed(self, incoming: "Incoming") -> None:
        self._report.event("missed", name=incoming.name)
        self._report.note(f"missed a call of {incoming.name}", again=True)

    # For the person

    async def next(self) -> "Incoming":
        """Who rings still."""
        while True:
            incoming = await self._stop.unless(self._waiting.get())
            if not incoming.over.is_set():
                return incoming
            self._missed(incoming)

    async def take(self, incoming: "Incoming") -> bool:
        """Whether there was a call. Raises RemoteError, HostError."""
        self._report.event("incoming", name=incoming.name, want=incoming.want)
        with self._terminal.taken():
            if self._asks and not await self._stop.unless(self._is_wanted(incoming)):
                return False
            self._report.note(f"{incoming.name} calls")
            self._talks = True
            try:
                await self._talk(incoming)
            finally:
                self._talks = False
        return True

    async def _is_wanted(self, incoming: "Incoming") -> bool:
        """Whether the person says so while it rings."""
        question = f"{incoming.name} calls: type y to answer, anything else to decline"
        self._report.note(question, again=True)
        async with asyncio.TaskGroup() as tasks:
            deciding = tasks.create_task(self._terminal.yes(DECIDE_TIME))
            over = tasks.create_task(incoming.over.wait())
            await asyncio.wait({deciding, over}, return_when=asyncio.FIRST_COMPLETED)
            decision = None if over.done() else deciding.result()
            deciding.cancel()
            over.cancel()
        if decision is None:
            self._missed(incoming)
        if not decision:
            self._phone.decline(incoming)
        return bool(decision)

    async def _talk(self, incoming: "Incoming") -> None:
        """Raises RemoteError, HostError."""
        while not self._waiting.empty():
            other = self._waiting.get_nowait()
            self._phone.decline(other, "busy")
            self._missed(other)
        sounds, lines = sounds_of(self._talking, self._report), self._terminal.lines
        try:
            call = await self._stop.unless(self._phone.answer(incoming))
            how = self._talking, sounds, lines, self._report, self._stop
            await conversed(call, *how, calls=False)
        finally:
            sounds.close()

    # Without the person

    @asynccontextmanager
    async def beside(self) -> AsyncIterator[None]:
        """While the body runs, things are taken; then whoever brings something is told goodbye."""
        try:
            yield
        finally:
            self._phone.close()
            for task in self._beside:
                task.cancel()
            if self._beside:
                await asyncio.wait(self._beside)

    def _begin_beside(self, incoming: "Incoming") -> None:
        same = [each.name for each in self._beside.values() if each.want == incoming.want]
        if len(same) >= MOST_BESIDE or incoming.name in same:
            self._end_lost(incoming)
            self._phone.decline(incoming, "busy")
            return
        task = asyncio.create_task(self._bring(incoming))
        self._beside[task] = incoming
        task.add_done_callback(self._beside.pop)

    def _end_lost(self, again: "Incoming") -> None:
        """Who began anew has left the call that has no stream; so there is place when he tries once more."""
        for task, each in self._beside.items():
            call = self._open.get(each.offer.session)
            same = (each.name, each.want) == (again.name, again.want)
            if same and call is not None and not call.line.is_up:
                task.cancel()

    async def _bring(self, incoming: "Incoming") -> None:
        self._report.event("incoming", name=incoming.name, want=incoming.want)
        try:
            call = await self._phone.answer(incoming)
            try:
                await call.open()
                self._report.event("answered", name=call.other)
                self._open[incoming.offer.session] = call
                await self._receive(call)
            finally:
                self._open.pop(incoming.offer.session, None)
                await call.hang_up()
            reason = printable(one_line(call.ended.result()))
            self._report.event("hung_up", name=call.other, reason=reason)
        except (RemoteError, HostError, OSError) as error:
            self._report.note(f"{incoming.name}: {words_of(error)}")

    async def _receive(self, call: "Call") -> None:
        """Raises RemoteError, HostError."""
        if self._reception.knows(call.wants):
            await self._reception.receive(call)
        else:
            await call.hang_up(f"no {call.wants} here, only a {self._talking.wants}")
