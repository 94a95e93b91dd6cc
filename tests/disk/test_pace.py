import threading

import pytest

from p2pswarm.disk.pace import FAST, PENALTY, SLOW, SMALL, Pace, Watch
from tests.support.clock import Time


def measured(seconds: float, clock: Time) -> Pace:
    pace = Pace(clock.clock)
    pace.took(seconds, here=False)
    return pace


def test_nothing_runs_here_until_it_was_measured() -> None:
    clock = Time()
    assert not Pace(clock.clock).here(1)
    assert measured(FAST / 2, clock).here(1)


def test_a_large_job_never_runs_here() -> None:
    pace = measured(FAST / 2, Time())
    assert pace.here(SMALL)
    assert not pace.here(SMALL + 1)


def test_a_disk_that_is_slow_on_average_gets_threads_until_it_is_quick() -> None:
    pace = measured(FAST * 1.5, Time())
    assert not pace.here(1)
    for _ in range(20):
        pace.took(FAST / 10, here=False)
    assert pace.here(1)


def test_one_slow_job_here_sends_all_to_threads_for_a_while() -> None:
    clock = Time()
    pace = measured(FAST / 100, clock)
    pace.took(SLOW * 1.1, here=True)
    assert not pace.here(1)
    for _ in range(100):
        pace.took(FAST / 100, here=False)
    clock.run(PENALTY - 0.1)
    assert not pace.here(1)
    clock.run(0.2)
    assert pace.here(1)


def test_one_slow_job_in_a_thread_is_no_reason() -> None:
    pace = measured(FAST / 100, Time())
    pace.took(SLOW * 1.1, here=False)
    assert pace.here(1)


# What counts as the disk's time


class Kernel:
    """What it would count of a thread."""

    def __init__(self) -> None:
        self.time, self.waits, self.worked = Time(), 0, 0.0
        self.watch = Watch(self.time.clock, lambda: (self.waits, self.worked))

    def work(self, seconds: float) -> None:
        self.time.run(seconds)
        self.worked += seconds

    def wait(self, seconds: float) -> None:
        self.time.run(seconds)
        self.waits += 1


def test_a_moment_in_which_the_processor_was_somebody_elses_is_not_the_disks() -> None:
    kernel = Kernel()
    started = kernel.watch.start()
    kernel.work(FAST / 2)
    kernel.time.run(SLOW * 2)
    assert kernel.watch.seconds(started) == pytest.approx(FAST / 2)


def test_the_kernels_own_work_is_the_disks() -> None:
    kernel = Kernel()
    started = kernel.watch.start()
    kernel.work(SLOW * 2)
    assert kernel.watch.seconds(started) == pytest.approx(SLOW * 2)


def test_waiting_is_the_disks() -> None:
    kernel = Kernel()
    started = kernel.watch.start()
    kernel.wait(SLOW * 2)
    assert kernel.watch.seconds(started) == pytest.approx(SLOW * 2)


def test_what_is_quick_is_counted_as_it_is() -> None:
    kernel = Kernel()
    started = kernel.watch.start()
    kernel.time.run(FAST / 2)
    assert kernel.watch.seconds(started) == pytest.approx(FAST / 2)


def test_the_kernel_sees_a_thread_that_waits() -> None:
    watch, never = Watch(), threading.Event()
    started = watch.start()
    never.wait(2 * SLOW)
    assert watch.seconds(started) >= 2 * SLOW
