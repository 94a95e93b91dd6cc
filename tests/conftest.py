"""What holds for all tests: coroutines run on a loop whose clock a busy machine does not move."""

from collections.abc import Callable
from typing import Any

from tests.support.loops import SteadyLoop


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], Any]]:
    return {"steady": SteadyLoop}
