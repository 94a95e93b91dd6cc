import pytest
from hypothesis import given, strategies as st

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.wire.http.addresses import read_addresses, write_addresses
from p2pswarm.wire.http.heads import (
    MAX_HEAD,
    MAX_HEADERS,
    ConnectHead,
    Headers,
    HeadFramer,
    StatusHead,
    deflates,
    listed,
    takes_deflate,
    write_head,
)
from tests.support.feeding import chunkings, feed, feed_until_error

# What gtk-gnutella 1.2.3 sends (OVERLAYS 1.1).
ULTRAPEER = {
    "User-Agent": "gtk-gnutella/1.2.3",
    "Pong-Caching": "0.1",
    "GUID": "087b31023c077ffb07b6382689065ff0",
    "X-Ultrapeer": "True",
    "Accept-Encoding": "deflate",
    "Content-Encoding": "deflate",
    "X-Query-Routing": "0.2",
    "X-Features": "tls/1.0, sflag/0.1, HSEP/0.2",
}

names = st.text("abcXYZ019-_", min_size=1, max_size=12)
values = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=30).map(
    lambda text: text.strip(" \t")
)
headers = st.lists(st.tuples(names, values), max_size=8).map(Headers)


def read(data: bytes) -> object:
    (message,) = feed(HeadFramer(lambda start, headers: (start, headers)), data)
    return message


def test_a_greeting() -> None:
    head = ConnectHead(headers=Headers(ULTRAPEER))
    assert head.encode().startswith(b"GNUTELLA CONNECT/0.6\r\nUser-Agent: gtk-gnutella/1.2.3\r\n")
    assert head.encode().endswith(b"HSEP/0.2\r\n\r\n")
    assert feed(HeadFramer(ConnectHead.read), head.encode()) == [head]


def test_an_answer() -> None:
    head = StatusHead(503, "I am a shielded leaf", Headers({"X-Try": "1.2.3.4:6346"}))
    assert head.encode() == b"GNUTELLA/0.6 503 I am a shielded leaf\r\nX-Try: 1.2.3.4:6346\r\n\r\n"
    assert feed(HeadFramer(StatusHead.read), head.encode()) == [head]
    assert StatusHead().encode() == b"GNUTELLA/0.6 200 OK\r\n\r\n"
    assert feed(HeadFramer(StatusHead.read), b"GNUTELLA/0.6 204\r\n\r\n") == [StatusHead(204, "")]


def test_the_old_greeting_has_bare_lines() -> None:
    assert ConnectHead("0.4").encode() == b"GNUTELLA CONNECT/0.4\n\n"
    assert StatusHead(version="0.4").encode() == b"GNUTELLA OK\n\n"
    assert feed(HeadFramer(ConnectHead.read), b"GNUTELLA CONNECT/0.4\n\n") == [ConnectHead("0.4")]
    assert feed(HeadFramer(StatusHead.read), b"GNUTELLA OK\n\n") == [StatusHead(version="0.4")]


@given(headers, st.binary(max_size=40), chunkings)
def test_what_follows_a_head_stays_unread(sent: Headers, rest: bytes, sizes: list[int]) -> None:
    framer = HeadFramer(ConnectHead.read)
    assert feed(framer, ConnectHead("0.6", sent).encode() + rest, sizes) == [
        ConnectHead("0.6", sent)
    ]
    assert framer.unread() == rest


@given(st.binary(max_size=200), chunkings)
def test_junk_is_a_head_or_refused(data: bytes, sizes: list[int]) -> None:
    for read_head in (ConnectHead.read, StatusHead.read, lambda start, headers: (start, headers)):
        _, error = feed_until_error(HeadFramer(read_head), data, sizes)
        assert error is None or isinstance(error, RemoteProtocolError)


@given(st.text("a:b \t\r\n,\x00\x1b\xe9", max_size=60))
def test_what_was_read_can_be_written_and_read_again(text: str) -> None:
    cut = lambda start, headers: (start, headers)  # noqa: E731
    messages, _ = feed_until_error(HeadFramer(cut), b"a" + text.encode() + b"\n\n", [1 << 20])
    for start, headers in messages:  # type: ignore[misc]
        assert read(write_head(start, headers)) == (start, headers)


def test_lines_as_programs_write_them() -> None:
    start, headers = read(
        b"\r\n\nGET / HTTP/1.1\nx-alt: 1.2.3.4,\r\nHost : here\r\nX-Alt:5.6.7.8:1\r\n"
        b"User-Agent: one\r\n\t two \r\nBlank:\nOdd: a\x1b[2Jb\n\r\n"
    )
    assert start == "GET / HTTP/1.1"
    assert dict(headers) == {
        "x-alt": "1.2.3.4,, 5.6.7.8:1",
        "Host": "here",
        "User-Agent": "one two",
        "Blank": "",
        "Odd": "a [2Jb",
    }


