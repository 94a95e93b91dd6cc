import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import suppress

import aiohttp
import pytest
from aiohttp import web

from p2pswarm.wire.rendezvous import (
    MOST_MESSAGE,
    Ask,
    Claim,
    Claimed,
    Left,
    Message,
    Refused,
    Said,
    Why,
    decode,
    encode,
)
from tests.support.patience import PATIENCE
from tracker.app import TrackerService
from tracker.config import TrackerSettings
from tracker.rendezvous import desk


@pytest.fixture
async def service() -> AsyncIterator[TrackerService]:
    service = TrackerService(TrackerSettings(host="127.0.0.1", port=0, udp=False, patience=0.3))
    await service.start()
    yield service
    await service.aclose()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield session


def door(service: TrackerService) -> str:
    return f"http://127.0.0.1:{service.port}/code"


async def say(socket: aiohttp.ClientWebSocketResponse, message: Message) -> None:
    await socket.send_bytes(encode(message))


async def heard(socket: aiohttp.ClientWebSocketResponse) -> Message:
    return decode(await socket.receive_bytes(timeout=PATIENCE))


async def test_two_meet(service: TrackerService, session: aiohttp.ClientSession) -> None:
    async with (
        session.ws_connect(door(service)) as giver,
        session.ws_connect(door(service)) as taker,
    ):
        await say(giver, Claim(60))
        claimed = await heard(giver)
        assert isinstance(claimed, Claimed)
        assert claimed.you == "127.0.0.1"
        await say(taker, Ask(claimed.number, b"hello"))
        said = await heard(giver)
        assert isinstance(said, Said)
        assert said.body == b"hello"
        await say(giver, Said(said.visit, b"good day"))
        assert await heard(taker) == Said(0, b"good day")
        await taker.close()
        assert await heard(giver) == Left(said.visit)


async def test_a_guest_may_be_silent_longer_than_who_asks_by_http(
    service: TrackerService, session: aiohttp.ClientSession
) -> None:
    async with session.ws_connect(door(service)) as giver:
        await say(giver, Claim(60))
        await heard(giver)
        with pytest.raises(TimeoutError):
            await giver.receive(timeout=1.0)


async def test_pages_of_others_are_sent_away(
    service: TrackerService, session: aiohttp.ClientSession
) -> None:
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1"):
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await session.ws_connect(door(service), headers={"Origin": origin})
        assert caught.value.status == 403
    ours = f"http://127.0.0.1:{service.port}"
    async with session.ws_connect(door(service), headers={"Origin": ours}) as giver:
        await say(giver, Claim(60))
        assert isinstance(await heard(giver), Claimed)


