"""Clients that give and take one torrent: ours and libtorrent here, others in `foreign`.

Each is a process on an address of its own, because clients refuse or dial themselves when two share one.
`seed` and `get` are context managers; nothing of a client is left when they end. How long a `get` took the
client itself tells, from the start of its download to its last verified piece. A seed believes that its data
is good: libtorrent is told so, ours keeps its notes of an earlier run in `Job.home`.
"""

import json
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from p2pswarm.formats.metainfo import Metainfo
from p2pswarm.wire.tracker import Counts, ScrapeReply
from scripts.bench.programs import PYTHON, Program, Usage, program, until

__all__ = [
    "BEST_SETTINGS", "READY", "Get", "Giver", "Job", "Libtorrent", "Ours", "Seed", "Taker", "tracker",
]  # fmt: skip

LIBTORRENT = Path(__file__).with_name("libtorrent_peer.py")
READY = 60.0  # seconds for a client to start

# What makes libtorrent fastest between two machines that trust each other. More or fewer threads, larger
# socket buffers, a longer disk queue and its own `high_performance_seed` were tried: within 5 % of this.
BEST_SETTINGS: dict[str, Any] = {
    "max_out_request_queue": 1500,
    "max_allowed_in_request_queue": 2000,
    "send_buffer_watermark": 3 << 20,
    "send_buffer_watermark_factor": 150,
    "send_buffer_low_watermark": 512 << 10,
    "aio_threads": 4,
    "hashing_threads": 2,
    "in_enc_policy": 2,
    "out_enc_policy": 2,
}


@dataclass(frozen=True)
class Job:
    """What is transferred: a file, its torrent, and `home`, where clients keep what is theirs.

    `announce` is the torrent's tracker, if it has one: then clients find each other by it.
    """

    home: Path
    torrent: Path
    data: Path
    announce: str = ""
    patience: float = 300.0  # seconds for one run

    @property
    def size(self) -> int:
        return self.data.stat().st_size

    @property
    def saved(self) -> Path:
        """Where the copy goes."""
        return self.home / "saved"

    def counts(self) -> Counts:
        """What the tracker knows of the swarm (BEP 48)."""
        info_hash = Metainfo.from_file(self.torrent).info_hash
        url = self.announce.replace("/announce", "/scrape") + f"?info_hash={quote(info_hash)}"
        with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - our own tracker
            return ScrapeReply.decode(response.read()).swarms.get(info_hash, Counts())


class Seed(Protocol):
    """A seed that is ready: dial it, or find it by the tracker."""

    address: str

    def stop(self) -> Usage: ...


class Get(Protocol):
    """A download under way."""

    def finish(self) -> tuple[float, Usage]:
        """Seconds from its start to the last verified piece; what the whole process took."""
        ...


class Giver(Protocol):
    """A make that can seed; `needs` are the programs it is."""

    name: str
    needs: Sequence[str]

    def seed(self, job: Job, host: str) -> AbstractContextManager[Seed]: ...


class Taker(Protocol):
    """A make that can download. `peer` is the seed's address, for those that can be told."""

    name: str
    needs: Sequence[str]

    def get(self, job: Job, host: str, peer: str) -> AbstractContextManager[Get]: ...


@contextmanager
def tracker(host: str, port: int = 0) -> Iterator[str]:
    """Our tracker, at any free port unless told; its announce URL."""
    where = ("--host", host, "--port", port, "--no-udp")
    with program(PYTHON, "-m", "tracker", *where, patience=36_000) as running:
        yield running.wait_for_line()


@dataclass(frozen=True)
class _Speaking:
    """A seed of ours, or libtorrent's."""

    running: Program
    address: str

    def stop(self) -> Usage:
        return self.running.stop()


@dataclass(frozen=True)
class Ours:
    """The command line, as a user starts it, perhaps with options."""

    name: str = "p2pswarm"
    options: Sequence[str] = ()
    needs: Sequence[str] = ()

    @contextmanager
    def seed(self, job: Job, host: str) -> Iterator[Seed]:
        home = job.home / "p2pswarm seed"
        with self._start(job, host, home, "seed", "--data", job.data) as running:
            port = running.wait_for("listening")["port"]
            if job.announce:
                running.wait_for("tracker_replied")
            yield _Speaking(running, f"{host}:{port}")

    @contextmanager
    def get(self, job: Job, host: str, peer: str) -> Iterator[Get]:
        home, told = job.saved / "p2pswarm", [] if job.announce else ["--peer", peer]
        with self._start(job, host, home, "get", "-o", job.saved, *told) as running:
            yield _OurGet(running)

    def _start(
        self, job: Job, host: str, home: Path, command: str, *options: object
    ) -> AbstractContextManager[Program]:
        where = ("--bind", host, "--port", 0, "--data-dir", home, "--json", *self.options)
        line = (PYTHON, "-m", "p2pswarm", command, job.torrent, *options, *where)
        return program(*line, patience=job.patience)


@dataclass(frozen=True)
class _OurGet:
    running: Program

    def finish(self) -> tuple[float, Usage]:
        began = self.running.wait_for("state_changed", state="downloading")["time"]
        ended = self.running.wait_for("result")["time"]
        return ended - began, self.running.wait()


@dataclass(frozen=True)
class Libtorrent:
    """The field's reference, with its best settings, and perhaps others besides."""

    name: str = "libtorrent"
    settings: Mapping[str, Any] = field(default_factory=dict)
    needs: Sequence[str] = ()

    @contextmanager
    def seed(self, job: Job, host: str) -> Iterator[Seed]:
        with self._start(job, host, job.data.parent, "--seed") as running:
            port = running.wait_for("listening")["port"]
            if job.announce:
                until(lambda: job.counts().complete, "libtorrent's announce", READY)
            yield _Speaking(running, f"{host}:{port}")

    @contextmanager
    def get(self, job: Job, host: str, peer: str) -> Iterator[Get]:
        told = [] if job.announce else ["--peer", peer]
        with self._start(job, host, job.saved, "--once", *told) as running:
            yield _LibtorrentGet(running)

    def _start(
        self, job: Job, host: str, folder: Path, *options: object
    ) -> AbstractContextManager[Program]:
        wanted = {**BEST_SETTINGS, **self.settings}
        settings = [f"--set={name}={json.dumps(value)}" for name, value in wanted.items()]
        line = (PYTHON, LIBTORRENT, job.torrent, folder, "--listen", f"{host}:0", *settings)
        return program(*line, *options, patience=job.patience)


@dataclass(frozen=True)
class _LibtorrentGet:
    running: Program

    def finish(self) -> tuple[float, Usage]:
        seconds = self.running.wait_for("complete")["seconds"]
        return seconds, self.running.wait()
