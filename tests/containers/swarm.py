"""Real swarms for tests: the repository's own compose file under a project name, and single containers.

Everything is done through the docker and docker-compose commands, as a person would, so the daemon may have
a network of its own that this process cannot reach. What happens inside is read from the JSON lines that the
programs log.
"""

import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.foreign import until
from tests.support.patience import PATIENCE, stopwatch
from tests.support.processes import ROOT

__all__ = ["MIB", "Container", "Swarm", "docker", "until_all", "waits"]

MIB = 1 << 20
_SHARE = "share"  # the torrent's name, because the folder is /share inside
_NAMES = ("napster", "gnutella", "supernode", "people")
_PROFILES = tuple(word for name in _NAMES for word in ("--profile", name))


def _run(
    command: Sequence[str], *, within: float = PATIENCE, env: Mapping[str, str] | None = None
) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=within, env=env, check=False, cwd=ROOT
    )
    assert done.returncode == 0, (
        f"{command} ended with {done.returncode}\n{done.stdout}{done.stderr}"
    )
    return done.stdout


def docker(*words: object, within: float = PATIENCE) -> str:
    return _run(["docker", *map(str, words)], within=within).strip()


@cache
def _compose() -> tuple[str, ...]:
    """Compose v2 where it is installed, else v1."""
    found = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    return ("docker", "compose") if found.returncode == 0 else ("docker-compose",)


class Container:
    """One container, running or not."""

    def __init__(self, name: str) -> None:
        self.name = name

    def events(self) -> list[dict[str, Any]]:
        """All its JSON lines so far, of all its lives."""
        lines = docker("logs", self.name).splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def told(self, event: str) -> list[dict[str, Any]]:
        return [each for each in self.events() if each["event"] == event]

    def pieces(self) -> set[int]:
        """What it has verified and written, in all its lives."""
        return {event["piece"] for event in self.told("piece_done")}

    def share_done(self) -> float:
        """From 0 to 1, by the last status."""
        told = self.told("status")
        return told[-1]["done"] / told[-1]["total"] if told else 0.0

    def is_complete(self) -> bool:
        return bool(self.told("result"))

    def checksums(self) -> dict[str, str]:
        """SHA-256 by path, of the finished download, computed inside the container."""
        path = self.told("result")[-1]["path"]
        return checksums(
            self.run("sh", "-c", f"cd '{path}' && find . -type f -exec sha256sum {{}} +")
        )

    def run(self, *words: str) -> str:
        return docker("exec", self.name, *words)

    def ask(self, path: str) -> str:
        """What the tracker in it answers."""
        code = f"import urllib.request as u; print(u.urlopen('http://127.0.0.1:6969{path}').read().decode())"
        return self.run("python3", "-c", code)

    def kill(self, signal: str = "KILL") -> None:
        docker("kill", "--signal", signal, self.name)

    def start(self) -> None:
        docker("start", self.name)

    def stop(self) -> tuple[float, int]:
        """Seconds it took, and its exit code."""
        with stopwatch() as watch:
            docker("stop", self.name)
        return watch.seconds, int(self.look("{{.State.ExitCode}}"))

    def look(self, template: str) -> str:
        return docker("inspect", "--format", template, self.name)

    def is_running(self) -> bool:
        return self.look("{{.State.Running}}") == "true"


def checksums(told: str) -> dict[str, str]:
    """The output of sha256sum, by path."""
    return {
        path: digest for digest, _, path in (line.partition("  ") for line in told.splitlines())
    }


class Swarm:
    """A compose project: the repository's file, settings as variables, the folder `share` to give away."""

    def __init__(self, name: str, image: str, share: Path, **settings: object) -> None:
        self.name, self.share = name, share
        own = {"IMAGE": image, "SHARE": share, "TRACKER_PUBLISH": "127.0.0.1:", "JSON": "true",
               "NAPSTER_PUBLISH": "127.0.0.1:", "GNUTELLA_PUBLISH": "127.0.0.1:",
               "HEALTH_EVERY": "1s", "TRACKER_INTERVAL": "2", "DHT": "false", "LSD": "false",
               **settings}  # fmt: skip
        clean = {key: value for key, value in os.environ.items() if not key.startswith("P2PSWARM_")}
        self._env = {**clean, **{f"P2PSWARM_{key}": str(value) for key, value in own.items()}}

    def compose(self, *words: object, within: float = 2 * PATIENCE) -> str:
        command = (*_compose(), "-f", "docker-compose.yml", "-p", self.name, *map(str, words))
        return _run(command, within=within, env=self._env)

    def up(self, *services: str, peers: int = 3, alone: bool = False) -> None:
        """Start and wait for what is waited for; `alone` leaves out what the services depend on."""
        more = ["--no-deps"] if alone else []
        scale = ["--scale", f"peer={peers}"] if "peer" in services or not services else []
        profiles = _PROFILES if services else ()  # whoever is named may be of one
        self.compose(*profiles, "up", "-d", "--no-build", *more, *scale, *services)

    def down(self) -> None:
        # Compose forgets containers of a profile that is not named.
        self.compose(*_PROFILES, "down", "-v", "--remove-orphans", "--timeout", "3")

    def logs(self) -> str:
        return self.compose("logs", "--tail", "30")

    def of(self, service: str) -> list[Container]:
        found = docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={self.name}",
                       "--filter", f"label=com.docker.compose.service={service}")  # fmt: skip
        return [Container(each) for each in sorted(found.split())]

    @property
    def tracker(self) -> Container:
        return self.one("tracker")

    @property
    def seed(self) -> Container:
        return self.one("seed")

    def one(self, service: str) -> Container:
        (one,) = self.of(service)
        return one

    @property
    def peers(self) -> list[Container]:
        return self.of("peer")

    @property
    def network(self) -> str:
        return f"{self.name}_default"

    def stats(self) -> dict[str, Any]:
        return dict(json.loads(self.tracker.ask("/stats")))

    def shared(self) -> dict[str, str]:
        """The checksums of what is given away, computed inside the seed."""
        return checksums(
            self.seed.run("sh", "-c", "cd /share && find . -type f -exec sha256sum {} +")
        )


def until_all(peers: Sequence[Container]) -> None:
    """Every one of them has everything."""
    until(lambda: all(peer.is_complete() for peer in peers), "all peers are complete", 2 * PATIENCE)


def waits(seconds: float) -> None:
    """Time that is part of the story, not a wait for something."""
    began = time.monotonic()
    until(lambda: time.monotonic() - began >= seconds, "time passes", seconds + 5)
