"""Ctrl-C: once asks, twice ends; what is awaited meanwhile is cancelled."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from p2pswarm.cli.exits import Exit
from p2pswarm.cli.running import Stop, StoppedError, run
from tests.support.patience import PATIENCE
from tests.support.processes import ROOT


@pytest.fixture
def on_a_terminal() -> Iterator[None]:
    """The tests may run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def test_the_result_of_the_work_is_the_exit_code() -> None:
    async def work(stop: Stop) -> Exit:
        return Exit.NO_PEERS

    assert run(work) is Exit.NO_PEERS


@pytest.mark.usefixtures("on_a_terminal")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_asks_for_an_end(number: int) -> None:
    async def work(stop: Stop) -> Exit:
        os.kill(os.getpid(), number)
        while not stop.requested:
            await stop.sleep(60)
        return Exit.OK

    assert run(work) is Exit.OK


@pytest.mark.parametrize("code", [Exit.OK, Exit.STOPPED])
def test_a_signal_cancels_what_is_awaited(code: Exit) -> None:
    cancelled = []

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async def work(stop: Stop) -> Exit:
        os.kill(os.getpid(), signal.SIGINT)
        await stop.unless(forever())
        raise AssertionError

    assert run(work, when_stopped=code) is code
    assert cancelled == [True]


async def test_work_that_is_done_gives_its_result_or_error() -> None:
    stop = Stop(lambda: None)

    async def fail() -> None:
        raise KeyError("x")

    assert await stop.unless(asyncio.sleep(0, "result")) == "result"
    with pytest.raises(KeyError):
        await stop.unless(fail())
    stop.request()
    with pytest.raises(StoppedError):
        await stop.unless(asyncio.Event().wait())


async def test_a_sleeper_is_woken() -> None:
    stop = Stop(lambda: None)
    asyncio.get_running_loop().call_soon(stop.wake)
    await asyncio.wait_for(stop.sleep(600), PATIENCE)
    assert not stop.requested


@pytest.mark.usefixtures("on_a_terminal")
def test_a_terminal_that_is_closed_twice_ends_nothing_at_once() -> None:
    async def work(stop: Stop) -> Exit:
        for _ in range(2):  # the kernel says it, and the shell
            os.kill(os.getpid(), signal.SIGHUP)
            await stop.sleep(0.01)
        assert stop.requested
        return Exit.OK

    assert run(work) is Exit.OK


def test_under_nohup_a_closed_terminal_is_nothing() -> None:
    async def work(stop: Stop) -> Exit:
        os.kill(os.getpid(), signal.SIGHUP)
        await stop.sleep(0.01)
        return Exit.ERROR if stop.requested else Exit.OK

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert run(work) is Exit.OK
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_second_signal_ends_the_process_at_once() -> None:
    program = """
import os, signal, time
from p2pswarm.cli.running import run
async def work(stop):
    os.kill(os.getpid(), signal.SIGINT)
    await stop.sleep(60)
    os.kill(os.getpid(), signal.SIGINT)
    await stop.sleep(60)
    await stop.sleep(60)
run(work, at_once=lambda: print("at once", flush=True))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        timeout=PATIENCE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, b"at once\n", b"")


def test_stopped_while_it_loads_nothing_is_said() -> None:
    # Its first import takes so long that the person has changed his mind.
    script = """
import sys
class Slow:
    def find_spec(self, name, *_):
        if name == "click":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Slow())
import p2pswarm.cli
"""
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, check=False)
    assert (ran.returncode, ran.stderr) == (Exit.STOPPED, b"")
