"""How progress looks: a live bar on a terminal, TSV in a pipe, JSON lines for programs, nothing when quiet.

With `--json` stdout carries one JSON object a line; each has `event` and `time` (seconds since the command
began). Sizes are bytes, rates bytes per second, times seconds.

- `status`, once a second: `name state done total down_rate up_rate peers seeds availability eta`, and from a
  node the other fields of `p2pswarm.swarm.status.Status`; `state_done`, `state_total`, `state_reason` are
  what the state itself knows;
- what happens in between, under the name of the node's event class and with its fields: `state_changed`,
  `piece_done`, `piece_failed`, `peer_joined`, `peer_left`, `peer_banned`, `tracker_replied`,
  `tracker_failed`, `completed`;
- `listening` (`port`), `note` (`text`), `error` (`text`, `exit`);
- `looking_for_metadata` (`info_hash`), when get has only a magnet link: then the state is
  `metadata`;
- `result`, what stdout has without `--json`: `path` (and `info_hash`) from create, get and verify; `url` and
  `command` from share; `magnet` (and `info_hash`) from share and seed; `kind` and `path` of each wrong file
  from verify.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from typing_extensions import override

from p2pswarm.cli.text import printable, tell_result
from p2pswarm.config import format_duration, format_rate, format_share, in_one_unit

if TYPE_CHECKING:
    from rich.live import Live

__all__ = ["Bar", "JsonLines", "Nothing", "Sample", "Table", "View", "bar_line"]

_LEAST_NAME, _LEAST_BAR = 6, 5  # cells
_BARS = (20, 10)  # in steps, or the bar would jump with every digit behind it
_BLOCKS = " ▏▎▍▌▋▊▉█"  # eighths of a character cell


@dataclass(frozen=True)
class Sample:
    """How far a work is, once a second."""

    name: str
    state: str  # "hashing", "checking", "downloading", "seeding", "paused", …
    done: int
    total: int
    down_rate: float = 0.0  # also the rate of hashing
    up_rate: float = 0.0
    peers: int | None = None  # None: a work without peers
    seeds: int = 0
    availability: float | None = None
    eta: float | None = None
    more: Mapping[str, Any] = field(default_factory=dict)  # what only programs want to know
    web_seeds: int = 0  # that give something now; programs are told of each in `more`

    @property
    def part(self) -> float:
        """From 0 to 1; nothing to do is done."""
        return min(1.0, self.done / self.total) if self.total else 1.0


class View(Protocol):
    """Shows samples, tells events and notes; all calls come from one thread."""

    every: float  # seconds between two samples

    def status(self, time: float, sample: Sample) -> None: ...

    def event(self, time: float, name: str, fields: Mapping[str, Any]) -> None: ...

    def note(self, time: float, text: str) -> None: ...

    def result(self, time: float, line: str, fields: Mapping[str, Any]) -> None: ...

    def picture(self, draw: Callable[[], list[str]]) -> None: ...

    def flush(self) -> None:
        """That was all for the moment."""

    def close(self) -> None: ...


class Nothing:
    """`--quiet`: results only."""

    every = 1.0

    def status(self, time: float, sample: Sample) -> None:
        pass

    def event(self, time: float, name: str, fields: Mapping[str, Any]) -> None:
        pass

    def note(self, time: float, text: str) -> None:
        pass

    def result(self, time: float, line: str, fields: Mapping[str, Any]) -> None:
        tell_result(line)

    def picture(self, draw: Callable[[], list[str]]) -> None:
        pass

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


class JsonLines(Nothing):
    """`--json`: for programs. Lines leave together with `flush`."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lines: list[str] = []

    @override
    def status(self, time: float, sample: Sample) -> None:
        fields = asdict(sample)
        del fields["web_seeds"]
        self.event(time, "status", {**fields.pop("more"), **fields})

    @override
    def event(self, time: float, name: str, fields: Mapping[str, Any]) -> None:
        line = json.dumps({"event": name, "time": round(time, 3), **fields}, default=str)
        self._lines.append(line + "\n")

    @override
    def flush(self) -> None:
        lines, self._lines = "".join(self._lines), []
        self._out.write(lines)

    @override
    def note(self, time: float, text: str) -> None:
        self.event(time, "note", {"text": text})

    @override
    def result(self, time: float, line: str, fields: Mapping[str, Any]) -> None:
        self.event(time, "result", fields)


