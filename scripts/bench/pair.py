"""Our seed to our `get` beside libtorrent to libtorrent: rate, processor time and memory.

`scripts/bench/pair` starts this with everything installed. One file of random bytes goes over loopback from
a seed to a downloader, both processes of their own, and the two makes take turns: what else the machine does
meets both. Every make has one run before that does not count; there the copy is compared byte by byte, and
our seed notes that its data is good, as libtorrent's is told. The table shows medians.

The rate is the size over the time from the start of the download to its last verified piece. Processor time
and peak resident memory are those of the whole process, start of the interpreter included.
"""

import argparse
import filecmp
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Protocol

from p2pswarm.config import parse_size

LIBTORRENT = Path(__file__).with_name("libtorrent_peer.py")
PATIENCE = 120.0  # seconds for any one thing
CHUNK = 1 << 20

# What makes libtorrent fastest between two machines that trust each other.
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


class BenchError(Exception):
    """A program did not do what it was started for."""


@dataclass(frozen=True)
class Usage:
    """What a process took: seconds of processor time, and bytes resident at its peak."""

    cpu: float
    memory: int


@dataclass(frozen=True)
class Run:
    """One transfer; `seconds` is from the start of the download to its last piece."""

    seconds: float
    seed: Usage
    get: Usage


class Program:
    """A process that speaks JSON lines."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = " ".join(command)
        self._process = subprocess.Popen(  # noqa: S603 - our own programs
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        self._usage: Usage | None = None
        self._killer = threading.Timer(PATIENCE, self._process.kill)
        self._killer.start()

    def wait_for(self, event: str, **fields: Any) -> dict[str, Any]:
        """The next event of this name with these fields. Raises BenchError when the program ends before."""
        assert self._process.stdout is not None
        line = "nothing"
        for line in self._process.stdout:
            told = json.loads(line)
            if told["event"] == event and fields.items() <= told.items():
                return dict(told)
        raise BenchError(f"{self._command}: ended before it said {event}, with {line}")

    def stop(self) -> Usage:
        self._process.send_signal(signal.SIGINT)
        return self.wait()

    def wait(self) -> Usage:
        """Until it ends by itself. Raises BenchError when it failed."""
        assert self._process.stdout is not None
        self._process.stdout.read()
        _, status, used = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self._killer.cancel()
        if self._process.returncode:
            raise BenchError(f"{self._command}: ended with {self._process.returncode}")
        return Usage(used.ru_utime + used.ru_stime, used.ru_maxrss << 10)

    def close(self) -> None:
        self._killer.cancel()
        self._process.kill()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process.wait()


@contextmanager
def program(*command: object) -> Iterator[Program]:
    """Killed at the end if it still runs."""
    running = Program([sys.executable, *map(str, command)])
    try:
        yield running
    finally:
        running.close()


@dataclass(frozen=True)
class Place:
    """What is transferred, and where a run may write."""

    home: Path
    torrent: Path
    data: Path
    size: int

    @property
    def saved(self) -> Path:
        return self.home / "saved"


class Make(Protocol):
    """A client that can give and take."""

    name: str

    def run(self, place: Place) -> Run: ...


class Ours:
    """The command line, as a user starts it."""

    name = "p2pswarm"

    def run(self, place: Place) -> Run:
        with self._start(place, "127.0.0.2", "seed", "--data", place.data) as seed:
            peer = f"127.0.0.2:{seed.wait_for('listening')['port']}"
            with self._start(place, "127.0.0.3", "get", "-o", place.saved, "--peer", peer) as get:
                began = get.wait_for("state_changed", state="downloading")["time"]
                ended = get.wait_for("result")["time"]
                used = get.wait()
            shutil.rmtree(place.home / "get")
            return Run(ended - began, seed.stop(), used)

    def _start(self, place: Place, host: str, command: str, *options: object) -> Any:
        where = ("--bind", host, "--port", 0, "--data-dir", place.home / command, "--json")
        return program("-m", "p2pswarm", command, place.torrent, *options, *where)


class Libtorrent:
    """The field's reference, with its best settings."""

    name = "libtorrent"

    def run(self, place: Place) -> Run:
        with self._start(place, "127.0.0.4", place.data.parent, "--seed") as seed:
            peer = f"127.0.0.4:{seed.wait_for('listening')['port']}"
            with self._start(place, "127.0.0.5", place.saved, "--once", "--peer", peer) as get:
                seconds = get.wait_for("complete")["seconds"]
                used = get.wait()
            return Run(seconds, seed.stop(), used)

    def _start(self, place: Place, host: str, folder: Path, *options: object) -> Any:
        settings = [f"--set={name}={json.dumps(value)}" for name, value in BEST_SETTINGS.items()]
        where = ("--listen", f"{host}:0", *settings)
        return program(LIBTORRENT, place.torrent, folder, *options, *where)


