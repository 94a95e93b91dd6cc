"""Byes as the document writes them."""

import pytest
from hypothesis import given, strategies as st

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.wire.gnutella.bye import MAX_HEADERS, Bye


def test_a_bye_of_the_document() -> None:
    bye = Bye(502, "Send Queue Full (40960 bytes)", {"Server": "my server/version"})
    wire = b"\xf6\x01Send Queue Full (40960 bytes)\r\nServer: my server/version\r\n\r\n\x00"
    assert bye.encode() == wire
    assert Bye.read(wire) == bye


def test_a_short_bye() -> None:
    assert Bye(200, "Shutting Down").encode() == b"\xc8\x00Shutting Down\x00"
    assert Bye.read(b"\xc8\x00Shutting Down") == Bye(200, "Shutting Down")
    assert Bye.read(b"\xc8\x00") == Bye(200, "")


def test_a_bye_with_headers_on_more_lines() -> None:
    wire = b"\x90\x01\x1b[2Jbad\tboy\r\nX-Try: 1.2.3.4:1,\r\n 5.6.7.8:2\r\nno header\r\n\r\n\x00"
    assert Bye.read(wire) == Bye(400, "[2Jbad boy", {"X-Try": "1.2.3.4:1,"})


@given(st.binary(max_size=200))
def test_any_bye(data: bytes) -> None:
    if len(data) < 2:
        with pytest.raises(RemoteProtocolError):
            Bye.read(data)
    else:
        bye = Bye.read(data)
        assert bye.code == int.from_bytes(data[:2], "little")
        assert Bye.read(bye.encode()) == bye


def test_a_bye_without_bounds() -> None:
    bye = Bye.read(b"\xc8\x00" + b"x" * 60_000)
    assert len(bye.text) < 5000
    lines = b"".join(b"\r\nh%d: 1" % number for number in range(200))
    assert len(Bye.read(b"\xc8\x00text" + lines).headers) == MAX_HEADERS


@pytest.mark.parametrize(
    "bye",
    [
        Bye(65536, "x"),
        Bye(-1, "x"),
        Bye(200, "two\r\nlines"),
        Bye(200, "nul\x00"),
        Bye(200, "x", {"a": "b\r\nc: d"}),
        Bye(200, "\ud800"),
    ],
)
def test_byes_that_cannot_be(bye: Bye) -> None:
    with pytest.raises(LocalProtocolError):
        bye.encode()
