"""Parts of files from web servers, honest and otherwise."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from p2pswarm.discovery import client as client_room, ranged as room
from p2pswarm.discovery.client import HttpClient
from p2pswarm.discovery.ranged import LEAST_GIVEN, LONGEST_REST, MOST_PER_HOST, Ranged
from p2pswarm.errors import BusyError, ChangedError, NetworkError, RefusedError
from p2pswarm.formats.webseeds import Known, Part
from p2pswarm.formats.zones import Zone
from p2pswarm.net.binding import EVERYWHERE
from tests.support.web import Ask, Head, WebServer, head, partial

DATA = bytes(range(256)) * 1000
SIZE = len(DATA)


@pytest.fixture
async def server() -> AsyncIterator[WebServer]:
    async with WebServer({"/file": DATA}) as server:
        yield server


@pytest.fixture
async def ranged() -> AsyncIterator[Ranged]:
    ranged = Ranged.opened(near=True, hosts=EVERYWHERE)
    yield ranged
    await ranged.aclose()


class Taker:
    """Takes what comes, and says when it has enough."""

    def __init__(self, enough: int = SIZE + 1) -> None:
        self.data = b""
        self.enough = enough
        self.gate = asyncio.Event()
        self.gate.set()

    def __call__(self, data: bytes) -> bool:
        self.data += data
        return len(self.data) < self.enough


def part(server: WebServer, start: int = 0, end: int = SIZE, path: str = "file") -> Part:
    return Part(server.url + path, 0, start, end, SIZE)


async def fetch(ranged: Ranged, wanted: Part, known: Known | None = None) -> bytes:
    taker = Taker()
    assert await ranged.fetch(wanted, known or Known(), taker, taker.gate)
    return taker.data


async def test_a_part_is_that_part(server: WebServer, ranged: Ranged) -> None:
    known = Known()
    assert await fetch(ranged, part(server, 1000, 90_000), known) == DATA[1000:90_000]
    assert server.asked[0].range == (1000, 90_000)
    assert server.asked[0].head["Accept-Encoding"] == "identity"
    assert known.ranges


async def test_a_connection_is_used_again(server: WebServer, ranged: Ranged) -> None:
    for start in range(0, 5000, 1000):
        await fetch(ranged, part(server, start, start + 1000))
    assert server.connections == 1


async def test_whoever_has_enough_gets_no_more(server: WebServer, ranged: Ranged) -> None:
    taker = Taker(enough=1)
    assert not await ranged.fetch(part(server), Known(), taker, taker.gate)
    assert len(taker.data) < SIZE


async def test_a_closed_gate_takes_time_from_nobody(server: WebServer) -> None:
    client = HttpClient(most=9)
    ranged = Ranged(client, near=True, patience=0.05)
    taker = Taker()
    taker.gate.clear()
    asyncio.get_running_loop().call_later(0.15, taker.gate.set)
    assert await ranged.fetch(part(server), Known(), taker, taker.gate)
    assert taker.data == DATA
    await ranged.aclose()


async def test_a_server_without_ranges_gives_the_whole(server: WebServer, ranged: Ranged) -> None:
    server.ranges = False
    known = Known()
    assert await fetch(ranged, part(server), known) == DATA
    assert known.ranges is None  # nothing is known: nobody needed a part
    assert await fetch(ranged, part(server, 200_000), known) == DATA[200_000:]
    assert known.ranges is False


async def test_much_is_not_read_for_nothing(
    server: WebServer, ranged: Ranged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MOST_FOR_NOTHING", 1000)
    server.ranges = False
    with pytest.raises(RefusedError, match="whole files only"):
        await fetch(ranged, part(server, SIZE - 100))


async def test_less_than_was_asked_for_is_asked_for_again(
    server: WebServer, ranged: Ranged
) -> None:
    async def little(ask: Ask, writer: asyncio.StreamWriter) -> bool:
        assert ask.range is not None
        writer.write(partial(DATA, ask.range[0], ask.range[0] + 100_000))
        return True

    server.say = little
    assert await fetch(ranged, part(server)) == DATA
    assert [ask.range and ask.range[0] for ask in server.asked] == [0, 100_000, 200_000]


BODY = DATA[:1000]
OK, PARTIAL = "200 OK", "206 Partial Content"
RANGE = f"bytes 0-999/{SIZE}"


@pytest.mark.parametrize(
    ("status", "headers", "kind", "text"),
    [
        ("404 Not Found", {}, RefusedError, "404"),
        ("403 Forbidden", {}, RefusedError, "403"),
        ("416 Range Not Satisfiable", {}, RefusedError, "416"),
        ("304 Not Modified", {"Content-Length": "0"}, RefusedError, "304"),
        ("500 Oh", {}, NetworkError, "500"),
        ("503 Full", {}, BusyError, "503"),
        ("429 Slow down", {}, BusyError, "429"),
        (OK, {"Content-Length": "1000"}, RefusedError, "has 1000 bytes"),
        (OK, {"Content-Encoding": "gzip"}, RefusedError, "packs"),
        (PARTIAL, {}, RefusedError, "no Content-Range"),
        (PARTIAL, {"Content-Range": f"bytes 1-1000/{SIZE}"}, RefusedError, "another part"),
        (PARTIAL, {"Content-Range": f"bytes 0-1999/{SIZE}"}, RefusedError, "another part"),
        (PARTIAL, {"Content-Range": "bytes 0-999/1000"}, RefusedError, "has 1000 bytes"),
        (PARTIAL, {"Content-Range": f"bytes 9-0/{SIZE}"}, RefusedError, "impossible"),
        (PARTIAL, {"Content-Range": RANGE, "Content-Length": "999"}, RefusedError, "999"),
        (PARTIAL, {"Content-Range": RANGE, "Content-Encoding": "br"}, RefusedError, "packs"),
        (
            PARTIAL,
            {"Content-Type": "multipart/byteranges; boundary=a"},
            RefusedError,
            "no Content-",
        ),
        ("302 Found", {"Location": "ftp://127.0.0.1/"}, RefusedError, "http"),
        ("302 Found", {"Location": "/file"}, RefusedError, "redirected more than 3"),
        ("302 Found", {"Location": "/file?order=66"}, RefusedError, "query"),
    ],
)
async def test_what_is_not_an_answer(
    server: WebServer,
    ranged: Ranged,
    status: str,
    headers: Head,
    kind: type[Exception],
    text: str,
) -> None:
    async def say(ask: Ask, writer: asyncio.StreamWriter) -> bool:
        writer.write(head(status, headers) + BODY[: int(headers.get("Content-Length", 1000))])
        writer.close()
        return True

    server.say = say
    with pytest.raises(kind, match=text) as caught:
        await fetch(ranged, part(server, 0, 1000))
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("7", 7),
        ("0", 1),
        ("99999999999999999999", None),
        ("1000000", LONGEST_REST),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 1),
        ("Wed, 21 Oct 2015 07:28:00", 1),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_REST),
        ("Mon, 01 Jan 99999999999999 00:00:00 GMT", None),
        ("Mon, 01 Jan 2020 00:00:00 +99999999999999", None),
    ],
)
def test_how_long_a_server_wants_rest(said: str, seconds: float | None) -> None:
    assert room._retry_after(said) == seconds


def test_a_date_to_come_is_so_many_seconds() -> None:
    then = datetime.now(UTC) + timedelta(seconds=100)
    assert room._retry_after(format_datetime(then, usegmt=True)) == pytest.approx(100, abs=2)


async def test_who_is_busy_says_for_how_long(server: WebServer, ranged: Ranged) -> None:
    async def say(ask: Ask, writer: asyncio.StreamWriter) -> bool:
        writer.write(head("503 Full", {"Retry-After": "120", "Content-Length": "0"}))
        return True

    server.say = say
    with pytest.raises(BusyError) as caught:
        await fetch(ranged, part(server))
    assert caught.value.retry_in == 120


async def test_another_version_of_a_file_is_told(server: WebServer, ranged: Ranged) -> None:
    known = Known()
    server.more = {"ETag": '"1"'}
    await fetch(ranged, part(server, 0, 1000), known)
    await fetch(ranged, part(server, 1000, 2000), known)
    server.more = {"ETag": '"2"'}
    with pytest.raises(ChangedError):
        await fetch(ranged, part(server, 2000, 3000), known)
    assert await fetch(ranged, part(server, 2000, 3000), known) == DATA[2000:3000]


async def test_hanging_up_in_the_middle(server: WebServer, ranged: Ranged) -> None:
    async def say(ask: Ask, writer: asyncio.StreamWriter) -> bool:
        writer.write(partial(DATA, 0, SIZE)[:50_000])
        writer.close()
        return True

    server.say = say
    with pytest.raises(NetworkError):
        await fetch(ranged, part(server))


async def test_more_than_was_said_is_not_taken(server: WebServer, ranged: Ranged) -> None:
    async def say(ask: Ask, writer: asyncio.StreamWriter) -> bool:
        answer = partial(DATA, 0, 1000, **{"Content-Length": "", "Transfer-Encoding": "chunked"})
        top = answer[: answer.index(b"\r\n\r\n") + 4]
        writer.write(top + b"1000\r\n" + DATA[:4096] + b"\r\n")  # and no end
        return True

    server.say = say
    assert await fetch(ranged, part(server, 0, 1000)) == DATA[:1000]


@pytest.mark.parametrize("begins", [False, True])
async def test_silence_ends(server: WebServer, begins: bool) -> None:
    async def say(ask: Ask, writer: asyncio.StreamWriter) -> bool:
        if begins:
            writer.write(partial(DATA, 0, SIZE)[:1000])
        return True

    server.say = say
    ranged = Ranged(HttpClient(hosts=EVERYWHERE, most=9), near=True, patience=0.1)
    with pytest.raises(NetworkError, match=r"no answer within 0.1 s"):
        await fetch(ranged, part(server))
    await ranged.aclose()


def test_dripping_is_not_giving() -> None:
    pace = room._Pace(20)
    for _ in range(19):
        pace.waited(1, 100)
    with pytest.raises(NetworkError, match="next to nothing"):
        pace.waited(1, 100)
    pace = room._Pace(20)
    for _ in range(1000):
        pace.waited(1, 1024)


async def test_a_server_is_not_asked_by_all_at_once(server: WebServer, ranged: Ranged) -> None:
    takers = [Taker() for _ in range(MOST_PER_HOST)]
    for taker in takers:
        taker.gate.clear()
    asks = [
        asyncio.ensure_future(ranged.fetch(part(server), Known(), taker, taker.gate))
        for taker in takers
    ]
    while len(server.asked) < MOST_PER_HOST:
        await asyncio.sleep(0)
    with pytest.raises(BusyError, match="others of our torrents"):
        await fetch(ranged, part(server))
    for taker in takers:
        taker.gate.set()
    assert await asyncio.gather(*asks) == [True] * MOST_PER_HOST
    assert await fetch(ranged, part(server)) == DATA


async def test_our_own_network_is_for_torrents_from_there(server: WebServer) -> None:
    ranged = Ranged.opened(near=False, hosts=EVERYWHERE)
    for url in (server.url, f"http://localhost:{server.port}/", f"http://[::1]:{server.port}/"):
        with pytest.raises(RefusedError, match="our own network"):
            await fetch(ranged, Part(url + "file", 0, 0, SIZE, SIZE))
    assert not server.connections
    await ranged.aclose()


async def test_nobody_outside_sends_us_into_it(
    server: WebServer, ranged: Ranged, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even for a torrent that may: here 127.0.0.77 is taken for the Internet."""

    def zone(host: str) -> Zone:
        return Zone.INTERNET if host == "127.0.0.77" else Zone.THIS_MACHINE

    monkeypatch.setattr(client_room, "zone_of", zone)
    async with WebServer({}, host="127.0.0.77") as far:
        there = {"Location": server.url + "file", "Content-Length": "0"}

        async def say(ask: Ask, writer: asyncio.StreamWriter) -> bool:
            writer.write(head("302 Found", there))
            return True

        far.say = say
        with pytest.raises(RefusedError, match="nearer network"):
            await fetch(ranged, part(far))
        assert not server.connections
        there["Location"] = far.url + "file"
        with pytest.raises(RefusedError, match="more than 3"):
            await fetch(ranged, part(far))


