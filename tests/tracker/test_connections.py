"""Slow-loris in its forms, against a real server with little patience."""

import asyncio
import resource
import socket
from collections.abc import AsyncIterator
from typing import ClassVar

import pytest

from p2pswarm.formats import bencode
from tracker import connections
from tracker.app import TrackerService
from tracker.config import TrackerSettings

PATIENCE = 0.25  # seconds; the service's default is 15
HEALTH = b"GET /health HTTP/1.1\r\nHost: t\r\n\r\n"
PIECES = 300_000


@pytest.fixture
def patience() -> float:
    return PATIENCE


@pytest.fixture
async def service(patience: float) -> AsyncIterator[TrackerService]:
    service = TrackerService(TrackerSettings(host="127.0.0.1", port=0, patience=patience))
    await service.start()
    yield service
    await service.aclose()


@pytest.fixture(autouse=True)
async def _farewell() -> AsyncIterator[None]:
    yield
    for stranger in Stranger.all:
        stranger.gone()
    Stranger.all.clear()


class Stranger:
    """A connection that we drive by hand."""

    all: ClassVar[list["Stranger"]] = []

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.received = 0
        self.all.append(self)

    @classmethod
    async def connect(cls, service: TrackerService, room: int | None = None) -> "Stranger":
        sock = socket.socket()
        if room is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", service.port))
        return cls(*await asyncio.open_connection(sock=sock, limit=1 << 16))

    async def ended(self, within: float, drip: bytes = b"") -> float:
        """Seconds until the other side closes; meanwhile one byte of `drip` goes out now and then."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        while loop.time() < start + within:
            try:
                async with asyncio.timeout(0.05):
                    data = await self.reader.read(1 << 16)
            except TimeoutError:
                self.writer.write(drip[:1])
                drip = drip[1:]
                continue
            except ConnectionError:
                break
            self.received += len(data)
            if not data:
                break
        else:
            pytest.fail(f"still open after {within} s")
        return loop.time() - start

    async def ask(self) -> bytes:
        """One honest request on this connection."""
        self.writer.write(HEALTH)
        async with asyncio.timeout(5):
            return await self.reader.readuntil(b"ok\n")

    def gone(self) -> None:
        self.writer.transport.abort()


async def test_who_says_nothing_is_dropped(service: TrackerService) -> None:
    stranger = await Stranger.connect(service)
    assert PATIENCE / 2 < await stranger.ended(within=5) < 5 * PATIENCE


async def test_who_drips_a_header_is_dropped(service: TrackerService) -> None:
    stranger = await Stranger.connect(service)
    assert await stranger.ended(within=5, drip=HEALTH * 100) < 5 * PATIENCE


async def test_who_drips_a_body_is_dropped(service: TrackerService) -> None:
    stranger = await Stranger.connect(service)
    stranger.writer.write(b"POST /announce HTTP/1.1\r\nHost: t\r\nContent-Length: 1000\r\n\r\n")
    assert await stranger.ended(within=5, drip=b"x" * 999) < 5 * PATIENCE


async def test_who_rests_after_its_answer_is_dropped(service: TrackerService) -> None:
    stranger = await Stranger.connect(service)
    assert (await stranger.ask()).startswith(b"HTTP/1.1 200 OK")
    assert await stranger.ended(within=5) < 5 * PATIENCE


@pytest.mark.parametrize("patience", [0.8])
async def test_who_keeps_asking_stays(service: TrackerService, patience: float) -> None:
    stranger = await Stranger.connect(service)
    loop = asyncio.get_running_loop()
    end = loop.time() + 1.5 * patience
    while loop.time() < end:
        assert (await stranger.ask()).startswith(b"HTTP/1.1 200 OK")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(patience / 4):
                await stranger.reader.read(1)


async def test_who_asks_without_reading_is_dropped(service: TrackerService) -> None:
    stranger = await Stranger.connect(service, room=4096)
    stranger.writer.transport.pause_reading()  # type: ignore[attr-defined]
    stranger.writer.write(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n" * 20_000)
    async with asyncio.timeout(5):
        while await _connections(service) > 1:
            pass


def _big_torrent() -> bytes:
    info = {
        b"length": PIECES << 14,
        b"name": b"big",
        b"piece length": 1 << 14,
        b"pieces": bytes(20 * PIECES),
    }
    return bencode.encode({b"info": info})


async def test_who_does_not_take_a_large_answer_is_dropped(service: TrackerService) -> None:
    service.host("big", _big_torrent())
    stranger = await Stranger.connect(service, room=4096)
    stranger.writer.transport.pause_reading()  # type: ignore[attr-defined]
    stranger.writer.write(b"GET /t/big.torrent HTTP/1.1\r\nHost: t\r\n\r\n")
    async with asyncio.timeout(5):
        while await _connections(service) > 1:
            pass


@pytest.mark.parametrize("patience", [0.6])
async def test_who_reads_a_large_answer_slowly_gets_all_of_it(
    service: TrackerService, patience: float
) -> None:
    data = _big_torrent()
    service.host("big", data)
    stranger = await Stranger.connect(service, room=1 << 16)
    stranger.writer.write(b"GET /t/big.torrent HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
    loop = asyncio.get_running_loop()
    start, got = loop.time(), await stranger.reader.readuntil(b"\r\n\r\n")
    got = b""
    while len(got) < len(data):
        got += await stranger.reader.readexactly(min(480_000, len(data) - len(got)))
        with pytest.raises(TimeoutError):  # nothing else comes, so this only takes its time
            async with asyncio.timeout(0.08):
                await asyncio.Event().wait()
    assert got == data
    assert loop.time() - start > 1.5 * patience


async def _connections(service: TrackerService) -> int:
    """How many the service counts, asked over one more."""
    asker = await Stranger.connect(service)
    asker.writer.write(b"GET /stats HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
    try:
        answer = await asker.reader.read(-1)
    except ConnectionResetError:  # on a busy machine it asks too slowly itself, and is dropped
        return await _connections(service)
    asker.gone()
    return int(answer.split(b'"connections": ')[1].split(b",")[0])


async def test_honest_clients_are_served_beside_a_thousand_idle_ones(
    service: TrackerService,
) -> None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    crowd = min(1000, (soft - 200) // 2)
    idle = [await Stranger.connect(service) for _ in range(crowd)]
    loop = asyncio.get_running_loop()
    start = loop.time()
    honest = await Stranger.connect(service)
    await honest.ask()
    assert loop.time() - start < 2
    for stranger in idle:
        await stranger.ended(within=5)


async def test_a_newcomer_takes_the_place_of_who_did_nothing_for_longest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "_open_files", lambda: connections._SPARE_FILES + 3)
    monkeypatch.setattr(connections, "_MIN_CONNECTIONS", 1)
    service = TrackerService(TrackerSettings(host="127.0.0.1", port=0, patience=60))
    await service.start()
    try:
        crowd = [await Stranger.connect(service) for _ in range(3)]
        for stranger in crowd:
            await stranger.ask()
        await crowd[0].ask()
        newcomer = await Stranger.connect(service)
        await newcomer.ask()
        assert await crowd[1].ended(within=5) < 2
        await crowd[0].ask()
        await crowd[2].ask()
    finally:
        await service.aclose()


async def test_closing_takes_no_time_even_with_idle_connections() -> None:
    service = TrackerService(TrackerSettings(host="127.0.0.1", port=0))
    await service.start()
    idle = [await Stranger.connect(service) for _ in range(20)]
    await idle[0].ask()
    idle[1].writer.write(HEALTH[:10])
    async with asyncio.timeout(2):
        await service.aclose()
    for stranger in idle:
        await stranger.ended(within=2)


@pytest.mark.parametrize("limit", [(50, 100), (resource.RLIM_INFINITY, resource.RLIM_INFINITY)])
async def test_any_limit_of_open_files_leaves_places(
    monkeypatch: pytest.MonkeyPatch, limit: tuple[int, int]
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: limit)
    service = TrackerService(TrackerSettings(host="127.0.0.1", port=0))
    await service.start()
    try:
        stranger = await Stranger.connect(service)
        await stranger.ask()
    finally:
        await service.aclose()
