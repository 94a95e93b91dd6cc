"""A seed and four others in processes of their own, without a tracker: what finds them is one thing alone.

CI fetches some megabytes; `scripts/test-trackerless` the whole 100 of them.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random

import pytest

from tests.support.foreign_dht import LibtorrentDht
from tests.support.patience import PATIENCE
from tests.support.processes import Program, program

MEGABYTES = int(os.environ.get("SWARM_MB", "4"))
LONGEST = PATIENCE + MEGABYTES  # seconds
# Of the one that knows everybody: what it would give in that time is a small part of the whole.
TRICKLE = "20KiB"


class Swarm:
    """All of them on the loopback, each on a port of its own."""

    def __init__(self, home: Path, stack: ExitStack, *settings: str) -> None:
        self.home, self.data, self.torrent = home, home / "file", home / "file.torrent"
        self.data.write_bytes(Random(os.urandom(8)).randbytes(MEGABYTES << 20))
        self._stack, self._settings = stack, settings
        create = self._run("create", "create", self.data, "-o", self.torrent)
        assert create.wait() == 0, create.stderr

    def _run(self, name: str, *words: object) -> Program:
        return self._stack.enter_context(program(self.home / name, *words))

    def seed(self) -> Program:
        words = ("seed", self.torrent, "--data", self.data)
        return self._run("seed", *words, *self._common)

    def get(self, name: str, *more: object) -> Program:
        words = ("get", self.torrent, "-o", self.home / name, "--stay")
        return self._run(name, *words, *self._common, *more)

    @property
    def _common(self) -> tuple[str, ...]:
        return ("--json", "--bind", "127.0.0.1", "--port", "0", *self._settings)

    def listens(self, running: Program) -> str:
        """Where it does."""
        return f"127.0.0.1:{running.wait_for('listening')['port']}"

    def all_have_it(self, *running: Program) -> None:
        for each in running:
            each.wait_for("result", within=LONGEST)
            assert (each.home / "file").read_bytes() == self.data.read_bytes()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_by_peer_exchange_alone(tmp_path: Path, stack: ExitStack) -> None:
    swarm = Swarm(tmp_path, stack, "--no-dht", "--no-lsd")
    others = [swarm.get(name) for name in ("a", "b", "c")]
    everybody = [("--peer", swarm.listens(each)) for each in (swarm.seed(), *others)]
    # It comes last, and takes its time: two that have it all soon part, and nobody is told of them any more.
    limits = ("--up-limit", TRICKLE, "--down-limit", "1MiB")
    hub = swarm.get("hub", *limits, *(word for words in everybody for word in words))
    swarm.all_have_it(hub, *others)


def test_by_local_discovery_alone(tmp_path: Path, stack: ExitStack) -> None:
    swarm = Swarm(tmp_path, stack, "--no-dht", "--no-pex", "--lsd")
    swarm.seed()
    swarm.all_have_it(*(swarm.get(name) for name in ("a", "b", "c", "d")))


def test_by_the_distributed_table_alone(tmp_path: Path, stack: ExitStack) -> None:
    """All know one node of it, which is libtorrent's and none of them."""
    node = LibtorrentDht()
    known = ("--dht", "--dht-bootstrap", str(node.address))
    swarm = Swarm(tmp_path, stack, "--no-pex", "--no-lsd", *known)
    swarm.seed()
    swarm.all_have_it(*(swarm.get(name) for name in ("a", "b", "c", "d")))
