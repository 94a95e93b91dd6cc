import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator
from hashlib import sha1
from ipaddress import IPv6Address
from pathlib import Path
from random import Random
from urllib.parse import quote

import aiohttp
import pytest
from yarl import URL

from p2pswarm.discovery.fetch import HttpFetch
from p2pswarm.discovery.trackers import scrape
from p2pswarm.errors import HostError, MetainfoError, PortTakenError, TrackerError
from p2pswarm.formats import bencode
from p2pswarm.formats.ids import Address, InfoHash, PeerId
from p2pswarm.wire.tracker import MAX_SCRAPE, Announce, Counts, Event, Reply, Scrape
from tests.support.patience import PATIENCE
from tracker import listening
from tracker.app import TrackerService
from tracker.config import TrackerSettings
from tracker.listening import own_address

HASH = InfoHash(b"\0%&=+#? \xff" + b"h" * 11)
GOOD = (
    "info_hash=" + "h" * 20 + "&peer_id=" + "p" * 20 + "&port=6881&uploaded=0&downloaded=0&left=1"
)


def torrent(name: bytes = b"file", length: int = 5000) -> bytes:
    info = {b"length": length, b"name": name, b"piece length": 16384, b"pieces": bytes(20)}
    return bencode.encode({b"announce": b"http://t/announce", b"info": info})


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Client:
    """A peer that announces over real HTTP, from an address of its own."""

    def __init__(self, service: TrackerService, number: int) -> None:
        self._service = service
        self.me = PeerId(number.to_bytes(20, "big"))
        self.host, self.port = f"127.0.0.{number}", 6000 + number
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(local_addr=(self.host, 0), limit=0)
        )

    async def get(self, path: str, **headers: str) -> tuple[int, bytes, str]:
        url = URL(f"http://127.0.0.1:{self._service.port}{path}", encoded=True)
        async with self._session.get(url, headers=headers) as response:
            return response.status, await response.read(), response.headers["Content-Type"]

    async def body(self, path: str, **headers: str) -> bytes:
        status, body, _ = await self.get(path, **headers)
        assert status == 200
        return body

    async def announce(self, **values: object) -> Reply:
        return Reply.decode(await self.raw_announce(**values))

    async def raw_announce(
        self, *, headers: dict[str, str] | None = None, **values: object
    ) -> bytes:
        values = {"info_hash": HASH, "peer_id": self.me, "port": self.port, "left": 1} | values
        question = Announce(**values)  # type: ignore[arg-type]
        return await self.body(f"/announce?{question.query()}", **(headers or {}))

    @property
    def address(self) -> Address:
        return Address(self.host, self.port)

    async def aclose(self) -> None:
        await self._session.close()


