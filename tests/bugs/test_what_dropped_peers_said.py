"""The reason for a drop kept the frames in which it was found, and in them all that the peer had said."""

import asyncio
import gc
from weakref import ref

from p2pswarm.errors import BencodeError, RemoteProtocolError
from p2pswarm.formats import bencode
from p2pswarm.net.port import Port
from p2pswarm.net.stream import Stream
from p2pswarm.wire.framer import KeepingFramer
from tests.support.loops import on_every_loop
from tests.support.patience import PATIENCE


class Strict:
    reason: Exception | None = None

    def got(self, message: object) -> None:
        raise AssertionError

    def caught_up(self) -> None:
        try:
            bencode.decode(b"nonsense")
        except BencodeError as error:
            raise RemoteProtocolError("what it said is nonsense") from error

    def drained(self) -> None:
        raise AssertionError

    def closed(self, reason: Exception | None) -> None:
        self.reason = reason


async def test_a_reason_keeps_nothing_but_its_words() -> None:
    strict = Strict()
    stream = Stream(KeepingFramer(), strict)
    server = await asyncio.get_running_loop().create_server(lambda: stream, "127.0.0.1", 0)
    async with server, asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"x")
        assert await reader.read() == b""
        writer.close()
    reason = strict.reason
    assert str(reason) == "what it said is nonsense"
    assert reason is not None
    assert (reason.__traceback__, reason.__cause__, reason.__context__) == (None, None, None)


@on_every_loop
async def test_who_left_at_the_door_is_no_garbage() -> None:
    """Each left a circle behind: 80 000 of them 60 MB, until somebody collected them."""
    port = Port("127.0.0.1", 0)
    await port.open()
    gc.disable()
    try:
        async with asyncio.timeout(PATIENCE):
            _, writer = await asyncio.open_connection("127.0.0.1", port.number)
            while not port._at_door:
                await asyncio.sleep(0)
            guest = ref(next(iter(port._at_door)))
            writer.close()
            await writer.wait_closed()
            while port._at_door or guest() is not None:
                await asyncio.sleep(0)
    finally:
        gc.enable()
        await port.close()
