"""Fetching from servents that are ours, foreign, lying, slow or busy; in virtual time."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from hashlib import sha1
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from p2pswarm.errors import BusyError, NetworkError, PartialError, RefusedError, RemoteError
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.formats.thex import TigerTree, write_thex
from p2pswarm.formats.urns import base32
from p2pswarm.formats.zones import Zone
from p2pswarm.overlay.files import downloads, fetching
from p2pswarm.overlay.files.sources import Source
from tests.support.servent import Servent, Stranger, listening, value
from tests.support.world import World, simulate

DATA = Random(2).randbytes(1_300_000)
SHA1 = sha1(DATA).digest()
TREE = TigerTree.of(DATA)

Script = Callable[[Stranger, str], Awaitable[None]]


@pytest.fixture
def share(tmp_path: Path) -> Path:
    folder = tmp_path / "Music"
    folder.mkdir()
    (folder / "blue moon.mp3").write_bytes(DATA)
    return folder


class Host:
    """A foreign servent: `answer` is given each stranger's every request."""

    def __init__(self, address: Address) -> None:
        self.requests: list[str] = []
        self.connections = 0
        self.source = Source(address, len(DATA), SHA1, TREE.root, teller=Zone.LOCAL_NETWORK)
        self.dials: list[float] = []

    async def work(self, came: "asyncio.Queue[Stranger]", answer: Script) -> None:
        clock = asyncio.get_running_loop().time
        async with asyncio.TaskGroup() as tasks:
            while True:
                stranger = await came.get()
                self.connections += 1
                self.dials.append(clock())
                tasks.create_task(self._serve(stranger, answer))

    async def _serve(self, stranger: Stranger, answer: Script) -> None:
        while not stranger.over:
            try:
                head = await stranger.head()
            except AssertionError:  # it went
                return
            self.requests.append(head)
            await answer(stranger, head)


def against(
    tmp_path: Path, answer: Script, tell: Callable[[Servent, Host], Awaitable[None]]
) -> float:
    async def story(world: World) -> None:
        async with Servent.here(world) as servent, listening(world) as (address, came):
            host = Host(address)
            working = asyncio.ensure_future(host.work(came, answer))
            try:
                await tell(servent, host)
            finally:
                working.cancel()
                await asyncio.wait([working])

    return simulate(tmp_path, story)


async def fetched(
    servent: Servent, source: Source, offset: int = 0, enough: int = 1 << 40, **more: object
) -> bytes:
    got = bytearray()

    def sink(data: bytes) -> bool:
        got.extend(data)
        return len(got) < enough

    count = await servent.downloads.fetch(source, offset, sink, **more)  # type: ignore[arg-type]
    assert count == len(got)
    return bytes(got)


def asked(head: str) -> tuple[int, int]:
    first, _, last = (value(head, "Range") or "").removeprefix("bytes=").partition("-")
    return int(first), int(last) + 1


