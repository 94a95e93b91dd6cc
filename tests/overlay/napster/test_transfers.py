"""Downloads and uploads in every direction, byte by byte; the server and the other client are scripted."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import md5
from pathlib import Path
from typing import ClassVar

import pytest

from p2pswarm.errors import BusyError, NetworkError
from p2pswarm.formats.ids import Address
from p2pswarm.overlay import talk
from p2pswarm.overlay.napster import downloads, uploads
from p2pswarm.overlay.napster.client import Napster
from p2pswarm.overlay.query import Hit
from p2pswarm.wire.napster import torrent_name
from tests.support.scripted_napster import PATIENCE, Guest, Server, client, number_of

DATA = os.urandom(700_000)
NAME = r"Music\song.mp3"
OTHER = "127.0.0.3"
HIT = Hit(NAME, len(DATA), "napster", nick="bob")
ZEROS = "0" * 32


@pytest.fixture
def share(tmp_path: Path) -> Path:
    folder = tmp_path / "Music"
    folder.mkdir()
    (folder / "song.mp3").write_bytes(DATA)
    return folder


class Raw:
    """Another client, as a socket."""

    everybody: ClassVar[list["Raw"]] = []

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.everybody.append(self)

    @classmethod
    async def dial(cls, network: Napster, host: str = OTHER) -> "Raw":
        port = network._tools.port
        return cls(*await asyncio.open_connection(port.host, port.number, local_addr=(host, 0)))

    async def hear(self, count: int) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self.reader.readexactly(count)

    async def rest(self) -> bytes:
        """All that comes until the other side hangs up."""
        heard = b""
        async with asyncio.timeout(PATIENCE):
            try:
                while more := await self.reader.read(1 << 20):
                    heard += more
            except ConnectionResetError:
                pass
        return heard

    def say(self, *data: bytes) -> None:
        self.writer.writelines(data)


@pytest.fixture(autouse=True)
async def hang_up() -> AsyncIterator[None]:
    yield
    for raw in Raw.everybody:
        raw.writer.close()
    Raw.everybody.clear()


@asynccontextmanager
async def listening(host: str = OTHER) -> AsyncIterator[tuple[Address, asyncio.Queue[Raw]]]:
    """Another client that can be dialed."""
    came: asyncio.Queue[Raw] = asyncio.Queue()
    here: list[Raw] = []

    def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        here.append(Raw(reader, writer))
        came.put_nowait(here[-1])

    server = await asyncio.start_server(welcome, host, 0)
    try:
        yield Address(host, server.sockets[0].getsockname()[1]), came
    finally:
        server.close()
        for raw in here:
            raw.writer.close()
        await server.wait_closed()


async def joined(network: Napster, server: Server) -> Guest:
    joining = asyncio.ensure_future(network.join())
    guest = await server.member()
    await joining
    return guest


def fetching(
    network: Napster, into: bytearray, offset: int = 0, hit: Hit = HIT, enough: int = 1 << 40
) -> "asyncio.Future[int]":
    def sink(data: bytes) -> bool:
        into.extend(data)
        return len(into) < enough

    return asyncio.ensure_future(network.fetch(hit, offset, sink))


async def agreed(guest: Guest, place: Address | None, name: str = NAME) -> None:
    """The server answers a 203: there, or (None) behind a firewall."""
    assert await guest.hear(203) == f'bob "{name}"'
    ip, port = (number_of(place.host), place.port) if place else (number_of(OTHER), 0)
    guest.say(204, f'bob {ip} {port} "{name}" {ZEROS} 4')


# We dial and fetch


async def test_a_file_is_fetched_from_who_can_be_dialed() -> None:
    async with Server() as server, client(server.address, nick="alice") as network:
        guest = await joined(network, server)
        async with listening() as (place, came):
            got = bytearray()
            fetch = fetching(network, got)
            await agreed(guest, place)
            bob = await came.get()
            bob.say(b"1")
            head = f'GETalice "{NAME}" 0'.encode()
            assert await bob.hear(len(head)) == head
            bob.say(b"%d" % len(DATA), DATA)
            assert await fetch == len(got) == len(DATA)
            assert got == DATA
            assert await bob.rest() == b""
            assert [(n, t) for n, t in guest.log if n in (218, 219)] == []
            await guest.hear(219)
            assert [number for number, _ in guest.log[-2:]] == [218, 219]


async def test_a_fetch_goes_on_at_an_offset() -> None:
    async with Server() as server, client(server.address, nick="alice") as network:
        guest = await joined(network, server)
        async with listening() as (place, came):
            got = bytearray()
            fetch = fetching(network, got, offset=600_000)
            await agreed(guest, place)
            bob = await came.get()
            bob.say(b"1")
            head = f'GETalice "{NAME}" 600000'.encode()
            assert await bob.hear(len(head)) == head
            bob.say(b"700000", DATA[600_000:])
            assert await fetch == 100_000
            assert got == DATA[600_000:]


async def test_more_than_the_size_is_cut() -> None:
    async with Server() as server, client(server.address) as network:
        guest = await joined(network, server)
        async with listening() as (place, came):
            got = bytearray()
            fetch = fetching(network, got)
            await agreed(guest, place)
            bob = await came.get()
            bob.say(b"1", b"700000", DATA, b"more and more" * 100_000)
            assert await fetch == len(DATA)
            assert got == DATA
            await bob.rest()


async def test_who_has_enough_hangs_up() -> None:
    async with Server() as server, client(server.address) as network:
        guest = await joined(network, server)
        async with listening() as (place, came):
            got = bytearray()
            fetch = fetching(network, got, enough=1000)
            await agreed(guest, place)
            bob = await came.get()
            bob.say(b"1", b"700000", DATA[:50_000])
            assert 1000 <= await fetch <= 50_000
            await bob.rest()


async def test_while_the_gate_is_closed_nothing_is_read() -> None:
    async with Server() as server, client(server.address) as network:
        guest = await joined(network, server)
        async with listening() as (place, came):
            got, gate = bytearray(), asyncio.Event()
            gate.set()

            def sink(data: bytes) -> bool:
                got.extend(data)
                gate.clear()
                return True

            huge = Hit(NAME, 1 << 30, "napster", nick="bob")
            fetch = asyncio.ensure_future(network.fetch(huge, 0, sink, gate))
            await agreed(guest, place)
            bob = await came.get()
            bob.say(b"1")
            await bob.hear(10)
            bob.say(b"%d" % (1 << 30))
            for turn in range(3):
                bob.say(bytes(32 << 20))
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.3):
                        await bob.writer.drain()
                assert 0 < len(got) <= (turn + 1) * (2 << 20)
                gate.set()
            fetch.cancel()
            await asyncio.wait([fetch])


@pytest.mark.parametrize(
    ("says", "words"),
    [
        (b"2", "hung up after 0 bytes: a Napster client says 1"),
        (b"1FILE NOT SHARED", "bob says: FILE NOT SHARED"),
        (b"1\x1b[31mINVALID", r"bob says: \?\[31mINVALID"),
        (b"1699999x", "has another file under the name"),
        (b"1" + b"9" * 30, "too many digits"),
        (b"1700000half of it", "hung up after 10 bytes"),
    ],
)
async def test_what_else_a_host_may_say_is_an_error(says: bytes, words: str) -> None:
    async with Server() as server, client(server.address, firewalled=True) as network:
        guest = await joined(network, server)
        async with listening() as (place, came):
            fetch = fetching(network, bytearray())
            await agreed(guest, place)
            bob = await came.get()
            bob.say(says[:1])
            if says[:1] == b"1":
                await bob.hear(10)
            bob.say(says[1:])
            bob.writer.write_eof()
            with pytest.raises(NetworkError, match=words):
                await fetch


async def test_a_host_that_goes_silent_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(talk, "STALLED", 0.05)
    async with Server() as server, client(server.address) as network:
        guest = await joined(network, server)
        async with listening() as (place, came):
            fetch = fetching(network, bytearray())
            await agreed(guest, place)
            bob = await came.get()
            bob.say(b"1", b"700000", b"x" * 10)
            with pytest.raises(NetworkError, match="did nothing for 0 s"):
                await fetch
            await bob.rest()


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        ((206, f'bob "{NAME}"'), NetworkError, "bob does not have .*song.mp3 any more"),
        ((609, f'bob "{NAME}"'), NetworkError, "bob does not give"),
        ((620, f'bob "{NAME}" 700000 3'), BusyError, "bob has no place for us now"),
        ((404, "bob is ignoring you"), NetworkError, "bob is ignoring you"),
    ],
)
async def test_a_server_may_say_no(
    answer: tuple[int, str], error: type[Exception], words: str
) -> None:
    async with Server() as server, client(server.address) as network:
        guest = await joined(network, server)
        fetch = fetching(network, bytearray())
        await guest.hear(203)
        guest.say(404, "bobby is something else")
        guest.say(204, f'bob 1 1 "another file" {ZEROS} 4')
        guest.say(*answer)
        with pytest.raises(error, match=words):
            await fetch


async def test_a_host_that_never_agrees_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "ANSWER_TIME", 0.05)
    async with Server() as server, client(server.address) as network:
        await joined(network, server)
        with pytest.raises(NetworkError, match="bob does not answer"):
            await fetching(network, bytearray())


async def test_a_fetch_that_runs_survives_the_server_and_one_that_waits_does_not() -> None:
    async with Server() as server, client(server.address) as network:
        guest = await joined(network, server)
        async with listening() as (place, came):
            got = bytearray()
            running = fetching(network, got)
            await agreed(guest, place)
            bob = await came.get()
            bob.say(b"1", b"700000", DATA[:1000])
            waiting = fetching(network, bytearray(), hit=Hit("x", 1, "napster", nick="eve"))
            await guest.hear(203)
            guest.close()
            with pytest.raises(NetworkError, match=r"the connection to .* is lost"):
                await waiting
            bob.say(DATA[1000:])
            await running
            assert got == DATA


# The host dials us


async def test_a_host_behind_a_firewall_brings_the_file() -> None:
    async with Server() as server, client(server.address, nick="alice") as network:
        guest = await joined(network, server)
        got = bytearray()
        fetch = fetching(network, got, offset=600_000)
        await agreed(guest, None)
        assert await guest.hear(500) == f'bob "{NAME}"'
        bob = await Raw.dial(network)
        assert await bob.hear(1) == b"1"
        bob.say(f'SENDbob "{NAME}" 700000'.encode())
        assert await bob.hear(6) == b"600000"
        bob.say(DATA[600_000:])
        assert await fetch == 100_000
        assert got == DATA[600_000:]
        assert await bob.rest() == b""


async def test_nobody_else_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Server() as server, client(server.address) as network:
        guest = await joined(network, server)
        got = bytearray()
        fetch = fetching(network, got)
        await agreed(guest, None)
        await guest.hear(500)
        for head in (f'SENDeve "{NAME}" 700000', 'SENDbob "other" 700000', f'GETbob "{NAME}" 0'):
            stranger = await Raw.dial(network)
            assert await stranger.hear(1) == b"1"
            stranger.say(head.encode())
            assert await stranger.rest() == b""
        bob = await Raw.dial(network)
        assert await bob.hear(1) == b"1"
        bob.say(f'SENDbob "{NAME}" 700000'.encode())
        assert await bob.hear(1) == b"0"
        bob.say(DATA)
        await fetch
        assert got == DATA


async def test_who_comes_from_another_address_is_not_even_greeted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("p2pswarm.net.port.DOOR_TIME", 0.2)
    async with Server() as server, client(server.address) as network:
        guest = await joined(network, server)
        fetch = fetching(network, bytearray())
        await agreed(guest, None)
        await guest.hear(500)
        stranger = await Raw.dial(network, "127.0.0.9")
        assert await stranger.rest() == b""
        fetch.cancel()


async def test_a_file_of_another_size_is_not_taken() -> None:
    async with Server() as server, client(server.address) as network:
        guest = await joined(network, server)
        fetch = fetching(network, bytearray())
        await agreed(guest, None)
        await guest.hear(500)
        bob = await Raw.dial(network)
        await bob.hear(1)
        bob.say(f'SENDbob "{NAME}" 700001'.encode())
        with pytest.raises(NetworkError, match="has another file under the name"):
            await fetch
        assert await bob.rest() == b""


async def test_between_two_firewalls_there_is_no_way() -> None:
    async with Server() as server, client(server.address, firewalled=True) as network:
        guest = await joined(network, server)
        fetch = fetching(network, bytearray())
        await agreed(guest, None)
        with pytest.raises(NetworkError, match="both behind firewalls"):
            await fetch


async def test_a_host_that_does_not_know_of_its_firewall_is_told_and_asked_to_come() -> None:
    async with Server() as server, client(server.address) as network:
        guest = await joined(network, server)
        async with listening() as (place, _):
            pass
        got = bytearray()
        fetch = fetching(network, got)
        await agreed(guest, place)
        assert await guest.hear(626) == "bob"
        assert await guest.hear(500) == f'bob "{NAME}"'
        guest.say(404, "bob is not firewalled")
        with pytest.raises(NetworkError, match="bob is not firewalled"):
            await fetch


async def test_a_host_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "PUSH_TIME", 0.05)
    async with Server() as server, client(server.address) as network:
        guest = await joined(network, server)
        fetch = fetching(network, bytearray())
        await agreed(guest, None)
        with pytest.raises(NetworkError, match="bob does not connect to us"):
            await fetch
        assert not network._tools.port._expected


async def test_an_address_that_never_answered_is_not_dialed_again() -> None:
    """Whoever controls the server cannot make us knock at somebody's door again and again."""
    async with Server() as server, client(server.address, firewalled=True) as network:
        guest = await joined(network, server)
        async with listening() as (victim, came):
            for number in range(5):
                hit = Hit(f"file {number}", 1, "napster", nick="bob")
                fetch = fetching(network, bytearray(), hit=hit)
                await agreed(guest, victim, hit.name)
                if number == 0:
                    (await came.get()).say(b"HTTP/1.1 400")
                with pytest.raises(NetworkError, match=r"says 1|is not dialed"):
                    await fetch
            assert came.empty()


