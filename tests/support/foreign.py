"""Other people's clients for tests: libtorrent, aria2 and Transmission, each a process with one torrent.

Every client has an address of its own, because clients refuse or dial themselves when two share one. A
program that is missing skips the test on a desk and fails it in CI (`CI=true`).
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol
from urllib.error import HTTPError

import pytest

from p2pswarm.formats.ids import Address
from tests.support.numbers import number_for
from tests.support.patience import PATIENCE
from tests.support.processes import ROOT, Program

__all__ = [
    "Client", "aria2", "foreign_process", "libtorrent", "makes_empty_files", "opentracker", "require",
    "transmission", "until",
]  # fmt: skip

_LIBTORRENT = ROOT / "scripts" / "bench" / "libtorrent_peer.py"
_ARIA2 = (
    "--no-conf", "--disable-ipv6=true", "--enable-dht=false", "--enable-dht6=false",
    "--bt-enable-lpd=false", "--enable-peer-exchange=false", "--bt-tracker-interval=3",
    "--file-allocation=none", "--summary-interval=0",
)  # fmt: skip


class Client(Protocol):
    """A foreign client at work."""

    address: str  # where it listens, host:port

    def is_complete(self) -> bool: ...

    def said(self) -> str: ...


def until(condition: Callable[[], bool], what: str, within: float = PATIENCE) -> None:
    """Ask again and again, because a foreign program tells nobody when it is ready."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {within} s")
        time.sleep(0.05)


def require(there: bool, name: str) -> None:
    """Skip the test for want of this program; fail it in CI."""
    if there:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must have {name}")
    pytest.skip(f"NOT TESTED: {name} is not installed on this machine")


@contextmanager
def foreign_process(home: Path, *command: object, **how: Any) -> Iterator["subprocess.Popen[str]"]:
    """The client in a home of its own; its words are kept in `home/said`; killed if it still runs."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "said").open("w") as said:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL, stderr=said, text=True, **{"stdout": said, **how},
            env={**os.environ, "HOME": str(home), "LC_ALL": "C.UTF-8", "PYTHONWARNINGS": ""},
        )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class _Libtorrent:
    def __init__(self, process: "subprocess.Popen[str]", home: Path, host: str) -> None:
        self.program = Program(process, home / "said")
        port = self.program.wait_for("listening")["port"]
        self.address = str(Address(host, port))

    def status(self) -> dict[str, Any]:
        """The last status; empty before the first."""
        told = [event for event in list(self.program.events) if event["event"] == "status"]
        return told[-1] if told else {}

    def is_complete(self) -> bool:
        return any(event["event"] == "complete" for event in list(self.program.events))

    def said(self) -> str:
        return f"{self.program.events[-3:]}\n{self.program.stderr}"


@contextmanager
def libtorrent(
    home: Path,
    torrent: Path | str,
    folder: Path,
    host: str,
    *,
    seed: bool = False,
    peers: Sequence[str] = (),
    **settings: object,
) -> Iterator[_Libtorrent]:
    """`settings` are libtorrent's own; `peers` (host:port) are dialed at once."""
    require(find_spec("libtorrent") is not None, "libtorrent")
    options = [f"--set={name}={json.dumps(value)}" for name, value in settings.items()]
    options += [f"--peer={peer}" for peer in peers] + ["--seed"] * seed
    command = (
        sys.executable,
        _LIBTORRENT,
        torrent,
        folder,
        "--listen",
        str(Address(host, 0)),
        *options,
    )
    with foreign_process(home, *command, stdout=subprocess.PIPE) as process:
        running = _Libtorrent(process, home, host)
        try:
            yield running
        finally:
            process.terminate()
            running.program.wait()
            assert process.stdout is not None
            process.stdout.close()


class _Aria2:
    def __init__(self, process: "subprocess.Popen[str]", home: Path, address: str) -> None:
        self._process, self._home = process, home
        self.address = address

    def is_complete(self) -> bool:
        """As a downloader it ends when it is done. Raises AssertionError when it ends with an error."""
        code = self._process.poll()
        assert code in (None, 0), f"aria2 ended with {code}\n{self.said()}"
        return code == 0

    def said(self) -> str:
        return (self._home / "said").read_text("utf-8", "replace")[-3000:]


@contextmanager
def aria2(
    home: Path,
    torrent: Path | str,
    folder: Path,
    host: str,
    *,
    seed: bool = False,
    options: Sequence[str] = (),
) -> Iterator[_Aria2]:
    """`options` are aria2's own. It listens to IPv4 in any case."""
    require(shutil.which("aria2c") is not None, "aria2")
    port = number_for(host)
    if ":" in host:
        options = ("--disable-ipv6=false", *options)
    place = (f"--dir={folder}", f"--interface={host}", f"--listen-port={port}")
    role = ("--seed-ratio=0.0", "--check-integrity=true") if seed else ("--seed-time=0",)
    with foreign_process(home, "aria2c", *_ARIA2, *place, *role, *options, torrent) as process:
        yield _Aria2(process, home, str(Address(host, port)))


