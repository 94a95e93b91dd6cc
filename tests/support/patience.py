"""How long a test waits for what comes in a moment, and how long something took.

On a machine that is busy with others a moment is long.

Nobody waits that long for what is there, so there is no reason to be short. What must *not* come within some
time is no matter of patience, and belongs into a world with a virtual clock.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["PATIENCE", "Stopwatch", "stopwatch"]

PATIENCE = 120.0  # seconds
_OFTEN = 0.05  # seconds


class Stopwatch:
    """Counts the time in which the machine let us run: it may stand still for seconds."""

    def __init__(self) -> None:
        self.seconds = self.held = 0.0
        """The rest of the time is `held`."""
        self._over = threading.Event()

    def run(self) -> None:
        looked = time.monotonic()
        while not self._over.wait(_OFTEN):
            before, looked = looked, time.monotonic()
            ran = min(looked - before, 2 * _OFTEN)
            self.seconds += ran
            self.held += looked - before - ran

    def stop(self) -> None:
        self._over.set()


@contextmanager
def stopwatch() -> Iterator[Stopwatch]:
    """Of what happens meanwhile, in this process or in others."""
    watch = Stopwatch()
    thread = threading.Thread(target=watch.run)
    thread.start()
    try:
        yield watch
    finally:
        watch.stop()
        thread.join()