# Somebody fetches from us


async def test_a_file_is_given_to_who_asked_through_the_server(share: Path) -> None:
    async with Server() as server, client(server.address, share=share) as network:
        guest = await joined(network, server)
        guest.say(607, f'bob "{NAME}" 4')
        assert await guest.hear(608) == f'bob "{NAME}"'
        bob = await Raw.dial(network)
        assert await bob.hear(1) == b"1"  # though nobody said where bob would come from
        bob.say(b"GET")
        bob.say(f'bob "{NAME}" 0'.encode())
        assert await bob.hear(6) == b"700000"
        assert await bob.hear(len(DATA)) == DATA
        await guest.hear(220)
        bob.writer.close()
        await guest.hear(221)


async def test_a_file_is_given_from_an_offset(share: Path) -> None:
    async with Server() as server, client(server.address, share=share) as network:
        guest = await joined(network, server)
        guest.say(607, f'bob "{NAME}"')
        await guest.hear(608)
        bob = await Raw.dial(network)
        await bob.hear(1)
        bob.say(f'GETbob "{NAME}" 699990'.encode())
        assert await bob.hear(6 + 10) == b"700000" + DATA[-10:]
        bob.writer.close()


@pytest.mark.parametrize(
    "head",
    [
        f'GETeve "{NAME}" 0',
        r'GETbob "Music\other.mp3" 0',
        f'GETbob "{NAME}" 700001',
        r'GETbob "..\..\etc\passwd" 0',
        'GETbob "/etc/passwd" 0',
    ],
)
async def test_who_did_not_ask_gets_nothing(share: Path, head: str) -> None:
    async with Server() as server, client(server.address, share=share) as network:
        guest = await joined(network, server)
        guest.say(607, f'bob "{NAME}"')
        await guest.hear(608)
        bob = await Raw.dial(network)
        await bob.hear(1)
        bob.say(head.encode())
        assert await bob.hear(15) == b"INVALID REQUEST"
        bob.writer.close()


