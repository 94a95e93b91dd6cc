"""A whole evening over real sockets, on every event loop: two programs that know nothing of our code."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from p2pswarm.errors import HostError, PortTakenError
from tests.support.loops import on_every_loop
from tests.support.napster import MD5, SONG, frame
from tracker.app import TrackerService
from tracker.config import TrackerSettings

LOCALHOST = "16777343"


class Program:
    """A client of its own: frames by hand, one socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def say(self, number: int, line: str = "") -> None:
        self._writer.write(frame(number, line))

    async def hear(self) -> tuple[int, str]:
        head = await self._reader.readexactly(4)
        data = await self._reader.readexactly(int.from_bytes(head[:2], "little"))
        return int.from_bytes(head[2:], "little"), data.decode()

    async def until(self, number: int) -> list[tuple[int, str]]:
        heard = [await self.hear()]
        while heard[-1][0] != number:
            heard.append(await self.hear())
        return heard

    async def hang_up(self) -> None:
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()

    async def ended(self) -> bytes:
        """Everything up to the end of the connection."""
        return await self._reader.read()


class Evening:
    """A service, and the programs that connect to it."""

    def __init__(self, service: TrackerService) -> None:
        self.service, self.server = service, service.napster
        self._programs: list[Program] = []

    async def connect(self) -> Program:
        program = Program(*await asyncio.open_connection("127.0.0.1", self.server.port))
        self._programs.append(program)
        return program

    async def log_in(self, nick: str, port: int = 6699) -> Program:
        program = await self.connect()
        program.say(2, f'{nick} secret {port} "nap v0.8" 8')
        for number in (3, 621, 214):
            assert (await program.hear())[0] == number
        return program

    async def get(self, path: str) -> tuple[int, str, dict[str, str]]:
        url = URL(f"http://127.0.0.1:{self.service.port}{path}", encoded=True)
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return response.status, await response.text(), dict(response.headers)

    async def aclose(self) -> None:
        for program in self._programs:
            await program.hang_up()


@asynccontextmanager
async def running(**settings: object) -> AsyncIterator[Evening]:
    values = {"host": "127.0.0.1", "port": 0, "napster": 0} | settings
    service = TrackerService(TrackerSettings(**values))  # type: ignore[arg-type]
    await service.start()
    evening = Evening(service)
    try:
        yield evening
        evening.server.check()
    finally:
        await evening.aclose()
        await service.aclose()
        await service.aclose()


@on_every_loop
async def test_an_evening() -> None:
    async with running() as evening:
        await story(evening)


@pytest.mark.parametrize("accounts", [False, True])
async def test_an_evening_with_databases(tmp_path: Path, accounts: bool) -> None:
    more = {"napster_accounts": tmp_path / "accounts"} if accounts else {}
    async with running(napster_index=f"sqlite:{tmp_path / 'index'}", **more) as evening:
        await story(evening)
    assert not (tmp_path / "index").exists()


async def story(evening: Evening) -> None:
    alice = await evening.log_in("alice")
    bob = await evening.log_in("bob", port=0)
    alice.say(100, f'"{SONG}" {MD5} 443332 128 44100 60')
    alice.say(214)
    assert (await alice.hear())[0] == 214
    bob.say(200, 'FILENAME CONTAINS "blue moon" MAX_RESULTS 50 BITRATE "AT LEAST" "128"')
    found = f'"{SONG}" {MD5} 443332 128 44100 60 alice {LOCALHOST} 8'
    assert await bob.until(202) == [(201, found), (202, "")]
    bob.say(211, "alice")
    listed = (212, f'alice "{SONG}" {MD5} 443332 128 44100 60')
    assert await bob.until(213) == [listed, (213, "alice")]
    bob.say(215, f"{MD5} 443332")
    match = (216, f'alice {LOCALHOST} 6699 "{SONG}" {MD5} 443332 8')
    assert await bob.until(217) == [match, (217, "")]
    await talk(alice, bob)
    await downloads(alice, bob)
    await alice.hang_up()
    assert await bob.hear() == (210, "alice")
    bob.say(200, 'FILENAME CONTAINS "blue moon"')
    assert await bob.hear() == (202, "")
    bob.say(603, "alice")
    assert (await bob.hear())[1].startswith('alice "User" ')
    await bob.hang_up()


