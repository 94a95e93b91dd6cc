"""Many datagrams at a time, on real sockets."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from p2pswarm.formats.ids import Address
from p2pswarm.net.batches import BatchSocket
from tests.support.loops import on_every_loop

HERE = "127.0.0.1"
ROW = [bytes((n,)) * size for n, size in enumerate([1400] * 100 + [7] + [900] * 3 + [1000, 1])]


class Ear:
    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.socket = BatchSocket.open(HERE, 0, self.hear)
        self.name = self.socket._sock.getsockname()

    def hear(self, data: bytes, address: Address) -> None:
        assert address.host == HERE
        self.heard.append(data)

    async def hears(self, number: int) -> list[bytes]:
        while len(self.heard) < number:
            await asyncio.sleep(0)
        return self.heard


@asynccontextmanager
async def ears() -> AsyncIterator[tuple[Ear, Ear]]:
    one, two = Ear(), Ear()
    try:
        yield one, two
    finally:
        await one.socket.close()
        await two.socket.close()
        await two.socket.close()


@on_every_loop
async def test_a_row_arrives_as_it_was() -> None:
    async with ears() as (one, two):
        one.socket.send_row(ROW, two.name)
        assert await two.hears(len(ROW)) == ROW


@on_every_loop
async def test_a_kernel_that_takes_no_rows_is_given_one_after_the_other() -> None:
    for fault in (errno.EIO, errno.EINVAL, errno.EMSGSIZE):
        async with ears() as (one, two):
            real = one.socket._sock

            class Old:
                tries = 0

                def __getattr__(self, name: str) -> object:
                    return getattr(real, name)  # noqa: B023

                def sendmsg(self, *_: object) -> None:
                    Old.tries += 1
                    raise OSError(fault, "no")  # noqa: B023

            one.socket._sock = Old()  # type: ignore[assignment]
            one.socket.send_row(ROW, two.name)
            assert await two.hears(len(ROW)) == ROW
            assert (Old.tries == 1) == (fault == errno.EIO)
            one.socket.send_row([bytes(100)] * 3, two.name)
            await two.hears(len(ROW) + 3)
            assert one.socket._segments == (fault == errno.EMSGSIZE)
            one.socket._sock = real


@on_every_loop
async def test_a_row_waits_for_room_and_a_single_one_is_dropped() -> None:
    async with ears() as (one, two):
        real, full = one.socket._sock, True

        class Full:
            def __getattr__(self, name: str) -> object:
                return getattr(real, name)

            def sendmsg(self, *args: object) -> None:
                if full:
                    raise BlockingIOError
                real.sendmsg(*args)  # type: ignore[arg-type]

            def sendto(self, *args: object) -> None:
                if full:
                    raise BlockingIOError
                real.sendto(*args)  # type: ignore[call-overload]

        one.socket._sock = Full()  # type: ignore[assignment]
        one.socket.send(b"dropped", two.name)
        one.socket.send_row(ROW[:3], two.name)
        one.socket.send_row([b"4", b"55"], two.name)
        one.socket.send(b"dropped", two.name)
        await asyncio.sleep(0)
        full = False
        assert await two.hears(5) == [*ROW[:3], b"4", b"55"]
        one.socket.send(b"heard", two.name)
        assert (await two.hears(6))[-1] == b"heard"
        assert not one.socket._waiting


@on_every_loop
async def test_what_nobody_hears_is_no_error() -> None:
    async with ears() as (one, two):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
            gone.bind((HERE, 0))
            nobody = gone.getsockname()
        for _ in range(3):
            one.socket.send(b"?", nobody)
            await asyncio.sleep(0)
        one.socket.send_row([bytes(70_000), b"small"], two.name)
        one.socket.send(b"heard", two.name)
        assert await two.hears(2) == [b"small", b"heard"]


async def test_a_number_that_is_taken_is_an_error_and_nothing_stays_behind() -> None:
    async with ears() as (one, _):
        with pytest.raises(OSError, match="in use") as told:
            BatchSocket.open(HERE, one.name[1], one.hear)
        assert told.value.errno == errno.EADDRINUSE