async def test_junk_at_the_door_is_sent_away(share: Path) -> None:
    async with Server() as server, client(server.address, share=share) as network:
        guest = await joined(network, server)
        guest.say(607, f'bob "{NAME}"')
        await guest.hear(608)
        for junk in (
            b"POST / HTTP/1.1\r\n\r\n",
            b"GETLIST",
            b"GETbob" + b"x" * 5000,
            b"SENDLIST bob\n",
        ):
            bob = await Raw.dial(network)
            await bob.hear(1)
            bob.say(junk)
            assert await bob.rest() == b""


async def test_nobody_is_greeted_when_nobody_is_expected(
    share: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p2pswarm.net.port.DOOR_TIME", 0.5)
    monkeypatch.setattr(uploads, "COME_TIME", 0.05)
    async with Server() as server, client(server.address, share=share) as network:
        guest = await joined(network, server)
        assert await (await Raw.dial(network)).rest() == b""
        guest.say(607, f'bob "{NAME}"')
        await guest.hear(608)
        while network._tools.port._expected:
            await asyncio.sleep(0)
        assert await (await Raw.dial(network)).rest() == b""


async def test_only_what_is_shared_under_exactly_this_name(share: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (share / "link").symlink_to(tmp_path / "secret")
    async with Server() as server, client(server.address, share=share) as network:
        guest = await joined(network, server)
        for name in (
            r"Music\..\secret", "../secret", str(tmp_path / "secret"), r"music\SONG.mp3", "song.mp3",
            "Music/song.mp3", r"Music\link", torrent_name(bytes(20)), "",
        ):  # fmt: skip
            guest.say(607, f'bob "{name}"')
            assert await guest.hear(608, 609) == f'bob "{name}"'
            assert guest.log[-1][0] == 609


async def test_a_client_without_files_gives_none() -> None:
    async with Server() as server, client(server.address) as network:
        guest = await joined(network, server)
        guest.say(607, f'bob "{NAME}"')
        assert await guest.hear(609) == f'bob "{NAME}"'


async def test_places_are_limited_in_all_and_for_each(share: Path) -> None:
    for number in range(6):
        (share / str(number)).write_bytes(DATA[:100])
    async with Server() as server, client(server.address, share=share, slots=5) as network:
        guest = await joined(network, server)
        answers = []
        for who, number in (
            ("bob", 0),
            ("bob", 1),
            ("Bob", 2),
            ("bob", 3),
            ("eve", 3),
            ("eve", 4),
            ("ann", 5),
        ):
            guest.say(607, f'{who} "Music\\{number}"')
            await guest.hear(608, 619)
            answers.append(guest.log[-1])
        assert [number for number, _ in answers] == [608, 608, 608, 619, 608, 608, 619]
        assert answers[3][1] == r'bob "Music\3" 3'
        guest.say(607, r'bob "Music\0"')  # asked again, it keeps its place
        await guest.hear(608)
        bob = await Raw.dial(network)
        await bob.hear(1)
        bob.say(rb'GETbob "Music\0" 0')
        await bob.hear(3 + 100)
        bob.writer.close()
        await guest.hear(221)
        guest.say(607, r'ann "Music\5"')  # bob has what he wanted
        await guest.hear(608)


async def test_a_file_that_changes_is_not_sent_on(share: Path) -> None:
    async with Server() as server, client(server.address, share=share) as network:
        guest = await joined(network, server)
        guest.say(607, f'bob "{NAME}"')
        await guest.hear(608)
        (share / "song.mp3").write_bytes(b"x" * len(DATA))
        bob = await Raw.dial(network)
        await bob.hear(1)
        bob.say(f'GETbob "{NAME}" 0'.encode())
        assert await bob.rest() == b"700000"


async def test_who_takes_nothing_is_left(share: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (share / "large").write_bytes(bytes(64 << 20))
    monkeypatch.setattr(talk, "STALLED", 0.1)
    async with Server() as server, client(server.address, share=share) as network:
        guest = await joined(network, server)
        guest.say(607, r'bob "Music\large"')
        await guest.hear(608)
        bob = await Raw.dial(network)
        await bob.hear(1)
        bob.say(rb'GETbob "Music\large" 0')
        await guest.hear(220)
        await guest.hear(221)
        assert len(await bob.rest()) < 64 << 20


async def test_uploads_keep_to_the_limit(share: Path) -> None:
    loop = asyncio.get_running_loop()
    async with Server() as server, client(server.address, share=share, up=2_000_000) as network:
        guest = await joined(network, server)
        guest.say(607, f'bob "{NAME}"')
        await guest.hear(608)
        bob = await Raw.dial(network)
        await bob.hear(1)
        began = loop.time()
        bob.say(f'GETbob "{NAME}" 0'.encode())
        await bob.hear(6 + len(DATA))
        # A quarter of a second is saved up; the rest takes its time.
        assert loop.time() - began > (len(DATA) - 500_000) / 2_000_000 * 0.8
        bob.writer.close()


# We bring it to somebody


async def test_a_file_is_brought_to_who_cannot_come(share: Path) -> None:
    async with (
        Server() as server,
        client(server.address, share=share, nick="alice", firewalled=True) as network,
        listening() as (place, came),
    ):
        guest = await joined(network, server)
        guest.say(607, f'bob "{NAME}"')
        await guest.hear(608)
        guest.say(501, f'bob {number_of(OTHER)} {place.port} "{NAME}" {md5(DATA).hexdigest()} 4')
        bob = await came.get()
        bob.say(b"1")
        head = f'SENDalice "{NAME}" 700000'.encode()
        assert await bob.hear(len(head)) == head
        bob.say(b"600000")
        assert await bob.hear(100_000) == DATA[600_000:]
        bob.writer.close()


async def test_nothing_is_brought_that_is_not_shared(share: Path) -> None:
    async with (
        Server() as server,
        client(server.address, share=share) as network,
        listening() as (place, came),
    ):
        guest = await joined(network, server)
        guest.say(501, f'bob {number_of(OTHER)} {place.port} "/etc/passwd" {ZEROS} 4')
        guest.say(501, f'bob {number_of(OTHER)} {place.port} "{NAME}" {ZEROS} 4')
        bob = await came.get()
        bob.say(b"1")
        assert await bob.hear(4) == b"SEND"
        assert came.empty()
