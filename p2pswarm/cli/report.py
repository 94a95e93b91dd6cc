"""The one voice of a running command: progress, events, notes and results, printed by a thread of its own.

A pipe that nobody reads, or a terminal held by Ctrl-S, blocks whoever writes to it. Were that the event
loop, an unread pipe would stop a seed within minutes. So the loop only puts lines into a bounded queue;
when the reader sleeps, progress is dropped and the node works on. Results are never dropped: the end waits
for them. Between two rounds the thread sleeps a moment: waking it for each of the hundred pieces a second
that a fast download finishes would take the loop a tenth of its time.
"""

import io
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Self, TextIO

from typing_extensions import override

from p2pswarm.cli.exits import EXPECTED, exit_code, words_of
from p2pswarm.cli.options import Progress
from p2pswarm.cli.views import Bar, JsonLines, Nothing, Sample, Table, View

__all__ = ["Report"]

_QUEUED = 10_000  # lines; a burst of finished pieces fits, a sleeping reader costs a few megabytes
_GATHER = 0.05  # seconds between two rounds of the printing thread
_LAST_WORDS = 1.0  # seconds a reader gets to take the progress that is still queued


class Report:
    """Use as a context manager: `with Report(progress) as report: report.status(...)`."""

    def __init__(self, progress: Progress, *, piped: bool = False) -> None:
        """Where standard output is `piped` to somebody else, results are notes."""
        self._make, self._piped = _view_for(progress), piped
        self.every = Bar.every if self._make is _bar else Nothing.every  # seconds between samples
        self._calls: SimpleQueue[Callable[[View], None] | None] = SimpleQueue()
        self._ending = threading.Event()  # nothing more is gathered
        self._noted = ""
        self._results = 0  # not printed yet
        self._broken: OSError | None = None  # why results or JSON lines cannot be printed any more
        self._thread = threading.Thread(target=self._print_all, name="report", daemon=True)
        self._began = time.monotonic()
        self._log = _LogToReport(self)

    def status(self, sample: Sample) -> None:
        """How far the work is. Raises OSError when the reader of stdout is gone."""
        if self._broken:
            raise self._broken
        now = self._now()
        self._offer(lambda view: view.status(now, sample))

    @property
    def tells_events(self) -> bool:
        """Whether anybody hears of them."""
        return self._make is _json

    def event(self, name: str, /, **fields: Any) -> None:
        """Something happened that a program may want to know."""
        now = self._now()
        self._offer(lambda view: view.event(now, name, fields))

    def note(self, text: str, *, again: bool = False) -> None:
        """One line that the person shall see; said again and again, it is seen once.

        With `again` it is seen each time: a question that is asked anew, something that happened once more.
        """
        if text == self._noted and not again:
            return
        self._noted = text
        now = self._now()
        self._offer(lambda view: view.note(now, text))

    def result(self, line: str, **fields: Any) -> None:
        """What the command was asked for: `line` on stdout, or `fields` where that speaks JSON."""
        if self._piped:
            self.note(line, again=True)
            return
        now = self._now()
        self._results += 1
        self._calls.put(lambda view: self._print_result(view, now, line, fields))

    def picture(self, draw: Callable[[], list[str]]) -> None:
        """Rows of block characters, drawn only where a person sees a terminal."""
        self._offer(lambda view: view.picture(draw))

    def abandon(self) -> None:
        """The process ends at once: leave the terminal usable."""
        if self._make is _bar:
            os.write(sys.stderr.fileno(), b"\x1b[?25h\n")  # show the cursor again

    def __enter__(self) -> Self:
        self._thread.start()
        logging.getLogger("p2pswarm").addHandler(self._log)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        logging.getLogger("p2pswarm").removeHandler(self._log)
        if isinstance(error, EXPECTED):
            self.event("error", text=words_of(error), exit=exit_code(error))
        self._ending.set()
        if self._results:
            self._calls.put(None)
            self._thread.join()
        else:
            self._offer(None)
            self._thread.join(_LAST_WORDS)
        if self._broken and error is None:
            raise self._broken

    def _now(self) -> float:
        return time.monotonic() - self._began

    def _offer(self, call: Callable[[View], None] | None) -> None:
        """Progress is dropped while the reader sleeps; results are not, and neither ever waits."""
        if call is None or self._calls.qsize() < _QUEUED:
            self._calls.put(call)

    def _print_all(self) -> None:
        view = self._make()
        over = False
        while not over:
            calls, over = self._gathered()
            for call in (*calls, _flush):
                try:
                    call(view)
                except OSError as error:
                    if isinstance(view, JsonLines):
                        self._broken = error
                    view = Nothing()
            self._ending.wait(_GATHER)
        view.close()

    def _gathered(self) -> tuple[list[Callable[[View], None]], bool]:
        """All that waits, one at least; and whether that was the last."""
        calls: list[Callable[[View], None]] = []
        call = self._calls.get()
        with suppress(Empty):
            while call is not None:
                calls.append(call)
                call = self._calls.get_nowait()
        return calls, call is None

    def _print_result(self, view: View, now: float, line: str, fields: Mapping[str, Any]) -> None:
        try:
            view.result(now, line, fields)
            view.flush()
        except OSError as error:
            self._broken = error
        self._results -= 1


class _LogToReport(logging.Handler):
    """Warnings of the node's rooms become notes."""

    def __init__(self, report: Report) -> None:
        super().__init__(logging.WARNING)
        self._report = report

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self._report.note(record.getMessage())


def _flush(view: View) -> None:
    view.flush()


def _view_for(progress: Progress) -> Callable[[], View]:
    if progress.json:
        return _json
    if progress.quiet:
        return Nothing
    return _bar if sys.stderr.isatty() and os.environ.get("TERM") != "dumb" else _table


def _json() -> View:
    return JsonLines(_unlocked(sys.stdout))


def _table() -> View:
    return Table(_unlocked(sys.stderr))


def _bar() -> View:
    return Bar(_unlocked(sys.stderr))


def _unlocked(stream: TextIO) -> TextIO:
    """The same file without the buffer whose lock a blocked thread would hold at the interpreter's end."""
    stream.flush()
    raw = open(stream.fileno(), "wb", buffering=0, closefd=False)  # noqa: SIM115
    return io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", write_through=True)
