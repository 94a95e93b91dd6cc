"""Downloads between two whom nobody can dial: real programs, each behind a router of its own.

Some meet at a third with a public address. It has nothing at first, and gives so little that what is there
soon came from the other of the two; so does the router say.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random
from shutil import copyfile

import pytest

from tests.nat.world import Host, World, world
from tests.support.processes import Program, program

pytestmark = pytest.mark.nat

SIZE = 2 << 20
TRICKLE = "10KiB"


class Swarm:
    """A torrent, and programs that have it on hosts of a world."""

    def __init__(self, home: Path, lab: World, stack: ExitStack) -> None:
        self.home, self.data, self.torrent = home, home / "file", home / "file.torrent"
        self.data.write_bytes(Random(10).randbytes(SIZE))
        self._stack, self._lab = stack, lab
        create = stack.enter_context(program(home, "create", self.data, "-o", self.torrent))
        assert create.wait() == 0, create.stderr

    def hub(self) -> tuple[str, str]:
        """One who gives little; how he is named to others."""
        host = self._lab.host()
        place = self.run("hub", host, "--up-limit", TRICKLE).wait_for("listening")
        return "--peer", f"{host.public}:{place['port']}"

    def run(self, name: str, host: Host, *words: object) -> Program:
        where = ("-o", self.home / name, "--stay", "--json")
        with host.inside():
            running = program(self.home / name, "get", self.torrent, *where, *words)
            return self._stack.enter_context(running)

    def fetched(self, seed: Host, getter: Host, *known: str, within: float) -> int:
        """One who has it all and one who wants it, who know the same. Bytes that came directly."""
        getter.count_from(seed)
        (self.home / "seed").mkdir()
        copyfile(self.data, self.home / "seed" / "file")
        self.run("seed", seed, *known)
        done = self.run("getter", getter, *known)
        done.wait_for("result", within=within)
        assert (done.home / "file").read_bytes() == self.data.read_bytes()
        return getter.delivered_from(seed)


@pytest.fixture(scope="module")
def lab() -> Iterator[World]:
    with world() as made:
        yield made


@pytest.fixture
def swarm(tmp_path: Path, lab: World) -> Iterator[Swarm]:
    with ExitStack() as stack:
        yield Swarm(tmp_path, lab, stack)


@pytest.mark.parametrize(("seed", "getter"), [("port", "port"), ("symmetric", "addr")])
def test_two_behind_routers_exchange_directly(
    lab: World, swarm: Swarm, seed: str, getter: str
) -> None:
    directly = swarm.fetched(lab.host(seed), lab.host(getter), *swarm.hub(), within=45)
    assert directly > SIZE * 0.9
