from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.interop.lab import Lab
from tests.support.processes import program

# Needs a network namespace; scripts/test-interop makes one and names the file.
collect_ignore = ["test_namespace.py"]


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
