"""What a virtual connection does with bytes, with a limit and without."""

import asyncio
from typing import Any

import pytest

from p2pswarm.lab.loop import VirtualLoop, play
from p2pswarm.lab.wires import Host, Transport


class Ear(asyncio.BufferedProtocol):
    """Keeps what it hears, and when."""

    transport: Transport

    def __init__(self, loop: VirtualLoop, log: list[tuple[float, str, bytes]], name: str) -> None:
        self.loop, self.log, self.name = loop, log, name
        self.buffer = bytearray(8)
        self.pauses = 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.set_write_buffer_limits(high=0, low=0)

    def get_buffer(self, sizehint: int) -> memoryview:
        return memoryview(self.buffer)

    def buffer_updated(self, nbytes: int) -> None:
        self.log.append((round(self.loop.now, 6), self.name, bytes(self.buffer[:nbytes])))

    def pause_writing(self) -> None:
        self.pauses += 1


def pair(loop: VirtualLoop, log: list[Any], up: float = float("inf")) -> tuple[Ear, Ear]:
    number = len(loop.hosts)
    here, there = loop.host(f"10.0.0.{number + 1}"), loop.host(f"10.0.0.{number + 2}")
    here.up = up
    ears = Ear(loop, log, here.name), Ear(loop, log, there.name)
    loop.connect(here, there, *ears, port=1)
    return ears


def test_without_a_limit_all_is_gone_at_once_and_there_after_the_delay() -> None:
    async def story(loop: VirtualLoop) -> None:
        log: list[Any] = []
        near, far = pair(loop, log)
        buffer = bytearray(b"one")
        near.transport.write(buffer)
        assert near.transport.get_write_buffer_size() == 0
        buffer[:] = b"two"  # the kernel has it
        near.transport.write(buffer)
        far.transport.write(b"a long answer")
        await asyncio.sleep(1)
        assert near.pauses == 0
        assert near.transport.host.sent == 6
        assert log == [
            (0.01, "10.0.0.2", b"one"),
            (0.01, "10.0.0.2", b"two"),
            (0.01, "10.0.0.1", b"a long a"),
            (0.01, "10.0.0.1", b"nswer"),
        ]

    play(story)


def test_an_uplink_takes_its_time_and_reads_late() -> None:
    async def story(loop: VirtualLoop) -> None:
        log: list[Any] = []
        near, _ = pair(loop, log, up=10.0)
        buffers = [bytearray(b"one.."), bytearray(b"two..")]
        for buffer in buffers:
            near.transport.write(buffer)
        assert near.pauses == 1
        buffers[1][:] = b"TWO.."  # too early
        await asyncio.sleep(2)
        assert log == [(0.51, "10.0.0.2", b"one.."), (1.01, "10.0.0.2", b"TWO..")]

    play(story)


def test_who_does_not_read_gets_everything_in_order_later() -> None:
    async def story(loop: VirtualLoop) -> None:
        log: list[Any] = []
        near, far = pair(loop, log)
        near.transport.write(b"1")
        far.transport.pause_reading()
        near.transport.write(b"2")
        near.transport.write(b"3")
        await asyncio.sleep(1)
        assert [data for *_, data in log] == [b"1"]
        far.transport.resume_reading()
        near.transport.write(b"4")
        await asyncio.sleep(1)
        assert [data for *_, data in log] == [b"1", b"2", b"3", b"4"]

    play(story)


def test_nothing_goes_through_a_pulled_plug_and_nothing_is_lost() -> None:
    async def story(loop: VirtualLoop) -> None:
        log: list[Any] = []
        near, far = pair(loop, log)
        near.transport.write(b"1")
        far.transport.host.online = False
        await asyncio.sleep(1)
        assert not log
        far.transport.host.online = True
        await asyncio.sleep(1)
        assert [data for *_, data in log] == [b"1"]

    play(story)


def test_one_moment_is_one_timer() -> None:
    async def story(loop: VirtualLoop) -> None:
        log: list[Any] = []
        pairs = [pair(loop, log) for _ in range(50)]
        before = len(loop._scheduled)
        for near, _ in reversed(pairs):
            near.transport.write(b"x")
        assert len(loop._scheduled) == before + 1
        await asyncio.sleep(1)
        names = [far.transport.host.name for _, far in reversed(pairs)]
        assert [name for _, name, _ in log] == names

    play(story)


def test_one_who_fails_does_not_make_the_others_deaf() -> None:
    heard: list[Any] = []

    async def story(loop: VirtualLoop) -> None:
        first, second = pair(loop, heard), pair(loop, heard)
        first[1].buffer_updated = lambda nbytes: 1 / 0  # type: ignore[method-assign,assignment,return-value]
        first[0].transport.write(b"1")
        second[0].transport.write(b"2")
        await asyncio.sleep(1)

    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        play(story)
    assert [data for *_, data in heard] == [b"2"]


def test_waiting_for_nothing_is_an_error() -> None:
    async def story(loop: VirtualLoop) -> None:
        await loop.create_future()

    with pytest.raises(RuntimeError, match="nobody will ever do"):
        play(story)


def test_hosts_have_no_limit_unless_they_are_given_one() -> None:
    assert Host("10.0.0.1").up == float("inf")


def test_what_a_story_that_failed_leaves_at_work_ends_with_it() -> None:
    """Else it would end whenever it is collected: in the middle of another test, which then fails."""
    ended: list[float] = []

    async def linger(loop: VirtualLoop) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(2)
            ended.append(loop.now)

    async def story(loop: VirtualLoop) -> None:
        lingering = asyncio.create_task(linger(loop))
        await asyncio.sleep(1)
        assert lingering.done(), "it lingers"

    with pytest.raises(AssertionError, match="it lingers"):
        play(story)
    assert ended == [3.0]