class World:
    """A running tracker, its clock, and as many clients as wanted."""

    def __init__(self, settings: TrackerSettings) -> None:
        self.clock = Clock()
        self.service = TrackerService(settings, dice=Random(1), clock=self.clock)
        self._clients: list[Client] = []

    def client(self, number: int) -> Client:
        self._clients.append(Client(self.service, number))
        return self._clients[-1]

    async def raw(self, request: bytes) -> bytes:
        """Send bytes, and what comes back until the other side closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.service.port)
        writer.write(request)
        try:
            async with asyncio.timeout(PATIENCE):
                return await reader.read(-1)
        finally:
            writer.close()

    async def aclose(self) -> None:
        for client in self._clients:
            await client.aclose()
        await self.service.aclose()


async def start(**settings: object) -> World:
    world = World(TrackerSettings(**{"host": "127.0.0.1", "port": 0} | settings))  # type: ignore[arg-type]
    await world.service.start()
    return world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = await start(torrents=tmp_path)
    yield world
    await world.aclose()


async def test_peers_meet(world: World) -> None:
    seed, leech = world.client(2), world.client(3)
    first = await seed.announce(left=0, event=Event.STARTED)
    assert first.addresses() == []
    assert first.external_ip == b"\x7f\0\0\2"
    second = await leech.announce(event=Event.STARTED)
    assert second.addresses() == [seed.address]
    assert (second.complete, second.incomplete, second.downloaded) == (1, 1, 0)
    assert 1620 <= second.interval <= 1980
    assert second.min_interval == 300
    done = await leech.announce(left=0, event=Event.COMPLETED)
    assert (done.complete, done.incomplete, done.downloaded) == (2, 0, 1)
    assert done.addresses() == [seed.address]
    assert (await seed.announce(left=0, event=Event.STOPPED)).complete == 1


async def test_on_every_address_both_families_are_heard() -> None:
    world = await start(host="any")
    try:
        await world.client(2).announce()
        six = f"http://[::1]:{world.service.port}/announce?{GOOD.replace('h' * 20, quote(HASH))}"
        async with (
            aiohttp.ClientSession() as session,
            session.get(URL(six, encoded=True)) as answer,
        ):
            reply = Reply.decode(await answer.read())
        assert reply.addresses() == [Address("127.0.0.2", 6002)]
        assert reply.external_ip == IPv6Address("::1").packed
        assert Address("::1", 6881) in (await world.client(3).announce()).addresses()
    finally:
        await world.aclose()


async def test_the_long_form_has_peer_ids_unless_not_wanted(world: World) -> None:
    seed, leech = world.client(2), world.client(3)
    await seed.announce(left=0)
    body = bencode.decode(await leech.raw_announce(compact=False))
    assert body[b"peers"] == [{b"ip": b"127.0.0.2", b"port": 6002, b"peer id": bytes(seed.me)}]
    body = bencode.decode(await leech.raw_announce(compact=False, no_peer_id=True))
    assert body[b"peers"] == [{b"ip": b"127.0.0.2", b"port": 6002}]


async def test_numwant_is_capped(world: World) -> None:
    crowd = world.client(2)
    for port in range(1, 301):
        await crowd.announce(port=port)
    asker = world.client(3)
    assert len((await asker.announce()).addresses()) == 50
    assert len((await asker.announce(numwant=10)).addresses()) == 10
    assert len((await asker.announce(numwant=10**9)).addresses()) == 200


async def test_the_silent_are_forgotten(world: World) -> None:
    seed, leech = world.client(2), world.client(3)
    await seed.announce(left=0)
    world.clock.now += 2 * 1980
    assert (await leech.announce()).addresses() == [seed.address]
    world.clock.now += 10
    assert (await leech.announce()).addresses() == []


async def test_an_interval_of_one_second_works() -> None:
    world = await start(interval=1)
    try:
        reply = await world.client(2).announce()
        assert (reply.interval, reply.min_interval) == (1, 1)
    finally:
        await world.aclose()


async def test_a_claimed_address_is_ignored_unless_allowed() -> None:
    for allow, place in [(False, Address("127.0.0.2", 6881)), (True, Address("9.9.9.9", 6881))]:
        world = await start(allow_ip=allow)
        try:
            await world.client(2).body(f"/announce?{GOOD}&ip=9.9.9.9&ipv6=::1")
            reply = await world.client(3).announce(info_hash=InfoHash(b"h" * 20))
            assert reply.addresses() == [place]
        finally:
            await world.aclose()


async def test_a_forwarded_address_is_ignored_unless_the_proxy_is_trusted() -> None:
    for proxies, place in [("", "127.0.0.2"), ("127.0.0.2/32, ::1/128", "9.9.9.9")]:
        world = await start(trusted_proxy=proxies)
        try:
            headers = {
                "X-Forwarded-For": "6.6.6.6, 9.9.9.9",
                "X-Real-IP": "7.7.7.7",
                "Forwarded": "for=8.8.8.8",
            }
            await world.client(2).raw_announce(headers=headers)
            assert (await world.client(3).announce()).addresses() == [Address(place, 6002)]
        finally:
            await world.aclose()


async def test_scrape_counts_many_swarms(world: World) -> None:
    await world.client(2).announce(left=0)
    other = InfoHash(b"o" * 20)
    fetch = HttpFetch()
    try:
        reply = await scrape(fetch, world.service.url, [HASH, other])
        assert reply.swarms == {HASH: Counts(1, 0, 0), other: Counts(0, 0, 0)}
    finally:
        await fetch.aclose()


async def test_a_scrape_of_everything_is_refused(world: World) -> None:
    body = await world.client(2).body("/scrape")
    assert b"failure reason" in bencode.decode(body)
    many = Scrape([InfoHash(n.to_bytes(20, "big")) for n in range(MAX_SCRAPE)]).query()
    assert (
        len(bencode.decode(await world.client(2).body(f"/scrape?{many}"))[b"files"]) == MAX_SCRAPE
    )


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("", b"info_hash: missing"),
        ("?", b"info_hash: missing"),
        ("&&&===&", b"info_hash: missing"),
        (GOOD.replace("6881", "0"), b"port"),
        (GOOD.replace("6881", "+1"), b"port"),
        (GOOD.replace("6881", "1_000"), b"port"),
        (GOOD.replace("6881", "%D9%A3"), b"port"),
        (GOOD.replace("left=1", "left=-1"), b"left"),
        (GOOD.replace("left=1", "left=" + "9" * 4400), b"left"),
        (GOOD.replace("h" * 20, "%"), b"info_hash: a bad %-escape"),
        (GOOD.replace("h" * 20, "%zz" * 20), b"info_hash: a bad %-escape"),
        (GOOD + "&info_hash=" + "g" * 20, b"info_hash: given twice"),
        (GOOD + "&event=%00%0d%0aevil", b"event"),
        (GOOD + "&numwant=%F0%9F%92%A9", b"numwant"),
        (GOOD + "&numwant=-2", b"numwant"),
        (GOOD + "&compact=yes", b"compact"),
    ],
)
async def test_a_bad_question_gets_its_failure_reason(
    world: World, query: str, complaint: bytes
) -> None:
    client = world.client(2)
    body = bencode.decode(await client.body(f"/announce?{query}"))
    assert list(body) == [b"failure reason"]
    assert body[b"failure reason"].startswith(complaint)
    assert (await client.announce()).addresses() == []


async def test_a_query_that_is_too_long_gets_its_failure_reason(world: World) -> None:
    client = world.client(2)
    for path in ("/announce?x=" + "x" * 9000, "/" + "y" * 100_000, "/scrape?" + "z" * 1_000_000):
        assert b"too long" in bencode.decode(await client.body(path))[b"failure reason"]


NOT_HTTP = [
    b"\x13BitTorrent protocol" + bytes(48),
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
    b"GET\r\n\r\n",
    b"GET /announce HTTP/9.9\r\n\r\n",
    b"\r\n\r\n\0\0\0\r\n\r\n",
    b"GET /announce HTTP/1.1\r\nHost: a\r\nbroken header\r\n\r\n",
    b"GET /announce HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET /announce HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    b"GET /announce HTTP/1.1\r\n" + b"".join(b"H%d: x\r\n" % n for n in range(10_000)) + b"\r\n",
    b"GET /announce HTTP/1.1\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
]


@pytest.mark.parametrize("request_bytes", NOT_HTTP, ids=lambda request: repr(request[:30]))
async def test_what_is_not_http_is_answered_shortly_and_closed(
    world: World, request_bytes: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await world.raw(request_bytes)
    assert answer == b"" or answer.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400", b"HTTP/1.0 200"))
    assert not caplog.records
    assert (await world.client(2).announce()).addresses() == []


ODD_TARGETS = [
    b"/announce?info_hash=\xff\xfe\x80",
    b"/announce?" + GOOD.encode() + b"#fragment",
    b"/announce/../stats",
    b"/t/..%2f..%2fetc%2fpasswd",
    b"/t/../../../../etc/passwd",
    b"/t/%00.torrent",
    b"/t/%ff%fe.torrent",
    b"/t/\xff\xfe.torrent",
    b"/t/%2e%2e/x.torrent",
    b"//announce",
    b"/%61nnounce",
    b"*",
    b"announce",
    b"http://other.example/announce?" + GOOD.encode(),
    b"http://[::1/announce",
    b"http://\xff/announce",
    b"/announce?%",
    b"/scrape?info_hash=%%%",
    b"/?<script>alert(1)</script>",
]


@pytest.mark.parametrize("target", ODD_TARGETS, ids=repr)
@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"POST", b"OPTIONS"])
async def test_an_odd_target_is_never_our_fault(
    world: World, method: bytes, target: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await world.raw(
        method + b" " + target + b" HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
    )
    status = int(answer.split(b" ", 2)[1])
    assert status in ({200, 400, 404} if method in (b"GET", b"HEAD") else {400, 405})
    assert b"root:" not in answer
    assert not caplog.records


async def test_a_whole_url_as_target_is_the_path_in_it(world: World) -> None:
    target = f"http://other.example/announce?{GOOD}"
    answer = await world.raw(
        f"GET {target} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n".encode()
    )
    assert b"8:interval" in answer


async def test_health_and_stats(world: World) -> None:
    client = world.client(2)
    assert await client.body("/health") == b"ok\n"
    await client.announce(left=0)
    await client.body("/announce?bad")
    await client.body("/scrape?info_hash=" + "h" * 20)
    stats = json.loads(await client.body("/stats"))
    expected = {
        "swarms": 1,
        "peers": 1,
        "seeds": 1,
        "leechers": 0,
        "announces": 1,
        "scrapes": 1,
        "refused": 1,
    }
    assert expected.items() <= stats.items()


async def test_stats_forget_the_silent_too(world: World) -> None:
    client = world.client(2)
    await client.announce()
    world.clock.now += 10_000
    assert json.loads(await client.body("/stats"))["peers"] == 0


async def test_the_front_page_is_for_people(world: World) -> None:
    status, body, kind = await world.client(2).get("/")
    assert (status, kind) == (200, "text/html; charset=utf-8")
    assert world.service.url in body.decode()


async def test_the_folders_torrents_are_hosted(world: World, tmp_path: Path) -> None:
    (tmp_path / "two words & <b>.torrent").write_bytes(torrent())
    client = world.client(2)
    page = (await client.body("/t/")).decode()
    assert "two words &amp; &lt;b&gt;.torrent" in page
    assert "4.9 KiB" in page
    (link,) = re.findall(r'href="(/t/[^"]+)"', page)
    status, body, kind = await client.get(link)
    assert (status, body, kind) == (200, torrent(), "application/x-bittorrent")
    (tmp_path / "two words & <b>.torrent").unlink()
    assert (await client.get(link))[0] == 404
    assert "No torrents" in (await client.body("/t/")).decode()


async def test_the_index_counts_the_swarms(world: World) -> None:
    world.service.host("one", torrent())
    raw = bencode.encode(bencode.decode(torrent())[b"info"])
    info_hash = InfoHash(sha1(raw, usedforsecurity=False).digest())
    await world.client(2).announce(info_hash=info_hash, left=0)
    await world.client(3).announce(info_hash=info_hash)
    page = (await world.client(4).body("/t/")).decode()
    assert "<td>4.9 KiB</td><td>1</td><td>1</td><td>1</td><td>0</td>" in page


async def test_a_torrent_can_be_hosted_from_memory(world: World) -> None:
    url = world.service.host("Film: é", torrent())
    assert url == f"http://127.0.0.1:{world.service.port}/t/Film%3A%20%C3%A9.torrent"
    status, body, _ = await world.client(2).get(URL(url).raw_path)
    assert (status, body) == (200, torrent())


async def test_only_torrents_are_hosted(world: World) -> None:
    with pytest.raises(MetainfoError):
        world.service.host("x", b"de")
    for name in ("../x", "a/b", "a\0b", "a\nb"):
        with pytest.raises(ValueError, match="cannot be the name"):
            world.service.host(name, torrent())


async def test_a_named_port_that_is_taken_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        service = TrackerService(TrackerSettings(host="127.0.0.1", port=other.getsockname()[1]))
        with pytest.raises(PortTakenError, match="taken"):
            await service.start()
    await service.aclose()


async def test_the_default_port_gives_the_next_free_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        monkeypatch.setattr("tracker.listening.DEFAULT_PORT", taken)
        service = TrackerService(TrackerSettings(host="127.0.0.1"))
        await service.start()
        try:
            assert taken < service.port < taken + 100
        finally:
            await service.aclose()
            await service.aclose()


async def test_a_host_that_is_not_ours_is_an_error() -> None:
    service = TrackerService(TrackerSettings(host="203.0.113.1", port=0))
    with pytest.raises(HostError, match=r"cannot listen on 203.0.113.1 port 0: [A-Z]"):
        await service.start()


async def test_the_url_names_an_address_that_others_can_use() -> None:
    service = TrackerService(TrackerSettings(port=0))
    await service.start()
    try:
        assert service.url == f"http://{own_address()}:{service.port}/announce"
    finally:
        await service.aclose()


async def test_ipv6_peers_come_as_peers6(world: World) -> None:
    service = TrackerService(TrackerSettings(host="::", port=0))
    try:
        await service.start()
    except HostError:
        pytest.skip("this machine has no IPv6")
    try:
        async with aiohttp.ClientSession() as session:
            six = URL(f"http://[::1]:{service.port}/announce?{GOOD}", encoded=True)
            async with session.get(six) as response:
                assert bencode.decode(await response.read())[b"external ip"] == bytes(15) + b"\1"
            four = f"http://127.0.0.1:{service.port}/announce?{GOOD}&compact=1"
            async with session.get(URL(four, encoded=True)) as response:
                body = bencode.decode(await response.read())
            assert body[b"external ip"] == b"\x7f\0\0\1"
            assert body[b"peers6"] == bytes(15) + b"\1" + (6881).to_bytes(2, "big")
    finally:
        await service.aclose()


async def test_a_refusal_reaches_our_client_as_a_tracker_error(world: World) -> None:
    with pytest.raises(TrackerError, match=r"^port: 0 is not from 1 to 65535$"):
        await world.client(2).announce(port=0)


@pytest.mark.parametrize(
    ("ours", "told"),
    [(["fd00::1", "10.9.0.1"], "10.9.0.1"), (["fd00::1"], "fd00::1"), ([], "127.0.0.1")],
)
def test_a_machine_without_a_way_into_the_world_is_in_its_network(
    ours: list[str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Nowhere(socket.socket):
        def connect(self, address: object) -> None:
            raise OSError("Network is unreachable")

    monkeypatch.setattr(listening.socket, "socket", Nowhere)
    monkeypatch.setattr(listening, "own_addresses", lambda _: ours)
    assert own_address() == told
