"""What we give over HTTP, and to whom; the other side speaks raw bytes, in virtual time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha1
from pathlib import Path
from random import Random

import pytest

from p2pswarm.formats.ids import Address
from p2pswarm.formats.thex import TigerTree, read_thex
from p2pswarm.formats.urns import base32
from p2pswarm.overlay.files import uploads
from p2pswarm.overlay.files.answers import Part, given, part_of
from p2pswarm.overlay.files.mesh import MOST_PORTS
from p2pswarm.overlay.files.serving import Offer
from p2pswarm.overlay.giving import Told
from p2pswarm.overlay.tables import Shared
from p2pswarm.wire.http.ranges import Range
from tests.support.servent import PORT, Servent, Stranger, dial, value
from tests.support.world import World, simulate

DATA = Random(1).randbytes(700_000)
SHA1 = sha1(DATA).digest()
N2R = f"/uri-res/N2R?urn:sha1:{base32(SHA1)}"
QUEUE = "X-Queue: 0.1"

Story = Callable[[World, Servent], Awaitable[None]]


@pytest.fixture
def share(tmp_path: Path) -> Path:
    folder = tmp_path / "Music"
    folder.mkdir()
    (folder / "blue moon.mp3").write_bytes(DATA)
    return folder


def with_servent(tmp_path: Path, share: Path, tell: Story, **options: object) -> float:
    async def story(world: World) -> None:
        async with Servent.here(world, share, **options) as servent:
            await tell(world, servent)

    return simulate(tmp_path, story)


class TestParts:
    def test_all_of_it_and_everything_about_it(self, tmp_path: Path, share: Path) -> None:
        async def tell(world: World, servent: Servent) -> None:
            guest = await dial(world, servent.address)
            head, body = await guest.ask(N2R)
            assert body == DATA
            tree = TigerTree.of(DATA)
            assert head.split("\r\n") == [
                "HTTP/1.1 200 OK",
                "Server: p2pswarm/0.1",
                "Content-Length: 700000",
                "Content-Type: application/binary",
                "Accept-Ranges: bytes",
                "Content-Disposition: inline; filename=\"blue moon.mp3\"; filename*=UTF-8''blue%20moon.mp3",
                f"X-Gnutella-Content-URN: urn:sha1:{base32(SHA1)}",
                f"X-Thex-URI: /uri-res/N2X?urn:sha1:{base32(SHA1)};{base32(tree.root)}",
                "Connection: Keep-Alive",
                "X-Features: queue/1.0",
            ]

        with_servent(tmp_path, share, tell)

    @pytest.mark.parametrize(
        ("asked", "start", "end"),
        [
            ("bytes=0-0", 0, 1),
            ("bytes=5-9", 5, 10),
            ("bytes=699999-", 699_999, 700_000),
            ("bytes=1-9999999", 1, 700_000),
            ("bytes=-10", 699_990, 700_000),
            ("bytes=7-8,20-30", 7, 9),
            ("bytes 7-8", 7, 9),
        ],
    )
    def test_exactly_the_range(
        self, tmp_path: Path, share: Path, asked: str, start: int, end: int
    ) -> None:
        async def tell(world: World, servent: Servent) -> None:
            guest = await dial(world, servent.address)
            head, body = await guest.ask(N2R, f"Range: {asked}")
            assert head.startswith("HTTP/1.1 206 Partial Content\r\n")
            assert value(head, "Content-Range") == f"bytes {start}-{end - 1}/700000"
            assert body == DATA[start:end]

        with_servent(tmp_path, share, tell)

    def test_one_range_after_the_other_on_one_connection(self, tmp_path: Path, share: Path) -> None:
        async def tell(world: World, servent: Servent) -> None:
            guest = await dial(world, servent.address)
            got = b""
            while len(got) < len(DATA):
                end = min(len(got) + 99_999, len(DATA)) - 1
                got += (await guest.ask(N2R, f"Range: bytes={len(got)}-{end}"))[1]
            assert got == DATA

        with_servent(tmp_path, share, tell)

    def test_beyond_the_end(self, tmp_path: Path, share: Path) -> None:
        async def tell(world: World, servent: Servent) -> None:
            guest = await dial(world, servent.address)
            for asked in ("bytes=700000-", "bytes=-0"):
                head, body = await guest.ask(N2R, f"Range: {asked}")
                assert head.startswith("HTTP/1.1 416 ")
                assert value(head, "Content-Range") == "bytes */700000"
                assert body == b""

        with_servent(tmp_path, share, tell)

    def test_a_head_alone(self, tmp_path: Path, share: Path) -> None:
        async def tell(world: World, servent: Servent) -> None:
            guest = await dial(world, servent.address)
            head, _ = await guest.ask(N2R, "Range: bytes=1-9", method="HEAD")
            assert value(head, "Content-Length") == "9"
            head, body = await guest.ask(N2R, "Range: bytes=1-9")
            assert body == DATA[1:10]

        with_servent(tmp_path, share, tell, slots=1)

    def test_an_empty_file(self) -> None:
        empty = Offer(Told(b""))
        assert part_of(empty, None) == Part(200, 0, 0)
        assert part_of(empty, Range(0)) == Part(416)
        assert given(empty, Part(200)).code == 200

    def test_http_1_0_ends_after_one_answer(self, tmp_path: Path, share: Path) -> None:
        async def tell(world: World, servent: Servent) -> None:
            guest = await dial(world, servent.address)
            guest.say(f"GET {N2R} HTTP/1.0\r\n\r\n")
            assert value(await guest.head(), "Connection") == "close"
            assert await guest.take(len(DATA)) == DATA
            await guest.hung_up()

        assert with_servent(tmp_path, share, tell) < 5

    def test_verified_parts_of_a_running_download(self, tmp_path: Path, share: Path) -> None:
        class Half:
            sha1, size = b"\1" * 20, 1000

            def ranges(self) -> Sequence[tuple[int, int]]:
                return [(100, 200), (500, 1000)]

            async def read(self, at: int, buffer: memoryview) -> None:
                assert (at >= 100 and at + len(buffer) <= 200) or at >= 500
                buffer[:] = DATA[at : at + len(buffer)]

        async def tell(world: World, servent: Servent) -> None:
            half, target = Half(), f"/uri-res/N2R?urn:sha1:{base32(Half.sha1)}"
            servent.mesh.begin(half)
            guest = await dial(world, servent.address)
            head, body = await guest.ask(target, "Range: bytes=150-")
            assert value(head, "Content-Range") == "bytes 150-199/1000"
            assert value(head, "X-Available-Ranges") == "bytes 100-199,500-999"
            assert body == DATA[150:200]
            for lines in [(), ("Range: bytes=99-300",), ("Range: bytes=300-400",)]:
                # From the byte that was asked for or not at all; and then at once for what there is.
                head, _ = await guest.ask(target, *lines)
                assert head.startswith("HTTP/1.1 503 Requested Range Not Available\r\n")
                assert value(head, "X-Available-Ranges") == "bytes 100-199,500-999"
                assert value(head, "Content-Length") == "0"
                assert value(head, "Retry-After") is None
            head, body = await guest.ask(target, "Range: bytes=500-599")
            assert (value(head, "Content-Range"), body) == ("bytes 500-599/1000", DATA[500:600])
            servent.mesh.end(half)
            assert "404" in (await guest.ask(target, "Range: bytes=150-"))[0]

        with_servent(tmp_path, share, tell)


class TestNames:
    def test_number_and_name_must_fit(self, tmp_path: Path, share: Path) -> None:
        async def tell(world: World, servent: Servent) -> None:
            guest, file = await dial(world, servent.address), await servent.the_file()
            for name in ("blue%20moon.mp3", "blue moon.mp3", "Music%2Fblue%20moon.mp3"):
                _, body = await guest.ask(f"/get/{file.id}/{name}", "Range: bytes=0-9")
                assert body == DATA[:10]
            for target in (
                f"/get/{file.id + 1}/blue%20moon.mp3",
                f"/get/{file.id}/blue%20moon",
                f"/get/{file.id}/..%2FMusic%2Fblue%20moon.mp3",
                f"/get/{file.id}/%2e%2e/blue%20moon.mp3",
                "/get/99999999999999/blue%20moon.mp3",
                f"/get/{1 << 63}/x",
            ):
                assert (await guest.ask(target))[0].startswith("HTTP/1.1 404 "), target

        with_servent(tmp_path, share, tell)

    @pytest.mark.parametrize(
        "target",
        [
            "/../../../../etc/passwd",
            "/etc/passwd",
            "/get/1/../../../etc/passwd",
            "/get/1/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
            "/get/1/..\\..\\secret",
            "/get/1/%00",
            "//etc/passwd",
            "file:///etc/passwd",
            "*",
            "/uri-res/N2R?/etc/passwd",
        ],
    )
    def test_no_request_is_a_path(self, tmp_path: Path, share: Path, target: str) -> None:
        (tmp_path / "secret").write_bytes(b"secret")

        async def tell(world: World, servent: Servent) -> None:
            guest = await dial(world, servent.address)
            head, body = await guest.ask(target)
            assert head.startswith("HTTP/1.1 404 ")
            assert body == b""

        with_servent(tmp_path, share, tell)

    def test_a_name_that_would_be_a_header(self, tmp_path: Path, share: Path) -> None:
        evil = 'a\r\nSet-Cookie: x=1\r\n\r\n"<b>.mp3'
        (share / "blue moon.mp3").rename(share / evil)

        async def tell(world: World, servent: Servent) -> None:
            guest = await dial(world, servent.address)
            head, body = await guest.ask(N2R)
            assert body == DATA
            assert "Set-Cookie" not in [line.partition(":")[0] for line in head.split("\r\n")]

        with_servent(tmp_path, share, tell)

    def test_a_file_that_was_changed_is_not_given(self, tmp_path: Path, share: Path) -> None:
        async def tell(world: World, servent: Servent) -> None:
            guest = await dial(world, servent.address)
            (share / "blue moon.mp3").write_bytes(DATA[:-1] + b"x")
            assert (await guest.ask(N2R))[0].startswith("HTTP/1.1 404 ")

        with_servent(tmp_path, share, tell)

    def test_one_that_changes_meanwhile_ends_the_connection(
        self, tmp_path: Path, share: Path
    ) -> None:
        async def tell(world: World, servent: Servent) -> None:
            guest = await dial(world, servent.address)
            guest.say(f"GET {N2R} HTTP/1.1\r\n\r\n")
            await guest.head()
            (share / "blue moon.mp3").write_bytes(b"another")
            await guest.hung_up()
            assert DATA.startswith(guest.heard)
            assert len(guest.heard) < len(DATA)

        with_servent(tmp_path, share, tell, uplink=100_000)


class TestOthers:
    def test_the_tree_by_which_parts_are_checked(self, tmp_path: Path, share: Path) -> None:
        async def tell(world: World, servent: Servent) -> None:
            guest = await dial(world, servent.address)
            head, _ = await guest.ask(N2R, method="HEAD")
            uri = value(head, "X-Thex-URI")
            assert uri is not None
            head, body = await guest.ask(uri)
            assert value(head, "Content-Type") == "application/dime"
            tree = TigerTree.of(DATA)
            assert read_thex(body, len(DATA), tree.root) == tree
            wrong = f"{uri.partition(';')[0]};{base32(bytes(24))}"
            assert "404" in (await guest.ask(wrong))[0]

        with_servent(tmp_path, share, tell)

    def test_the_torrent_and_its_seeding(self, tmp_path: Path, share: Path) -> None:
        async def tell(world: World, servent: Servent) -> None:
            file = await servent.the_file()
            assert file.info_hash is not None
            guest = await dial(world, servent.address)
            _, body = await guest.ask(f"/p2pswarm/torrent/{file.info_hash.hex()}")
            found = await servent.catalog.torrent(file.info_hash)
            assert found is not None
            assert body == found[1].raw
            assert [seeded[0] for seeded in servent.seeded] == [file.info_hash]
            assert "404" in (await guest.ask(f"/p2pswarm/torrent/{'0' * 40}"))[0]

        with_servent(tmp_path, share, tell)

    def test_nobody_browses_unless_he_may(self, tmp_path: Path, share: Path) -> None:
        async def tell(world: World, servent: Servent) -> None:
            guest = await dial(world, servent.address)
            assert (await guest.ask("/"))[0].startswith("HTTP/1.1 403 ")

        with_servent(tmp_path, share, tell)

    def test_who_may_sees_hits_or_a_page(self, tmp_path: Path, share: Path) -> None:
        (share / "<script>.mp3").write_bytes(b"x")

        def hits(files: Sequence[Shared]) -> bytes:
            return b"|".join(file.name.encode() for file in files)

        async def tell(world: World, servent: Servent) -> None:
            guest = await dial(world, servent.address)
            head, body = await guest.ask("/", "Accept: text/html, application/x-gnutella-packets")
            assert value(head, "Content-Type") == "application/x-gnutella-packets"
            assert sorted(body.split(b"|")) == [b"Music/<script>.mp3", b"Music/blue moon.mp3"]
            head, body = await guest.ask("/", "Accept: text/html")
            assert value(head, "Content-Type") == "text/html; charset=utf-8"
            assert b"&lt;script&gt;" in body
            assert b"<script>" not in body

        with_servent(tmp_path, share, tell, hits=hits)

    def test_push_proxies_have_nobody_else_dialed(self, tmp_path: Path, share: Path) -> None:
        guid = bytes(range(16))

        async def tell(world: World, servent: Servent) -> None:
            servent.leaves.add(guid)
            guest = await dial(world, servent.address)
            assert guest.stream is not None
            here = guest.stream.local.host
            for target in (
                f"/gnutella/push-proxy?ServerId={base32(guid)}",
                f"/gnet/push-proxy?guid={guid.hex()}",
            ):
                assert "202" in (await guest.ask(target, f"X-Node: {here}:{PORT}"))[0]
                assert "400" in (await guest.ask(target, f"X-Node: 10.9.9.9:{PORT}"))[0]
                assert "400" in (await guest.ask(target))[0]
            unknown = f"/gnet/push-proxy?guid={'0' * 32}"
            assert "410" in (await guest.ask(unknown, f"X-Node: {here}:{PORT}"))[0]
            assert {address.host for _, address in servent.proxied} == {here}

        with_servent(tmp_path, share, tell)

    def test_whom_we_know_to_be_good_is_told(self, tmp_path: Path, share: Path) -> None:
        async def tell(world: World, servent: Servent) -> None:
            clock = asyncio.get_running_loop().time
            other, guest = world.host().name, await dial(world, servent.address)
            assert guest.stream is not None
            for host in (other, guest.stream.local.host):
                servent.mesh.proved(SHA1, uploads.Address(host, 6346), clock())
            head, _ = await guest.ask(N2R, "X-Alt: 10.7.7.7", method="HEAD")
            told = value(head, "X-Alt")
            assert told is not None
            assert other in told.split(",")
            assert "10.7.7.7" not in told

        with_servent(tmp_path, share, tell)

    def test_others_are_heard_of_while_we_fetch_it_ourselves(
        self, tmp_path: Path, share: Path
    ) -> None:
        class Begun:
            sha1, size = SHA1, len(DATA)

            def ranges(self) -> Sequence[tuple[int, int]]:
                return []

            async def read(self, at: int, buffer: memoryview) -> None:
                raise AssertionError

        async def tell(world: World, servent: Servent) -> None:
            guest = await dial(world, servent.address)
            servent.mesh.begin(Begun())
            await guest.ask(N2R, "X-Alt: 10.7.7.7,127.0.0.1,8.8.8.8", method="HEAD")
            assert [host.host for _, host, _ in servent.told] == ["10.7.7.7", "8.8.8.8"]
            assert guest.stream is not None
            assert {(sha1, teller) for sha1, _, teller in servent.told} == {
                (SHA1, guest.stream.local)
            }

        with_servent(tmp_path, share, tell)

    def test_who_tells_of_itself_is_told_on(self, tmp_path: Path, share: Path) -> None:
        async def tell(world: World, servent: Servent) -> None:
            one, other = [await dial(world, servent.address) for _ in range(2)]
            assert one.stream is not None
            itself = Address(one.stream.local.host, 7000)
            lies = ",".join(f"{itself.host}:{port}" for port in range(1, 100))
            await one.ask(N2R, f"X-Alt: {itself},8.8.8.8,{lies}", method="HEAD")
            head, _ = await one.ask(N2R, f"X-Alt: {itself},{lies}", method="HEAD")
            assert value(head, "X-Alt") is None  # it knows
            head, _ = await other.ask(N2R, method="HEAD")
            told = (value(head, "X-Alt") or "").split(",")
            assert str(itself) in told
            assert {text.split(":")[0] for text in told} == {itself.host}
            assert len(told) == MOST_PORTS
            for guest in (one, other):
                await guest.ask(N2R, f"X-NAlt: {itself}", method="HEAD")
            head, _ = await other.ask(N2R, method="HEAD")
            assert str(itself) not in (value(head, "X-Alt") or "").split(",")
            assert not servent.told  # it fetches nothing

        with_servent(tmp_path, share, tell)

    def test_who_cannot_be_seeded_to_comes_again(self, tmp_path: Path, share: Path) -> None:
        async def tell(world: World, servent: Servent) -> None:
            file = await servent.the_file()
            assert file.info_hash is not None
            servent.too_much = True
            guest = await dial(world, servent.address)
            head, _ = await guest.ask(f"/p2pswarm/torrent/{file.info_hash.hex()}")
            assert head.startswith("HTTP/1.1 503 ")
            assert value(head, "Retry-After") == "60"

        with_servent(tmp_path, share, tell)

    def test_other_methods(self, tmp_path: Path, share: Path) -> None:
        async def tell(world: World, servent: Servent) -> None:
            guest = await dial(world, servent.address)
            await guest.ask(N2R, method="HEAD")
            assert "501" in (await guest.ask(N2R, method="DELETE"))[0]

        with_servent(tmp_path, share, tell)


class TestPlaces:
    def test_who_waits_its_turn_gets_it(self, tmp_path: Path, share: Path) -> None:
        async def tell(world: World, servent: Servent) -> None:
            first, second = [await dial(world, servent.address) for _ in range(2)]
            await first.ask(N2R, "Range: bytes=0-9")
            head, _ = await second.ask(N2R, QUEUE)
            assert head.startswith("HTTP/1.1 503 Queued\r\n")
            assert value(head, "X-Queue") == "position=1,length=1,limit=1,pollMin=45,pollMax=120"
            await asyncio.sleep(50)  # the first one goes, for its silence
            assert first.over
            assert (await second.ask(N2R, QUEUE))[1] == DATA

        with_servent(tmp_path, share, tell, slots=1)

    def test_parq(self, tmp_path: Path, share: Path) -> None:
        async def tell(world: World, servent: Servent) -> None:
            first, second = [await dial(world, servent.address) for _ in range(2)]
            await first.ask(N2R, "Range: bytes=0-9")
            head, _ = await second.ask(N2R, "X-Queue: 1.0")
            queued = value(head, "X-Queued")
            assert value(head, "Retry-After") == "45"
            assert queued is not None
            assert queued.startswith("position=1; length=1; ETA=60; lifetime=120; ID=")
            await asyncio.sleep(45)
            assert (await second.ask(N2R, "X-Queue: 1.0", f"X-Queued: {queued}"))[1] == DATA

        with_servent(tmp_path, share, tell, slots=1)

    def test_who_asks_too_early_is_sent_away(self, tmp_path: Path, share: Path) -> None:
        async def tell(world: World, servent: Servent) -> None:
            first, second = [await dial(world, servent.address) for _ in range(2)]
            await first.ask(N2R, "Range: bytes=0-9")
            await second.ask(N2R, QUEUE)
            await asyncio.sleep(10)
            second.say(f"GET {N2R} HTTP/1.1\r\n{QUEUE}\r\n\r\n")
            await second.hung_up()
            assert second.heard == b""

        with_servent(tmp_path, share, tell, slots=1)

    def test_who_knows_no_line_hears_when_to_come_again(self, tmp_path: Path, share: Path) -> None:
        async def tell(world: World, servent: Servent) -> None:
            first, second = [await dial(world, servent.address) for _ in range(2)]
            await first.ask(N2R, "Range: bytes=0-9")
            head, _ = await second.ask(N2R)
            assert head.startswith("HTTP/1.1 503 Busy\r\n")
            assert value(head, "Retry-After") == "60"
            assert value(head, "X-Queue") is None
            head, _ = await second.ask(N2R, method="HEAD")
            assert head.startswith("HTTP/1.1 200 ")

        with_servent(tmp_path, share, tell, slots=1)

    def test_one_host_does_not_have_them_all(self, tmp_path: Path, share: Path) -> None:
        async def tell(world: World, servent: Servent) -> None:
            greedy = world.host().name
            assert not servent.uploads.busy
            guests = [await dial(world, servent.address, greedy) for _ in range(4)]
            codes = [(await guest.ask(N2R, "Range: bytes=0-9"))[0][9:12] for guest in guests]
            assert codes == ["206", "206", "206", "503"]
            other = await dial(world, servent.address)
            assert (await other.ask(N2R))[1] == DATA

        with_servent(tmp_path, share, tell, slots=10)

    def test_the_upload_limit_holds(self, tmp_path: Path, share: Path) -> None:
        async def tell(world: World, servent: Servent) -> None:
            guest = await dial(world, servent.address)
            assert (await guest.ask(N2R))[1] == DATA

        assert with_servent(tmp_path, share, tell, up=100_000) > 6


class TestPatience:
    def test_a_head_that_drips_is_not_waited_for(self, tmp_path: Path, share: Path) -> None:
        async def tell(world: World, servent: Servent) -> None:
            drips = [await dial(world, servent.address) for _ in range(20)]
            for second in range(20):
                for drip in drips:
                    if not drip.over:
                        drip.say("GET / HTTP/1.1\r\nX: "[second : second + 1])
                await asyncio.sleep(1)
            assert all(drip.over for drip in drips)
            assert servent.tasks == set()

        with_servent(tmp_path, share, tell)

    def test_nor_is_a_second_one(self, tmp_path: Path, share: Path) -> None:
        async def tell(world: World, servent: Servent) -> None:
            guest = await dial(world, servent.address)
            await guest.ask(N2R, "Range: bytes=0-9")
            for _ in range(int(uploads.IDLE)):
                guest.say("\r\n")
                await asyncio.sleep(1.1)
            assert guest.over

        with_servent(tmp_path, share, tell)

    def test_who_takes_nothing_is_left(self, tmp_path: Path, share: Path) -> None:
        async def tell(world: World, servent: Servent) -> None:
            guest = await dial(world, servent.address)
            assert guest.stream is not None
            guest.stream.pause()
            guest.say(f"GET {N2R} HTTP/1.1\r\n\r\n")
            for _ in range(70):
                await asyncio.sleep(1)
                guest.say("\r\n")  # it is not silent
            assert servent.tasks == set()

        with_servent(tmp_path, share, tell)

    def test_when_there_are_too_many_the_silent_go(
        self, tmp_path: Path, share: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(uploads, "MOST", 3)

        async def tell(world: World, servent: Servent) -> None:
            guests: list[Stranger] = []
            for _ in range(4):
                guests.append(await dial(world, servent.address))
                await guests[-1].ask(N2R, method="HEAD")
            await asyncio.sleep(1)
            assert [guest.over for guest in guests] == [True, False, False, False]

        with_servent(tmp_path, share, tell)

    def test_or_one_host_has_too_many(
        self, tmp_path: Path, share: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(uploads, "MOST_OF_ONE", 2)

        async def tell(world: World, servent: Servent) -> None:
            host = world.host().name
            guests = [await dial(world, servent.address, host) for _ in range(3)]
            for guest in guests[:2]:
                assert "200" in (await guest.ask(N2R, method="HEAD"))[0]
            guests[2].say(f"HEAD {N2R} HTTP/1.1\r\n\r\n")
            await guests[2].hung_up()
            assert guests[2].heard == b""

        with_servent(tmp_path, share, tell)

    def test_any_bytes(self, tmp_path: Path, share: Path) -> None:
        dice = Random(5)
        starts = [
            b"GET ",
            b"HEAD ",
            f"GET {N2R} HTTP/1.1\r\n".encode(),
            b"GET / HTTP/1.1\r\nRange: ",
        ]

        async def tell(world: World, servent: Servent) -> None:
            for number in range(300):
                guest = await dial(world, servent.address, f"10.0.0.{1 + number % 4}")
                guest.say(starts[number % 4] + dice.randbytes(dice.randrange(60)))
                guest.say(dice.choice([b"\r\n\r\n", b"\n\n", b"", b"\0" * 20_000]))
            await asyncio.sleep(60)
            assert servent.tasks == set()
            good = await dial(world, servent.address)
            assert (await good.ask(N2R))[1] == DATA

        async def story(world: World) -> None:
            for _ in range(4):
                world.host()
            async with Servent.here(world, share) as servent:
                await tell(world, servent)

        simulate(tmp_path, story)

    @pytest.mark.parametrize(
        "request_",
        [
            "GET / HTTP/2.0",
            "GET /\r\nX",
            "GET / HTTP/1.1\r\nContent-Length: 9",
            "GET / HTTP/1.1\r\nTransfer-Encoding: chunked",
            "GET / HTTP/1.1\r\n: no name",
        ],
    )
    def test_nonsense_ends_it(self, tmp_path: Path, share: Path, request_: str) -> None:
        async def tell(world: World, servent: Servent) -> None:
            guest = await dial(world, servent.address)
            guest.say(f"{request_}\r\n\r\n")
            await guest.hung_up()

        assert with_servent(tmp_path, share, tell) < 5


class TestHostile:
    def test_who_asks_and_does_not_read_waits(self, tmp_path: Path, share: Path) -> None:
        async def tell(world: World, servent: Servent) -> None:
            guest = await dial(world, servent.address)
            assert guest.stream is not None
            guest.stream.pause()
            for _ in range(300):
                guest.say("GET /nothing HTTP/1.1\r\n\r\n" * 30)
                await asyncio.sleep(0.01)
            (talk,) = servent.uploads._talks
            assert talk.stream.unsent < 1000
            await asyncio.sleep(70)
            assert guest.over  # it took nothing for a minute
            assert not servent.uploads._talks

        with_servent(tmp_path, share, tell)

    def test_all_who_browse_see_one_list(self, tmp_path: Path, share: Path) -> None:
        written: list[int] = []

        def hits(files: Sequence[Shared]) -> bytes:
            written.append(len(files))
            return b"hits"

        async def tell(world: World, servent: Servent) -> None:
            for _ in range(5):
                guest = await dial(world, servent.address)
                _, body = await guest.ask("/", "Accept: application/x-gnutella-packets")
                assert body == b"hits"
            assert written == [1]
            (share / "another.mp3").write_bytes(b"another")
            servent.catalog.rescan()
            await servent.catalog.settled()
            await guest.ask("/", "Accept: application/x-gnutella-packets")
            assert written == [1, 2]

        with_servent(tmp_path, share, tell, hits=hits)
