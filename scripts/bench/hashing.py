"""A file made into a torrent, and checked against it: how near to what SHA-1 on all cores can do at most?

One file of random bytes lies on tmpfs and on a disk, there with its pages in memory (warm) and without
(cold; only root can drop them). Every contestant is a whole process, its start and end included, and makes
or reads the same torrent. The limit is hashlib's SHA-1 in as many threads as there are cores, on buffers that
stay in the cache: no byte is fetched from anywhere. Warm-ups compare the hashes that were made.
"""

import argparse
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from p2pswarm.config import parse_size
from p2pswarm.formats.metainfo import Metainfo
from scripts.bench import publish
from scripts.bench.files import DISK, TMPFS, make_torrent, random_file, scratch, settle
from scripts.bench.hashing_peer import CORES
from scripts.bench.measure import Figures, Goal, Results, ratio, take_turns
from scripts.bench.programs import PYTHON, BenchError, missing, program

if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUESTION = (
    "How near are create and verify to the hash limit, and to mktorrent, torf and libtorrent?"
)
COLUMNS = (
    publish.Column("rate", "MB/s", 1e6, 0),
    publish.Column("seconds", "seconds"),
    publish.Column("cpu", "CPU s"),
    publish.Column("memory", "peak MB", 1e6, 0),
)
DROP_CACHES = Path("/proc/sys/vm/drop_caches")
OURS, LIMIT = "p2pswarm", "hash limit"
PEER = (PYTHON, "-m", "scripts.bench.hashing_peer")


@dataclass(frozen=True)
class Place:
    """The file on one kind of storage, and its torrent."""

    name: str  # "tmpfs", "warm", "cold"
    data: Path
    torrent: Path

    @property
    def made(self) -> Path:
        return self.torrent.with_name("made.torrent")

    def prepare(self) -> None:
        self.made.unlink(missing_ok=True)
        settle()
        if self.name == "cold":
            DROP_CACHES.write_text("3")


@dataclass(frozen=True)
class Maker:
    """One program doing one act at one place."""

    who: str
    act: str  # "create", "create --hybrid", "create --v2", "verify"
    place: Place
    command: Sequence[object]
    most: int | None = None

    @property
    def name(self) -> str:
        return f"{self.act} {self.place.name}: {self.who}"

    def run(self, *, check: bool) -> Figures:
        self.place.prepare()
        with program(*self.command) as running:
            used = running.wait()
            seconds = running.ended_at - running.started
        if check and self.act.startswith("create"):
            self._compare()
        size = self.place.data.stat().st_size
        return {
            "rate": size / seconds, "seconds": seconds, "cpu": used.cpu, "memory": used.memory
        }  # fmt: skip

    def _compare(self) -> None:
        made, wanted = (Metainfo.from_file(each) for each in (self.place.made, self.place.torrent))
        if made.has_v1 and made.pieces != wanted.pieces:  # of one file a hybrid has the same
            raise BenchError(f"{self.who} made other hashes")


@dataclass(frozen=True)
class Limit:
    """No files: what the processor can do."""

    size: int
    name: str = LIMIT
    most: int | None = None

    def run(self, *, check: bool) -> Figures:
        with program(*PEER, "limit", self.size) as running:
            seconds = float(running.wait_for("hashed")["seconds"])
            running.wait()
        return {"rate": self.size / seconds, "seconds": seconds}


