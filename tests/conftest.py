"""What holds for all tests: coroutines run on a loop whose clock a busy machine does not move, and hypothesis
asks the same each time, however long an answer takes; `--hypothesis-profile=default` asks anew.
"""

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings

from tests.support.loops import SteadyLoop

settings.register_profile(
    "steady",
    derandomize=True,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("steady")


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], Any]]:
    return {"steady": SteadyLoop}
