"""The deny-list in its file, and the log of what it stopped.

The file is looked at every few seconds and read again when it has changed, or at once on SIGHUP; one that
cannot be read, or has a bad line, leaves the rules as they are and says so. The log is one JSON object a
line, only ever appended to: `time what rule nick address name times`. Who does the same again and again
fills no disk: within a minute the repetitions are counted and told in one line.

All work with files is a thread's.
"""

import json
import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from p2pswarm.errors import HostError
from tracker.napster.denylist import Rules
from tracker.napster.index import readable
from tracker.worker import Worker

__all__ = ["Audit"]

LOOK_EVERY = 5.0  # seconds
_TOGETHER = 60.0  # seconds in which the same is told once
_MOST = 10_000  # different things remembered

log = logging.getLogger(__name__)

Stamp = tuple[int, int, int] | None
_GONE = (0, 0, 0)


class Audit:
    """`rules` are those that hold now. Without a file there are none and nothing is logged."""

    def __init__(
        self, file: Path | None, journal: Path | None, clock: Callable[[], float] = time.time
    ) -> None:
        self.rules = Rules()
        self._file, self._clock = file, clock
        self._journal = journal or (file and file.with_name(file.name + ".audit.jsonl"))
        self._worker = Worker("napster-audit")
        self._stamp: Stamp = None
        self._told: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._lines: list[str] = []
        self._looked = 0.0

    async def start(self) -> None:
        """Raises HostError when the deny-list cannot be read or the log not be written."""
        if self._file is None:
            return
        self._stamp, outcome = await self._worker.run(partial(_read, self._file, None))
        if not isinstance(outcome, Rules):
            raise HostError(f"the deny-list {self._file}: {outcome}")
        try:
            await self._worker.run(partial(self._append, []))
        except OSError as error:
            raise HostError(f"{self._journal} cannot be written: {error.strerror}") from error
        self.rules = outcome

    def reload(self) -> None:
        """Read the file again when it has changed."""
        if self._file is not None and not self._worker.waiting:
            self._worker.do(partial(_read, self._file, self._stamp), self._take, _nobody)

    def stopped(self, what: str, rule: str, nick: str, address: str, name: str) -> None:
        """Somebody wanted to do what a rule forbids."""
        now = self._clock()
        key = (what, rule, address)
        again = self._told.get(key)
        if again is not None:
            again["times"] += 1
        elif len(self._told) < _MOST:
            entry = {
                "time": round(now, 3),
                "what": what,
                "rule": rule,
                "nick": readable(nick),
                "address": address,
                "name": readable(name),
                "times": 0,
            }
            self._told[key] = entry
            self._lines.append(json.dumps(entry | {"times": 1}))

    def tick(self) -> None:
        """Once a second: write what is new, look at the file when it is time."""
        now = self._clock()
        for key, entry in list(self._told.items()):
            if now - entry["time"] >= _TOGETHER or now < entry["time"]:
                del self._told[key]
                if entry["times"]:
                    self._lines.append(json.dumps(entry | {"time": round(now, 3)}))
        self._write()
        if abs(now - self._looked) >= LOOK_EVERY:
            self._looked = now
            self.reload()

    async def aclose(self) -> None:
        for entry in self._told.values():
            if entry["times"]:
                self._lines.append(json.dumps(entry | {"time": round(self._clock(), 3)}))
        if self._lines:
            await self._worker.run(partial(self._append, self._lines))
        self._told.clear()
        self._lines = []
        await self._worker.aclose()

    def _write(self) -> None:
        if self._lines:
            lines, self._lines = self._lines, []
            self._worker.do(partial(self._append, lines), _nothing, _nobody)

    def _append(self, lines: Sequence[str]) -> None:
        """In the thread."""
        assert self._journal is not None
        with self._journal.open("a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)

    def _take(self, read: tuple[Stamp, Rules | str | None]) -> None:
        self._stamp, outcome = read
        if isinstance(outcome, Rules):
            self.rules = outcome
            log.warning("the %d rules of the deny-list %s hold now", len(outcome), self._file)
        elif outcome is not None:
            log.error("the deny-list %s: %s; the old rules stay", self._file, outcome)


def _read(file: Path, before: Stamp) -> tuple[Stamp, Rules | str | None]:
    """Its stamp, and its rules or what is wrong with it; None when it is as it was."""
    try:
        stat = file.stat()
        text = file.read_text("utf-8", "replace")
    except OSError as error:
        return _GONE, None if before == _GONE else f"cannot be read: {error.strerror}"
    stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
    try:
        return stamp, None if stamp == before else Rules.parse(text)
    except ValueError as error:
        return stamp, str(error)


def _nothing(_: object) -> None:
    """Nobody waits for it."""


def _nobody() -> None:
    """Nobody waits for it, and why it failed is in the log."""
