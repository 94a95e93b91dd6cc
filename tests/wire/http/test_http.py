"""HTTP between servents: both directions of every value, the dialects, and whatever a stranger sends."""

import pytest
from hypothesis import given, strategies as st

from p2pswarm.errors import LocalProtocolError, RemoteError, RemoteProtocolError
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.wire.http.heads import Headers, HeadFramer
from p2pswarm.wire.http.locations import (
    PushLocation,
    read_locations,
    read_node,
    write_locations,
)
from p2pswarm.wire.http.messages import Request, Response, disposition
from p2pswarm.wire.http.queueing import Parq, QueuePlace, understands
from p2pswarm.wire.http.ranges import ContentRange, Range, available, number, read_available
from p2pswarm.wire.http.targets import (
    Browse,
    ByHash,
    ByIndex,
    PushProxy,
    TorrentOf,
    TreeOf,
    read_target,
)
from tests.support.feeding import chunkings, feed, feed_until_error

SHA1 = bytes(range(20))
ROOT = bytes(range(24))
URN = "AAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQT"
TTH = "AAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQTCQKRMFY"
GUID = bytes(range(16))
sizes = st.integers(1, 1 << 50)


def heads(data: bytes, kind: type[Request] | type[Response]) -> object:
    return feed(HeadFramer(kind.read), data)[0]


class TestHeads:
    @given(chunkings)
    def test_a_request_as_gtk_gnutella_sends_it(self, sizes: list[int]) -> None:
        data = (
            b"GET /uri-res/N2R?urn:sha1:" + URN.encode() + b" HTTP/1.1\r\nHost: 10.0.0.1:6346\r\n"
            b"X-Queue: 1.0\r\nRange: bytes=5-\r\nConnection: Keep-Alive\r\n\r\nmore"
        )
        framer = HeadFramer(Request.read)
        request = feed(framer, data, sizes)[0]
        assert isinstance(request, Request)
        assert read_target(request.target) == ByHash(SHA1)
        assert request.range == Range(5)
        assert request.persistent
        assert framer.unread() == b"more"

    @pytest.mark.parametrize(
        "text",
        [
            "GET / HTTP/2.0",
            "GET /",
            "get / HTTP/1.1",
            "GET  HTTP/1.1",
            "G\xc9T / HTTP/1.1",
            "GET / HTTP/1.1\r\nTransfer-Encoding: chunked",
            "GET / HTTP/1.1\r\nContent-Length: 5",
            "GET / HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 5",
            "GET / HTTP/1.1\r\nContent-Length: +0",
        ],
    )
    def test_what_is_no_request_that_can_be_answered(self, text: str) -> None:
        with pytest.raises(RemoteProtocolError):
            heads(text.encode() + b"\r\n\r\n", Request)

    def test_a_name_with_blanks_in_a_request(self) -> None:
        request = heads(b"GET /get/3/blue moon.mp3 HTTP/1.0\r\n\r\n", Request)
        assert isinstance(request, Request)
        assert read_target(request.target) == ByIndex(3, "blue moon.mp3")
        assert not request.persistent

    @pytest.mark.parametrize(
        ("text", "length", "persistent"),
        [
            ("HTTP/1.1 206 Partial Content\r\nContent-Length: 4", 4, True),
            ("HTTP/1.0 200 OK\r\nContent-length: 4, 4", 4, False),
            ("HTTP/1.0 200 OK\r\nConnection: Keep-Alive", None, True),
            ("HTTP 200 OK\r\n", None, False),
            ("HTTP/1.1 503 Busy\r\nConnection: x, Close", None, False),
        ],
    )
    def test_answers(self, text: str, length: int | None, persistent: bool) -> None:
        response = heads(text.encode() + b"\r\n\r\n", Response)
        assert isinstance(response, Response)
        assert (response.length, response.persistent) == (length, persistent)

    @pytest.mark.parametrize("value", ["-1", "1_0", "1,2", "٣", "1" * 19, ""])
    def test_a_length_that_is_none(self, value: str) -> None:
        response = Response.read("HTTP/1.1 200 OK", Headers({"Content-Length": value}))
        with pytest.raises(RemoteProtocolError):
            assert response.length

    def test_nothing_is_told_in_chunks(self) -> None:
        response = Response.read("HTTP/1.1 200 OK", Headers({"Transfer-Encoding": "chunked"}))
        with pytest.raises(RemoteProtocolError):
            assert response.length

    def test_both_are_read_as_written(self) -> None:
        request = Request("HEAD", str(ByHash(SHA1)), Headers({"Range": str(Range(0, 9))}))
        assert heads(request.encode(), Request) == request
        response = Response(206, "Partial Content", Headers({"Retry-After": "70"}))
        assert heads(response.encode(), Response) == response
        assert response.retry_after == 70

    @pytest.mark.parametrize(
        ("text", "is_servent"),
        [
            ("HTTP/1.1 404 Not Found\r\nServer: gtk-gnutella/1.2.3 (2023-01-01)", True),
            ("HTTP/1.1 503 Busy\r\nX-Queued: ID=1", True),
            ("HTTP/1.1 200 OK\r\nContent-Type: application/dime", True),
            ("HTTP/1.1 200 OK\r\nContent-Length: 7", True),
            ("HTTP/1.1 206 OK\r\nContent-Range: bytes 0-3/7", True),
            ("HTTP/1.1 206 OK\r\nContent-Range: bytes 0-3/8", False),
            ("HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\nServer: nginx", False),
            ("HTTP/1.1 200 OK", False),
        ],
    )
    def test_whether_a_servent_answers(self, text: str, is_servent: bool) -> None:
        response = heads(text.encode() + b"\r\n\r\n", Response)
        assert isinstance(response, Response)
        assert response.is_of_servent(7) == is_servent

    def test_no_line_is_smuggled_in(self) -> None:
        with pytest.raises(LocalProtocolError):
            Request("GET", "/get/1/a\r\nHost: x", Headers()).encode()
        with pytest.raises(LocalProtocolError):
            Response(200, "OK", Headers({"X": "a\nb"})).encode()

    @given(st.text(max_size=200))
    def test_no_name_breaks_a_header(self, name: str) -> None:
        value = disposition(name)
        data = Response(200, "OK", Headers({"Content-Disposition": value})).encode()
        response = heads(data, Response)
        assert isinstance(response, Response)
        assert list(response.headers.items()) == [("Content-Disposition", value)]
        assert value.count('"') == 2

    @given(st.binary(max_size=300), chunkings)
    def test_any_bytes(self, data: bytes, sizes: list[int]) -> None:
        for read in (Request.read, Response.read):
            for start in (b"", b"GET /get/1/", b"HTTP/1.1 206 A\r\nContent-Range: "):
                messages, error = feed_until_error(HeadFramer(read), start + data, sizes)
                assert error is None or isinstance(error, RemoteError)
                assert all(isinstance(message, (Request, Response)) for message in messages)


