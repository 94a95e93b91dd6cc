"""`send` and `message`: files and words for people, by name.

`send` waits for who is not there and goes on where a call broke; `message` leaves its words and ends.
"""

import asyncio
import math
import os
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from p2pswarm.cli.exits import CommandError, Exit, UsageError, exit_code, words_of
from p2pswarm.cli.making import hashing
from p2pswarm.cli.obeying import Giving, Here, Visiting
from p2pswarm.cli.options import (
    FilesArgument,
    NameArgument,
    NamesArgument,
    Progress,
    Sending,
    TextArgument,
)
from p2pswarm.cli.posting import deliver, noted
from p2pswarm.cli.receiving import sample_of
from p2pswarm.cli.registering import identity_in, name_of
from p2pswarm.cli.report import Report
from p2pswarm.cli.running import Stop, StoppedError, run
from p2pswarm.cli.telephones import KEPT, Telephone, telephone
from p2pswarm.cli.text import printable
from p2pswarm.config import NetworkSettings, Settings
from p2pswarm.errors import (
    DeclinedError,
    HostError,
    NetworkError,
    RemoteError,
    UnknownNameError,
)

if TYPE_CHECKING:
    from p2pswarm.calling.parcels import Results
    from p2pswarm.swarm.torrent import Torrent

__all__ = ["message", "send"]

FIRST_PAUSE, LONGEST_PAUSE = 5.0, 60.0  # seconds until who is not there is rung again
DELIVERY_TIME = 60.0  # seconds that `message` takes to deliver; then the words wait
MOST_READ = 1 << 16  # bytes of standard input


def send(
    names: NamesArgument,
    files: FilesArgument,
    sending: Sending,
    networks: Visiting,
    settings: Giving,
    progress: Progress,
) -> Exit:
    """Send files and folders to people by name, encrypted from end to end.

    Who is not there is waited for. What was stopped goes on next time, and every piece is verified.
    """
    people = list(dict.fromkeys(map(name_of, names.split(","))))
    paths = [Path(os.path.realpath(each)) for each in files]
    for path in paths:
        if not path.exists():
            raise CommandError(f"{path} does not exist", Exit.ERROR)
    if len({path.name for path in paths}) < len(paths):
        raise UsageError("two of these have the same name, and there is one place for it there")
    with Report(progress) as report:
        work = partial(_send, people, paths, sending, networks, settings, report)
        return run(work, at_once=report.abandon)


def message(
    name: NameArgument,
    text: TextArgument,
    networks: Visiting,
    settings: Here,
    progress: Progress,
) -> Exit:
    """Leave somebody a message, delivered when both are there: by this command, or by a later `answer`."""
    words = " ".join(text) or sys.stdin.buffer.read(MOST_READ).decode("utf-8", "replace").strip()
    with Report(progress) as report:
        work = partial(_message, name_of(name), words, networks, settings, report)
        return run(work, at_once=report.abandon)


# Files


async def _send(
    people: Sequence[str],
    paths: Sequence[Path],
    sending: Sending,
    networks: NetworkSettings,
    settings: Settings,
    report: Report,
    stop: Stop,
) -> Exit:
    async with telephone(networks, settings, report, stop) as line:
        torrents = [await _seeded(line, people, path, report, stop) for path in paths]
        sender = _Sender(line, torrents, sending.timeout, report, stop)
        ends = await stop.unless(sender.give_all(people))
    return max(ends)


async def _seeded(
    line: Telephone, people: Sequence[str], path: Path, report: Report, stop: Stop
) -> "Torrent":
    from p2pswarm.calling.packing import packed, secret_for

    show = hashing(path.name, "hashing", report)

    def progress(done: int, total: int) -> None:
        if stop.requested:
            raise StoppedError
        show(done, total)

    secret = secret_for(line.phone.key, people)
    metainfo = await line.disk(packed, path, secret, progress)
    torrent = await line.node.add(metainfo, data=path)
    await stop.unless(torrent.finished())
    return torrent