def prepare(home: Path, size: int) -> Place:
    """Random bytes and their torrent."""
    data = home / "source" / "data"
    data.parent.mkdir()
    with data.open("wb") as file:
        for start in range(0, size, CHUNK):
            file.write(os.urandom(min(CHUNK, size - start)))
    torrent = home / "data.torrent"
    command = [sys.executable, "-m", "p2pswarm", "create", str(data), "-o", str(torrent), "--quiet"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own program
    return Place(home, torrent, data, size)


def measure(place: Place, make: Make, *, compare: bool = False) -> Run:
    run = make.run(place)
    if compare and not filecmp.cmp(place.data, place.saved / place.data.name, shallow=False):
        raise BenchError(f"{make.name} made a different copy")
    shutil.rmtree(place.saved)
    note(f"{make.name:10} {place.size / run.seconds / 1e6:6.0f} MB/s  {run.seconds:.2f} s")
    return run


def summary(runs: Sequence[Run], size: int) -> dict[str, float]:
    """Medians: bytes per second, CPU seconds per GB (10^9 bytes), bytes of memory."""
    gigabytes = size / 1e9
    return {
        "rate": median(size / run.seconds for run in runs),
        "seed_cpu_per_gb": median(run.seed.cpu / gigabytes for run in runs),
        "get_cpu_per_gb": median(run.get.cpu / gigabytes for run in runs),
        "seed_memory": median(run.seed.memory for run in runs),
        "get_memory": median(run.get.memory for run in runs),
    }


def table(results: dict[str, dict[str, float]]) -> str:
    head = f"{'':24}{'MB/s':>8}{'CPU s/GB':>18}{'peak MB':>18}\n"
    head += f"{'seed -> get':24}{'':8}{'seed':>9}{'get':>9}{'seed':>9}{'get':>9}"
    lines = [head]
    for name, facts in results.items():
        cells = (
            f"{facts['rate'] / 1e6:8.0f}",
            f"{facts['seed_cpu_per_gb']:9.2f}{facts['get_cpu_per_gb']:9.2f}",
            f"{facts['seed_memory'] / 1e6:9.0f}{facts['get_memory'] / 1e6:9.0f}",
        )
        lines.append(f"{f'{name} -> {name}':24}" + "".join(cells))
    return "\n".join(lines)


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="p2pswarm beside libtorrent over loopback")
    parser.add_argument("--size", type=parse_size, default="1GB", help="of the file (1GB)")
    parser.add_argument("--runs", type=int, default=5, help="that count, for each make (5)")
    parser.add_argument("--dir", type=Path, default=Path("/dev/shm"), help="where (/dev/shm)")  # noqa: S108
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args()


def main() -> None:
    wanted = arguments()
    makes: tuple[Make, ...] = (Ours(), Libtorrent())
    runs: dict[str, list[Run]] = {make.name: [] for make in makes}
    with tempfile.TemporaryDirectory(prefix="p2pswarm-bench-", dir=wanted.dir) as folder:
        place = prepare(Path(folder), wanted.size)
        for make in makes:
            measure(place, make, compare=True)
        note("from here on it counts")
        for _ in range(wanted.runs):
            for make in makes:
                runs[make.name].append(measure(place, make))
    results = {name: summary(each, wanted.size) for name, each in runs.items()}
    if wanted.json:
        single = {name: [asdict(run) for run in each] for name, each in runs.items()}
        print(json.dumps({"size": wanted.size, "medians": results, "runs": single}, indent=2))
    else:
        print(table(results))


if __name__ == "__main__":
    try:
        main()
    except BenchError as error:
        sys.exit(f"pair: {error}")
