"""One connection as a coroutine sees it, with real sockets: words, ranges, and what follows them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from typing_extensions import override

from p2pswarm.errors import NetworkError
from p2pswarm.formats.ids import Address
from p2pswarm.net.port import Port
from p2pswarm.net.rate import Limiter
from p2pswarm.overlay.giving import RUN, Told, give
from p2pswarm.overlay.talk import Talk
from p2pswarm.wire.framer import CuttingFramer, Framer
from tests.support.loops import on_every_loop

HERE = "127.0.0.1"


class OneLine(CuttingFramer):
    """The smallest head: a line, and the rest is for whoever comes next."""

    done = False

    @override
    def _cut(self, view: memoryview, into: list[object]) -> int:
        end = view.tobytes().find(b"\n") + 1
        if self.done or not end:
            return 0
        self.done = True
        into.append(view[: end - 1].tobytes())
        return end


class Host:
    """Whom we talk to: its ends of the connections, the newest last."""

    def __init__(self) -> None:
        self.came: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = (
            asyncio.Queue()
        )

    async def welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.came.put_nowait((reader, writer))


@asynccontextmanager
async def connected(
    framer: Framer | None = None,
) -> AsyncIterator[tuple[Talk, asyncio.StreamReader, asyncio.StreamWriter]]:
    host = Host()
    async with await asyncio.start_server(host.welcome, HERE, 0) as server:
        address = Address(*server.sockets[0].getsockname())
        talk = await Talk.dial(Port(HERE, 0), address, framer)
        reader, writer = await host.came.get()
        try:
            yield talk, reader, writer
        finally:
            talk.close()
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


@on_every_loop
async def test_what_is_said_before_anybody_listens_is_kept() -> None:
    async with connected() as (talk, reader, writer):
        writer.write(b"hello\nand more\n")
        talk.send(b"go\n")
        assert await reader.readline() == b"go\n"
        assert await talk.hear(OneLine()) == b"hello"
        assert await talk.hear(OneLine()) == b"and more"


@on_every_loop
async def test_the_first_framer_may_be_there_from_the_start() -> None:
    async with connected(OneLine()) as (talk, _, writer):
        writer.write(b"1\n")
        assert await talk.word() == b"1"


@on_every_loop
async def test_ranges_follow_each_other_on_one_connection() -> None:
    async with connected() as (talk, _, writer):
        file = bytearray()
        writer.write(b"first\n" + b"x" * 9 + b"second\n" + b"y" * 300_000 + b"third\n")
        for head, size in ((b"first", 9), (b"second", 300_000)):
            assert await talk.hear(OneLine()) == head
            assert await talk.receive(size, lambda data: file.extend(data) is None) == size
        assert await talk.hear(OneLine()) == b"third"
        assert file == b"x" * 9 + b"y" * 300_000


@on_every_loop
async def test_an_empty_range_leaves_the_connection_as_it_is() -> None:
    async with connected() as (talk, _, writer):
        writer.write(b"next\n")
        assert await talk.receive(0, lambda _: True) == 0
        assert await talk.hear(OneLine()) == b"next"


@on_every_loop
async def test_when_the_sink_has_enough_the_connection_is_closed() -> None:
    async with connected() as (talk, reader, writer):
        writer.write(b"x" * 1000)
        assert 0 < await talk.receive(10_000, lambda _: False) <= 1000
        assert talk.stream.over
        assert await reader.read() == b""


@on_every_loop
async def test_a_gate_that_closes_with_the_last_byte_does_not_hold_the_next_word() -> None:
    async with connected() as (talk, _, writer):
        gate = asyncio.Event()
        gate.set()

        def sink(data: bytes) -> bool:
            gate.clear()
            return True

        writer.write(b"x" * 100)
        assert await talk.receive(100, sink, gate) == 100
        writer.write(b"next\n")
        assert await talk.hear(OneLine()) == b"next"


@on_every_loop
async def test_who_hangs_up_in_the_middle_is_told_with_what_came_of_this_range() -> None:
    async with connected() as (talk, _, writer):
        writer.write(b"x" * 20)
        writer.write_eof()
        assert await talk.receive(10, lambda _: True) == 10
        with pytest.raises(NetworkError, match="hung up after"):
            await talk.receive(100, lambda _: True)


@on_every_loop
async def test_patience_for_a_word_is_the_callers() -> None:
    async with connected() as (talk, _, _writer):
        with pytest.raises(NetworkError, match="did nothing for 0 s"):
            await talk.hear(OneLine(), patience=0.01)
        assert talk.stream.over


@on_every_loop
async def test_who_speaks_without_end_before_its_turn_is_left() -> None:
    async with connected() as (talk, _, writer):
        writer.write(bytes(1 << 20))
        with pytest.raises(NetworkError, match="a message longer than"):
            await talk.word()


# Giving


def endless() -> Limiter:
    loop = asyncio.get_running_loop()
    return Limiter(0, loop.time, loop.call_later)


@on_every_loop
async def test_ranges_are_given_and_the_connection_stays_open() -> None:
    gift = Told(bytes(range(256)) * 4000)
    async with connected() as (talk, reader, _):
        for offset, length in ((0, 1), (1000, 0), (255, RUN + 9), (gift.size - 5, 5)):
            given = asyncio.create_task(give(talk, gift, endless(), offset, length))
            assert (
                await reader.readexactly(length)
                == (bytes(range(256)) * 4000)[offset : offset + length]
            )
            await given
        assert not talk.stream.over


@on_every_loop
async def test_to_who_is_gone_nothing_is_given() -> None:
    async with connected() as (talk, _, writer):
        writer.transport.abort()
        with pytest.raises(NetworkError, match="hung up"):
            await give(talk, Told(bytes(64 << 20)), endless(), 0, 64 << 20)


@on_every_loop
async def test_much_may_follow_a_word_before_anybody_takes_it() -> None:
    """More than a framer keeps: until it is taken, it waits with the kernel."""
    data = bytes(3_000_000)
    got = bytearray()
    async with connected(OneLine()) as (talk, _, writer):
        writer.write(b"hello\n" + data)
        assert await talk.word() == b"hello"
        for _ in range(200):
            await asyncio.sleep(0)
        assert await talk.receive(len(data), lambda part: not got.extend(part)) == len(data)
    assert got == data
