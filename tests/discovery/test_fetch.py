"""Our client as HTTP client, against a server that says exactly what it should not."""

import asyncio
import errno
import gzip
import socket
import ssl
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from p2pswarm.discovery import client as room
from p2pswarm.discovery.client import in_words
from p2pswarm.discovery.families import NoAddressError
from p2pswarm.discovery.fetch import HttpFetch
from p2pswarm.errors import TrackerError
from p2pswarm.formats.zones import Zone, zone_of
from tests.support.patience import PATIENCE

Answer = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]
INTERNET, HERE = (
    "127.0.0.77",
    "127.0.0.1",
)  # both are this machine; the tests take the first for far away


def ok(body: bytes, *headers: bytes) -> bytes:
    lines = [b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def to(location: bytes, status: bytes = b"302 Found") -> bytes:
    return b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nLocation: " + location + b"\r\n\r\n"


class Server:
    """Answers by path; an answer is bytes, or a coroutine that writes what it likes."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.heads: list[str] = []
        self.open = self.most = 0
        self.hold, self.fifty = asyncio.Event(), asyncio.Event()
        self.hold.set()
        self._servers: list[asyncio.Server] = []

    async def start(self) -> None:
        self._servers.append(await asyncio.start_server(self._serve, HERE, 0))
        self.port = self._servers[0].sockets[0].getsockname()[1]
        self._servers.append(await asyncio.start_server(self._serve, INTERNET, self.port))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.heads.append(head)
            if len(self.heads) == 50:
                self.fifty.set()
            self.open += 1
            self.most = max(self.most, self.open)
            await self.hold.wait()
            answer = self.answers.get(head.split(" ")[1], b"HTTP/1.1 404 Not Found\r\n\r\n")
            if isinstance(answer, bytes):
                writer.write(answer)
            else:
                await answer(writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            writer.close()

    async def aclose(self) -> None:
        for server in self._servers:
            server.close()

    def url(self, path: str, host: str = HERE) -> str:
        return f"http://{host}:{self.port}{path}"


class Names(AbstractResolver):
    """A name server of our own, which counts and may change its mind."""

    def __init__(self, **answers: list[str]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        known = self.answers[host.partition(".")[0]]
        families = {socket.AF_INET: [4], socket.AF_INET6: [6]}.get(family, [4, 6])
        places = [each for each in known if ip_address(each).version in families]
        if not places:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            ResolveResult(
                hostname=host, host=place, port=port, family=socket.AF_INET, proto=0, flags=0
            )
            for place in places
        ]

    async def close(self) -> None:
        pass


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    await server.start()
    yield server
    await server.aclose()


@pytest.fixture
async def names() -> Names:
    return Names(far=[INTERNET], near=[HERE], mixed=[INTERNET, HERE], nowhere=[])


@pytest.fixture
async def fetch(names: Names, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[HttpFetch]:
    real = room.zone_of
    monkeypatch.setattr(room, "zone_of", lambda ip: Zone.INTERNET if ip == INTERNET else real(ip))
    fetch = HttpFetch(names)
    yield fetch
    await fetch.aclose()
    await fetch.aclose()


@pytest.mark.parametrize(
    ("ip", "zone"),
    [
        ("1.1.1.1", Zone.INTERNET),
        ("2606:4700::1", Zone.INTERNET),
        ("10.0.0.1", Zone.LOCAL_NETWORK),
        ("192.168.1.1", Zone.LOCAL_NETWORK),
        ("172.16.0.1", Zone.LOCAL_NETWORK),
        ("169.254.169.254", Zone.LOCAL_NETWORK),
        ("100.64.0.1", Zone.LOCAL_NETWORK),
        ("fe80::1", Zone.LOCAL_NETWORK),
        ("fd00::1", Zone.LOCAL_NETWORK),
        ("127.0.0.1", Zone.THIS_MACHINE),
        ("127.8.8.8", Zone.THIS_MACHINE),
        ("::1", Zone.THIS_MACHINE),
        ("0.0.0.0", Zone.THIS_MACHINE),
        ("::", Zone.THIS_MACHINE),
        ("::ffff:127.0.0.1", Zone.THIS_MACHINE),
        ("::ffff:10.0.0.1", Zone.LOCAL_NETWORK),
    ],
)
def test_how_near_an_address_is(ip: str, zone: Zone) -> None:
    assert zone_of(ip) is zone


async def test_an_answer_comes_as_it_is(server: Server, fetch: HttpFetch) -> None:
    path = "/announce?info_hash=%00%fF%2f&x=+~%7E"
    server.answers[path] = ok(b"d8:intervali5ee")
    assert await fetch(server.url(path), 5) == b"d8:intervali5ee"
    assert server.heads[0].startswith(f"GET {path} HTTP/1.1\r\n")


async def test_what_we_say_about_ourselves(server: Server, fetch: HttpFetch) -> None:
    server.answers["/announce"] = ok(b"x", b"Set-Cookie: a=b; Path=/")
    await fetch(server.url("/announce"), 5)
    await fetch(server.url("/announce"), 5)
    assert "User-Agent: p2pswarm/0.1\r\n" in server.heads[1]
    assert "Accept-Encoding: gzip\r\n" in server.heads[1]
    assert "ookie" not in server.heads[1]


async def test_the_environments_proxy_is_not_used(
    server: Server, fetch: HttpFetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    server.answers["/announce"] = ok(b"x")
    assert await fetch(server.url("/announce"), 5) == b"x"


async def test_it_asks_from_the_address_it_is_bound_to(server: Server) -> None:
    seen: list[str] = []

    async def look(writer: asyncio.StreamWriter) -> None:
        seen.append(writer.get_extra_info("peername")[0])
        writer.write(ok(b"x"))

    server.answers["/announce"] = look
    fetch = HttpFetch(hosts=("127.0.0.9",))
    await fetch(server.url("/announce"), 5)
    await fetch.aclose()
    assert seen == ["127.0.0.9"]


async def test_only_the_named_family_is_asked(server: Server, names: Names) -> None:
    server.answers["/announce"] = ok(b"x")
    names.answers["both"] = ["::1", HERE]
    fetch = HttpFetch(names)
    assert await fetch(server.url("/announce", "both.example"), 5, socket.AF_INET) == b"x"
    for host in ("near.example", HERE, "nowhere.example"):
        with pytest.raises(NoAddressError, match="cannot be reached"):
            await fetch(server.url("/announce", host), 5, socket.AF_INET6)
    await fetch.aclose()


@pytest.mark.parametrize("bound", [(HERE,), (HERE, "::1")])
async def test_a_host_is_asked_at_an_address_that_fits_ours(
    server: Server, names: Names, bound: tuple[str, ...]
) -> None:
    server.answers["/announce"] = ok(b"x")
    names.answers["both"] = [HERE, "::1"]
    names.answers["other"] = ["::1"]
    fetch = HttpFetch(names, hosts=bound)
    assert await fetch(server.url("/announce", "both.example"), 5) == b"x"
    with pytest.raises(TrackerError, match="cannot be reached"):
        await fetch(server.url("/announce", "other.example"), 5)
    await fetch.aclose()


@pytest.mark.parametrize(
    "answer",
    [
        ok(gzip.compress(b"hello"), b"Content-Encoding: gzip"),
        ok(gzip.compress(b"hello"), b"Content-Encoding: X-GZip"),
        ok(zlib.compress(b"hello"), b"Content-Encoding: deflate"),
        ok(b"hello", b"Content-Encoding: identity"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nhello",
        b"HTTP/1.1 200 Whatever\r\nConnection: close\r\n\r\nhello",
    ],
)
async def test_honest_answers_of_every_kind(
    server: Server, fetch: HttpFetch, answer: bytes
) -> None:
    server.answers["/announce"] = answer
    assert await fetch(server.url("/announce"), 5) == b"hello"


async def _endless_body(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


async def _endless_chunks(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        await writer.drain()


async def _endless_header(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X: " + b"y" * 1000 + b"\r\n")
        await writer.drain()


async def _silence(writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def _stops_halfway(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
    await asyncio.Event().wait()


async def _drips(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    for _ in range(100):
        writer.write(b"x")
        await asyncio.sleep(0.01)


async def _resets(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


BOMB = zlib.compressobj(9, zlib.DEFLATED, 31)
BOMB_BODY = b"".join(BOMB.compress(bytes(1 << 20)) for _ in range(200)) + BOMB.flush()

LIES: dict[str, tuple[Answer, str]] = {
    "not found": (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "HTTP status 404"),
    "broken inside": (b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops", "HTTP status 500"),
    "partial": (b"HTTP/1.1 206 Partial\r\nContent-Length: 1\r\n\r\nx", "HTTP status 206"),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", "HTTP status 204"),
    "login please": (b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\n\r\n", "HTTP status 401"),
    "a status in colour": (b"HTTP/1.1 418 \x1b[31mteapot\r\n\r\n", r"HTTP status 418|proper HTTP"),
    "not http": (b"SSH-2.0-OpenSSH_9.2\r\n", "proper HTTP"),
    "http 0.9": (b"d8:intervali5ee", "proper HTTP"),
    "ftp": (b"220 welcome\r\n", "proper HTTP"),
    "binary": (bytes(range(256)), "proper HTTP|without an answer"),
    "nothing": (b"", "without an answer"),
    "reset": (_resets, "without an answer|cannot be reached"),
    "length below zero": (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello", "proper HTTP"),
    "length of words": (b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello", "proper HTTP"),
    "two lengths": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 9\r\n\r\nhello",
        "proper HTTP|no answer",
    ),
    "too short": (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello", "proper HTTP"),
    "bad chunks": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello",
        "proper HTTP",
    ),
    "chunks cut off": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        "proper HTTP",
    ),
    "a header of a megabyte": (ok(b"x", b"X: " + b"y" * (1 << 20)), "proper HTTP"),
    "a gigabyte announced": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n",
        "proper HTTP",
    ),
    "two megabytes": (ok(bytes(2 << 20)), "more than 1048576 bytes"),
    "an endless body": (_endless_body, "more than 1048576 bytes"),
    "endless chunks": (_endless_chunks, "more than 1048576 bytes"),
    "endless headers": (_endless_header, "proper HTTP|no answer"),
    "a gzip bomb": (ok(BOMB_BODY, b"Content-Encoding: gzip"), "more than 1048576 bytes"),
    "gzip that is none": (ok(b"hello", b"Content-Encoding: gzip"), "not the gzip"),
    "half a gzip": (ok(gzip.compress(b"hello")[:-9], b"Content-Encoding: gzip"), "cut short"),
    "brotli": (ok(b"\x8b\x02\x80hello\x03", b"Content-Encoding: br"), "not asked for"),
    "gzip of gzip": (ok(gzip.compress(b"x"), b"Content-Encoding: gzip, gzip"), "not asked for"),
    "silence": (_silence, r"no answer within 0.3 s"),
    "half an answer": (_stops_halfway, r"no answer within 0.3 s"),
    "a drip": (_drips, r"no answer within 0.3 s"),
    "a loop": (to(b"/announce"), "more than 3 times"),
    "a redirect to nowhere": (
        b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n",
        "more than 3 times",
    ),
    "a redirect to a file": (to(b"file:///etc/passwd"), "not an http or https URL"),
    "a redirect to gopher": (to(b"gopher://127.0.0.1:70/x"), "not an http or https URL"),
    "a redirect to ftp": (to(b"ftp://127.0.0.1/x"), "not an http or https URL"),
    "a redirect to js": (to(b"javascript:alert(1)"), "not an http or https URL"),
    "a redirect to a wild port": (to(b"http://127.0.0.1:99999/announce"), "not a"),
    "a redirect to junk": (to(b"http://[::1/announce"), "not a"),
    "a redirect with blanks": (to(b"/announce x"), "not a URL"),
    "a redirect in latin": (to(b"/announce\xe9"), "not a URL"),
    "a redirect to a closed port": (to(b"http://127.0.0.1:1/announce"), "cannot be reached"),
    "a redirect elsewhere on this machine": (to(b"/admin"), "must have a path"),
    "a decimal host": (to(b"http://2130706433/announce"), "not a URL"),
    "a short host": (to(b"http://127.1/announce"), "not a URL"),
    "an octal host": (to(b"http://0177.0.0.1/announce"), "not a URL"),
}


@pytest.mark.parametrize("lie", LIES)
async def test_every_lie_is_a_tracker_error(server: Server, fetch: HttpFetch, lie: str) -> None:
    server.answers["/announce"], text = LIES[lie]
    with pytest.raises(TrackerError, match=text) as caught:
        await fetch(server.url("/announce"), 0.3 if "0.3" in text or "no answer" in text else 5)
    assert str(caught.value).isprintable()
    assert len(server.heads) <= 4


async def test_a_gzip_bomb_costs_little_memory(server: Server, fetch: HttpFetch) -> None:
    server.answers["/announce"] = ok(BOMB_BODY, b"Content-Encoding: gzip")
    tracemalloc.start()
    try:
        with pytest.raises(TrackerError, match="more than"):
            await fetch(server.url("/announce"), 5)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20


@pytest.mark.parametrize("status", [b"301 x", b"302 x", b"303 x", b"307 x", b"308 x"])
async def test_three_redirects_are_followed(
    server: Server, fetch: HttpFetch, status: bytes
) -> None:
    server.answers["/announce"] = to(b"/announce/2", status)
    server.answers["/announce/2"] = to(server.url("/announce/3").encode(), status)
    server.answers["/announce/3"] = to(b"4?q=%20", status)
    server.answers["/announce/4?q=%20"] = ok(b"there")
    assert await fetch(server.url("/announce"), 5) == b"there"
    server.answers["/announce/4?q=%20"] = to(b"/announce/5")
    with pytest.raises(TrackerError, match="more than 3 times"):
        await fetch(server.url("/announce"), 5)


@pytest.mark.parametrize(
    "target", [f"http://{HERE}", "http://near.example", "http://mixed.example"]
)
async def test_nobody_far_away_sends_us_into_the_local_network(
    server: Server, fetch: HttpFetch, target: str
) -> None:
    server.answers["/announce"] = to(f"{target}:{server.port}/announce/inside".encode())
    server.answers["/announce/inside"] = ok(b"secret")
    for start in (INTERNET, "far.example"):
        with pytest.raises(TrackerError, match="nearer network"):
            await fetch(server.url("/announce", start), 5)
    assert not any("inside" in head for head in server.heads)


@pytest.mark.parametrize(("host", "far"), [("far.example", True), ("near.example", False)])
async def test_whether_somebody_far_said_it(
    server: Server, fetch: HttpFetch, host: str, *, far: bool
) -> None:
    server.answers["/announce"] = ok(b"de")
    body = await fetch(server.url("/announce", host), 5)
    assert (body, body.far) == (b"de", far)


async def test_a_name_that_is_both_far_and_near_counts_as_the_worse(
    server: Server, fetch: HttpFetch
) -> None:
    server.answers["/announce"] = to(f"http://{HERE}:{server.port}/announce/2".encode())
    with pytest.raises(TrackerError, match="nearer network"):
        await fetch(server.url("/announce", "mixed.example"), 5)
    with pytest.raises(TrackerError, match="must have a path"):
        await fetch(server.url("/admin", "mixed.example"), 5)


async def test_from_near_to_far_is_fine(server: Server, fetch: HttpFetch) -> None:
    server.answers["/announce"] = to(server.url("/announce/2", "far.example").encode())
    server.answers["/announce/2"] = ok(b"far")
    assert await fetch(server.url("/announce"), 5) == b"far"


async def test_on_this_machine_only_trackers_are_asked(server: Server, fetch: HttpFetch) -> None:
    for path in ("/", "/admin?announce", "/x/announce"):
        with pytest.raises(TrackerError, match="begins with /announce"):
            await fetch(server.url(path), 5)
    assert server.heads == []
    server.answers["/t/x.torrent"] = ok(b"torrent")
    assert await fetch.get(server.url("/t/x.torrent")) == b"torrent"


async def test_a_name_is_looked_up_once_per_request(
    server: Server, fetch: HttpFetch, names: Names
) -> None:
    server.answers["/announce"] = ok(b"x")
    await fetch(server.url("/announce", "far.example"), 5)
    assert names.asked == ["far.example"]
    names.answers["far"] = [HERE]
    await fetch(server.url("/announce", "far.example"), 5)
    assert names.asked == ["far.example"] * 2


async def test_an_unknown_name_is_said_so(server: Server, fetch: HttpFetch) -> None:
    with pytest.raises(TrackerError, match="cannot be reached: Name or service not known"):
        await fetch(server.url("/announce", "nowhere.example"), 5)


async def test_localhost_is_known_without_a_resolver_of_ours(server: Server) -> None:
    fetch = HttpFetch()
    server.answers["/announce"] = ok(b"x")
    assert await fetch(server.url("/announce", "localhost"), 5) == b"x"
    await fetch.aclose()


async def test_a_certificate_that_nobody_vouches_for_is_refused(fetch: HttpFetch) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Path(__file__).with_name("selfsigned.pem"))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pytest.fail("the handshake went through")

    server = await asyncio.start_server(serve, HERE, 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(TrackerError, match=r"^the server's certificate is not valid for it$"):
        await fetch(f"https://{HERE}:{port}/announce", 5)
    server.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "announce",
        "udp://t:1/announce",
        "file:///etc/passwd",
        "gopher://t/announce",
        "http://",
        "http:///announce",
        "http://t:0/announce",
        "http://t:65536/announce",
        "http://t:http/announce",
        "http://[::1/announce",
        "http://t/announce\r\nX: y",
        "http://t/announce\0",
        "http://t/announce x",
        "http://tracké.example/announce",
        "http://\u0430pple.example/announce",
        "http://t/\u202eecnuonna",
        "http://2130706433/announce",
        "http://127.1/announce",
        "http://0x7f.1/announce",
        "http://" + "a" * 300 + ".example/announce",
        "http://..example/announce",
    ],
)
async def test_what_is_no_url_is_refused(fetch: HttpFetch, names: Names, url: str) -> None:
    names.answers = {"0x7f": [], "a" * 300: [], "": []}
    with pytest.raises(TrackerError) as caught:
        await fetch(url, 5)
    assert "passkey" not in str(caught.value)


async def test_an_error_does_not_tell_the_passkey(server: Server, fetch: HttpFetch) -> None:
    for host in (f"{HERE}:{server.port}", f"{HERE}:1", "nowhere.example"):
        with pytest.raises(TrackerError) as caught:
            await fetch(f"http://{host}/announce?passkey=s3cret", 5)
        assert "s3cret" not in str(caught.value)


async def test_fifty_requests_at_once_and_waiting_for_a_turn_is_not_counted(
    server: Server, fetch: HttpFetch
) -> None:
    server.answers["/announce"] = ok(b"x")
    server.hold.clear()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(60):
            tasks.create_task(fetch(server.url("/announce"), 15))
        async with asyncio.timeout(PATIENCE):
            await server.fifty.wait()
        server.hold.set()
    assert server.most <= 50
    assert len(server.heads) == 60


async def test_a_closed_client_opens_again(server: Server, fetch: HttpFetch) -> None:
    server.answers["/announce"] = ok(b"x")
    for _ in range(2):
        assert await fetch(server.url("/announce"), 5) == b"x"
        await fetch.aclose()


def test_a_closed_port_is_said_in_the_system_s_words() -> None:
    refused = OSError(errno.ECONNREFUSED, "Connect call failed ('127.0.0.1', 1)")
    key: Any = None
    said = in_words(aiohttp.ClientConnectorError(key, refused))
    assert said == "cannot be reached: Connection refused"
