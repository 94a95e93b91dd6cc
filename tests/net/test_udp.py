"""Datagrams on the number of the listener, with real sockets."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from p2pswarm.errors import LocalProtocolError, PortTakenError, RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.net import port as room
from p2pswarm.net.port import Port
from p2pswarm.net.udp import Datagrams, Endpoint
from p2pswarm.wire.sniff import DatagramGuest
from tests.support.loops import on_every_loop
from tests.support.numbers import taken_for_datagrams

HERE = "127.0.0.1"
# uvloop leaves what it could not bind to whoever collects the garbage.
collected = pytest.mark.filterwarnings("ignore::ResourceWarning")
PING = b"\1" * 16 + bytes((0, 1, 0)) + bytes(4)


class Ears:
    """Takes care of Gnutella's datagrams: notes them, and does with them what it was told to."""

    def __init__(self, port: Port) -> None:
        self.heard: asyncio.Queue[tuple[bytes, Address]] = asyncio.Queue()
        self.fault: Exception | None = None
        port.route_datagrams(DatagramGuest.GNUTELLA, self.hear)

    def hear(self, data: bytes, remote: Address) -> None:
        self.heard.put_nowait((data, remote))
        if self.fault is not None:
            raise self.fault


def ping(number: int) -> bytes:
    return number.to_bytes(16, "big") + PING[16:]


@asynccontextmanager
async def opened(host: str = HERE, number: int | None = 0) -> AsyncIterator[tuple[Port, Ears]]:
    port = Port(host, number)
    ears = Ears(port)
    await port.open()
    try:
        yield port, ears
    finally:
        await port.close()


def udp(number: int = 0) -> socket.socket:
    taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    taken.bind((HERE, number))
    return taken


@on_every_loop
async def test_two_ports_talk_from_the_numbers_on_which_they_listen() -> None:
    async with opened() as (one, _), opened() as (two, ears):
        one.send_datagram(PING, Address(HERE, two.number))
        assert await ears.heard.get() == (PING, Address(HERE, one.number))


@on_every_loop
async def test_a_port_that_listens_everywhere_hears_and_answers() -> None:
    async with opened("0.0.0.0") as (one, mine), opened() as (two, theirs):
        two.send_datagram(PING, Address(HERE, one.number))
        data, remote = await mine.heard.get()
        one.send_datagram(data, remote)
        assert await theirs.heard.get() == (PING, Address(HERE, one.number))


@on_every_loop
async def test_without_anybody_to_hear_them_there_is_no_socket_until_somebody_comes() -> None:
    port = Port(HERE, 0)
    await port.open()
    try:
        udp(port.number).close()  # nobody has it
        port.send_datagram(PING, Address(HERE, port.number))  # goes nowhere
        ears = Ears(port)
        await asyncio.gather(port.open_datagrams(), port.open_datagrams())
        await port.open_datagrams()
        port.send_datagram(PING, Address(HERE, port.number))
        assert await ears.heard.get() == (PING, Address(HERE, port.number))
    finally:
        await port.close()
    udp(port.number).close()


async def test_before_the_listener_there_is_no_number() -> None:
    with pytest.raises(LocalProtocolError):
        await Port(HERE, 0).open_datagrams()


@collected
@on_every_loop
async def test_a_number_that_is_taken_for_datagrams_is_an_error() -> None:
    with taken_for_datagrams(HERE) as taken:
        number = taken.getsockname()[1]
        text = f"port {number} on {HERE} is in use for UDP by another program"
        port = Port(HERE, number)
        Ears(port)
        with pytest.raises(PortTakenError, match=text):
            await port.open()
        socket.create_server((HERE, number)).close()  # it is not held for TCP either
        late = Port(HERE, number)
        await late.open()
        Ears(late)
        with pytest.raises(PortTakenError, match=text):
            await late.open_datagrams()
        taken.close()
        await late.open_datagrams()
        await late.close()


@collected
@on_every_loop
async def test_without_a_name_the_next_number_that_is_free_for_both_is_taken() -> None:
    with taken_for_datagrams(HERE) as taken, pytest.MonkeyPatch.context() as patch:
        number = taken.getsockname()[1]
        patch.setattr(room, "DEFAULT_PORT", number)
        async with opened(number=None) as (port, ears):
            assert number < port.number < number + room.TRIES
            port.send_datagram(PING, Address(HERE, port.number))
            await ears.heard.get()