async def test_a_protocol_that_a_guest_names_is_passed_over_and_not_logged(
    service: TrackerService, session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    async with session.ws_connect(door(service), protocols=("look here",)) as giver:
        await say(giver, Claim(60))
        assert isinstance(await heard(giver), Claimed)
    assert not [record for record in caplog.records if record.name == "aiohttp.websocket"]


async def test_who_asks_by_plain_http_is_told_and_gets_no_more_patience(
    service: TrackerService,
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(b"GET /code HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 426 ")
    await asyncio.wait_for(reader.read(), PATIENCE)  # dropped after `patience`
    writer.close()


@pytest.mark.parametrize("rude", [b"", b"\7de", b"\4" * 100, bytes(MOST_MESSAGE + 1), "text"])
async def test_who_is_rude_is_sent_away(
    service: TrackerService, session: aiohttp.ClientSession, rude: bytes | str
) -> None:
    async with session.ws_connect(door(service)) as guest:
        await (guest.send_str(rude) if isinstance(rude, str) else guest.send_bytes(rude))
        told = await guest.receive(timeout=PATIENCE)
        if told.type is aiohttp.WSMsgType.BINARY:
            assert decode(told.data) == Refused(Why.RUDE)
            told = await guest.receive(timeout=PATIENCE)
        assert told.type is aiohttp.WSMsgType.CLOSE


async def test_a_flood_of_connections_leaves_room_for_others(
    service: TrackerService, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "GUESTS_PER_LINE", 20)
    sockets = [await session.ws_connect(door(service)) for _ in range(20)]
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await session.ws_connect(door(service))
    assert caught.value.status == 503
    near = aiohttp.TCPConnector(local_addr=("127.0.0.9", 0))
    async with (
        aiohttp.ClientSession(connector=near) as other,
        other.ws_connect(door(service)) as giver,
        other.get(door(service).replace("/code", "/health")) as health,
    ):
        await say(giver, Claim(60))
        assert isinstance(await heard(giver), Claimed)
        assert health.status == 200
    for each in sockets:
        await each.close()
    async with session.ws_connect(door(service)) as guest:  # their places are free again
        await say(guest, Claim(60))
        assert isinstance(await heard(guest), Claimed)


async def test_who_is_gone_before_the_handshake_leaves_no_trace(
    service: TrackerService, session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", service.port)) as rude:
            rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            rude.sendall(UPGRADE)  # and reset
    async with session.get(door(service).replace("/code", "/health")) as health:
        assert health.status == 200
    assert not service._codes._desk._guests
    assert [each for each in caplog.records if each.levelname == "ERROR"] == []


async def test_a_flood_of_messages_is_over_soon(
    service: TrackerService, session: aiohttp.ClientSession
) -> None:
    async with session.ws_connect(door(service)) as giver:
        await say(giver, Claim(60))
        await heard(giver)
        for _ in range(2000):
            try:
                await say(giver, Said(9, bytes(1000)))
            except (ConnectionError, aiohttp.ClientError):
                break
        assert await heard(giver) == Refused(Why.RUDE)


async def test_pings_are_answered_but_not_without_end(
    service: TrackerService, session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    """A thousand guests that pinged all the time stopped the service for half a minute."""
    async with session.ws_connect(door(service), autoping=False) as guest:
        await guest.ping(b"one")
        pong = await guest.receive(timeout=PATIENCE)
        assert (pong.type, pong.data) == (aiohttp.WSMsgType.PONG, b"one")
        for _ in range(100):
            await guest.ping()
        told = await guest.receive(timeout=PATIENCE)
        while told.type is aiohttp.WSMsgType.PONG:
            told = await guest.receive(timeout=PATIENCE)
        assert decode(told.data) == Refused(Why.RUDE)
    assert [each for each in caplog.records if each.levelname == "ERROR"] == []


UPGRADE = (
    b"GET /code HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: YWFhYWFhYWFhYWFhYWFhYQ==\r\n\r\n"
)
PING = b"\x89\x80\0\0\0\0"


async def test_of_a_flood_of_pings_only_the_first_are_read(
    service: TrackerService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came in one read was read at once, before anybody could hang up: 40 000 of them."""
    read = 0
    take = web.RequestHandler.data_received

    def counted(connection: web.RequestHandler, data: bytes) -> None:
        nonlocal read
        read += len(data)
        take(connection, data)

    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(UPGRADE)
    await reader.readuntil(b"\r\n\r\n")
    monkeypatch.setattr(web.RequestHandler, "data_received", counted)
    writer.write(PING * 40_000)
    with suppress(ConnectionError):
        assert encode(Refused(Why.RUDE)) in await asyncio.wait_for(reader.read(), 15)
    writer.close()
    assert 0 < read < 1000 * len(PING)


async def test_who_does_not_wait_for_our_handshake_is_cut(service: TrackerService) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(UPGRADE + PING)
    with suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(), 15) == b""
    writer.close()


async def test_the_end_of_the_service_is_the_end_of_all_visits(
    session: aiohttp.ClientSession,
) -> None:
    service = TrackerService(TrackerSettings(host="127.0.0.1", port=0, udp=False))
    await service.start()
    sockets = [await session.ws_connect(door(service)) for _ in range(3)]
    closing = asyncio.gather(*(socket.receive(timeout=PATIENCE) for socket in sockets))
    await service.aclose()
    await service.aclose()
    assert {each.type for each in await closing} == {aiohttp.WSMsgType.CLOSE}