class Table(Nothing):
    """Not a terminal: a line of tab-separated values a second, below one line with their names."""

    COLUMNS = (
        "time", "state", "percent", "done", "total", "down_rate", "up_rate",
        "peers", "seeds", "availability", "eta", "name",
    )  # fmt: skip

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._headed = False

    @override
    def status(self, time: float, sample: Sample) -> None:
        if not self._headed:
            self._headed = True
            self._out.write("\t".join(self.COLUMNS) + "\n")
        self._out.write("\t".join(self._cells(time, sample)) + "\n")

    @override
    def note(self, time: float, text: str) -> None:
        self._out.write(f"p2pswarm: {printable(text)}\n")

    @staticmethod
    def _cells(time: float, sample: Sample) -> list[str]:
        known = [
            "-" if value is None else f"{value:.{digits}f}"
            for value, digits in [(sample.peers, 0), (sample.seeds, 0), (sample.availability, 2)]
        ]
        return [
            f"{time:.1f}", sample.state, f"{100 * sample.part:.1f}",
            str(sample.done), str(sample.total), f"{sample.down_rate:.0f}", f"{sample.up_rate:.0f}",
            *known, "-" if sample.eta is None else f"{sample.eta:.0f}", printable(sample.name),
        ]  # fmt: skip


class Bar(Nothing):
    """A terminal: one line that renews itself, four times a second."""

    every = 0.25

    def __init__(self, out: TextIO) -> None:
        from rich.console import Console

        self._console = Console(file=out, force_terminal=True, highlight=False)
        self._live: Live | None = None  # while there is a line to renew

    @override
    def status(self, time: float, sample: Sample) -> None:
        from rich.text import Text

        name, bar, facts = bar_line(sample, self._console.width)
        line = Text.assemble(name, " ", (bar, "cyan"), " ", facts, no_wrap=True, overflow="crop")
        self._running().update(line, refresh=True)
        if sample.peers is None and sample.part == 1:  # hashed: what is said next stands below
            self.close()

    @override
    def note(self, time: float, text: str) -> None:
        from rich.text import Text

        self._console.print(Text(f"p2pswarm: {printable(text)}"))

    @override
    def result(self, time: float, line: str, fields: Mapping[str, Any]) -> None:
        self.close()
        tell_result(line)

    @override
    def picture(self, draw: Callable[[], list[str]]) -> None:
        from rich.text import Text

        rows = draw()
        if max(map(len, rows)) < self._console.width:  # a row that is broken is worth nothing
            for row in rows:
                self._console.print(Text(row, style="bright_white on black"))

    @override
    def close(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def _running(self) -> "Live":
        from rich.live import Live

        if self._live is None:
            self._live = Live(
                console=self._console,
                auto_refresh=False,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()
        return self._live


def bar_line(sample: Sample, width: int) -> tuple[str, str, str]:
    """Name, bar and facts for a terminal `width` cells wide: what matters least gives way first."""
    facts = list(_facts(sample))
    for dispensable in ("avail", "peers", "↑", "of"):
        if sum(len(text) + 1 for _, text in facts) + _LEAST_NAME + _LEAST_BAR + 4 <= width:
            break
        facts = [fact for fact in facts if fact[0] != dispensable]
    line = " ".join(text for _, text in facts)
    room = width - 5 - len(line)  # two spaces, two ends of the bar, the last column
    bar = next((cells for cells in _BARS if cells <= room - 20), _LEAST_BAR)
    return _fitted(sample.name, room - bar), f"▕{_filled(sample.part, bar)}▏", line


def _facts(sample: Sample) -> Iterator[tuple[str, str]]:
    """What stands behind the bar, in order: its kind, its words."""
    yield "%", f"{100 * sample.part:3.0f}%"
    yield "of", format_share(sample.done, sample.total)
    if sample.peers is None:
        yield "↓", format_rate(sample.down_rate)
    else:
        down, up, unit = in_one_unit(sample.down_rate, sample.up_rate)
        yield "↓", f"↓ {down} {unit}/s"
        yield "↑", f"↑ {up}"
        web = f" web {sample.web_seeds}" if sample.web_seeds else ""
        yield "peers", f"peers {sample.peers}({sample.seeds} seeds){web}"
    if sample.availability is not None:
        yield "avail", f"avail {sample.availability:.1f}"
    if sample.state != "downloading":
        yield "state", sample.state
    if sample.part < 1:
        yield "eta", f"eta {format_duration(sample.eta)}"


def _fitted(name: str, cells: int) -> str:
    """The harmless name in at most `cells` cells of a terminal."""
    from rich.cells import cell_len, set_cell_size

    name, cells = printable(name), max(cells, _LEAST_NAME)
    return name if cell_len(name) <= cells else set_cell_size(name, cells - 1) + "…"


def _filled(part: float, cells: int) -> str:
    eighths = round(part * cells * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_BLOCKS[rest] if full < cells else "")).ljust(cells)
