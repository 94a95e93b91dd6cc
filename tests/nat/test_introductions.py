"""Downloads between two whom nobody can dial and who know no peer: super nodes introduce or relay them.

All tests share one town. No tracker, no DHT, no third peer: each knows one super node, not the same.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random
from shutil import copyfile

import pytest

from tests.nat.town import PORT, Town
from tests.nat.world import World, world

pytestmark = pytest.mark.nat

SIZE = 1 << 20


@pytest.fixture(scope="module")
def lab() -> Iterator[World]:
    with world() as made:
        yield made


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, lab: World) -> Iterator[Town]:
    with ExitStack() as stack:
        yield Town(tmp_path_factory.mktemp("town"), lab, stack)


@pytest.mark.parametrize(
    ("seed", "getter", "direct"),
    [
        ("port", "port", True),
        ("symmetric", "symmetric", False),
        ("blocked", "blocked", False),
    ],
)
def test_two_behind_routers_complete_a_swarm(
    lab: World, town: Town, tmp_path: Path, seed: str, getter: str, *, direct: bool
) -> None:
    first, second, *_ = (f"{host}:{PORT}" for host in town.supers)
    data, torrent, there = tmp_path / "file", tmp_path / "file.torrent", tmp_path / "there"
    data.write_bytes(Random(seed + getter).randbytes(SIZE))
    there.mkdir()
    copyfile(data, there / "file")
    giver, taker = lab.host(seed), lab.host(getter)
    taker.count_from(giver)
    with ExitStack() as stack:
        name = f"{seed} {getter}"
        made = stack.enter_context(town.started(name, giver, "create", data, "-o", torrent))
        assert made.wait() == 0, made.stderr
        words = ("seed", torrent, "--data", there, "--meet", first, "--json")
        stack.enter_context(town.started(f"seed {name}", giver, *words)).wait_for("listening")
        words = ("get", torrent, "-o", tmp_path / "here", "--meet", second, "--json")
        done = stack.enter_context(town.started(f"get {name}", taker, *words))
        done.wait_for("result")
    assert (tmp_path / "here" / "file").read_bytes() == data.read_bytes()
    if direct:
        assert taker.delivered_from(giver) > SIZE * 0.9
    else:
        assert taker.delivered_from(giver) == 0


def test_who_gave_a_code_and_who_typed_it_are_relayed(
    lab: World, town: Town, tmp_path: Path
) -> None:
    """Neither can be dialed, and no third peer helps: both have named a super node."""
    first, second, *_ = (f"{host}:{PORT}" for host in town.supers)
    data = tmp_path / "file"
    data.write_bytes(Random(7).randbytes(SIZE))
    giver, taker = lab.host("port"), lab.host("symmetric")
    taker.count_from(giver)
    where = ("--rendezvous", town.rendezvous, "--json")
    with ExitStack() as stack:
        words = ("share", data, "--meet", first, *where)
        sharing = stack.enter_context(town.started("share", giver, *words))
        code = sharing.wait_for("result", within=30, expires=3600.0)["code"]
        words = ("get", code, "-o", tmp_path / "here", "--meet", second, *where)
        stack.enter_context(town.started("get code", taker, *words)).wait_for("result", within=60)
    assert (tmp_path / "here" / "file").read_bytes() == data.read_bytes()
    assert taker.delivered_from(giver) == 0
