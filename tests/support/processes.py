"""Real programs for tests: start `python -m …`, read its JSON lines, stop it, and never leave it behind."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from tests.support.patience import PATIENCE

__all__ = ["ROOT", "Program", "program"]

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
_SHOWN = 20  # events of a program from which something is missing


class Program:
    """A running program whose stdout is JSON lines (other lines are kept in `lines`)."""

    def __init__(self, process: "subprocess.Popen[str]", log: Path) -> None:
        self.process = process
        self.events: list[dict[str, Any]] = []
        self.lines: list[str] = []
        self._log = log
        self._ended = False
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def home(self) -> Path:
        return self._log.parent

    @property
    def stderr(self) -> str:
        return self._log.read_text("utf-8", "replace")

    def wait_for(self, name: str, *, within: float = PATIENCE, **fields: Any) -> dict[str, Any]:
        """The first event of this name with these fields, from the beginning on."""

        def found() -> dict[str, Any] | None:
            with_name = (event for event in self.events if event["event"] == name)
            return next((event for event in with_name if fields.items() <= event.items()), None)

        return self._wait(found, f"{name} {fields}", within)

    def latest(self, name: str) -> dict[str, Any]:
        """The last event of this name that was read; empty when there was none."""
        with self._news:
            found = [event for event in self.events if event["event"] == name]
        return found[-1] if found else {}

    def notes(self) -> list[str]:
        """What it told the person, so far."""
        with self._news:
            return [event["text"] for event in self.events if event["event"] == "note"]

    def wait_for_line(self, nth: int = 1, within: float = PATIENCE) -> str:
        """The first, or another one, of the lines that are not JSON."""
        return self._wait(lambda: dict(enumerate(self.lines, 1)).get(nth), "line", within)

    def _wait(self, find: Callable[[], T | None], what: str, within: float) -> T:
        deadline = time.monotonic() + within
        with self._news:
            while (found := find()) is None:
                left = deadline - time.monotonic()
                if left <= 0 or self._ended:
                    why = "the program ended" if self._ended else f"not within {within} s"
                    last = "\n".join(map(str, self.events[-_SHOWN:]))
                    raise AssertionError(f"no {what}: {why}\n{self.stderr}\n{last}")
                self._news.wait(left)
        return found

    def wait(self, within: float = PATIENCE) -> int:
        """The exit code, and everything it printed is read."""
        code = self.process.wait(within)
        self._reader.join(within)
        return code

    def stop(self, number: int = signal.SIGINT, within: float = PATIENCE) -> int:
        self.process.send_signal(number)
        return self.wait(within)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                if line.startswith("{"):
                    self.events.append(json.loads(line))
                else:
                    self.lines.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()


@contextmanager
def program(
    home: Path,
    *arguments: object,
    module: str = "p2pswarm",
    env: Mapping[str, str] | None = None,
    prefix: Sequence[str] = (),
) -> Iterator[Program]:
    """`python -m module arguments…`; `home` (made if needed) gets its resume data and its stderr.

    Nothing of the user's settings reaches it, and unless a flag or `env` says so it looks for nobody whom
    the test does not name. It is killed at the end if it still runs.
    """
    home.mkdir(parents=True, exist_ok=True)
    log = home / "stderr"
    clean = {key: value for key, value in os.environ.items() if not key.startswith("P2PSWARM_")}
    own = {"XDG_CONFIG_HOME": home, "XDG_DATA_HOME": home, "PYTHONPATH": ROOT, "PYTHONWARNINGS": ""}
    own |= {"P2PSWARM_DHT": "no", "P2PSWARM_LSD": "no"}
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [*prefix, sys.executable, "-m", module, *map(str, arguments)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, text=True,
            env={**clean, **{key: str(value) for key, value in own.items()}, **(env or {})},
        )  # fmt: skip
    running = Program(process, log)
    try:
        yield running
    finally:
        if process.poll() is None:
            process.kill()
        running.wait()
        assert process.stdout is not None
        process.stdout.close()