async def test_a_redirect_is_followed_with_the_range(server: WebServer, ranged: Ranged) -> None:
    async def say(ask: Ask, writer: asyncio.StreamWriter) -> bool:
        if ask.path == "/file":
            return False
        writer.write(head("307 There", {"Location": "/file", "Content-Length": "0"}))
        return True

    server.say = say
    assert await fetch(ranged, part(server, 7, 99, "old")) == DATA[7:99]


@pytest.mark.parametrize("url", ["http://", "http://a b/", "http://127.1/", "http://0x7f.1/", "x"])
async def test_what_is_no_url_is_refused(ranged: Ranged, url: str) -> None:
    with pytest.raises((RefusedError, NetworkError)):
        await fetch(ranged, Part(url, 0, 0, SIZE, SIZE))


@pytest.mark.parametrize("size", [1, LEAST_GIVEN - 1, LEAST_GIVEN])
async def test_a_byte_for_each_request_is_too_few(
    server: WebServer, ranged: Ranged, size: int
) -> None:
    """A near server could have thousands of requests a second made for that, for ever."""

    async def say(ask: Ask, writer: asyncio.StreamWriter) -> bool:
        assert ask.range is not None
        start, end = ask.range
        writer.write(partial(DATA, start, min(start + size, end)))
        return True

    server.say = say
    if size == LEAST_GIVEN:
        assert await fetch(ranged, part(server)) == DATA
        return
    with pytest.raises(RefusedError, match="bytes at a time"):
        await fetch(ranged, part(server))
    assert len(server.asked) == 1
