from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.interop.lab import Lab
from tests.interop.table import Table, column_of
from tests.support.processes import program

# They need foreign programs, and some a network namespace: scripts/test-interop has both and names the files.
collect_ignore_glob = ["test_*.py"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--table", type=Path, help="write what was shown with which client here")
    parser.addoption("--save", type=Path, help="the same for tests.interop.table, which joins them")


_TABLE = pytest.StashKey[Table]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "part(name, way): what this shows of a client, and which way"
    )
    config.addinivalue_line("markers", "lacks(client, why): why this is not tried with a client")
    config.stash[_TABLE] = Table()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        for lacking in item.iter_markers("lacks"):
            for mark in item.iter_markers("part"):
                config.stash[_TABLE].note_reason(*mark.args, *lacking.args)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call" or not report.passed:
        for mark in item.iter_markers("part"):
            name, way = mark.args
            table = item.config.stash[_TABLE]
            table.note(name, way, column_of(item), passed=report.passed)
    return report


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    table = session.config.stash[_TABLE]
    for option, write in {"--table": table.write, "--save": table.save}.items():
        path = session.config.getoption(option, default=None)
        if path is not None and table.complete and exitstatus == 0:
            write(path)


@pytest.fixture
def make_lab(tmp_path: Path) -> Iterator[Callable[..., Lab]]:
    """A tracker and a lab around it. With the long interval nobody hears of whoever comes later."""
    with ExitStack() as stack:

        def make(network: str = "127.0.0.", interval: int = 1) -> Lab:
            where = ("--host", f"{network}1", "--port", 0, "--interval", interval)
            tracker = program(tmp_path / "tracker", *where, module="tracker")
            return Lab(tmp_path, stack.enter_context(tracker), network)

        yield make


@pytest.fixture
def lab(make_lab: Callable[..., Lab]) -> Lab:
    """On loopback, with a tracker that everybody asks every second."""
    return make_lab()