async def talk(alice: Program, bob: Program) -> None:
    bob.say(207, "alice")
    assert await bob.until(209) == [(301, "alice"), (209, "alice 8")]
    bob.say(205, "alice good evening")
    assert await alice.hear() == (205, "bob good evening")
    bob.say(603, "alice")
    heard = await bob.hear()
    assert heard[0] == 604
    assert heard[1].startswith('alice "User" ')
    assert heard[1].endswith(' " " "Active" 1 0 0 8 "nap v0.8"')
    bob.say(603, "nobody")
    assert (await bob.hear())[0] == 404
    bob.say(751, "alice")
    assert await alice.hear() == (751, "bob")
    alice.say(752, "bob")
    assert await bob.hear() == (752, "alice")


async def downloads(alice: Program, bob: Program) -> None:
    """In the clear, and with the uploader behind a firewall."""
    bob.say(203, f'alice "{SONG}"')
    assert await alice.hear() == (607, f'bob "{SONG}"')
    alice.say(608, f'bob "{SONG}"')
    assert await bob.hear() == (204, f'alice {LOCALHOST} 6699 "{SONG}" {MD5} 8')
    alice.say(703, "0")
    alice.say(750)
    assert await alice.hear() == (750, "")
    bob.say(500, f'alice "{SONG}"')
    assert [number for number, _ in await bob.until(206)] == [404, 206]
    bob.say(703, "7700")
    bob.say(203, f'alice "{SONG}"')
    assert (await bob.hear())[1] == f'alice {LOCALHOST} 0 "{SONG}" {"0" * 32} 8'
    bob.say(500, f'alice "{SONG}"')
    assert await alice.hear() == (607, f'bob "{SONG}"')
    alice.say(608, f'bob "{SONG}"')
    assert await alice.hear() == (501, f'bob {LOCALHOST} 7700 "{SONG}" {MD5} 8')


async def test_what_was_said_first_is_answered_first(tmp_path: Path) -> None:
    """Also when a database is asked: shares, searches and pings said in one breath."""
    async with running(napster_index=f"sqlite:{tmp_path / 'index'}") as evening:
        alice, bob = await evening.log_in("alice"), await evening.log_in("bob")
        for album in range(10):
            files = " ".join(f'"moon {n}.mp3" {MD5} {n} 128 44100 60' for n in range(1, 121))
            alice.say(870, f'"C:\\{album}" {files}')
        alice.say(211, "alice")
        alice.say(750, "after the list")
        listed = await alice.until(750)
        assert [number for number, _ in listed] == [212] * 1200 + [213, 750]
        for n in range(1, 11):
            bob.say(200, f'FILENAME CONTAINS "moon {n} mp3"')
            bob.say(750, f"{n}")
        for n in range(1, 11):
            found = await bob.until(202)
            assert len(found) >= 11
            assert all(f"moon {n}.mp3" in line or f"\\{n}\\" in line for _, line in found[:-1])
            assert await bob.hear() == (750, f"{n}")
        alice.say(110)
        assert await alice.hear() == (110, "1200")
        bob.say(200, 'FILENAME CONTAINS "moon"')
        assert await bob.hear() == (202, "")


@on_every_loop
async def test_who_is_cut_off_loses_the_files_at_once() -> None:
    async with running() as evening:
        alice = await evening.log_in("alice")
        alice.say(100, f'"{SONG}" {MD5} 443332 128 44100 60')
        alice.say(750)
        await alice.hear()
        assert evening.server.index.files == 1
        alice._writer.transport.abort()
        while evening.server.people:
            await asyncio.sleep(0)
        assert evening.server.index.files == 0


