"""Pings and pongs as the documents write them."""

import pytest
from hypothesis import given, strategies as st

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.wire.gnutella.ggep import Ggep, write_ggep
from p2pswarm.wire.gnutella.numbers import pack_number, read_number
from p2pswarm.wire.gnutella.pings import MAX_HOSTS, Ping, Pong, pong_ggep
from tests.support.gnutella_wire import addresses, ggeps

HOST = Address("208.17.50.4", 6346)
U32 = 0xFFFFFFFF
PONG = bytes.fromhex("ca18 d0113204 03000000 08000000")  # port 6346 little endian, IPv4 as it is


def test_a_pong_of_the_document() -> None:
    assert Pong(HOST, 3, 8).encode() == PONG
    assert Pong.read(PONG) == Pong(HOST, 3, 8)


@given(addresses, st.integers(0, U32), st.integers(0, U32), ggeps)
def test_every_pong(address: Address, files: int, kib: int, ggep: Ggep) -> None:
    pong = Pong(address, files, kib, ggep)
    assert Pong.read(pong.encode()) == pong


@given(ggeps)
def test_every_ping(ggep: Ggep) -> None:
    assert Ping.read(Ping(ggep).encode()) == Ping(ggep)


@given(st.binary(max_size=100))
def test_any_bytes(data: bytes) -> None:
    Ping.read(data)
    if len(data) < 14:
        with pytest.raises(RemoteProtocolError):
            Pong.read(data)
    else:
        pong = Pong.read(data)
        assert Pong.read(pong.encode()) == pong
        assert len(pong.hosts) <= MAX_HOSTS
        assert pong.ultrapeer or "UP" not in pong.ggep
        assert (pong.guess is None) == ("GUE" not in pong.ggep)


@given(ggeps)
def test_any_extensions_can_be_asked_about(ggep: Ggep) -> None:
    known = dict(zip(("UP", "GUE", "IPP"), ggep.values(), strict=False))
    pong = Pong(HOST, 0, 0, known)
    assert pong.ultrapeer == ("UP" in known)
    assert (pong.guess is None) == ("GUE" not in known)
    assert len(pong.hosts) == min(len(known.get("IPP", b"")) // 6, MAX_HOSTS)


@pytest.mark.parametrize(
    ("kib", "ultrapeer"),
    [(0, False), (4, False), (8, True), (9, False), (1024, True), (U32, False)],
)
def test_an_ultrapeer_shares_a_power_of_two(kib: int, ultrapeer: bool) -> None:
    assert Pong(HOST, 1, kib).ultrapeer is ultrapeer
    assert Pong(HOST, 1, kib, {"UP": b"\x01\x02\x03"}).ultrapeer


def test_what_a_pong_of_ours_says() -> None:
    others = [Address("1.2.3.4", 0x0102), Address("5.6.7.8", 6346)]
    ggep = pong_ggep(
        vendor=b"P2PS", slots=(300, 4), uptime=86400, guess=True, key=b"key!", hosts=others
    )
    assert ggep == {
        "VC": b"P2PS\x01",
        "GUE": b"\x02",
        "UP": b"\x01\xff\x04",
        "DU": b"\x80\x51\x01",
        "QK": b"key!",
        "IPP": bytes.fromhex("01020304 0201 05060708 ca18"),
    }
    pong = Pong.read(Pong(HOST, 1, 8, ggep).encode())
    assert (pong.guess, pong.key, pong.hosts) == (2, b"key!", tuple(others))


def test_a_pong_that_says_nothing_more() -> None:
    pong = Pong(HOST, 1, 1, pong_ggep())
    assert (pong.guess, pong.key) == (None, None)
    assert pong.hosts == ()
    assert Pong(HOST, 1, 1, {"GUE": b""}).guess == 1


def test_what_a_ping_of_ours_asks() -> None:
    assert Ping.asking().encode() == b""
    assert Ping.asking(hosts=True).encode() == b"\xc3\x83SCP\x41\x00"
    assert Ping.asking(hosts=True, ultrapeer=True).encode() == b"\xc3\x83SCP\x41\x01"
    assert Ping.asking(key=True).encode() == b"\xc3\x82QK\x40"


def test_what_a_ping_asks() -> None:
    ping = Ping.read(Ping.asking(hosts=True, key=True).encode())
    assert (ping.wants_hosts, ping.wants_key) == (True, True)
    plain = Ping.read(b"no extensions")
    assert not plain.wants_hosts
    assert not plain.wants_key


@pytest.mark.parametrize(
    "pong",
    [
        Pong(Address("::1", 1), 0, 0),
        Pong(Address("1.2.3.4", 65536), 0, 0),
        Pong(HOST, -1, 0),
        Pong(HOST, 0, -1),
    ],
)
def test_pongs_that_cannot_be(pong: Pong) -> None:
    with pytest.raises(LocalProtocolError):
        pong.encode()


def test_more_than_a_pong_can_count() -> None:
    assert Pong.read(Pong(HOST, 1 << 40, 1 << 40).encode()) == Pong(HOST, U32, U32)


def test_a_pong_with_something_behind_it() -> None:
    assert Pong.read(PONG + b"anything") == Pong(HOST, 3, 8)
    assert Pong.read(PONG + write_ggep({"X": b"1"}) + b"\x00") == Pong(HOST, 3, 8, {"X": b"1"})


@given(st.integers(0, (1 << 64) - 1))
def test_numbers_without_zeros_at_the_end(number: int) -> None:
    packed = pack_number(number)
    assert read_number(packed) == number
    assert not packed.endswith(b"\x00")


@pytest.mark.parametrize("number", [-1, 1 << 64])
def test_numbers_that_cannot_be(number: int) -> None:
    with pytest.raises(LocalProtocolError):
        pack_number(number)
