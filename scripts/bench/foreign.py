"""Clients that tell little by themselves: Transmission and aria2, asked over their RPC every 50 ms.

The time of a download is from its first byte to its last piece: both idle for seconds before they ask. Both
need a torrent with a tracker, because neither can be told a peer; Transmission dials nobody in 127.0.0.0/8.
"""

import json
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from scripts.bench.clients import READY, Get, Job, Seed
from scripts.bench.programs import BenchError, Program, Usage, program, until

__all__ = ["Aria2", "Transmission"]

POLL = 0.05  # seconds between two questions
_ARIA2 = (
    "--no-conf", "--disable-ipv6=true", "--enable-dht=false", "--enable-dht6=false",
    "--bt-enable-lpd=false", "--enable-peer-exchange=false", "--bt-tracker-interval=3",
    "--file-allocation=none", "--summary-interval=0", "--quiet=true",
    "--disk-cache=64M", "--seed-time=0", "--enable-rpc=true",
)  # fmt: skip


class Transmission:
    """Its daemon. As a seed it keeps its notes that the data is good, as ours does."""

    name = "transmission"
    needs = ("transmission-daemon",)

    @contextmanager
    def seed(self, job: Job, host: str) -> Iterator[Seed]:
        with self._start(job, host, job.home / "transmission seed", job.data.parent) as daemon:
            until(lambda: daemon.facts()["leftUntilDone"] == 0, "Transmission's check", READY)
            until(lambda: job.counts().complete, "Transmission's announce", READY)
            yield daemon

    @contextmanager
    def get(self, job: Job, host: str, peer: str) -> Iterator[Get]:
        with self._start(job, host, job.saved / "transmission", job.saved) as daemon:
            yield daemon

    @contextmanager
    def _start(self, job: Job, host: str, home: Path, folder: Path) -> "Iterator[_Daemon]":
        home.mkdir(parents=True, exist_ok=True)
        port, rpc = _free_port(host), _free_port("127.0.0.1")
        line = (
            *self.needs, "-f", "-g", home, "-w", folder, "-i", host, "-P", port,
            "-T", "-r", "127.0.0.1", "-p", rpc,
            "--no-dht", "--no-lpd", "--no-portmap", "--no-utp", "--encryption-tolerated",
        )  # fmt: skip
        with program(*line, patience=job.patience) as running:
            daemon = _Daemon(running, f"{host}:{port}", rpc)
            until(daemon.answers, "transmission-daemon's answer", READY)
            daemon.add(job.torrent)
            yield daemon


class _Daemon:
    """Transmission at work."""

    def __init__(self, running: Program, address: str, rpc: int) -> None:
        self.address = address
        self._running, self._session = running, ""
        self._url = f"http://127.0.0.1:{rpc}/transmission/rpc"

    def answers(self) -> bool:
        try:
            self._call("session-get")
        except OSError:
            return False
        return True

    def add(self, torrent: Path) -> None:
        self._call("torrent-add", filename=str(torrent))

    def facts(self) -> dict[str, Any]:
        wanted = ["leftUntilDone", "downloadedEver", "errorString"]
        (torrent,) = self._call("torrent-get", fields=wanted)["torrents"]
        if torrent["errorString"]:
            raise BenchError(f"Transmission: {torrent['errorString']}")
        return dict(torrent)

    def finish(self) -> tuple[float, Usage]:
        began = _wait(self._running, lambda: self.facts()["downloadedEver"] > 0)
        ended = _wait(self._running, lambda: self.facts()["leftUntilDone"] == 0)
        return ended - began, self.stop()

    def stop(self) -> Usage:
        return self._running.stop()

    def _call(self, method: str, **arguments: Any) -> dict[str, Any]:
        """The first call is refused with the session's id, which all later ones carry."""
        headers = {"X-Transmission-Session-Id": self._session}
        body = {"method": method, "arguments": arguments}
        try:
            answer = _post(self._url, body, headers)
        except HTTPError as refusal:
            known, self._session = self._session, refusal.headers["X-Transmission-Session-Id"]
            refusal.close()
            if refusal.code != 409 or known == self._session:
                raise
            return self._call(method, **arguments)
        if answer["result"] != "success":
            raise BenchError(f"Transmission: {method}: {answer['result']}")
        return dict(answer["arguments"])


class Aria2:
    """As a downloader; with a disk cache as large as our memory for unfinished pieces."""

    name = "aria2"
    needs = ("aria2c",)

    @contextmanager
    def get(self, job: Job, host: str, peer: str) -> Iterator[Get]:
        port, rpc = _free_port(host), _free_port("127.0.0.1")
        place = (f"--dir={job.saved}", f"--interface={host}", f"--listen-port={port}")
        line = (*self.needs, *_ARIA2, *place, f"--rpc-listen-port={rpc}", job.torrent)
        with program(*line, patience=job.patience) as running:
            get = _Aria2Get(running, f"http://127.0.0.1:{rpc}/jsonrpc", job.size)
            until(get.answers, "aria2's answer", READY)
            yield get


class _Aria2Get:
    """A download of aria2."""

    def __init__(self, running: Program, url: str, size: int) -> None:
        self._running, self._url, self._size = running, url, size

    def answers(self) -> bool:
        try:
            self._call("aria2.getVersion")
        except OSError:
            return False
        return True

    def finish(self) -> tuple[float, Usage]:
        began = _wait(self._running, lambda: self._completed() > 0)
        ended = _wait(self._running, lambda: self._completed() == self._size)
        self._call("aria2.forceShutdown")
        return ended - began, self._running.wait()

    def _completed(self) -> int:
        """Bytes it has; it is complete when it is active no more."""
        keys = ["completedLength"]
        active = self._call("aria2.tellActive", keys) or self._call("aria2.tellStopped", 0, 1, keys)
        return int(active[0]["completedLength"])

    def _call(self, method: str, *params: object) -> Any:
        body = {"jsonrpc": "2.0", "id": "", "method": method, "params": params}
        return _post(self._url, body)["result"]


def _wait(running: Program, reached: Callable[[], bool]) -> float:
    """When it was so, as far as asking every 50 ms can tell. Raises BenchError when the client ends."""
    try:
        while not reached():
            time.sleep(POLL)
    except OSError as error:  # it does not answer any more
        running.wait()
        raise BenchError(f"{running}: {error}") from error
    return time.monotonic()


def _post(url: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Any:
    request = urllib.request.Request(url, json.dumps(body).encode(), dict(headers or {}))  # noqa: S310
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - a program of ours
        return json.load(response)


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
