"""What happens in a call: voice, lines of chat, a pipe; and what the person is told of it.

Each second it is told how well the other one is heard; at the end, how it was as a whole. What the other one
writes is a result and goes to stdout, unless a pipe has that.
"""

import asyncio
import os
from collections.abc import Coroutine, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from p2pswarm.cli.exits import one_line
from p2pswarm.cli.report import Report
from p2pswarm.cli.stdio import StandardPipe
from p2pswarm.cli.talking import Talking
from p2pswarm.cli.terminal import Lines
from p2pswarm.cli.text import printable
from p2pswarm.errors import HostError, first_of

if TYPE_CHECKING:
    from p2pswarm.calling.call import Call
    from p2pswarm.calling.statistics import Quality
    from p2pswarm.calling.talk import Sink, Source, Talk

__all__ = ["Sounds", "converse", "sounds_of"]

QUIET_FOR = 1.0  # seconds without voice after which a file that is heard is believed to be over
MOST_LINES = 20  # of chat in a second; more is not read by anybody


class Sounds:
    """What is said, and where that goes what is heard; open for one call."""

    def __init__(self, source: "Source | None", sink: "Sink | None", stack: ExitStack) -> None:
        self.source, self.sink = source, sink
        self.close = stack.close


def sounds_of(how: Talking, report: Report) -> Sounds:
    """Raises HostError, OSError for files that cannot be used."""
    if how.pipe or not how.audio or not _has_opus(how, report):
        return Sounds(None, None, ExitStack())
    with ExitStack() as opened:
        source, sink = _source(how, opened, report), _sink(how, opened, report)
        return Sounds(source, sink, opened.pop_all())


def _has_opus(how: Talking, report: Report) -> bool:
    """Raises HostError where files need it; a person without it can still write."""
    from p2pswarm.calling.voice import need_opus

    try:
        need_opus()
    except HostError as error:
        if how.by_machine:
            raise
        report.note(str(error))
        return False
    return True


def _source(how: Talking, opened: ExitStack, report: Report) -> "Source | None":
    from p2pswarm.calling.microphone import Microphone
    from p2pswarm.calling.wav_pipe import wav_source

    if how.in_ is not None:
        return opened.enter_context(closing(wav_source(how.in_)))
    if how.out is not None:
        return None  # a machine that listens
    try:
        return opened.enter_context(closing(Microphone()))
    except HostError as error:
        report.note(str(error))
        return None


def _sink(how: Talking, opened: ExitStack, report: Report) -> "Sink | None":
    from p2pswarm.calling.microphone import Loudspeaker
    from p2pswarm.calling.wav_pipe import wav_sink

    if how.out is not None:
        if how.in_ is not None and how.out.exists() and how.out.samefile(how.in_):
            raise HostError(f"{how.out} is said, so it cannot be where --out writes what is heard")
        return opened.enter_context(closing(wav_sink(how.out)))
    if how.in_ is not None:
        return None  # a machine that speaks
    try:
        return opened.enter_context(closing(Loudspeaker()))
    except HostError as error:
        report.note(str(error))
        return None


async def converse(
    call: "Call", how: Talking, sounds: Sounds, typed: Lines, report: Report, *, calls: bool
) -> None:
    """Until one of the two hangs up. Raises NetworkError when the call is lost."""
    call.on_path = lambda path: _tell_path(call, report)
    call.listen(_Texts(call, report, silent=how.pipe).got)
    if how.in_ is not None and _is_standard_input(how.in_):
        typed = _Nothing()
    _tell_path(call, report)
    talk = call.talk(sounds.source, sounds.sink, lambda quality: _tell(quality, report))
    works: list[Coroutine[Any, Any, None]] = []
    if not how.pipe:
        works.append(talk.run())
    ends: list[Coroutine[Any, Any, None]] = [_ended(call)]
    if how.pipe:
        ends.append(call.pipe.run(StandardPipe()))
    elif how.in_ is not None and calls:
        ends.append(_said_all(call, talk, listens=how.out is not None))
        works.append(_chat(call, typed))
    else:
        silent = sounds.source is None and sounds.sink is None
        (ends if calls and silent else works).append(_chat(call, typed))
    try:
        await _until_one_ends(ends, works)
    finally:
        if not how.pipe:
            _tell_whole(talk, report)


