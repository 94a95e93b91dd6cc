"""A swarm of one make on this machine: peers that wait for a seed, then the seed, until everybody has all.

All find each other through our tracker, whichever make they are. The peers are up and connected to each
other before the seed comes, so that starting so many interpreters is no part of the time. It counts from the
seed's first word that it listens, to each peer's word that it is complete, both heard by us on one clock.
Who is complete stays and serves.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from scripts.bench.clients import BEST_SETTINGS, LIBTORRENT, Job, tracker
from scripts.bench.files import make_torrent, random_file, same, scratch, settle, warm
from scripts.bench.measure import Figures
from scripts.bench.programs import PYTHON, Program, Usage, program, until

__all__ = ["MAKES", "Contest", "Limits", "Make", "Outcome", "Sample", "play", "tracked_job"]

MEET = 60.0  # seconds for all peers to find each other
NETWORK = "127.0.0."
FIRST_PEER = 10  # the last number of its address; the seed has 2, the tracker 1


@dataclass(frozen=True)
class Limits:
    """Bytes per second of one member; 0 is no limit."""

    up: int = 0
    down: int = 0


@dataclass(frozen=True)
class Sample:
    """What a member had sent and received at some second of the run, in bytes of blocks."""

    at: float
    up: int
    down: int


@dataclass(frozen=True)
class Outcome:
    """One run: when each peer was complete, what all members took, and what each said on the way."""

    completed: Sequence[float]
    seed: Sequence[Sample]
    peers: Sequence[Sequence[Sample]]
    used: Sequence[Usage]  # the seed first


class Make(Protocol):
    """How members of one make are started and understood."""

    name: str
    complete: str  # the event of a peer that has everything

    def command(
        self, job: Job, home: Path, host: str, limits: Limits, *, seed: bool
    ) -> Sequence[object]: ...

    def connected(self, status: dict[str, Any]) -> int: ...


class OurMake:
    """The command line, as a user starts it."""

    name = "p2pswarm"
    complete = "result"

    def command(
        self, job: Job, home: Path, host: str, limits: Limits, *, seed: bool
    ) -> Sequence[object]:
        role = ("seed", "--data", job.data) if seed else ("get", "--stay", "-o", home)
        where = ("--bind", host, "--port", 0, "--data-dir", home / "p2pswarm", "--json")
        rates = ("--up-limit", limits.up, "--down-limit", limits.down)
        return (PYTHON, "-m", "p2pswarm", role[0], job.torrent, *role[1:], *where, *rates)

    def connected(self, status: dict[str, Any]) -> int:
        return int(status["peers"])


class LibtorrentMake:
    """Its best settings. Limits count blocks only, as ours do, not what IP adds to them."""

    name = "libtorrent"
    complete = "complete"

    def command(
        self, job: Job, home: Path, host: str, limits: Limits, *, seed: bool
    ) -> Sequence[object]:
        rates = {"upload_rate_limit": limits.up, "download_rate_limit": limits.down}
        settings = {**BEST_SETTINGS, **rates, "rate_limit_ip_overhead": False}
        told = [f"--set={name}={json.dumps(value)}" for name, value in settings.items()]
        folder = job.data.parent if seed else home
        role = ["--seed"] if seed else []
        return (PYTHON, LIBTORRENT, job.torrent, folder, "--listen", f"{host}:0", *role, *told)

    def connected(self, status: dict[str, Any]) -> int:
        return len(status["peers"])


MAKES: tuple[Make, ...] = (OurMake(), LibtorrentMake())


def play(make: Make, job: Job, peers: int, seed: Limits, each: Limits) -> Outcome:
    """Raises BenchError when not everybody gets everything within the job's patience."""
    shutil.rmtree(job.saved, ignore_errors=True)
    warm(job.home, job.size * peers)
    settle()
    with ExitStack() as stack:

        def start(name: str, number: int, limits: Limits, *, seed: bool) -> Program:
            home = job.home / name if seed else job.saved / name
            line = make.command(job, home, f"{NETWORK}{number}", limits, seed=seed)
            return stack.enter_context(program(*line, patience=job.patience))

        getting = [start(f"peer {n}", FIRST_PEER + n, each, seed=False) for n in range(peers)]
        until(lambda: all(_met(make, one, peers - 1) for one in getting), "all have met", MEET)
        giving = start(f"{make.name} seed", 2, seed, seed=True)
        began = giving.wait_for("listening")["heard"]
        completed = [one.wait_for(make.complete)["heard"] - began for one in getting]
        used = [one.stop() for one in (giving, *getting)]
    return Outcome(
        completed, _samples(giving, began), [_samples(one, began) for one in getting], used
    )


@dataclass(frozen=True)
class Contest:
    """A contestant: a swarm of one make. What its runs came to is kept for the plot."""

    make: Make
    job: Job
    peers: int
    seed: Limits
    each: Limits
    figures: Callable[[Outcome], Figures]
    outcomes: list[Outcome] = field(default_factory=list)
    most: int | None = None

    @property
    def name(self) -> str:
        return self.make.name

    def run(self, *, check: bool) -> Figures:
        outcome = play(self.make, self.job, self.peers, self.seed, self.each)
        if check:
            for n in range(self.peers):
                same(self.job.data, self.job.saved / f"peer {n}" / self.job.data.name)
        shutil.rmtree(self.job.saved)
        self.outcomes.append(outcome)
        return self.figures(outcome)


@contextmanager
def tracked_job(folder: Path, size: int, peers: int, patience: float) -> Iterator[Job]:
    """A random file, its torrent, and the tracker it names."""
    with scratch(folder, size * (2 * peers + 1)) as home, tracker(f"{NETWORK}1") as announce:
        data = random_file(home / "source" / "data", size)
        torrent = make_torrent(data, home / "data.torrent", "--tracker", announce)
        yield Job(home, torrent, data, announce, patience)


def _met(make: Make, running: Program, others: int) -> bool:
    told = [event for event in running.events[-50:] if event["event"] == "status"]
    return bool(told) and make.connected(told[-1]) >= others


def _samples(running: Program, began: float) -> list[Sample]:
    """What it did in this run: our clients count what they did in earlier ones, too."""
    told = [event for event in running.events if event["event"] == "status"]
    # While it checks its files it does not know of earlier runs yet.
    first = next(event for event in told if event["state"] != "checking")
    return [
        Sample(
            event["heard"] - began,
            event["uploaded"] - first["uploaded"],
            event["downloaded"] - first["downloaded"],
        )
        for event in told
    ]
