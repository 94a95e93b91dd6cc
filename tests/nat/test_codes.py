"""A short code between two behind routers: through a public rendezvous each hears where the other is."""

from contextlib import ExitStack
from pathlib import Path
from random import Random

import pytest

from tests.nat.world import World, world
from tests.support.processes import program

pytestmark = pytest.mark.nat

SIZE = 500_000


@pytest.mark.parametrize(
    ("giver", "taker"), [("port", "none"), ("port", "port"), ("symmetric", "addr")]
)
def test_who_types_a_code_is_dialed_by_who_gave_it(tmp_path: Path, giver: str, taker: str) -> None:
    with world() as lab, ExitStack() as stack:
        _fetch(lab, stack, tmp_path, giver, taker)
        assert (tmp_path / "out" / "file").read_bytes() == (tmp_path / "file").read_bytes()


def _fetch(lab: World, stack: ExitStack, home: Path, giver: str, taker: str) -> None:
    (home / "file").write_bytes(Random(1).randbytes(SIZE))
    public, one, other = lab.host(), lab.host(giver), lab.host(taker)
    with public.inside():
        tracker = ("--host", public.public, "--port", "6969", "--no-udp")
        place = stack.enter_context(program(home / "tracker", *tracker, module="tracker"))
    where = ("--rendezvous", place.wait_for_line().removesuffix("/announce"))
    with one.inside():
        share = ("share", home / "file", *where, "--json")
        sharing = stack.enter_context(program(home / "share", *share))
    code = sharing.wait_for("result", expires=3600.0)["code"]
    with other.inside():
        get = ("get", code, *where, "-o", home / "out", "--json")
        stack.enter_context(program(home / "get", *get)).wait_for("result")
