"""Several connections from one local number, on real sockets."""

import asyncio
import contextlib
import socket

import pytest

from p2pswarm.formats.ids import Address
from p2pswarm.net.port import Port
from p2pswarm.net.punching import dial_from
from p2pswarm.net.stream import Stream
from p2pswarm.wire.framer import KeepingFramer
from tests.reach.worlds import Lines, Talk
from tests.support.patience import PATIENCE


async def test_two_places_see_the_same_number() -> None:
    heard: list[Stream] = []

    def knock() -> Stream:
        heard.append(Stream(Lines(), Talk()))
        return heard[-1]

    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(knock, "127.0.0.1", 0) for _ in range(2)]
    port, streams, number = Port("127.0.0.1", 0), list[Stream](), 0
    for server in servers:
        there = Address(*server.sockets[0].getsockname())
        streams.append(await port.dial_from(number, there, Lines(), Talk()))
        number = streams[0].local.port
    async with asyncio.timeout(PATIENCE):
        while len(heard) < 2:
            await asyncio.sleep(0)
    assert [stream.remote.port for stream in heard] == [number, number]
    for closed in (*streams, *heard, *servers):
        closed.close()


async def test_two_ends_that_both_dial_need_no_listener() -> None:
    """Simultaneous open, as the kernel has it even for one socket that is both ends."""
    with contextlib.closing(socket.socket()) as sock:
        sock.bind(("127.0.0.1", 0))
        here = sock.getsockname()
    talk = Talk()
    stream = Stream(Lines(), talk)
    await dial_from(here, Address(*here), stream)
    stream.send(b"to myself")
    async with asyncio.timeout(PATIENCE):
        while talk.heard != b"to myself":
            await asyncio.sleep(0)
    stream.close()


@pytest.mark.parametrize("to", [Address("127.0.0.1", 1), Address("somewhere.invalid", 80)])
async def test_who_does_not_answer_is_an_os_error(to: Address) -> None:
    with pytest.raises(OSError, match=r"\w"):
        await dial_from(("127.0.0.1", 0), to, Stream(KeepingFramer(), Talk()))
