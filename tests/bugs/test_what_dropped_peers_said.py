"""The reason for a drop kept the frames in which it was found, and in them all that the peer had said."""

import asyncio

from p2pswarm.errors import BencodeError, RemoteProtocolError
from p2pswarm.formats import bencode
from p2pswarm.net.stream import Stream
from p2pswarm.wire.framer import KeepingFramer


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
    async with server, asyncio.timeout(5):
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"x")
        assert await reader.read() == b""
        writer.close()
    reason = strict.reason
    assert str(reason) == "what it said is nonsense"
    assert reason is not None
    assert (reason.__traceback__, reason.__cause__, reason.__context__) == (None, None, None)
