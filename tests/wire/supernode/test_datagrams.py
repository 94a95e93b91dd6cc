"""Ping and pong by UDP."""

import pytest
from hypothesis import given, strategies as st

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.wire.supernode.datagrams import Datagram, UdpPing, UdpPong, read_datagram

TOKEN = b"12345678"
PONG = UdpPong(TOKEN, 40, True, 60, 30, 90)
tokens = st.binary(min_size=8, max_size=8)
counts = st.integers(0, 65535)
datagrams: st.SearchStrategy[Datagram] = st.builds(UdpPing, tokens) | st.builds(
    UdpPong, tokens, st.integers(0, 100), st.booleans(), counts, counts, counts
)


def test_the_bytes_of_each() -> None:
    assert UdpPing(TOKEN).encode() == b"P2SN\x05" + TOKEN + bytes(19)
    assert PONG.encode() == b"P2SN\x06" + TOKEN + bytes.fromhex("28 01 003c 001e 005a")


def test_an_answer_is_no_longer_than_its_question() -> None:
    longest = UdpPong(TOKEN, 100, True, 65535, 65535, 65535)
    assert len(longest.encode()) <= len(UdpPing(TOKEN).encode())


@given(datagrams)
def test_there_and_back(datagram: Datagram) -> None:
    assert read_datagram(datagram.encode()) == datagram


@given(st.binary(max_size=40) | st.binary(max_size=40).map(b"P2SN".__add__))
def test_any_bytes(data: bytes) -> None:
    try:
        datagram = read_datagram(data)
    except RemoteProtocolError:
        return
    assert datagram is None or datagram.encode() == data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"P2SN\x05" + TOKEN[1:],
        b"P2SM\x05" + TOKEN + bytes(19),
        b"P2SN\x05" + TOKEN + bytes(18),
        b"P2SN\x05" + TOKEN + bytes(20),
        b"P2SN\x05" + TOKEN + bytes(18) + b"\1",
        PONG.encode()[:-1],
        PONG.encode() + b"\0",
        PONG.encode()[:13] + b"\x65" + PONG.encode()[14:],
        PONG.encode()[:14] + b"\x02" + PONG.encode()[15:],
    ],
)
def test_datagrams_that_cannot_be(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        read_datagram(data)


def test_a_kind_of_tomorrow_says_nothing() -> None:
    assert read_datagram(b"P2SN\x07" + TOKEN) is None


@pytest.mark.parametrize(
    "datagram",
    [
        UdpPing(b"short"),
        UdpPong(b"short", 0, True, 0, 0, 0),
        UdpPong(TOKEN, 101, True, 0, 0, 0),
        UdpPong(TOKEN, 0, True, 65536, 0, 0),
        UdpPong(TOKEN, 0, True, 0, -1, 0),
    ],
)
def test_datagrams_of_ours_that_cannot_be(datagram: Datagram) -> None:
    with pytest.raises(LocalProtocolError):
        datagram.encode()