@on_every_loop
async def test_the_last_words_arrive_before_the_end() -> None:
    async with running() as evening:
        caller = await evening.connect()
        caller.say(2, 'bad.nick pw 0 "nap" 0')
        for _ in range(100):
            caller.say(200, "and more that nobody reads")
        assert await caller.hear() == (10, "Invalid nick: bad.nick")
        assert await caller.ended() == b""


@on_every_loop
async def test_the_server_ends_while_people_are_there() -> None:
    async with running() as evening:
        alice = await evening.log_in("alice")
        await evening.service.aclose()
        with suppress(ConnectionResetError):  # an abort may be seen as either
            assert await alice.ended() == b""


async def test_accounts_are_asked(tmp_path: Path) -> None:
    async with running(napster_accounts=tmp_path / "accounts") as evening:
        first = await evening.log_in("alice")
        await first.hang_up()
        thief = await evening.connect()
        thief.say(7, "ALICE")
        assert await thief.hear() == (9, "")
        thief.say(7, "mallory")
        assert await thief.hear() == (8, "")
        thief.say(2, 'alice guess 6699 "nap" 8')
        assert await thief.hear() == (0, "Invalid Password")
        other = await evening.connect()
        other.say(6, 'Alice secret 6699 "nap" 8 a@b.c')
        assert await other.hear() == (0, "Nick registered to another user")
        again = await evening.log_in("alice")
        again.say(603, "nobody")
        assert (await again.hear())[0] == 404
        again.say(701, "new")
        assert await again.hear() == (404, "password changed")
        # The same person from elsewhere: the old connection is a ghost.
        elsewhere = await evening.connect()
        elsewhere.say(2, 'alice new 6699 "nap" 8')
        elsewhere.say(750, "said at once")
        assert (await elsewhere.until(750))[0][0] == 3
        await again.ended()


async def test_passwords_cannot_be_tried_for_long(tmp_path: Path) -> None:
    async with running(napster_accounts=tmp_path / "accounts") as evening:
        await (await evening.log_in("alice")).hang_up()
        heard = []
        for _ in range(8):
            thief = await evening.connect()
            thief.say(2, 'alice guess 6699 "nap" 8')
            heard.append((await thief.hear())[1])
        assert heard[:5] == ["Invalid Password"] * 5
        assert heard[-1] == "reconnecting too fast"


async def test_accounts_cannot_be_made_without_end(tmp_path: Path) -> None:
    """Not even by who does not wait for the answer."""
    async with running(napster_accounts=tmp_path / "accounts") as evening:
        for n in range(20):
            hasty = await evening.connect()
            hasty.say(6, f'n{n} pw 0 "nap" 0 a@b.c')
            if n % 2:
                await hasty.hang_up()
            else:
                assert (await hasty.hear())[0] == 3
        late = await evening.connect()
        late.say(7, "free")
        assert await late.hear() == (8, "")
        late.say(2, 'late pw 0 "nap" 0')
        assert (await late.hear())[1].startswith("too many new accounts from your address")


# By HTTP


@pytest.fixture
async def evening(tmp_path: Path) -> AsyncIterator[Evening]:
    deny = tmp_path / "deny"
    deny.write_text("green moon\n")
    async with running(napster_deny=deny) as evening:
        alice = await evening.log_in("alice")
        alice.say(100, f'"{SONG}" {MD5} 443332 128 44100 60')
        alice.say(100, f'"<script>alert(1)</script> moon" {MD5} 1 0 0 0')
        alice.say(750)
        await alice.hear()
        yield evening


async def test_json(evening: Evening) -> None:
    status, text, headers = await evening.get("/napster/search?q=blue+-live&kind=audio&limit=5")
    assert status == 200
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Type"].startswith("application/json")
    assert json.loads(text) == {
        "query": "blue -live",
        "hits": [
            {
                "name": SONG,
                "kind": "audio",
                "size": 443332,
                "md5": MD5,
                "sha1": None,
                "info_hash": None,
                "bitrate": 128,
                "frequency": 44100,
                "seconds": 60,
                "nick": "alice",
                "speed": 8,
            }
        ],
    }
    assert "127.0.0.1" not in text