def part(start: int, end: int, *more: str, data: bytes = DATA) -> bytes:
    lines = [
        "HTTP/1.1 206 Partial Content",
        f"Content-Range: bytes {start}-{end - 1}/{len(DATA)}",
        f"Content-Length: {end - start}",
        *more,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + data[start:end]


async def honest(stranger: Stranger, head: str) -> None:
    stranger.say(part(*asked(head)))


def saying(*lines: str) -> Script:
    async def answer(stranger: Stranger, head: str) -> None:
        stranger.say("\r\n".join([*lines, "", ""]))

    return answer


class TestRanges:
    @pytest.mark.parametrize("offset", [0, 1, 524_288, 1_299_999, 1_300_000])
    def test_between_two_of_us(self, tmp_path: Path, share: Path, offset: int) -> None:
        async def story(world: World) -> None:
            async with Servent.here(world, share) as giver, Servent.here(world) as taker:
                source = await giver.source()
                assert await fetched(taker, source, offset) == DATA[offset:]
                by_name = replace(source, sha1=None)
                assert await fetched(taker, by_name, offset) == DATA[offset:]

        simulate(tmp_path, story)

    def test_512_kib_at_a_time_on_one_connection(self, tmp_path: Path) -> None:
        async def answer(stranger: Stranger, head: str) -> None:
            start, end = asked(head)
            stranger.say(part(start, min(start + 524_288, end)))

        async def tell(servent: Servent, host: Host) -> None:
            assert await fetched(servent, host.source, 7) == DATA[7:]
            assert host.connections == 1
            assert len(host.requests) == 3
            lines = host.requests[0].split("\r\n")
            assert lines[0] == f"GET /uri-res/N2R?urn:sha1:{base32(SHA1)} HTTP/1.1"
            assert {"Range: bytes=7-524294", "X-Queue: 1.0", "Connection: Keep-Alive"} < set(lines)

        against(tmp_path, answer, tell)

    def test_however_little_it_gives(self, tmp_path: Path) -> None:
        async def answer(stranger: Stranger, head: str) -> None:
            start, end = asked(head)
            stranger.say(part(start, min(start + 99_991, end)))

        async def tell(servent: Servent, host: Host) -> None:
            assert await fetched(servent, host.source) == DATA
            assert host.connections == 1

        against(tmp_path, answer, tell)

    def test_it_stops_when_there_is_enough(self, tmp_path: Path) -> None:
        async def tell(servent: Servent, host: Host) -> None:
            got = await fetched(servent, host.source, enough=10)
            assert DATA.startswith(got)
            assert len(host.requests) == 1

        against(tmp_path, honest, tell)

    @pytest.mark.parametrize("cut", [0, 1, 2, 16_384, 99_999, 524_287])
    def test_it_goes_on_where_it_was_cut(self, tmp_path: Path, cut: int) -> None:
        cuts = iter([cut, 1, 70_000])

        async def answer(stranger: Stranger, head: str) -> None:
            start, end = asked(head)
            whole = part(start, end)
            body = len(whole) - (end - start)
            length = next(cuts, None)
            stranger.say(whole if length is None else whole[: body + length])
            if length is not None:
                await asyncio.sleep(5)
                stranger.hang_up()

        async def tell(servent: Servent, host: Host) -> None:
            if cut:
                assert await fetched(servent, host.source, 5) == DATA[5:]
                assert host.connections == 4
                return
            got = bytearray()
            with pytest.raises(NetworkError, match="hung up after 0 bytes"):
                await servent.downloads.fetch(host.source, 5, lambda data: bool(got.extend(data)))
            assert got == b""

        against(tmp_path, answer, tell)

    @pytest.mark.parametrize("told", [False, True])
    def test_or_between_two_parts(self, tmp_path: Path, told: bool) -> None:
        numbers: dict[Stranger, int] = {}

        async def answer(stranger: Stranger, head: str) -> None:
            start, end = asked(head)
            if numbers.setdefault(stranger, len(numbers)) == 0 and start:
                stranger.say(part(start, end)[: start - end] if told else b"")
                stranger.hang_up()
            else:
                stranger.say(part(start, end))

        async def tell(servent: Servent, host: Host) -> None:
            assert await fetched(servent, host.source) == DATA
            assert host.connections == 2

        against(tmp_path, answer, tell)

    def test_every_part_on_a_connection_of_its_own(self, tmp_path: Path) -> None:
        async def answer(stranger: Stranger, head: str) -> None:
            stranger.say(part(*asked(head), "Connection: close"))

        async def tell(servent: Servent, host: Host) -> None:
            assert await fetched(servent, host.source) == DATA
            assert host.connections == 3

        against(tmp_path, answer, tell)

    def test_a_host_that_begins_a_little_too_early(self, tmp_path: Path) -> None:
        async def answer(stranger: Stranger, head: str) -> None:
            start, end = asked(head)
            stranger.say(part(max(start - 1000, 0), end))

        async def tell(servent: Servent, host: Host) -> None:
            assert await fetched(servent, host.source, 5000) == DATA[5000:]

        against(tmp_path, answer, tell)

    def test_all_of_it_where_a_part_was_asked_for(self, tmp_path: Path) -> None:
        async def answer(stranger: Stranger, head: str) -> None:
            stranger.say(f"HTTP/1.0 200 OK\r\nContent-Length: {len(DATA)}\r\n\r\n".encode() + DATA)

        async def tell(servent: Servent, host: Host) -> None:
            assert await fetched(servent, host.source) == DATA
            assert await fetched(servent, host.source, 100) == DATA[100:]
            assert host.connections == 2
            with pytest.raises(RefusedError, match="where byte 500000 was asked for"):
                await fetched(servent, host.source, 500_000)

        against(tmp_path, answer, tell)

    def test_the_old_form_of_what_is_given(self, tmp_path: Path) -> None:
        async def answer(stranger: Stranger, head: str) -> None:
            stranger.say(part(*asked(head)).replace(b"bytes ", b"bytes=", 1))

        async def tell(servent: Servent, host: Host) -> None:
            assert await fetched(servent, host.source) == DATA

        against(tmp_path, answer, tell)


class TestLies:
    @pytest.mark.parametrize(
        "lines",
        [
            ("Content-Range: bytes 1-10/1300000", "Content-Length: 10"),
            ("Content-Range: bytes 0-9/1300001", "Content-Length: 10"),
            ("Content-Range: bytes 0-9/1300000", "Content-Length: 11"),
            ("Content-Range: bytes 0-1300000/*", "Content-Length: 1300001"),
            ("Content-Range: bytes */1300000", "Content-Length: 10"),
            ("Content-Range: bytes 9-0/1300000", "Content-Length: 10"),
            ("Content-Range: nonsense", "Content-Length: 10"),
            ("Content-Length: 10",),
            ("Content-Range: bytes 0-9/1300000", "Content-Length: -1"),
            ("Content-Range: bytes 0-9/1300000", "Transfer-Encoding: chunked"),
        ],
    )
    def test_what_is_said_of_a_part_must_be_true(
        self, tmp_path: Path, lines: tuple[str, ...]
    ) -> None:
        async def tell(servent: Servent, host: Host) -> None:
            got = bytearray()
            with pytest.raises(RemoteError):
                await servent.downloads.fetch(host.source, 0, lambda data: bool(got.extend(data)))
            assert got == b""

        against(tmp_path, saying("HTTP/1.1 206 OK", *lines, "", "0123456789"), tell)

    @pytest.mark.parametrize("code", [300, 301, 302, 400, 403, 404, 410, 416])
    def test_refusals(self, tmp_path: Path, code: int) -> None:
        async def tell(servent: Servent, host: Host) -> None:
            with pytest.raises(RefusedError, match=f"says: {code}"):
                await fetched(servent, host.source)
            assert servent.mesh.bad(SHA1, 0) == [host.source.address]

        lines = (f"HTTP/1.1 {code} No", "Location: http://127.0.0.1/", "Content-Length: 0")
        against(tmp_path, saying(*lines), tell)

    @pytest.mark.parametrize(
        ("code", "line"),
        [
            (403, "Retry-After: 500"),  # of gtk-gnutella to who came too early
            (408, "Retry-After: 500"),
            (409, "X-GUID: 00"),  # a connection of ours that broke is still there for it
            (416, "X-Available-Ranges: bytes 0-9"),
            (503, "X-Available-Ranges: bytes 0-9"),  # it has the byte, and no place
            (429, "Retry-After: 500"),
        ],
    )
    def test_refusals_for_now(self, tmp_path: Path, code: int, line: str) -> None:
        async def tell(servent: Servent, host: Host) -> None:
            for _ in range(2):
                with pytest.raises(BusyError):
                    await fetched(servent, host.source)
            assert not servent.mesh.bad(SHA1, 0)
            await asyncio.sleep(61)
            with pytest.raises(BusyError):
                await fetched(servent, host.source)
            assert len(host.requests) == 1 + (line != "Retry-After: 500")

        lines = (f"HTTP/1.1 {code} No", "Server: gtk-gnutella/1.2.3", line, "Content-Length: 0")
        against(tmp_path, saying(*lines), tell)

    def test_a_flipped_byte_is_found_by_the_tree_of_another(
        self, tmp_path: Path, share: Path
    ) -> None:
        flipped = bytearray(DATA)
        flipped[700_000] ^= 1
        (tmp_path / "flipped").mkdir()
        (tmp_path / "flipped" / "blue moon.mp3").write_bytes(flipped)

        async def story(world: World) -> None:
            async with (
                Servent.here(world, share) as giver,
                Servent.here(world, tmp_path / "flipped") as liar,
                Servent.here(world) as taker,
            ):
                source, lie = await giver.source(), await liar.source()
                tree = await taker.downloads.tree(source)
                assert tree is not None
                assert tree.wrong(0, await fetched(taker, source)) == []
                assert tree.wrong(0, await fetched(taker, lie)) == [range(655_360, 720_896)]

        simulate(tmp_path, story)

    def test_who_gave_good_bytes_is_known_for_it(self, tmp_path: Path) -> None:
        async def tell(servent: Servent, host: Host) -> None:
            assert await fetched(servent, host.source) == DATA
            assert servent.mesh.good(SHA1, 0) == []
            servent.downloads.proved(host.source)
            assert servent.mesh.good(SHA1, 0) == [host.source.address]
            servent.downloads.failed(host.source)
            assert servent.mesh.bad(SHA1, 0) == [host.source.address]
            servent.downloads.proved(replace(host.source, push=True))
            assert servent.mesh.good(SHA1, 0) == []

        against(tmp_path, honest, tell)

    @pytest.mark.parametrize("start", [b"", b"HTTP/1.1 206 OK\r\n", b"GET / HTTP/1.1\r\n\r\n"])
    def test_slow_answers_are_not_waited_for(self, tmp_path: Path, start: bytes) -> None:
        async def answer(stranger: Stranger, head: str) -> None:
            stranger.say(start)
            while not stranger.over:
                await asyncio.sleep(1)
                stranger.say("X")

        async def tell(servent: Servent, host: Host) -> None:
            with pytest.raises(NetworkError):
                await fetched(servent, host.source)

        assert against(tmp_path, answer, tell) < 30

    def test_an_answer_never_comes_to_an_end(self, tmp_path: Path) -> None:
        async def answer(stranger: Stranger, head: str) -> None:
            for _ in range(10):
                stranger.say("HTTP/1.1 100 Continue\r\n\r\n")

        async def tell(servent: Servent, host: Host) -> None:
            with pytest.raises(NetworkError):
                await fetched(servent, host.source)

        against(tmp_path, answer, tell)

    def test_an_answer_that_is_damaged_anywhere(self, tmp_path: Path) -> None:
        dice = Random(7)

        async def answer(stranger: Stranger, head: str) -> None:
            start, end = asked(head)
            whole = part(
                start, end, "X-Queue: position=1,pollMin=1", "Retry-After: 1", "X-Alt: 10.1.1.1"
            )
            head_length = len(whole) - (end - start)
            damaged = bytearray(whole)
            for _ in range(dice.randrange(1, 4)):
                at = dice.randrange(head_length)
                damaged[at : at + dice.randrange(3)] = dice.randbytes(dice.randrange(3))
            stranger.say(bytes(damaged))
            await asyncio.sleep(1)
            stranger.hang_up()

        async def tell(servent: Servent, host: Host) -> None:
            servent.dialing._budget.answered(host.source.address)
            failed = 0
            for number in range(100):
                source = replace(host.source, servent=number.to_bytes(16, "big"))
                servent.firewalled = True  # no push
                try:
                    await fetched(servent, source, 1_299_000)
                except RemoteError:
                    failed += 1
            assert 0 < failed < 100

        against(tmp_path, answer, tell)

    def test_a_partial_file_has_more_later(self, tmp_path: Path) -> None:
        async def answer(stranger: Stranger, head: str) -> None:
            stranger.say(part(1000, 2000, "X-Available-Ranges: bytes 1000-1999"))

        async def tell(servent: Servent, host: Host) -> None:
            with pytest.raises(BusyError, match="does not have byte 500 yet"):
                await fetched(servent, host.source, 500)
            await asyncio.sleep(61)
            assert await fetched(servent, host.source, 1500, enough=500) == DATA[1500:2000]

        against(tmp_path, answer, tell)

    @pytest.mark.parametrize("code", [416, 503])
    def test_a_partial_file_may_be_asked_for_what_it_has_at_once(
        self, tmp_path: Path, code: int
    ) -> None:
        async def answer(stranger: Stranger, head: str) -> None:
            ranges = "X-Available-Ranges: bytes 1000-1999"
            if "bytes=1000-" in head:
                stranger.say(part(1000, 2000, ranges))
            else:
                stranger.say(f"HTTP/1.1 {code} No\r\n{ranges}\r\nContent-Length: 0\r\n\r\n")

        async def tell(servent: Servent, host: Host) -> None:
            with pytest.raises(PartialError) as caught:
                await fetched(servent, host.source, 500)
            assert caught.value.ranges == [(1000, 2000)]
            assert await fetched(servent, host.source, 1000, enough=1000) == DATA[1000:2000]

        against(tmp_path, answer, tell)

    def test_a_line_before_a_partial_file_is_a_line(self, tmp_path: Path) -> None:
        line = "X-Queue: position=9,length=9,limit=1,pollMin=200,pollMax=300"
        lines = ("HTTP/1.1 503 Queued", line, "X-Available-Ranges: bytes 5-9", "Content-Length: 0")

        async def tell(servent: Servent, host: Host) -> None:
            for _ in range(3):
                with pytest.raises(BusyError):
                    await fetched(servent, host.source)
            assert len(host.requests) == 1

        against(tmp_path, saying(*lines), tell)


class TestLines:
    def test_it_waits_on_the_connection_and_does_not_forget_its_place(self, tmp_path: Path) -> None:
        times: list[float] = []

        async def answer(stranger: Stranger, head: str) -> None:
            times.append(asyncio.get_running_loop().time())
            if len(times) < 3:
                await saying(
                    "HTTP/1.1 503 Queued",
                    f"X-Queued: position={3 - len(times)}; ID=abc",
                    "Retry-After: 30",
                    *(["Content-Length: 4\r\n\r\nwait"] if len(times) == 1 else []),
                )(stranger, head)
            else:
                await honest(stranger, head)

        async def tell(servent: Servent, host: Host) -> None:
            got = bytearray()
            await servent.downloads.fetch(host.source, 0, lambda data: bool(got.extend(data)))
            assert DATA.startswith(bytes(got))
            assert host.connections == 1
            assert value(host.requests[1], "X-Queued") == "position=2; ID=abc"
            assert all(30 <= later - sooner < 33 for sooner, later in pairwise(times))

        against(tmp_path, answer, tell)

    def test_a_connection_that_ends_meanwhile_is_not_the_end(self, tmp_path: Path) -> None:
        async def answer(stranger: Stranger, head: str) -> None:
            start, end = asked(head)
            stranger.say(part(start, end))
            await asyncio.sleep(1)
            if start == 0:
                stranger.hang_up()

        async def tell(servent: Servent, host: Host) -> None:
            gate = asyncio.Event()
            gate.set()
            got = bytearray()

            def sink(data: bytes) -> bool:
                got.extend(data)
                if len(got) == 524_288:
                    gate.clear()
                    asyncio.get_running_loop().call_later(30, gate.set)
                return True

            await servent.downloads.fetch(host.source, 0, sink, gate)
            assert got == DATA
            assert host.connections == 2

        against(tmp_path, answer, tell)

    def test_a_tree_of_somebody_busy(self, tmp_path: Path) -> None:
        async def tell(servent: Servent, host: Host) -> None:
            for _ in range(2):
                with pytest.raises(BusyError):
                    await servent.downloads.tree(host.source)
            assert len(host.requests) == 1

        lines = ("HTTP/1.1 503 Busy", "X-Features: a/1", "Content-Length: 0")
        against(tmp_path, saying(*lines), tell)

    def test_so_many_trees_of_one_host_in_a_minute(self, tmp_path: Path) -> None:
        message = write_thex(TREE)
        lines = ("HTTP/1.1 200 OK", "X-Thex-URI: a", f"Content-Length: {len(message)}")

        async def answer(stranger: Stranger, head: str) -> None:
            stranger.say("\r\n".join([*lines, "", ""]).encode() + message)

        async def tell(servent: Servent, host: Host) -> None:
            trees = [await servent.downloads.tree(host.source) for _ in range(9)]
            assert trees == [TREE] * downloads.MOST_TREES + [None] * (9 - downloads.MOST_TREES)
            assert host.connections == downloads.MOST_TREES < 5
            await asyncio.sleep(61)
            assert await servent.downloads.tree(host.source) == TREE

        against(tmp_path, answer, tell)

    def test_a_tree_that_is_not_there_yet_keeps_nobody_from_the_file(self, tmp_path: Path) -> None:
        async def answer(stranger: Stranger, head: str) -> None:
            if "N2X" in head.split("\r\n")[0]:
                stranger.say("HTTP/1.1 503 TTH is being computed\r\nServer: gtk-gnutella/1.2.3\r\n")
                stranger.say("Content-Length: 0\r\n\r\n")
            else:
                await honest(stranger, head)

        async def tell(servent: Servent, host: Host) -> None:
            with pytest.raises(BusyError):
                await servent.downloads.tree(host.source)
            assert await fetched(servent, host.source) == DATA

        against(tmp_path, answer, tell)

    def test_what_is_remembered_of_hosts_is_bounded(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(downloads, "MOST_KNOWN", 1)

        async def tell(servent: Servent, host: Host) -> None:
            for guid in (bytes(16), bytes(range(16))):
                with pytest.raises(BusyError, match="says"):
                    await fetched(servent, replace(host.source, servent=guid))
            assert len(servent.downloads._due) == 1

        against(tmp_path, saying("HTTP/1.1 503 Busy", "X-Features: a/1", "Content-Length: 0"), tell)

    def test_two_of_us(self, tmp_path: Path, share: Path) -> None:
        async def story(world: World) -> None:
            async with (
                Servent.here(world, share, slots=1, uplink=100_000) as giver,
                Servent.here(world) as first,
                Servent.here(world) as second,
            ):
                source = await giver.source()
                both = [fetched(first, source), fetched(second, source)]
                assert await asyncio.gather(*both) == [DATA, DATA]

        simulate(tmp_path, story)

    def test_who_is_busy_is_left_alone_for_a_minute(self, tmp_path: Path) -> None:
        async def tell(servent: Servent, host: Host) -> None:
            with pytest.raises(BusyError, match="says: 503 Busy"):
                await fetched(servent, host.source)
            await asyncio.sleep(59)
            with pytest.raises(BusyError, match="has no place for 1 s more"):
                await fetched(servent, host.source)
            assert len(host.requests) == 1
            await asyncio.sleep(2)
            with pytest.raises(BusyError):
                await fetched(servent, host.source)
            assert len(host.requests) == 2

        lines = (
            "HTTP/1.1 503 Busy",
            "Server: gtk-gnutella/1.2.3",
            "Retry-After: 5",
            "Content-Length: 0",
        )
        against(tmp_path, saying(*lines), tell)

    @pytest.mark.parametrize(
        "line",
        ["X-Queue: position=9,pollMin=99999", "X-Queued: position=9; ID=1\r\nRetry-After: 600"],
    )
    def test_a_long_line_is_not_waited_in(self, tmp_path: Path, line: str) -> None:
        async def tell(servent: Servent, host: Host) -> None:
            with pytest.raises(BusyError):
                await fetched(servent, host.source)

        answer = saying("HTTP/1.1 503 Queued", line, "Content-Length: 0")
        assert against(tmp_path, answer, tell) < 5

    def test_nor_for_ever_in_a_short_one(self, tmp_path: Path) -> None:
        async def tell(servent: Servent, host: Host) -> None:
            with pytest.raises(BusyError):
                await fetched(servent, host.source)

        answer = saying("HTTP/1.1 503 Queued", "X-Queue: position=1,pollMin=0", "Content-Length: 0")
        assert against(tmp_path, answer, tell) < fetching.LONGEST_LINE + 60


class TestMesh:
    def test_others_are_learned_few_and_no_nearer_ones(self, tmp_path: Path) -> None:
        others = ",".join(f"10.1.1.{n}" for n in range(1, 30))
        guid = bytes(range(16))

        async def answer(stranger: Stranger, head: str) -> None:
            falt = f"X-Falt: {base32(guid)};10.1.1.1:5"
            stranger.say(part(*asked(head), f"X-Alt: 127.0.0.1:80,{others}", falt))

        async def tell(servent: Servent, host: Host) -> None:
            assert await fetched(servent, host.source) == DATA
            dialable = {source.address for source in servent.sources if not source.push}
            assert dialable == {Address(f"10.1.1.{n}", 6346) for n in range(1, 10)}
            (pushed,) = {source for source in servent.sources if source.push}
            assert (pushed.servent, pushed.proxies) == (guid, (Address("10.1.1.1", 5),))
            assert {source.sha1 for source in servent.sources} == {SHA1}

        against(tmp_path, answer, tell)

    def test_what_we_know_is_told(self, tmp_path: Path) -> None:
        async def tell(servent: Servent, host: Host) -> None:
            good, bad = Address("10.2.2.2", 6346), Address("10.3.3.3", 7)
            servent.mesh.proved(SHA1, good, 0)
            servent.mesh.failed(SHA1, bad, 0)
            await fetched(servent, host.source, 1_299_000)
            assert value(host.requests[0], "X-Alt") == "10.2.2.2"
            assert value(host.requests[0], "X-NAlt") == "10.3.3.3:7"
            assert value(host.requests[0], "X-Node") == str(servent.address)

        against(tmp_path, honest, tell)

    def test_a_host_that_never_answers_is_dialed_once(self, tmp_path: Path) -> None:
        async def answer(stranger: Stranger, head: str) -> None:
            stranger.say("SSH-2.0-nothing of that\r\n\r\n")

        async def tell(servent: Servent, host: Host) -> None:
            for _ in range(5):
                with pytest.raises(NetworkError):
                    await fetched(servent, host.source)
            assert host.connections == 1
            near = replace(host.source, teller=Zone.INTERNET)
            with pytest.raises(NetworkError, match="is not dialed"):
                await fetched(servent, near)

        against(tmp_path, answer, tell)

    @pytest.mark.parametrize(
        "lines",
        [
            ("HTTP/1.1 404 Not Found", "Server: nginx"),
            ("HTTP/1.1 503 Service Unavailable", "Retry-After: 1"),
            ("HTTP/1.1 200 OK", "Content-Type: text/html"),
            ("HTTP/1.1 206 Partial Content", "Content-Range: bytes 0-9/10"),
            ("HTTP/1.1 301 Moved", "Location: http://127.0.0.1/"),
        ],
    )
    def test_a_web_server_that_a_hit_named_is_dialed_once(
        self, tmp_path: Path, lines: tuple[str, ...]
    ) -> None:
        async def tell(servent: Servent, host: Host) -> None:
            with pytest.raises(RefusedError, match="says: "):
                await fetched(servent, host.source)
            for number in range(5):
                with pytest.raises(NetworkError, match="is not dialed"):
                    await fetched(servent, replace(host.source, sha1=bytes([number] * 20)))
                await asyncio.sleep(100)
            assert host.connections == 1

        against(tmp_path, saying(*lines, "Content-Length: 10\r\n\r\n0123456789"), tell)

    def test_servents_behind_firewalls_are_heard_of_so_many(self, tmp_path: Path) -> None:
        dice = Random(6)

        async def answer(stranger: Stranger, head: str) -> None:
            falt = ",".join(f"{dice.randbytes(16).hex()};10.1.1.1:5" for _ in range(5))
            start, _ = asked(head)
            stranger.say(part(start, start + 100_000, f"X-Falt: {falt}, {'0' * 32};10.1.1.1:5"))

        async def tell(servent: Servent, host: Host) -> None:
            assert await fetched(servent, host.source) == DATA
            assert len(servent.sources) == 10

        against(tmp_path, answer, tell)


class TestBeside:
    def test_the_tree(self, tmp_path: Path, share: Path) -> None:
        async def story(world: World) -> None:
            async with Servent.here(world, share) as giver, Servent.here(world) as taker:
                source = await giver.source()
                assert await taker.downloads.tree(source) == TREE
                other = replace(source, tth=bytes(24))
                assert await taker.downloads.tree(other) is None
                assert await taker.downloads.tree(replace(source, tth=None)) is None

        simulate(tmp_path, story)

    def test_where_the_host_says_that_it_is(self, tmp_path: Path) -> None:
        message = write_thex(TREE)

        async def answer(stranger: Stranger, head: str) -> None:
            if head.startswith("GET /tree/7 "):
                stranger.say(f"HTTP/1.1 200 OK\r\nContent-Length: {len(message)}\r\n\r\n")
                stranger.say(message)
            else:
                stranger.say(part(*asked(head), f"X-Thex-URI: /tree/7 ; {base32(TREE.root)}"))

        async def tell(servent: Servent, host: Host) -> None:
            await fetched(servent, host.source, 1_299_000)
            assert await servent.downloads.tree(host.source) == TREE

        against(tmp_path, answer, tell)

    @pytest.mark.parametrize(
        "lines",
        [
            ("HTTP/1.1 200 OK", "Content-Length: 99999999999"),
            ("HTTP/1.1 200 OK",),
            ("HTTP/1.1 404 No", "Server: GnutellaBun", "Content-Length: 0"),
            ("HTTP/1.1 200 OK", "Content-Length: 4\r\n\r\nJUNK"),
            ("HTTP/1.1 206 OK", "Content-Range: bytes 0-3/9", "Content-Length: 4\r\n\r\nJUNK"),
        ],
    )
    def test_no_tree(self, tmp_path: Path, lines: tuple[str, ...]) -> None:
        async def tell(servent: Servent, host: Host) -> None:
            try:
                assert await servent.downloads.tree(host.source) is None
            except NetworkError:
                assert "404" not in lines[0]

        against(tmp_path, saying(*lines), tell)

    def test_the_torrent(self, tmp_path: Path, share: Path) -> None:
        async def story(world: World) -> None:
            async with Servent.here(world, share) as giver, Servent.here(world) as taker:
                file, source = await giver.the_file(), await giver.source()
                assert file.info_hash is not None
                found = await giver.catalog.torrent(file.info_hash)
                assert found is not None
                assert await taker.downloads.torrent(source, file.info_hash) == found[1].raw
                with pytest.raises(RefusedError):
                    await taker.downloads.torrent(source, InfoHash(bytes(20)))

        simulate(tmp_path, story)
