"""Client to client: numbers without an end, in any chunking that clients can produce."""

import pytest
from hypothesis import given, strategies as st

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.wire.framer import Framer
from p2pswarm.wire.napster import Share
from p2pswarm.wire.napster.peer import (
    HELLO,
    GetFile,
    GetList,
    HeadFramer,
    HelloFramer,
    ListFramer,
    NumberFramer,
    PeerHello,
    Refusal,
    SendFile,
    SendList,
    SizeFramer,
    StatedNumber,
    list_lines,
)
from tests.support.feeding import chunkings, feed, feed_until_error

NAME = "\\music\\generic band - generic song.mp3"
HEADS = [
    (b'GETspy2 "\\music\\generic band - generic song.mp3" 0', GetFile("spy2", NAME, 0)),
    (b'SENDspy2 "\\music\\generic band - generic song.mp3" 4433', SendFile("spy2", NAME, 4433)),
    (b"GETLIST", GetList()),
    (b"SENDLIST spy2\n", SendList("spy2")),
]


@pytest.mark.parametrize(("wire", "head"), HEADS, ids=["get", "send", "getlist", "sendlist"])
def test_heads_are_written_and_read_as_the_document_says(wire: bytes, head: GetFile) -> None:
    assert head.encode() == wire
    assert feed(HeadFramer(), wire) == [head]


@pytest.mark.parametrize(("wire", "head"), HEADS[:2], ids=["get", "send"])
def test_a_head_may_come_in_pieces_up_to_its_number(wire: bytes, head: GetFile) -> None:
    start = wire.rindex(b'"') + 1
    for at in range(1, start):
        assert feed(HeadFramer(), wire, [at, len(wire)]) == [head]
    assert feed(HeadFramer(), wire, [1] * start + [99]) == [head]


def test_a_list_head_ends_with_its_line() -> None:
    assert feed(HeadFramer(), b"SENDLIST spy2\n", [1]) == [SendList("spy2")]
    framer = HeadFramer()
    assert feed(framer, b"SENDLIST spy2\nspy2\n") == [SendList("spy2")]
    assert framer.unread() == b"spy2\n"


def test_a_nick_may_begin_with_list() -> None:
    assert feed(HeadFramer(), b'GETLISTer "a" 1') == [GetFile("LISTer", "a", 1)]
    assert feed(HeadFramer(), b'SENDLIST "a" 1') == [SendFile("LIST", "a", 1)]


@pytest.mark.parametrize(
    "data",
    [
        b"\x13BitTorrent protocol",
        b"HELLO",
        b"GEX",
        b'GETspy "a" nowhere "b"',
        b"GET / HTTP/1.1\r\n",
        b"SENDLIST \n",
        b"GET" + b"x" * 3000,
    ],
)
def test_other_heads_are_refused(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="not a Napster request"):
        feed(HeadFramer(), data)


def test_who_is_dialed_says_one() -> None:
    framer = HelloFramer()
    assert feed(framer, HELLO + b"234") == [PeerHello()]
    assert framer.unread() == b"234"
    with pytest.raises(RemoteProtocolError):
        feed(HelloFramer(), b"G")


@given(st.integers(0, 2**60), st.binary(max_size=50), chunkings)
def test_a_size_ends_where_the_search_said_it_does(
    size: int, data: bytes, sizes: list[int]
) -> None:
    framer = SizeFramer(size)
    assert feed(framer, b"%d" % size + data, sizes) == [StatedNumber(size)]
    assert framer.unread() == data


@given(st.integers(0, 2**60), st.binary(max_size=50), chunkings)
def test_a_size_that_nobody_told_ends_before_what_is_no_digit(
    size: int, data: bytes, sizes: list[int]
) -> None:
    framer = SizeFramer(None)
    assert feed(framer, b"%d\xff" % size + data, sizes) == [StatedNumber(size)]
    assert framer.unread() == b"\xff" + data


def test_a_size_other_than_expected_is_told() -> None:
    assert feed(SizeFramer(1234), b"1299ID3", [1]) == [StatedNumber(1299)]


def test_a_number_may_be_words_instead() -> None:
    assert feed(SizeFramer(5), b"FILE NOT SHARED") == [Refusal("FILE NOT SHARED")]
    assert feed(NumberFramer(), b"INVALID REQUEST\n\x1b") == [Refusal("INVALID REQUEST??")]


def test_an_offset_is_what_came_in_one_go() -> None:
    assert feed(NumberFramer(), b"4433") == [StatedNumber(4433)]


@pytest.mark.parametrize("framer", [NumberFramer(), SizeFramer(None), SizeFramer(7)])
def test_a_number_has_an_end(framer: Framer) -> None:
    with pytest.raises(RemoteProtocolError):
        feed(framer, b"1" * 50)


@given(chunkings)
def test_a_list_survives_any_chunk(sizes: list[int]) -> None:
    files = [Share(NAME, "0" * 32, 4433, 128, 44100, 60), Share("caf\udce9", "0" * 32, 1)]
    wire = list_lines("spy2", files)
    assert wire.startswith(b'spy2\n"\\music\\generic band')
    assert wire.endswith(b" 1 0 0 0\n\n")
    assert feed(ListFramer(10), wire, sizes) == ["spy2", *files, None]


def test_a_list_has_a_limit_and_odd_lines_are_left_out() -> None:
    file = Share("a", "0" * 32, 1)
    wire = list_lines("spy2", [file] * 5).replace(b'"a"', b"", 1)
    assert feed(ListFramer(3), wire) == ["spy2", file, file, None]
    with pytest.raises(RemoteProtocolError):
        feed(ListFramer(3), b"x" * 3000)


@given(st.binary(max_size=300), chunkings)
def test_junk_is_read_or_refused(data: bytes, sizes: list[int]) -> None:
    for framer in (HelloFramer(), HeadFramer(), NumberFramer(), SizeFramer(77), ListFramer(3)):
        _, error = feed_until_error(framer, data, sizes)
        assert error is None or isinstance(error, RemoteProtocolError)