def makers(place: Place) -> Iterator[Maker]:
    """Whoever can create, whoever can verify, each with its best settings."""
    data, torrent, made = place.data, place.torrent, place.made
    length = Metainfo.from_file(torrent).piece_length
    ours = (PYTHON, "-m", "p2pswarm")
    yield Maker(OURS, "create", place, (*ours, "create", data, "-o", made, "--quiet"))
    if not missing("mktorrent"):
        line = ("mktorrent", "-t", CORES, "-l", length.bit_length() - 1, "-o", made, data)
        yield Maker("mktorrent", "create", place, line)
    yield Maker("torf", "create", place, (*PEER, "torf-create", data, made, length))
    line = (*PEER, "libtorrent-create", data, made, length)
    yield Maker("libtorrent", "create", place, (*line, "v1"))
    for each in ("hybrid", "v2"):
        act = f"create --{each}"
        yield Maker(OURS, act, place, (*ours, "create", data, "-o", made, "--quiet", f"--{each}"))
        yield Maker("libtorrent", act, place, (*line, each))
    yield Maker(OURS, "verify", place, (*ours, "verify", torrent, "--data", data, "--quiet"))
    yield Maker("torf", "verify", place, (*PEER, "torf-verify", data, torrent))
    yield Maker("libtorrent", "verify", place, (*PEER, "libtorrent-verify", data, torrent))


def goals(results: Results, places: Sequence[str]) -> Iterator[Goal]:
    for place in places:
        for act in ("create", "create --hybrid", "create --v2", "verify"):
            ours = f"{act} {place}: {OURS}"
            if place != "cold" and "--" not in act:  # the limit is SHA-1's, and a cold disk's
                part = ratio(results, ours, LIMIT, "rate")
                yield Goal(f"{act} {place}: part of the hash limit", 0.9, part)
            others = [
                ratio(results, name, ours, "seconds")
                for name in results.runs
                if name.startswith(f"{act} {place}: ") and name != ours
            ]
            least = min((each for each in others if each is not None), default=None)
            yield Goal(f"{act} {place}: time of the best other over ours", 1.0, least)


def places(folder: Path, names: Sequence[str], size: int) -> Iterator[Place]:
    """The file and its torrent; warm and cold are the same file."""
    data = random_file(folder / "data", size)
    torrent = make_torrent(data, folder / "data.torrent", "--quiet")
    yield from (Place(name, data, torrent) for name in names)


def draw(figure: "Figure", report: publish.Report) -> None:
    figure.set_size_inches(7.2, 1.2 + 0.22 * len(report.results.runs))
    axes = figure.subplots(1, 2, sharey=True)
    publish.bars(axes[0], report.results, COLUMNS[0])
    publish.bars(axes[1], report.results, COLUMNS[2])


def arguments() -> argparse.Namespace:
    parser = publish.parser(__doc__)
    parser.add_argument("--size", type=parse_size, help="of the file (4GB)")
    parser.add_argument(
        "--where", action="append", choices=("tmpfs", "warm", "cold"), help="(all of them)"
    )
    parser.add_argument("--dir", type=Path, default=DISK, help=f"of the disk ({DISK})")
    wanted = parser.parse_args()
    wanted.size = wanted.size or parse_size("100MB" if wanted.quick else "4GB")
    wanted.runs = 1 if wanted.quick else wanted.runs
    wanted.where = wanted.where or ["tmpfs", "warm", *(["cold"] if os.geteuid() == 0 else [])]
    return wanted


def main() -> None:
    wanted = arguments()
    on_disk = [name for name in wanted.where if name != "tmpfs"]
    with ExitStack() as stack:
        found: list[Place] = []
        for parent, names in ((TMPFS, ["tmpfs"]), (wanted.dir, on_disk)):
            if set(names) & set(wanted.where):
                folder = stack.enter_context(scratch(parent, 2 * wanted.size))
                found += places(folder, names, wanted.size)
        chosen = [
            maker
            for place in found
            for maker in makers(place)
            if publish.chosen(maker.name, wanted)
        ]
        results = take_turns([Limit(wanted.size), *chosen], wanted.runs)
    gone = missing("mktorrent")
    report = publish.Report(
        "hashing", QUESTION, {"size": wanted.size, "cores": CORES}, results, COLUMNS,
        list(goals(results, wanted.where)), missing={"mktorrent": gone} if gone else {},
    )  # fmt: skip
    report.publish(wanted, draw)


if __name__ == "__main__":
    publish.command(main)
