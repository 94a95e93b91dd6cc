"""Processes for benches: started, heard, measured, and never left behind.

A program's events are the JSON lines on its stdout; a thread reads them as they come and notes when, so that
events of many programs can be compared on one clock, and no program ever waits for a full pipe. Processor
time and peak memory are the kernel's own account (`wait4`), start of the interpreter included.

The one hard thing: on Linux a child's peak begins with what its parent holds when it starts it. So a bench
must stay smaller than what it measures; `publish` imports the plotting library only when all is measured.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

__all__ = [
    "PYTHON", "ROOT", "BenchError", "Program", "Usage", "missing", "program", "until",
]  # fmt: skip

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
PYTHON = sys.executable
PATIENCE = 300.0  # seconds that a program may take in all, unless its bench knows better
LAST_WORDS = 2000  # characters of stderr that an error shows
_FOREIGN = {
    "aria2c": "aria2",
    "transmission-daemon": "transmission-daemon",
    "mktorrent": "mktorrent",
    "ip": "iproute2",
    "unshare": "util-linux",
}
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class BenchError(Exception):
    """A program did not do what it was started for."""


@dataclass(frozen=True)
class Usage:
    """What a process took: seconds of processor time (user and system), bytes resident."""

    cpu: float
    memory: int


class Program:
    """A running process. `events` are its JSON lines, each with `heard`, our monotonic time."""

    def __init__(self, command: Sequence[str], patience: float, **how: Any) -> None:
        self.name = " ".join(Path(part).name for part in command[:4])
        self.events: list[dict[str, Any]] = []
        self._last_line = ""
        self._news = threading.Condition()
        self._ended = False
        self.ended_at = 0.0  # monotonic, once `ended`
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed in close()
        self.started = time.monotonic()
        self._process = subprocess.Popen(  # noqa: S603 - programs that benches name
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._said, **how
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._patience = patience
        self._killer = threading.Timer(patience, self._process.kill)
        self._killer.daemon = True
        self._killer.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether its stdout is closed: all it ever says is in `events`."""
        return self._ended

    def wait_for(self, event: str, **fields: Any) -> dict[str, Any]:
        """The first event of this name with these fields. Raises BenchError when it ends before."""
        seen = 0
        while True:
            with self._news:
                while len(self.events) == seen and not self._ended:
                    self._news.wait()
                ended, news = self._ended, self.events[seen:]
            seen += len(news)
            for told in news:
                if told["event"] == event and fields.items() <= told.items():
                    return told
            if ended:
                raise BenchError(f"{self} ended before it said {event}: {self.last_words()}")

    def wait_for_line(self) -> str:
        """Its last line that is not JSON, as soon as there is one. Raises BenchError when it ends before."""
        with self._news:
            self._news.wait_for(lambda: self._last_line or self._ended)
        if not self._last_line:
            raise BenchError(f"{self} ended without a word: {self.last_words()}")
        return self._last_line

    def usage(self) -> Usage:
        """Until now, of a process that runs on: processor time, and what is resident at the moment."""
        stat = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        user, system, resident = int(stat[11]), int(stat[12]), int(stat[21])
        return Usage((user + system) / _TICKS, resident * _PAGE)

    def stop(self, number: int = signal.SIGINT, *, allow: Sequence[int] = (0,)) -> Usage:
        """End it by a signal, which is how daemons end."""
        self._process.send_signal(number)
        return self.wait(allow=allow)

    def wait(self, *, allow: Sequence[int] = (0,)) -> Usage:
        """Until it ends: processor time, and the peak of what was resident. Raises BenchError when its
        exit code is not one of `allow`, or its patience was over."""
        self._reader.join()
        _, status, used = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self._killer.cancel()
        if self._process.returncode not in allow:
            took = time.monotonic() - self.started
            late = f", not within {self._patience:.0f} s" * (took >= self._patience)
            raise BenchError(
                f"{self} ended with {self._process.returncode}{late}: {self.last_words()}"
            )
        return Usage(used.ru_utime + used.ru_stime, used.ru_maxrss << 10)

    def last_words(self) -> str:
        self._said.seek(0)
        words = self._said.read().decode("utf-8", "replace")[-LAST_WORDS:].strip()
        return words or self._last_line or "it said nothing"

    def close(self) -> None:
        """It is gone after this, however it went."""
        self._killer.cancel()
        if self._process.returncode is None:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._said.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            now = time.monotonic()
            text = line.decode("utf-8", "replace").strip()
            with self._news:
                if text.startswith("{"):
                    self.events.append({**json.loads(text), "heard": now})
                else:
                    self._last_line = text or self._last_line
                self._news.notify_all()
        with self._news:
            self._ended, self.ended_at = True, time.monotonic()
            self._news.notify_all()

    def __repr__(self) -> str:
        return f"<{self.name} {self.pid}>"


@contextmanager
def program(
    *command: object,
    patience: float = PATIENCE,
    env: Mapping[str, str] | None = None,
    prefix: Sequence[str] = (),
) -> Iterator[Program]:
    """`command`, with none of the user's own settings; killed at the end if it still runs.

    Compiled modules may be kept, as everywhere: a start that compiles the source anew is no user's.
    """
    own_ways = ("P2PSWARM_", "PYTHONDONTWRITEBYTECODE")
    clean = {key: value for key, value in os.environ.items() if not key.startswith(own_ways)}
    own = {**clean, "XDG_CONFIG_HOME": "/nonexistent", **(env or {})}
    running = Program([*prefix, *map(str, command)], patience, env=own)
    try:
        yield running
    finally:
        running.close()


def until(condition: Callable[[], T | None], what: str, within: float, every: float = 0.05) -> T:
    """Ask a program that tells nothing by itself again and again, until the answer is something."""
    deadline = time.monotonic() + within
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise BenchError(f"{what}: not within {within:.0f} s")
        time.sleep(every)
    return answer


def missing(*names: str) -> str:
    """The Debian packages of those programs that are not on this machine; "" when all are."""
    return " ".join(_FOREIGN[name] for name in names if shutil.which(name) is None)