class TestRanges:
    @pytest.mark.parametrize(
        ("value", "asked", "within"),
        [
            ("bytes=0-9", Range(0, 9), (0, 10)),
            ("bytes=90-", Range(90), (90, 100)),
            ("bytes=-7", Range(None, 7), (93, 100)),
            ("bytes=-700", Range(None, 700), (0, 100)),
            ("bytes=90-1000", Range(90, 1000), (90, 100)),
            ("bytes 0-9", Range(0, 9), (0, 10)),
            ("BYTES = 0 - 9, 20-30", Range(0, 9), (0, 10)),
            ("bytes=100-", Range(100), None),
            ("bytes=-0", Range(None, 0), None),
        ],
    )
    def test_dialects(self, value: str, asked: Range, within: tuple[int, int] | None) -> None:
        assert Range.read(value) == asked
        assert asked.within(100) == within

    @pytest.mark.parametrize("value", ["", "bytes=-", "bytes=9-0", "items=0-9", "bytes=a-b"])
    def test_what_is_no_range_asks_for_all(self, value: str) -> None:
        assert Range.read(value) is None

    def test_nothing_of_an_empty_file(self) -> None:
        assert Range(0).within(0) is None
        assert Range(None, 5).within(0) is None

    @pytest.mark.parametrize("value", ["bytes 5-9/10", "bytes=5-9/10", " Bytes  5 - 9 / 10 "])
    def test_both_styles_of_what_is_given(self, value: str) -> None:
        assert ContentRange.read(value) == ContentRange(5, 10, 10)

    def test_a_size_may_be_unknown(self) -> None:
        assert ContentRange.read("bytes 5-9/*") == ContentRange(5, 10, None)

    @pytest.mark.parametrize("value", ["", "bytes */10", "bytes 9-5/10", "bytes 5-10/10", "5-9/10"])
    def test_what_gives_nothing(self, value: str) -> None:
        with pytest.raises(RemoteProtocolError):
            ContentRange.read(value)

    @given(sizes, sizes, st.none() | sizes)
    def test_read_as_written(self, start: int, more: int, rest: int | None) -> None:
        given_ = ContentRange(start, start + more, None if rest is None else start + more + rest)
        assert ContentRange.read(str(given_)) == given_
        assert Range.read(str(Range(start, start + more))) == Range(start, start + more)
        assert Range.read(str(Range(None, more))) == Range(None, more)

    @given(st.lists(st.tuples(sizes, sizes).map(sorted).filter(lambda two: two[0] < two[1])))
    def test_available_ranges(self, parts: list[list[int]]) -> None:
        ranges = [(start, end) for start, end in parts]
        assert read_available(available(ranges)) == ranges[:64]

    def test_what_is_seen_of_them(self) -> None:
        assert read_available("bytes 0-10, 20-30,x,9-5,") == [(0, 11), (20, 31)]
        assert read_available("bytes=0-10") == [(0, 11)]
        assert read_available("pages 0-10") == []

    def test_many_blanks_cost_nothing(self) -> None:
        value = f"bytes{' ' * 16_000}x"
        assert Range.read(value) is None
        assert read_available(value) == []
        with pytest.raises(RemoteProtocolError):
            ContentRange.read(value)

    @given(st.text())
    def test_any_text(self, text: str) -> None:
        Range.read(text)
        read_available(text)
        read_available("bytes " + text)
        assert number(text) is None or text.strip().isdigit()
        for value in (text, f"bytes {text}/9"):
            try:
                ContentRange.read(value)
            except RemoteProtocolError:
                continue


