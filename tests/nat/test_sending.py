"""Files by name, from behind one router to behind another: over a relay where nothing else leads."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from random import Random

import pytest

from tests.nat.town import Town, User
from tests.nat.world import world

pytestmark = pytest.mark.nat

SIZE = 3 << 20
PAIRS = {"port": True, "symmetric": False}  # whether there is a direct path between two of them


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with world() as lab, ExitStack() as stack:
        yield Town(tmp_path_factory.mktemp("town"), lab, stack, supers=2)


def sent(sender: User, taker: User, file: Path, inbox: Path) -> str:
    """By which path, in the end."""
    how = ("--no-audio", "--accept", "all", "--save-to", inbox)
    with taker.answers(*how, to=sender), sender.runs("send", taker.name, file) as running:
        assert running.wait() == 0, running.stderr
        return str(running.latest("answered")["path"])


def test_a_file_arrives_whole_whatever_stands_between(town: Town, tmp_path: Path) -> None:
    users = town.users({f"{kind}-{who}": kind for kind in PAIRS for who in ("gives", "takes")})
    file = tmp_path / "film.mp4"
    file.write_bytes(Random(7).randbytes(SIZE))
    with ThreadPoolExecutor(len(PAIRS)) as pool:
        works = {
            kind: pool.submit(
                sent, users[f"{kind}-gives"], users[f"{kind}-takes"], file, tmp_path / kind
            )
            for kind in PAIRS
        }
        paths = {kind: work.result() for kind, work in works.items()}
    for kind, direct in PAIRS.items():
        assert (tmp_path / kind / "film.mp4").read_bytes() == file.read_bytes()
        assert direct or paths[kind].startswith("relay via"), paths
