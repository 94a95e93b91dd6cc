"""The images and swarms of these tests; `scripts/test-containers` prepares what they need and runs them."""

import os
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from tests.containers.swarm import MIB, Container, Swarm, docker

# Need a Docker daemon and images; scripts/test-containers makes both and says where they are.
if "P2PSWARM_TEST_IMAGE" not in os.environ:
    collect_ignore = [
        "test_gnutella.py",
        "test_image.py",
        "test_napster.py",
        "test_people.py",
        "test_supernode.py",
        "test_swarms.py",
    ]

Swarms = Callable[..., Swarm]
Containers = Callable[..., Container]
Tell = Callable[[str], None]

_WORDS = pytest.StashKey[list[Callable[[], str]]]()
"""How to read the last words of what a test started, for the report of its failure."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call" and report.failed:
        report.sections += [("what they said", words()) for words in item.stash.get(_WORDS, [])]
    return report


@pytest.fixture
def words(request: pytest.FixtureRequest) -> list[Callable[[], str]]:
    return request.node.stash.setdefault(_WORDS, [])


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Tell:
    """Prints a figure that is wanted also when the test passes."""

    def line(text: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{text}\n")

    return line


@pytest.fixture(scope="session")
def image() -> str:
    return os.environ["P2PSWARM_TEST_IMAGE"]


@pytest.fixture(scope="session")
def foreign_image() -> str:
    """Has aria2."""
    return os.environ["P2PSWARM_TEST_FOREIGN"]


@pytest.fixture(scope="session")
def prefix(image: str) -> str:
    """Begins the name of all that is made, so that scripts/test-containers finds what was left."""
    return os.environ["P2PSWARM_TEST_PREFIX"]


@pytest.fixture
def share(tmp_path: Path) -> Path:
    """24 MiB in two files, and two odd ones."""
    return make_share(tmp_path / "share", 24 * MIB)


def make_share(folder: Path, size: int) -> Path:
    (folder / "sub folder").mkdir(parents=True)
    (folder / "big").write_bytes(os.urandom(size - size // 3))
    (folder / "sub folder" / "other").write_bytes(os.urandom(size // 3))
    (folder / "sub folder" / "small").write_bytes(b"small")
    (folder / "empty").touch()
    return folder


@pytest.fixture
def swarms(
    image: str, prefix: str, share: Path, words: list[Callable[[], str]]
) -> Iterator[Swarms]:
    """Makes swarms, each a compose project, and takes them down."""
    with ExitStack() as stack:

        def make(name: str = "a", **settings: object) -> Swarm:
            swarm = Swarm(prefix + name, image, settings.pop("share", share), **settings)
            stack.callback(swarm.down)
            words.append(swarm.logs)
            return swarm

        yield make


@pytest.fixture
def containers(prefix: str, words: list[Callable[[], str]]) -> Iterator[Containers]:
    """Starts single containers: `docker run` with these words."""
    with ExitStack() as stack:
        names = (f"{prefix}-{number}" for number in count(1))

        def run(*command: object, start: bool = True) -> Container:
            name = next(names)
            docker("create", "--name", name, *command)
            stack.callback(docker, "rm", "-fv", name)
            words.append(lambda: docker("logs", "--tail", "30", name))
            container = Container(name)
            if start:
                container.start()
            return container

        yield run