class TestTargets:
    @pytest.mark.parametrize(
        ("text", "target"),
        [
            (f"/uri-res/N2R?urn:sha1:{URN}", ByHash(SHA1)),
            (f"/uri-res/n2r?urn%3aSHA1%3A{URN.lower()}", ByHash(SHA1)),
            (f"/uri-res/N2R?urn:bitprint:{URN}.{TTH}", ByHash(SHA1)),
            (f"http://1.2.3.4:99/uri-res/N2R?urn:sha1:{URN}", ByHash(SHA1)),
            (f"/uri-res/N2X?urn:sha1:{URN};{TTH}", TreeOf(SHA1, ROOT)),
            (f"/uri-res/N2X?urn:sha1:{URN}", TreeOf(SHA1)),
            ("/get/7/a%20b%3F.mp3", ByIndex(7, "a b?.mp3")),
            ("/get/7/why?.mp3/", ByIndex(7, "why?.mp3")),
            ("/get/7/%ff", ByIndex(7, "\ufffd")),
            ("/", Browse()),
            ("http://1.2.3.4", Browse()),
            ("/gnutella/push-proxy?ServerId=AAAQEAYEAUDAOCAJBIFQYDIOB4", PushProxy(GUID)),
            (f"/gnet/push-proxy?guid={GUID.hex().upper()}", PushProxy(GUID)),
            (f"/gnutella/push-proxy?a=b&guid={GUID.hex()}&tls=true", PushProxy(GUID)),
            (f"/p2pswarm/torrent/{SHA1.hex()}", TorrentOf(InfoHash(SHA1))),
        ],
    )
    def test_understood(self, text: str, target: object) -> None:
        assert read_target(text) == target

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "*",
            "etc/passwd",
            "/etc/passwd",
            "/../../etc/passwd",
            "/get/../../etc/passwd",
            "/get//etc/passwd",
            "/get/1",
            "/get/-1/a",
            "/get/٣/a",
            f"/uri-res/N2R?urn:sha1:{URN}A",
            f"/uri-res/N2R?urn:sha1:{URN[:-1]}1",
            "/uri-res/N2R?urn:md5:0",
            f"/uri-res/N2X?urn:sha1:{URN};{TTH[:-1]}",
            "/gnutella/push-proxy",
            "/gnutella/push-proxy?ServerId=AAAA",
            f"/p2pswarm/torrent/{SHA1.hex()}/..",
            "/get/1/" + "a" * 2048,
        ],
    )
    def test_refused(self, text: str) -> None:
        assert read_target(text) is None

    @given(st.integers(0, (1 << 32) - 1), st.text(min_size=1, max_size=100))
    def test_written_and_read(self, index: int, name: str) -> None:
        target = ByIndex(index, name.strip("/") or "x")
        assert read_target(str(target)) == target
        for other in (ByHash(SHA1), TreeOf(SHA1, ROOT), TreeOf(SHA1), Browse(), PushProxy(GUID)):
            assert read_target(str(other)) == other

    @given(st.text())
    def test_any_text(self, text: str) -> None:
        for start in (
            "",
            "/get/1/",
            "/uri-res/N2R?",
            "/uri-res/N2X?urn:sha1:",
            "/gnet/push-proxy?guid=",
        ):
            read_target(start + text)


