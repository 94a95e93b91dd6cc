"""The tracker by UDP over real sockets."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from p2pswarm.errors import PortTakenError
from p2pswarm.formats.ids import Address, InfoHash, PeerId
from p2pswarm.wire.tracker import Announce, Reply
from p2pswarm.wire.tracker_udp import Answer, Question, connect
from tests.support.numbers import taken_for_datagrams
from tests.support.patience import PATIENCE
from tracker.app import TrackerService
from tracker.config import TrackerSettings
from tracker.datagrams import Datagrams
from tracker.listening import bind


class Client:
    """Hears only whom it asked: its socket is connected."""

    def __init__(self, source: str, host: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind((source, 0))
        self._socket.connect((host, port))

    async def say(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self._socket, data)

    async def hear(self) -> Answer:
        async with asyncio.timeout(PATIENCE):
            return Answer.read(await asyncio.get_running_loop().sock_recv(self._socket, 2048))

    async def ask(self, data: bytes) -> Answer:
        await self.say(data)
        return await self.hear()

    async def announce(self, port: int) -> Reply:
        connection = (await self.ask(connect(1))).connection()
        announce = Announce(InfoHash(b"h" * 20), PeerId(b"p" * 20), port, left=1)
        stride = 18 if self._socket.family == socket.AF_INET6 else 6
        return (await self.ask(Question.announce(connection, 2, announce))).reply(stride)

    def close(self) -> None:
        self._socket.close()


@asynccontextmanager
async def serving(host: str) -> AsyncIterator[TrackerService]:
    service = TrackerService(TrackerSettings(host=host, port=0))
    await service.start()
    try:
        yield service
    finally:
        await service.aclose()
        await service.aclose()


@pytest.mark.parametrize(
    ("bound", "source", "asked"),
    [
        ("127.0.0.1", "127.0.0.2", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.2", "127.0.0.5"),
        ("::1", "::1", "::1"),
        ("::", "::1", "::1"),
        ("any", "::1", "::1"),
        ("any", "127.0.0.2", "127.0.0.5"),
    ],
)
async def test_the_answer_comes_from_the_address_that_was_asked(
    bound: str, source: str, asked: str
) -> None:
    async with serving(bound) as service:
        first, second = (Client(source, asked, service.port) for _ in range(2))
        try:
            assert (await first.announce(1001)).incomplete == 1
            assert (await second.announce(1002)).addresses() == [Address(source, 1001)]
        finally:
            first.close()
            second.close()


async def test_more_questions_than_fit_into_one_turn() -> None:
    async with serving("127.0.0.1") as service:
        client = Client("127.0.0.2", "127.0.0.1", service.port)
        for number in range(150):
            await client.say(connect(number))
        answers = [await client.hear() for _ in range(150)]
        client.close()
    assert {answer.transaction for answer in answers} == set(range(150))


async def test_neither_junk_nor_a_failing_store_ends_it() -> None:
    async def answer(data: bytes, host: str) -> bytes | None:
        if data == b"fail":
            raise RuntimeError("the store is gone")
        return data if data == b"a question" else None

    tcp, udp = bind("127.0.0.1", 0, udp=True)
    tcp.close()
    assert udp is not None
    client = Client("127.0.0.2", "127.0.0.1", udp.getsockname()[1])
    datagrams = Datagrams(udp, answer)
    datagrams.start()
    for junk in (b"fail", b"", b"x", b"x" * 60_000):
        await client.say(junk)
    assert (await client.ask(b"a question")).data == b"a question"
    client.close()
    await datagrams.aclose()
    await datagrams.aclose()


async def test_udp_can_be_off() -> None:
    service = TrackerService(TrackerSettings(host="127.0.0.1", port=0, udp=False))
    await service.start()
    client = Client("127.0.0.2", "127.0.0.1", service.port)
    with pytest.raises(ConnectionRefusedError):
        await client.ask(connect(1))
    client.close()
    assert service.udp_url is None
    await service.aclose()


async def test_where_it_is_said_to_be() -> None:
    async with serving("::1") as service:
        assert service.udp_url == f"udp://[::1]:{service.port}/announce"


async def test_a_port_that_is_taken_for_datagrams_is_taken() -> None:
    with taken_for_datagrams("127.0.0.1") as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTakenError):
            await TrackerService(TrackerSettings(host="127.0.0.1", port=port)).start()
        bind("127.0.0.1", port).tcp.close()