@on_every_loop
async def test_with_port_zero_another_number_is_tried_so_many_times() -> None:
    with pytest.MonkeyPatch.context() as patch:
        tried = []

        async def taken(self: Datagrams, host: str, number: int) -> None:
            tried.append(number)
            if len(tried) < 3:
                raise OSError

        patch.setattr(Datagrams, "open", taken)
        async with opened() as (port, _):
            assert port.number == tried[2]
        patch.setattr(room, "TRIES", 2)
        tried.clear()
        with pytest.raises(PortTakenError, match="no free port"):
            async with opened():
                pass
        assert len(tried) == 2


@on_every_loop
async def test_junk_is_dropped_and_what_comes_after_it_is_heard() -> None:
    async with opened() as (port, ears):
        with udp() as sender:
            for data in (b"", b"junk", PING[:-1], PING + b"x", PING):
                sender.sendto(data, (HERE, port.number))
            assert await ears.heard.get() == (PING, Address(*sender.getsockname()))
            assert ears.heard.empty()


@on_every_loop
async def test_what_nobody_takes_care_of_is_dropped() -> None:
    port = Port(HERE, 0)
    await port.open()
    await port.open_datagrams()
    port.send_datagram(ping(1), Address(HERE, port.number))
    ears = Ears(port)
    port.send_datagram(ping(2), Address(HERE, port.number))
    while (await ears.heard.get())[0] != ping(2):
        pass  # the first may be heard too: it was on its way
    await port.close()


@on_every_loop
async def test_a_strangers_fault_is_dropped_and_ours_is_told_to_the_loop() -> None:
    bugs: list[BaseException] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: bugs.append(context["exception"]))
    async with opened() as (port, ears):
        faults = [RemoteProtocolError("theirs"), ZeroDivisionError("ours"), None]
        for number, fault in enumerate(faults):
            ears.fault = fault
            port.send_datagram(ping(number), Address(HERE, port.number))
            assert (await ears.heard.get())[0] == ping(number)
        assert bugs == [faults[1]]


@on_every_loop
async def test_whom_no_datagram_can_reach_gets_none() -> None:
    async with opened() as (port, ears):
        for host in (
            "localhost",
            "::1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "?",
            "240.0.0.1",
        ):
            port.send_datagram(PING, Address(host, port.number))
        port.send_datagram(PING, Address(HERE, 0))
        port.send_datagram(PING, Address(HERE, 65536))
        port.send_datagram(bytes(70_000), Address(HERE, port.number))
        port.send_datagram(ping(7), Address("::ffff:127.0.0.1", port.number))
        assert (await ears.heard.get())[0] == ping(7)
        assert ears.heard.empty()


@on_every_loop
async def test_both_families_are_heard_on_one_number() -> None:
    async with opened("any") as (port, ears), opened() as (four, _), opened("::1") as (six, mine):
        for other, here in ((four, HERE), (six, "::1")):
            other.send_datagram(PING, Address(here, port.number))
            assert await ears.heard.get() == (PING, Address(here, other.number))
        port.send_datagram(PING, Address("::1", six.number))
        assert await mine.heard.get() == (PING, Address("::1", port.number))


@on_every_loop
async def test_nobody_listening_there_is_no_error() -> None:
    async with opened() as (port, ears):
        with udp() as gone:
            nobody = Address(*gone.getsockname())
        for _ in range(3):
            port.send_datagram(PING, nobody)
        port.send_datagram(ping(7), Address(HERE, port.number))
        assert (await ears.heard.get())[0] == ping(7)


class FullKernel(asyncio.DatagramTransport):
    """Takes one datagram and has no room for another."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[bytes] = []

    def sendto(self, data: bytes, addr: object = None) -> None:
        self.waiting.append(data)

    def get_write_buffer_size(self) -> int:
        return sum(map(len, self.waiting))

    def is_closing(self) -> bool:
        return False


async def test_while_the_kernel_has_no_room_others_are_dropped() -> None:
    endpoint, kernel = Endpoint(lambda _, __: None), FullKernel()
    endpoint.connection_made(kernel)
    for number in range(1000):
        endpoint.send(ping(number), (HERE, 9))
    assert kernel.waiting == [ping(0)]
    kernel.waiting.clear()
    endpoint.send(ping(1), (HERE, 9))
    assert kernel.waiting == [ping(1)]


@on_every_loop
async def test_after_the_end_nothing_is_sent_or_heard() -> None:
    async with opened() as (one, mine), opened() as (two, _):
        address = Address(HERE, one.number)
        await one.close()
        await one.close()
        one.send_datagram(PING, Address(HERE, two.number))
        two.send_datagram(PING, address)
        two.send_datagram(PING, Address(HERE, two.number))
        assert mine.heard.empty()
        with pytest.raises(LocalProtocolError):
            await one.open_datagrams()