class TestLocations:
    def test_the_example_of_the_document(self) -> None:
        value = "1.2.3.4:5,6.7.8.9,AAAQEAYEAUDAOCAJBIFQYDIOB4;1.1.1.1:1;2.2.2.2:2"
        locations = [
            Address("1.2.3.4", 5),
            Address("6.7.8.9", 6346),
            PushLocation(GUID, (Address("1.1.1.1", 1), Address("2.2.2.2", 2))),
        ]
        assert read_locations(value) == locations
        assert write_locations(locations) == value

    def test_what_other_programs_write(self) -> None:
        old = f"http://1.2.3.4:5/uri-res/N2R?urn:sha1:{URN} 2004-01-01T00:00:00Z"
        assert read_locations(
            f"tls=80, {old}, {GUID.hex()};fwt/1.0;9.9.9.9:9, [2001:db8::1]:7,"
        ) == [
            Address("1.2.3.4", 5),
            PushLocation(GUID, (Address("9.9.9.9", 9),)),
            Address("2001:db8::1", 7),
        ]

    def test_names_and_nonsense_are_left_out(self) -> None:
        assert read_locations("example.org:80,1.2.3.4:0,1.2.3.4:99999,::1,a;b,1.2.3:4") == []
        assert read_node("localhost:80") is None
        assert read_node(None) is None
        assert read_node("1.2.3.4:80") == Address("1.2.3.4", 80)

    def test_letters_that_only_look_like_base32(self) -> None:
        assert read_locations("\u017f" * 26 + ";1.1.1.1:1") == []

    def test_a_thousand_are_too_many(self) -> None:
        assert len(read_locations(",".join(f"1.2.3.4:{n}" for n in range(1, 1000)))) == 32

    @given(st.text())
    def test_any_text(self, text: str) -> None:
        for value in (text, f"{URN[:26]};{text}", f"http://{text}/uri-res/N2R?urn:sha1:{URN}"):
            for location in read_locations(value):
                assert read_locations(write_locations([location])) == [location]


class TestQueueing:
    def test_active(self) -> None:
        place = QueuePlace(2, 5, 4, 45, 120)
        assert str(place) == "position=2,length=5,limit=4,pollMin=45,pollMax=120"
        assert QueuePlace.read(str(place)) == place
        assert QueuePlace.read("position = 3, junk") == QueuePlace(3, 3, 1, 0, 86_400)
        assert QueuePlace.read("length=3") is None
        absurd = QueuePlace.read("position=1,pollMin=999999999,pollMax=1")
        assert absurd == QueuePlace(1, 1, 1, 86_400, 86_400)

    def test_parq(self) -> None:
        value = (
            "position=14; length=4300; ETA=2100; lifetime=300; ID=6a074979f3201edbf323b6425fef4a53"
        )
        place = Parq(14, 4300, 2100, 300, "6a074979f3201edbf323b6425fef4a53")
        assert Parq.read(value) == place
        assert str(place) == value
        assert place.repeated == "position=14; ID=6a074979f3201edbf323b6425fef4a53"
        assert Parq.read("id=1") == Parq(0, 0, 0, 0, "1")
        assert Parq.read("position=1; ID=a b") is None

    def test_who_understands_what(self) -> None:
        assert [understands(value) for value in ("0.1", "1.0", "1.1", "", None, "x")] == [
            *(0, 1, 1),
            *(None, None, None),
        ]

    @given(st.text())
    def test_any_text(self, text: str) -> None:
        for value in (text, f"position=1;ID=a,{text}"):
            place, parq = QueuePlace.read(value), Parq.read(value)
            assert place is None or QueuePlace.read(str(place)) == place
            assert parq is None or Parq.read(str(parq)) == parq
            understands(value)