async def _until_one_ends(
    ends: Sequence[Coroutine[Any, Any, None]], works: Sequence[Coroutine[Any, Any, None]]
) -> None:
    """`works` go on until one of `ends` has ended."""
    try:
        async with asyncio.TaskGroup() as tasks:
            waited = [tasks.create_task(each) for each in ends]
            others = [tasks.create_task(each) for each in works]
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            for task in (*waited, *others):
                task.cancel()
    except BaseExceptionGroup as group:
        raise first_of(group) from None


# What goes on in a call


async def _ended(call: "Call") -> None:
    """The other side hangs up. Raises NetworkError when the call was lost."""
    await asyncio.wait([call.ended])
    call.ended.result()


async def _said_all(call: "Call", talk: "Talk", *, listens: bool) -> None:
    """All of our file was heard and, if we listen, the other side has come to its end, too."""
    await talk.said.wait()
    await call.said()
    left = QUIET_FOR  # the last frames are on their way
    while left > 0:
        await asyncio.sleep(left)
        left = QUIET_FOR - talk.quiet_for if listens else 0.0


def _is_standard_input(path: Path) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(0))
    except OSError:  # it is closed
        return False


class _Nothing:
    """Lines of a standard input that is a sound."""

    async def line(self) -> None:
        return None


async def _chat(call: "Call", typed: Lines) -> None:
    """What is typed is said, until there is no more."""
    while (line := await typed.line()) is not None:
        if line:
            await call.line.room()
            call.say(line)


# What is told of it


class _Texts:
    """Lines that the other one writes; not more than a person could read."""

    def __init__(self, call: "Call", report: Report, *, silent: bool) -> None:
        """`silent` where stdout is a pipe's."""
        self._call, self._report, self._silent = call, report, silent
        self._clock = asyncio.get_running_loop().time
        self._since, self._lines = self._clock(), 0

    def got(self, text: str) -> None:
        now = self._clock()
        if now - self._since > 1:
            self._since, self._lines = now, 0
        self._lines += 1
        if self._lines > MOST_LINES:
            if self._lines == MOST_LINES + 1:
                self._report.note(f"{self._call.other} writes more than anybody reads")
            return
        line = f"{self._call.other}: {printable(one_line(text))}"
        if self._silent:
            self._report.note(line)
        else:
            self._report.result(line, name=self._call.other, text=text)


def _tell_path(call: "Call", report: Report) -> None:
    path = call.path
    if path is None:
        report.note(f"{call.other}: looking for a path")
        return
    report.event(
        "path",
        name=call.other,
        path=str(path),
        direct=path.direct,
        relay=None if path.relay is None else str(path.relay.address),
        rtt_ms=_ms(path.rtt),
        udp=path.udp,
        nat=path.ours.text,
        nat_there=path.theirs.text,
    )
    report.note(f"{call.other}: {path} ({path.nats})")


def _tell(quality: "Quality", report: Report) -> None:
    if quality.sent or quality.heard or quality.lost:
        report.event("quality", **_figures(quality))
        report.note(_in_words(quality))


def _tell_whole(talk: "Talk", report: Report) -> None:
    whole = talk.counts.whole(asyncio.get_running_loop().time())
    report.event("call", **_figures(whole))
    if whole.sent or whole.heard:
        report.note(f"in all: {_in_words(whole)}")


def _figures(quality: "Quality") -> dict[str, Any]:
    fields = asdict(quality)
    for name in ("jitter", "rtt", "delay"):
        fields[f"{name}_ms"] = _ms(fields.pop(name))
    for name in ("loss", "loss_there"):
        fields[name] = round(fields[name], 4)
    for name in ("rate_out", "rate_in"):
        fields[name] = round(fields[name])
    return fields


def _in_words(quality: "Quality") -> str:
    delay = "" if quality.delay is None else f"mouth to ear {quality.delay * 1000:.0f} ms, "
    return (
        f"lost {quality.loss:.1%} here, {quality.loss_there:.1%} there, "
        f"jitter {quality.jitter * 1000:.1f} ms, {delay}"
        f"{quality.rate_in / 1000:.0f} kbit/s in, {quality.rate_out / 1000:.0f} kbit/s out"
    )


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)
