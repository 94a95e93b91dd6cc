"""What it costs to start: `p2pswarm --help`, other commands, `import p2pswarm`, above bare `python -c pass`.

Every contestant is a whole process whose modules are compiled and in the page cache already, as at a user's
second start. They take turns; each figure above bare Python is the median of differences to the neighbour.
"""

import argparse
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from scripts.bench import publish
from scripts.bench.files import make_torrent, random_file
from scripts.bench.measure import Figures, Goal, Results, take_turns
from scripts.bench.programs import PYTHON, program

if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUESTION = "How long does the start take?"
COLUMNS = (
    publish.Column("seconds", "ms", 1e-3, 1),
    publish.Column("cpu", "CPU ms", 1e-3, 1),
    publish.Column("memory", "peak MB", 1e6, 1),
)
BARE = "python -c pass"
HELP = "p2pswarm --help"
IMPORT = "import p2pswarm"
SMALL = 1 << 20  # bytes that `create` and `verify` have to hash beside their start


@dataclass(frozen=True)
class Start:
    """A process from its start to its end."""

    name: str
    command: Sequence[object]
    most: int | None = None

    def run(self, *, check: bool) -> Figures:
        with program(*self.command) as running:
            used = running.wait()
            seconds = running.ended_at - running.started
        return {"seconds": seconds, "cpu": used.cpu, "memory": used.memory}


def starts(folder: Path) -> Iterator[Start]:
    data = random_file(folder / "data", SMALL)
    torrent = make_torrent(data, folder / "data.torrent", "--quiet")
    ours = (PYTHON, "-m", "p2pswarm")
    yield Start(BARE, (PYTHON, "-c", "pass"))
    yield Start(IMPORT, (PYTHON, "-c", IMPORT))
    yield Start("import p2pswarm.node", (PYTHON, "-c", "import p2pswarm.node"))
    yield Start("import libtorrent", (PYTHON, "-c", "import libtorrent"))
    yield Start(HELP, (*ours, "--help"))
    yield Start("p2pswarm get --help", (*ours, "get", "--help"))
    create = (*ours, "create", data, "-o", folder / "x.torrent", "--force", "--quiet")
    yield Start("p2pswarm create, of 1 MiB", create)
    yield Start("p2pswarm verify, of 1 MiB", (*ours, "verify", torrent, "--data", data, "--quiet"))


def above_bare(results: Results, name: str) -> float | None:
    """Seconds; the median of the differences between neighbours."""
    pairs = zip(results.runs.get(name, ()), results.runs.get(BARE, ()), strict=False)
    values = [one["seconds"] - bare["seconds"] for one, bare in pairs]
    return statistics.median(values) if values else None


def goals(results: Results) -> list[Goal]:
    return [
        Goal(f"{HELP}, seconds above bare Python", 0.15, above_bare(results, HELP), at_least=False),
        Goal(
            f"{IMPORT}, seconds above bare Python",
            0.02,
            above_bare(results, IMPORT),
            at_least=False,
        ),
    ]


def draw(figure: "Figure", report: publish.Report) -> None:
    figure.set_size_inches(7.2, 2.6)
    axes = figure.subplots(1, 2, sharey=True)
    publish.bars(axes[0], report.results, COLUMNS[0])
    publish.bars(axes[1], report.results, COLUMNS[2])


def arguments() -> argparse.Namespace:
    wanted = publish.parser(__doc__, runs=21).parse_args()
    wanted.runs = 1 if wanted.quick else wanted.runs
    return wanted


def main() -> None:
    wanted = arguments()
    with TemporaryDirectory(prefix="p2pswarm-bench-") as folder:
        contestants = [each for each in starts(Path(folder)) if publish.chosen(each.name, wanted)]
        results = take_turns(contestants, wanted.runs)
    facts = {"hashed by create and verify": SMALL}
    report = publish.Report("startup", QUESTION, facts, results, COLUMNS, goals(results))
    report.publish(wanted, draw)


if __name__ == "__main__":
    publish.command(main)
