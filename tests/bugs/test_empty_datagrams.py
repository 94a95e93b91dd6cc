"""A datagram of no bytes was cut into parts of none: an exception in the loop for whoever sent one."""

import asyncio
import socket

from p2pswarm.formats.ids import Address
from p2pswarm.net.batches import BatchSocket
from tests.support.loops import on_every_loop
from tests.support.patience import PATIENCE


@on_every_loop
async def test_an_empty_datagram_is_a_datagram() -> None:
    heard: list[bytes] = []
    whole = asyncio.Event()

    def hear(data: bytes, _: Address) -> None:
        heard.append(data)
        if data:
            whole.set()

    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(fault))
    ear = BatchSocket.open("127.0.0.1", 0, hear)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for data in (b"", b"", b"x"):
            stranger.sendto(data, ear._sock.getsockname())
        async with asyncio.timeout(PATIENCE):
            await whole.wait()
    await ear.close()
    assert heard == [b"", b"", b"x"]
    assert not faults
