"""The GIV line of who was asked to connect."""

import pytest
from hypothesis import given, strategies as st

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.wire.http.giv import MAX_GIV, Giv, GivFramer
from tests.support.feeding import chunkings, feed, feed_until_error
from tests.support.gnutella_wire import guids

GUID = bytes.fromhex("087b31023c077ffb07b6382689065ff0")
SEEN = b"GIV 1:087b31023c077ffb07b6382689065ff0/file\n\n"
U32 = 0xFFFFFFFF

lines = st.text(st.characters(codec="utf-8", exclude_characters="\x00\n\r"), max_size=40)
givs = st.builds(Giv, st.integers(0, U32), guids, lines)


def test_the_line_gtk_gnutella_writes() -> None:
    assert Giv(1, GUID, "file").encode() == SEEN
    assert feed(GivFramer(), SEEN) == [Giv(1, GUID, "file")]
    assert feed(GivFramer(), SEEN.replace(b"\n", b"\r\n").upper()) == [Giv(1, GUID, "FILE")]


@given(givs, st.binary(max_size=50), chunkings)
def test_what_follows_stays_unread(giv: Giv, rest: bytes, sizes: list[int]) -> None:
    framer = GivFramer()
    assert feed(framer, giv.encode() + rest, sizes) == [giv]
    assert framer.unread() == rest


@given(st.binary(max_size=80), st.booleans(), chunkings)
def test_any_line(data: bytes, begun: bool, sizes: list[int]) -> None:
    framer = GivFramer()
    messages, error = feed_until_error(framer, b"GIV " * begun + data, sizes)
    assert len(messages) <= 1
    assert error is None or isinstance(error, RemoteProtocolError)


@pytest.mark.parametrize(
    "line",
    [
        b"GET",
        b"GIV 1:xyz/file\n\n",
        b"GIV :" + GUID.hex().encode() + b"/file\n\n",
        b"GIV 12345678901:" + GUID.hex().encode() + b"/file\n\n",
        SEEN.replace(b"file", b"fi\nle"),
        SEEN.replace(b"file", b"x" * MAX_GIV),
        b"GIV 1:" + b"x" * MAX_GIV,
        b"GIV 1\n\r\n",
    ],
)
def test_lines_that_are_none(line: bytes) -> None:
    for sizes in ([1], [10_000]):
        messages, error = feed_until_error(GivFramer(), line, sizes)
        assert messages == []
        assert isinstance(error, RemoteProtocolError)


def test_a_line_that_has_not_come_yet() -> None:
    framer = GivFramer()
    assert feed(framer, SEEN[:-1], [1]) == []
    assert feed(framer, b"\n") == [Giv(1, GUID, "file")]


def test_an_index_beyond_all() -> None:
    assert feed(GivFramer(), SEEN.replace(b" 1:", b" 9999999999:")) == [Giv(U32, GUID, "file")]


@pytest.mark.parametrize(
    "giv",
    [
        Giv(-1, GUID, "x"),
        Giv(1 << 32, GUID, "x"),
        Giv(1, b"short", "x"),
        Giv(1, GUID, "a\nb"),
        Giv(1, GUID, "a\r"),
        Giv(1, GUID, "a\x00b"),
        Giv(1, GUID, "x" * MAX_GIV),
    ],
)
def test_lines_that_cannot_be(giv: Giv) -> None:
    with pytest.raises(LocalProtocolError):
        giv.encode()
