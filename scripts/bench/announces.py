"""How many announces a tracker answers: ours by UDP and by HTTP, and opentracker by UDP.

One process announces for a thousand swarms of ten peers each, with 64 announces on their way at any time,
from one address; by HTTP over 64 connections that stay. CPU is what the tracker's process used for each.
"""

import argparse
import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.bench import publish
from scripts.bench.announces_load import SWARMS
from scripts.bench.measure import Figures, take_turns
from scripts.bench.programs import PYTHON, program
from tests.support.numbers import number_for

if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUESTION = "How many announces does the tracker answer?"
HOST = "127.0.0.1"
COLUMNS = (
    publish.Column("rate", "announces/s", 1, 0),
    publish.Column("cpu", "CPU us each", 1e-6, 0),
    publish.Column("bytes", "bytes each", 1, 0),
)


@dataclass
class Contestant:
    """A tracker of its own for each run."""

    name: str
    seconds: float
    most: int | None = None

    def run(self, *, check: bool) -> Figures:
        with ExitStack() as stack:
            if self.name.startswith("opentracker"):
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                port, command = number_for(HOST), _opentracker(folder)
                tracker = stack.enter_context(program(*command, "-p", port, "-P", port))
                scheme = "udp"
            else:
                options = (f"--host={HOST}", "--port=0")
                tracker = stack.enter_context(program(PYTHON, "-m", "tracker", *options))
                port = int(tracker.wait_for_line().rpartition(":")[2].partition("/")[0])
                scheme = self.name.lower()
            load = (PYTHON, "-m", "scripts.bench.announces_load", scheme, port, self.seconds)
            with program(*load, patience=120) as announcing:
                announcing.wait_for("warm")
                before = tracker.usage().cpu
                told = announcing.wait_for("announced")
                spent = tracker.usage().cpu - before
                announcing.wait()
        count = float(told["count"])
        return {
            "rate": count / told["seconds"],
            "cpu": spent / count,
            "bytes": told["bytes"] / count,
        }


def _opentracker(folder: Path) -> tuple[object, ...]:
    """Debian's build serves what is on its list, which it reads with the rights of nobody."""
    folder.chmod(0o755)
    (folder / "list").write_text("".join(f"{swarm.hex()}\n" for swarm in SWARMS))
    return "opentracker", "-i", HOST, "-w", folder / "list", "-d", "/"


def draw(figure: "Figure", report: publish.Report) -> None:
    figure.set_size_inches(7.2, 1.8)
    for axes, column in zip(figure.subplots(1, 2, sharey=True), COLUMNS[:2], strict=True):
        publish.bars(axes, report.results, column)


def arguments() -> argparse.Namespace:
    parser = publish.parser(__doc__, runs=3)
    parser.add_argument("--seconds", type=float, default=4, help="of announcing in one run (4)")
    wanted = parser.parse_args()
    wanted.runs = 1 if wanted.quick else wanted.runs
    wanted.seconds = 1.0 if wanted.quick else wanted.seconds
    return wanted


def main() -> None:
    wanted = arguments()
    names = ["UDP", "HTTP"] + ["opentracker, UDP"] * (shutil.which("opentracker") is not None)
    contestants = [
        Contestant(name, wanted.seconds) for name in names if publish.chosen(name, wanted)
    ]
    results = take_turns(contestants, wanted.runs)
    facts = {"swarms": len(SWARMS), "seconds": wanted.seconds}
    publish.Report("announces", QUESTION, facts, results, COLUMNS).publish(wanted, draw)


if __name__ == "__main__":
    publish.command(main)
