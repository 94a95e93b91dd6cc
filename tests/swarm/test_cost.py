"""What a block costs in Python, counted: the same numbers on every machine, however busy.

The rooms are those that `scripts/bench/rooms` times. Who adds a task or an object for each block enters at
least one function more, and who adds a loop runs the interpreter's instructions over and over; either fails
here. Whoever made it cheaper lowers the numbers.
"""

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from p2pswarm.formats.ids import BLOCK
from scripts.bench import talk
from scripts.bench.gauges import Counter, Gauge, Stopwatch
from scripts.bench.picking import Crowd
from scripts.bench.storing import Disk

MORE_CALLS = 0.7  # for each block; one is what must be found out
MORE_STEPS = 1.4  # times as many: Pythons differ by less, and a loop over a few things is more
BATCH = 127  # blocks that fit into the scratch buffer
ROUNDS = 3


def assert_cheap(counter: Counter, calls: float, steps: float) -> None:
    """Compared with what was counted when this was written, on Python 3.11."""
    assert counter.calls() <= calls + MORE_CALLS
    assert counter.steps() <= steps * MORE_STEPS


@pytest.mark.parametrize(
    ("work", "calls", "steps"),
    [(talk.land, 0.6, 95), (talk.ask, 0.6, 50), (talk.cut_requests, 0.1, 26)],
    ids=["landing", "asking", "reading requests"],
)
def test_a_block_in_a_batch(work: Callable[[Gauge, int], None], calls: float, steps: float) -> None:
    counter = Counter()
    work(counter, BATCH)
    assert_cheap(counter, calls, steps)


@pytest.mark.parametrize(
    ("work", "calls", "steps"),
    [(talk.land, 11.3, 488), (talk.ask, 20.2, 586)],
    ids=["landing", "asking"],
)
def test_a_block_that_comes_alone(
    work: Callable[[Gauge, int], None], calls: float, steps: float
) -> None:
    counter = Counter()
    work(counter, 1)
    assert_cheap(counter, calls, steps)


def test_serving_from_the_page_cache(tmp_path: Path) -> None:
    with asyncio.Runner() as runner, Disk.opened(tmp_path, runner.get_loop()) as disk:
        counter = Counter()
        talk.serve(counter, disk.read)
    assert_cheap(counter, 2.3, 196)


@pytest.mark.parametrize(("run", "calls", "steps"), [(32, 4.8, 180), (1, 11.0, 448)])
@pytest.mark.parametrize(("pieces", "peers"), [(100, 1), (100_000, 1), (10_000, 500)])
def test_the_picker_in_every_torrent_among_any_number_of_peers(
    pieces: int, peers: int, run: int, calls: float, steps: float
) -> None:
    """The numbers are the same for all, because it walks neither over pieces nor over peers."""
    crowd, counter = Crowd(pieces, peers, run), Counter()
    for _ in range(ROUNDS):
        crowd.download(counter)
    crowd.picker.check()
    assert_cheap(counter, calls, steps)


def test_landing_a_block_takes_less_time_than_hashing_it() -> None:
    """The only clock here, compared with itself: about a third where the processor has SHA instructions."""
    data = bytes(BLOCK)

    def landing() -> float:
        watch = Stopwatch()
        talk.land(watch, BATCH)
        return watch.each()["block"]

    def hashing() -> float:
        watch = Stopwatch()
        for _ in range(1000):
            watch("block", 1, lambda: hashlib.sha1(data, usedforsecurity=False).digest())
        return watch.each()["block"]

    landings, hashings = zip(*((landing(), hashing()) for _ in range(5)), strict=True)
    assert min(landings) < min(hashings)