async def test_the_page_escapes_what_members_named(evening: Evening) -> None:
    status, text, headers = await evening.get("/napster?q=%22%3E%3Cb%3E+moon")
    assert status == 200
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert 'value="&quot;&gt;&lt;b&gt; moon"' in text
    _, text, _ = await evening.get("/napster?q=script")
    assert "&lt;script&gt;alert(1)&lt;/script&gt; moon" in text
    assert "<script>" not in text
    _, text, _ = await evening.get("/napster")
    assert "2 files of 1 members" in text
    _, text, _ = await evening.get("/napster?q=nothing")
    assert "Nothing was found" in text


@pytest.mark.parametrize(
    "query", ["q=moon&limit=0", "q=moon&limit=101", "q=moon&limit=x", "q=moon&kind=all"]
)
async def test_bad_questions(evening: Evening, query: str) -> None:
    status, text, _ = await evening.get(f"/napster/search?{query}")
    assert status == 400
    assert "one of" in text or "a number" in text


@pytest.mark.parametrize("query", ["", "q=", "q=!!!", "q=green+moon", "q=" + "x" * 5000])
async def test_nothing(evening: Evening, query: str) -> None:
    status, text, _ = await evening.get(f"/napster/search?{query}")
    assert status == 200
    assert json.loads(text)["hits"] == []


async def test_who_searches_too_much_waits(evening: Evening) -> None:
    answers = [await evening.get("/napster/search?q=moon") for _ in range(25)]
    assert [status for status, _, _ in answers][:20] == [200] * 20
    assert answers[-1][0] == 429
    assert answers[-1][2]["Retry-After"] == "2"


async def test_stats(evening: Evening) -> None:
    report = json.loads((await evening.get("/stats"))[1])
    assert report["napster_users"] == 1
    assert report["napster_files"] == 2
    assert report["napster_bytes"] == 443333
    assert report["napster_connections"] == 1
    assert report["napster_rules"] == 1


async def test_without_napster_there_is_no_such_page() -> None:
    service = TrackerService(TrackerSettings(host="127.0.0.1", port=0))
    await service.start()
    service.reload()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{service.port}") as session:
        async with session.get("/napster") as response:
            assert response.status == 404
        async with session.get("/stats") as response:
            assert "napster_users" not in await response.json()
    await service.aclose()


# What can be wrong at the start


@pytest.mark.parametrize(
    "settings",
    [
        {"napster_deny": "missing"},
        {"napster_motd": "missing"},
        {"napster_accounts": "missing/accounts"},
        {"napster_index": "sqlite:{}/missing/index"},
    ],
    ids=lambda value: next(iter(value)),
)
async def test_a_service_that_cannot_start_leaves_nothing_open(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    ((name, value),) = settings.items()
    place = value.format(tmp_path) if "{}" in value else tmp_path / value
    service = TrackerService(
        TrackerSettings(host="127.0.0.1", port=0, napster=0, **{name: place})  # type: ignore[arg-type]
    )
    with pytest.raises(HostError):
        await service.start()
    again = TrackerService(TrackerSettings(host="127.0.0.1", port=service.port))
    await again.start()
    await again.aclose()


@on_every_loop
async def test_a_metaserver_tells_where_the_server_is() -> None:
    async with running(napster_meta=0) as evening:
        port = evening.server.meta_port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == f"127.0.0.1:{evening.server.port}\n".encode()
        writer.close()
        settings = TrackerSettings(host="127.0.0.1", port=0, napster=0, napster_meta=port)
        with pytest.raises(PortTakenError):
            await TrackerService(settings).start()


async def test_a_port_that_is_taken() -> None:
    async with running() as evening:
        settings = TrackerSettings(host="127.0.0.1", port=0, napster=evening.server.port)
        with pytest.raises(PortTakenError):
            await TrackerService(settings).start()