class _Sender:
    """The same torrents to several people, each in a call of his own."""

    def __init__(
        self,
        line: Telephone,
        torrents: "Sequence[Torrent]",
        patience: float | None,
        report: Report,
        stop: Stop,
    ) -> None:
        self._line, self._torrents = line, torrents
        self._patience = math.inf if patience is None else patience
        self._report, self._stop, self._dice = report, stop, Random()
        self._clock = asyncio.get_running_loop().time

    async def give_all(self, people: Sequence[str]) -> list[Exit]:
        async with asyncio.TaskGroup() as tasks:
            showing = tasks.create_task(self._show())
            giving = [tasks.create_task(self._give(name)) for name in people]
            await asyncio.wait(giving)
            showing.cancel()
        return [task.result() for task in giving]

    async def _give(self, name: str) -> Exit:
        """To one, for as long as it takes."""
        from p2pswarm.calling.waiting import Pauses

        pauses = Pauses(FIRST_PAUSE, LONGEST_PAUSE, self._dice)
        until = self._clock() + self._patience
        while True:
            try:
                return self._tell_end(name, await self._give_once(name))
            except (RemoteError, HostError) as error:
                left = until - self._clock()
                if _is_final(error) or left <= 0:
                    self._report.event("failed", name=name, reason=words_of(error))
                    self._report.note(f"{name}: {words_of(error)}")
                    return exit_code(error)
                self._report.note(f"{name}: {words_of(error)}; trying again")
            await asyncio.sleep(min(pauses.next(), left))

    async def _give_once(self, name: str) -> "Results":
        """Raises RemoteError, HostError."""
        from p2pswarm.calling.giving import Giving
        from p2pswarm.wire.calling.parcels import SEND

        self._report.event("ringing", name=name)
        call = await self._line.phone.call(name, SEND)
        giving = Giving(call, self._line.node.me, self._torrents)
        try:
            await call.open()
            self._report.event("answered", name=name, path=str(call.path))
            self._report.note(f"{name} is there, {call.path}")
            await noted(self._line, name)
            return await giving.run()
        finally:
            await call.hang_up()

    def _tell_end(self, name: str, results: "Results") -> Exit:
        for file, why in results.items():
            if why:
                self._report.event("failed", name=name, file=file, reason=why)
                self._report.note(f"{file} to {name}: {printable(why)}")
            else:
                self._report.result(f"{name}\t{file}", name=name, file=file)
        return Exit.ERROR if any(results.values()) else Exit.OK

    async def _show(self) -> None:
        while True:
            for torrent in self._torrents:
                self._report.status(sample_of(torrent.status(), "sending"))
            await asyncio.sleep(self._report.every)


def _is_final(error: Exception) -> bool:
    """Whether waiting helps nobody."""
    if isinstance(error, DeclinedError):
        return error.reason == "refused"
    return isinstance(error, UnknownNameError) or not isinstance(error, NetworkError)


# Words


async def _message(
    name: str,
    text: str,
    networks: NetworkSettings,
    settings: Settings,
    report: Report,
    stop: Stop,
) -> Exit:
    from p2pswarm.calling.outbox import Outbox

    identity = await asyncio.to_thread(identity_in, settings.data_dir)
    if identity.name == name:
        raise CommandError(f"{name} is you", Exit.ERROR)
    kept = Outbox(settings.data_dir / KEPT / "outbox")
    said = await asyncio.to_thread(kept.add, name, text, time.time())
    report.note(f"looking for {name}")
    try:
        async with telephone(networks, settings, report, stop) as line:
            async with asyncio.timeout(DELIVERY_TIME):
                await stop.unless(deliver(line, name, report))
    except (RemoteError, TimeoutError) as error:
        reason = f"{name} takes long" if isinstance(error, TimeoutError) else words_of(error)
        report.note(f"{reason}; your message waits, and answer delivers it")
    waits = said in await asyncio.to_thread(kept.waiting, name)
    report.result("waiting" if waits else "delivered", name=name, delivered=not waits)
    return Exit.OK
