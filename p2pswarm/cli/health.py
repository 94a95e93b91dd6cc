"""`health`: is the node or tracker on this machine at work, or only still there?

A process that hangs keeps its pid, its lock and its open port. So a command at work writes a heartbeat once a
second, from its event loop: when the loop hangs, the file `data_dir/health/N` grows old. The process holds a
lock on it, which the system takes away when the process dies, however it dies; a pid would say less, because
another process may get the same one, and a container cannot see the pids of the next.

A tracker is asked for `/health`, which its loop must answer.
"""

import asyncio
import fcntl
import json
import os
import platform
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from http.client import HTTPConnection, HTTPException
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Self

from p2pswarm.cli.exits import CommandError, Exit, words_of
from p2pswarm.cli.options import Checkup
from p2pswarm.cli.report import Report
from p2pswarm.cli.text import printable, tell_result

if TYPE_CHECKING:
    from p2pswarm.node import Node

__all__ = ["Heartbeat", "Pulse", "beating", "health", "pulses", "trouble"]

BEAT_EVERY = 1.0  # seconds
STUCK_AFTER = 10.0  # seconds without a beat; a busy machine may delay one, not ten
_TRACKER_PATIENCE = 5.0  # seconds
_TRACKER_PORT = 6969
_RECORD = 4096  # bytes, always as many: writing again needs no room on a full disk
_LONGEST = 400  # characters of a name or a reason


@dataclass(frozen=True)
class Pulse:
    """What one heartbeat says. `state` is "starting" while there is no torrent yet."""

    host: str
    pid: int
    name: str = ""
    state: str = "starting"
    reason: str = ""


class Heartbeat:
    """One process's file in a folder that several processes, also of several containers, may share."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @classmethod
    def start(cls, folder: Path, first: Pulse) -> Self:
        """Take the first file that no living process holds, and beat. Raises OSError."""
        folder.mkdir(parents=True, exist_ok=True)
        for number in count(1):
            fd = os.open(folder / str(number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            heartbeat = cls(fd)
            try:
                if _lock(fd, fcntl.LOCK_EX):
                    heartbeat.beat(first)
                    return heartbeat
            except OSError:
                heartbeat.close()
                raise
            heartbeat.close()
        raise AssertionError("numbers have no end")

    def beat(self, pulse: Pulse) -> None:
        """Say that all is well now. Raises OSError."""
        text = json.dumps(asdict(pulse), ensure_ascii=False).encode("utf-8", "replace")
        os.pwrite(self._fd, text.ljust(_RECORD), 0)

    def close(self) -> None:
        os.close(self._fd)


@asynccontextmanager
async def beating(node: "Node", report: Report) -> AsyncIterator[None]:
    """While the body runs, the loop shows once a second that it turns, and how the node's torrent is.

    A heartbeat that cannot be written (a full disk) is told to the person and harms nothing else.
    """
    try:
        heartbeat = Heartbeat.start(node.settings.data_dir / "health", _pulse_of(node))
    except OSError as error:
        report.note(f"p2pswarm health will not see this node: {words_of(error)}")
        yield
        return
    task = asyncio.create_task(_beat(heartbeat, node, report))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        heartbeat.close()


async def _beat(heartbeat: Heartbeat, node: "Node", report: Report) -> None:
    while True:
        try:
            heartbeat.beat(_pulse_of(node))
        except OSError as error:
            report.note(f"p2pswarm health cannot see this node: {words_of(error)}")
        await asyncio.sleep(BEAT_EVERY)


def _pulse_of(node: "Node") -> Pulse:
    host, pid = platform.node(), os.getpid()
    for torrent in node.status().torrents:  # a command has one
        state = torrent.state
        reason = str(getattr(state, "reason", ""))[:_LONGEST]
        return Pulse(host, pid, torrent.name[:_LONGEST], type(state).__name__.lower(), reason)
    return Pulse(host, pid)


def health(checkup: Checkup) -> Exit:
    """Tell a node or tracker that works from one that hangs; made for containers. 0 is well, 1 is not.

    It looks at the nodes that use this data folder on this machine. With a tracker port, or where there is no
    node, it asks the tracker here.
    """
    port, host = checkup.tracker_port, platform.node()
    folder = checkup.data_dir / "health"
    seen = [each for each in pulses(folder, time.time()) if each[0].host == host]
    for pulse, age in seen:
        if why := trouble(pulse, age):
            raise CommandError(why, Exit.ERROR)
        tell_result(_line(pulse))
    if port is not None or not seen:
        _ask_tracker(
            _TRACKER_PORT if port is None else port,
            "" if port else f"; no node at work in {folder}",
        )
    return Exit.OK


def pulses(folder: Path, now: float) -> Iterator[tuple[Pulse, float]]:
    """The heartbeats of all living processes, each with its age in seconds. Raises CommandError, OSError."""
    try:
        files = sorted(folder.iterdir())
    except FileNotFoundError:
        return
    for file in files:
        fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if not _lock(fd, fcntl.LOCK_SH):  # somebody lives who holds it
                yield _read(fd, file), now - os.fstat(fd).st_mtime
        finally:
            os.close(fd)


def trouble(pulse: Pulse, age: float) -> str:
    """Why this node is not well; '' when it is.

    A beat from the future is as bad as an old one: the clock was set back, and a loop that turns would have
    written a newer one since.
    """
    who = f"the node with process id {pulse.pid}"
    if abs(age) > STUCK_AFTER:
        return f"{who} is stuck: its last heartbeat is {abs(age):.0f} s away"
    if pulse.state == "failed":
        return f"{who} failed: {printable(pulse.name)}: {printable(pulse.reason)}"
    return ""


def _line(pulse: Pulse) -> str:
    reason = f": {pulse.reason}" if pulse.reason else ""
    return printable(" ".join(filter(None, (pulse.state, pulse.name))) + reason)


def _lock(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(fd: int, path: Path) -> Pulse:
    try:
        return Pulse(**json.loads(os.pread(fd, _RECORD, 0) or "{}"))
    except (ValueError, TypeError) as error:
        raise CommandError(f"{path} is no heartbeat: {error}", Exit.ERROR) from error


def _ask_tracker(port: int, besides: str) -> None:
    """Raises CommandError when no healthy tracker answers in time."""
    where = f"the tracker on port {port}"
    connection = HTTPConnection("127.0.0.1", port, timeout=_TRACKER_PATIENCE)
    try:
        connection.request("GET", "/health")
        answer = connection.getresponse()
        status = answer.status
        answer.read()
    except TimeoutError as error:
        raise CommandError(
            f"{where} is stuck: no answer in {_TRACKER_PATIENCE:.0f} s", Exit.ERROR
        ) from error
    except (OSError, HTTPException) as error:
        raise CommandError(f"{where} does not answer: {error}{besides}", Exit.ERROR) from error
    finally:
        connection.close()
    if status != 200:
        raise CommandError(f"{where} answers {status}", Exit.ERROR)
    tell_result(f"tracking on port {port}")
