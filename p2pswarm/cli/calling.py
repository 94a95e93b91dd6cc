"""`call`: somebody is called by name, from wherever both are.

Who calls hangs up when its file was said, its pipe is at its end, or nothing more is typed; Ctrl-C hangs up,
too. Who is not there is waited for, if that is wanted.
"""

from functools import partial
from random import Random
from typing import TYPE_CHECKING

from p2pswarm.cli.conversing import Sounds, converse, sounds_of
from p2pswarm.cli.exits import Exit, UsageError, one_line, words_of
from p2pswarm.cli.obeying import Here, Visiting
from p2pswarm.cli.options import Inquiry, NameArgument, Progress
from p2pswarm.cli.posting import known, noted
from p2pswarm.cli.registering import name_of
from p2pswarm.cli.report import Report
from p2pswarm.cli.running import Stop, StoppedError, run
from p2pswarm.cli.stdio import TypedLines
from p2pswarm.cli.talking import Talking, Waiting
from p2pswarm.cli.telephones import telephone
from p2pswarm.cli.terminal import Lines
from p2pswarm.cli.text import printable
from p2pswarm.config import NetworkSettings, Settings
from p2pswarm.errors import NetworkError, OfflineError
from p2pswarm.overlay.query import Lookup

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from p2pswarm.calling.call import Call

__all__ = ["call", "check", "conversed"]


def call(
    name: NameArgument,
    talking: Talking,
    inquiry: Inquiry,
    waiting: Waiting,
    networks: Visiting,
    settings: Here,
    progress: Progress,
) -> Exit:
    """Call somebody by name and talk, encrypted from end to end; Ctrl-C hangs up.

    Lines that are typed are said as text. With --in a WAV file is said, and the call ends with it; with
    --pipe it connects two programs. Each second it is told how well the other side is heard. With --wait-for
    who is not there is called as soon as he is.
    """
    check(talking, progress)
    recursive = inquiry.lookup is Lookup.RECURSIVE
    with Report(progress) as report:
        whom = name_of(name), recursive, waiting.wait_for
        work = partial(_call, *whom, talking, networks, settings, report)
        return run(work, at_once=report.abandon)


def check(talking: Talking, progress: Progress) -> None:
    """Raises UsageError."""
    if talking.pipe and progress.json:
        raise UsageError("standard output is the pipe's: --json has no place there")


async def _call(
    name: str,
    recursive: bool,
    patience: float | None,
    talking: Talking,
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
            ring = partial(line.phone.call, name, talking.wants, recursive=recursive)
            friend = await known(line, name)
            called = await stop.unless(_reached(name, ring, patience, report, friend=friend))
            await noted(line, called.other)
            await conversed(called, talking, sounds, TypedLines(), report, stop, calls=True)
    finally:
        sounds.close()
    return Exit.OK


async def _reached(
    name: str,
    ring: "Callable[[], Awaitable[Call]]",
    patience: float | None,
    report: Report,
    *,
    friend: bool,
) -> "Call":
    """Raises NetworkError and its like."""
    from p2pswarm.calling.waiting import when_there

    reasons: list[str] = []

    def wait(error: NetworkError) -> None:
        report.event("waiting", name=name, reason=words_of(error))
        if reasons[-1:] != [words_of(error)]:
            reasons[:] = [words_of(error)]
            report.note(f"{words_of(error)}; waiting")

    try:
        return await when_there(ring, patience or 0.0, wait, Random(), friend=friend)
    except OfflineError as error:
        hint = f"p2pswarm message {name} TEXT leaves a message, --wait-for 1h waits"
        raise OfflineError(f"{name} is not there: {hint}") from error


async def conversed(
    call: "Call",
    talking: Talking,
    sounds: Sounds,
    typed: Lines,
    report: Report,
    stop: Stop,
    *,
    calls: bool,
) -> None:
    """From the answer to the end, whoever hangs up; `calls` where it is we who called.

    Raises NetworkError when the call was lost, or a pipe ended too early.
    """
    try:
        await stop.unless(call.open())
        report.event("answered", name=call.other)
        if call.wants == talking.wants:
            await stop.unless(converse(call, talking, sounds, typed, report, calls=calls))
        else:
            await call.hang_up(f"no {call.wants} here, only a {talking.wants}")
    except StoppedError:
        report.note("hanging up")
        if talking.pipe or not calls:
            raise
    finally:
        await call.hang_up()
    reason = printable(one_line(call.ended.result()))
    report.event("hung_up", name=call.other, reason=reason)
    report.note(f"the call with {call.other} is over{f': {reason}' if reason else ''}")
    if talking.pipe and not call.pipe.is_whole:  # a script must not take it for all
        raise NetworkError(f"the pipe with {call.other} is not whole")