class _Transmission:
    def __init__(self, home: Path, address: str, rpc: int) -> None:
        self._home, self._session = home, ""
        self._url = f"http://127.0.0.1:{rpc}/transmission/rpc"
        self.address = address

    def is_complete(self) -> bool:
        facts = self.call("torrent-get", fields=["leftUntilDone", "sizeWhenDone", "errorString"])
        (torrent,) = facts["torrents"]
        return bool(torrent["sizeWhenDone"]) and torrent["leftUntilDone"] == 0

    def answers(self) -> bool:
        try:
            self.call("session-get")
        except OSError:
            return False
        return True

    def call(self, method: str, **arguments: Any) -> dict[str, Any]:
        """One remote call. The first is refused with the session's id, which all later ones carry."""
        body = json.dumps({"method": method, "arguments": arguments}).encode()
        headers = {"X-Transmission-Session-Id": self._session}
        try:
            request = urllib.request.Request(self._url, body, headers)
            with urllib.request.urlopen(request, timeout=PATIENCE) as response:
                answer = json.load(response)
        except HTTPError as refusal:
            with refusal:
                known, self._session = self._session, refusal.headers["X-Transmission-Session-Id"]
            if refusal.code != 409 or known == self._session:
                raise
            return self.call(method, **arguments)
        assert answer["result"] == "success", answer
        return dict(answer["arguments"])

    def said(self) -> str:
        return (self._home / "log").read_text("utf-8", "replace")[-3000:]


def makes_empty_files(client: Callable[..., object]) -> bool:
    """Transmission does since 4.1, everybody else always did."""
    if client is not transmission:
        return True
    command = ["transmission-daemon", "--version"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    number = re.search(r"transmission-daemon (\d+)\.(\d+)", told.stdout + told.stderr)
    assert number is not None, told
    return (int(number[1]), int(number[2])) >= (4, 1)


@contextmanager
def transmission(
    home: Path,
    torrent: Path | str,
    folder: Path,
    host: str,
    *,
    seed: bool = False,
    encryption: str = "tolerated",
    utp: bool = False,
    lpd: bool = False,
    dht: Sequence[Address] = (),
) -> Iterator[_Transmission]:
    """It seeds when all data lies in `folder`. It dials nobody in 127.0.0.0/8, but accepts from there.

    `encryption` is required, preferred or tolerated. With nodes of a DHT it is one of them. It listens to
    IPv4 in any case.
    """
    require(shutil.which("transmission-daemon") is not None, "transmission-daemon")
    port, rpc, family = number_for(host), number_for("127.0.0.1"), "-I" if ":" in host else "-i"
    folder.mkdir(parents=True, exist_ok=True)
    config = home / "config"
    config.mkdir(parents=True)
    (config / "dht.bootstrap").write_text("".join(f"{n.host} {n.port}\n" for n in dht))
    place = ("-g", config, "-w", folder, family, host, "-P", port, "-e", home / "log")
    remote = ("-T", "-r", "127.0.0.1", "-p", rpc)
    ways = {"dht": bool(dht), "lpd": lpd, "utp": utp, "portmap": False}
    chosen = [f"--{name}" if on else f"--no-{name}" for name, on in ways.items()]
    chosen.append(f"--encryption-{encryption}")
    with foreign_process(home, "transmission-daemon", "-f", *place, *remote, *chosen):
        running = _Transmission(home, str(Address(host, port)), rpc)
        until(running.answers, "transmission-daemon answers")
        running.call("torrent-add", filename=str(torrent))
        if seed:
            until(running.is_complete, "Transmission has checked the data")
        yield running


@contextmanager
def opentracker(home: Path, info_hash: bytes, host: str) -> Iterator[str]:
    """Where it can be asked by UDP. It serves one info-hash, as Debian's build needs a list of them."""
    require(shutil.which("opentracker") is not None, "opentracker")
    port = number_for(host)
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # it gives up root's rights before it reads the list
        served = Path(folder, "list")
        served.write_text(f"{info_hash.hex()}\n")
        place = ("-i", host, "-p", port, "-P", port, "-w", served, "-d", "/")
        with foreign_process(home, "opentracker", *place):
            until(lambda: _accepts(host, port), "opentracker listens")
            yield f"udp://{host}:{port}/announce"


def _accepts(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), 1).close()
    except OSError:
        return False
    return True