@pytest.mark.parametrize(
    "head",
    [
        b"a\r\nno header\r\n\r\n",
        b"a\r\n: x\r\n\r\n",
        b"a\r\nb c: x\r\n\r\n",
        b"a\r\n continued: x\r\n\r\n",
        b"a\r\n" + b"b: c\r\n" * (MAX_HEADERS + 1) + b"\r\n",
        b"a" * MAX_HEAD,
        b"\n" * MAX_HEAD,
    ],
)
def test_what_is_no_head_is_refused(head: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        read(head)


def test_a_head_may_be_as_long_as_the_limit() -> None:
    head = b"a: b\r\n" * MAX_HEADERS
    start = b"a" * (MAX_HEAD - len(head) - 4) + b"\r\n"
    assert len(start + head + b"\r\n") == MAX_HEAD
    ((text, headers),) = feed(HeadFramer(lambda *head: head), start + head + b"\r\n", [1000])  # type: ignore[misc]
    assert len(text) == len(start) - 2
    assert headers["A"] == ", ".join(["b"] * MAX_HEADERS)


@pytest.mark.parametrize("start", ["GET / HTTP/1.1", "GNUTELLA/0.6 OK", "GNUTELLA CONNECT/x", "a"])
def test_other_starts_are_no_handshake(start: str) -> None:
    for read_head in (ConnectHead.read, StatusHead.read):
        with pytest.raises(RemoteProtocolError):
            read_head(start, Headers())


@pytest.mark.parametrize(
    ("start", "name", "value"),
    [
        ("GET /a\r\nb HTTP/1.1", "A", "b"),
        ("GET /", "A", "b\r\nC: d"),
        ("GET /", "A", "b\nC: d"),
        ("GET /", "A", "b\0"),
        ("GET /", "A\nB", "b"),
        ("GET /", "A B", "b"),
        ("GET /", "", "b"),
    ],
)
def test_nobody_can_make_us_write_another_header(start: str, name: str, value: str) -> None:
    with pytest.raises(LocalProtocolError):
        write_head(start, {name: value})


def test_a_reason_cannot_begin_a_line_either() -> None:
    with pytest.raises(LocalProtocolError):
        StatusHead(503, "Busy\r\nX-Try: 6.6.6.6").encode()


def test_headers_have_names_in_any_case() -> None:
    headers = Headers([("X-Try", "a"), ("x-try", "b")])
    assert headers["X-TRY"] == "a, b"
    assert "x-Try" in headers
    assert 1 not in headers
    assert list(headers) == ["X-Try"]
    assert headers == Headers({"x-try": "a, b"})
    assert headers != {"X-Try": "a, b"}
    headers["X-TRY"] = "c"
    assert repr(headers) == "Headers({'X-TRY': 'c'})"
    del headers["x-try"]
    assert not headers
    assert headers.get("X-Try") is None


def test_lists_of_addresses() -> None:
    text = "1.2.3.4:5, 50.9.3.1 ,1.2.3.4:5,, tls=5, host.example:1, 0.0.0.0:1, 1.2.3.4:70000, "
    assert read_addresses(text) == [Address("1.2.3.4", 5), Address("50.9.3.1", 6346)]
    assert read_addresses("[::2]:7, [::3], 9.9.9.9:1 2003-01-01T00:00Z") == [
        Address("::2", 7),
        Address("::3", 6346),
        Address("9.9.9.9", 1),
    ]
    assert read_addresses(None) == read_addresses("") == read_addresses(" ,") == []


def test_lists_of_addresses_are_bounded() -> None:
    many = [Address(f"1.2.{n // 200}.{n % 200 + 1}", 1) for n in range(5000)]
    assert read_addresses(write_addresses(many), most=7) == many[:7]
    assert read_addresses("junk, " * 5000 + "1.2.3.4") == []


def test_lists() -> None:
    assert listed("a, b,c , ,") == ["a", "b", "c"]
    assert listed(None) == []


@pytest.mark.parametrize("value", ["deflate", "gzip, Deflate", "deflate;q=1.0", "x-zip,deflate ,"])
def test_who_deflates_says_so(value: str) -> None:
    assert deflates(Headers({"content-encoding": value}))
    assert takes_deflate(Headers({"accept-encoding": value}))
    assert not deflates(Headers({"accept-encoding": value}))
    assert not takes_deflate(Headers({"content-encoding": value}))


@pytest.mark.parametrize("value", ["", "gzip", "deflate; q=0", "deflate;q=0.0", "deflated"])
def test_who_does_not_deflate(value: str) -> None:
    assert not deflates(Headers({"Content-Encoding": value}))
    assert not takes_deflate(Headers({"Accept-Encoding": value}))
