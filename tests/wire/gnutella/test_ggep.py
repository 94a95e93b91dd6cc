"""GGEP: the document's boundary cases, COBS by hand, and bounds on what strangers send."""

import zlib

import pytest
from hypothesis import given, strategies as st

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.wire.gnutella.ggep import MAX_EXTENSIONS, Ggep, ggep_at, read_ggep, write_ggep
from tests.support.gnutella_wire import deflated, ggeps


@pytest.mark.parametrize(
    ("length", "field"),
    [
        (0, "40"),
        (63, "7f"),
        (64, "8140"),
        (4095, "bf7f"),
        (4096, "818040"),
        (65535, "8fbf7f"),
    ],
)
def test_the_lengths_of_the_document(length: int, field: str) -> None:
    block = write_ggep({"X": bytes(length)})
    assert block == b"\xc3\x81X" + bytes.fromhex(field) + bytes(length)
    assert read_ggep(block) == ({"X": bytes(length)}, len(block))


def test_the_longest_length_of_the_document() -> None:
    block = write_ggep({"X": bytes(262143)})
    assert block.startswith(b"\xc3\x81X\xbf\xbf\x7f")
    with pytest.raises(LocalProtocolError):
        write_ggep({"X": bytes(262144)})


@pytest.mark.parametrize(
    ("value", "cobs"),
    [
        (b"\x00", b"\x01\x01"),
        (b"a\x00", b"\x02a\x01"),
        (b"\x00a", b"\x01\x02a"),
        (b"ab\x00\x00c", b"\x03ab\x01\x02c"),
        (bytes(range(1, 255)) + b"\x00", b"\xff" + bytes(range(1, 255)) + b"\x01\x01"),
        (b"\x00" + b"x" * 255, b"\x01\xff" + b"x" * 254 + b"\x02x"),
    ],
)
def test_a_value_without_nul(value: bytes, cobs: bytes) -> None:
    block = write_ggep({"TT": value}, no_nul=True)
    assert block.startswith(b"\xc3\xc2TT")
    assert block.endswith(cobs)
    assert 0 not in block
    assert read_ggep(block)[0] == {"TT": value}


def test_cobs_that_fills_its_last_group() -> None:
    """A writer may leave the empty group at the end away."""
    full = b"x" * 254
    assert read_ggep(b"\xc3\xc1X\x83\x7f\xff" + full)[0] == {"X": full}


@given(ggeps, st.booleans())
def test_what_is_written_is_read(ggep: Ggep, no_nul: bool) -> None:
    block = write_ggep(ggep, no_nul=no_nul)
    if ggep:
        assert read_ggep(block + b"rest") == (ggep, len(block))
        assert list(read_ggep(block)[0]) == list(ggep)
    else:
        assert block == b""
    assert not (no_nul and 0 in block)


@given(st.binary(max_size=200) | st.binary(max_size=200).map(lambda data: b"\xc3" + data))
def test_any_bytes(data: bytes) -> None:
    try:
        found, used = read_ggep(data)
    except RemoteProtocolError:
        assert ggep_at(data) == {}
        return
    assert 0 < used <= len(data)
    assert ggep_at(data) == found
    assert all(0 < len(name) < 16 for name in found)


def test_blocks_one_against_another() -> None:
    data = write_ggep({"A": b"1"}) + write_ggep({"B": b"2", "A": b"3"})
    assert read_ggep(data) == ({"A": b"3", "B": b"2"}, len(data))


@pytest.mark.parametrize("wbits", [zlib.MAX_WBITS, -zlib.MAX_WBITS])
def test_a_deflated_value(wbits: int) -> None:
    assert read_ggep(deflated(b"hello" * 100, wbits))[0] == {"X": b"hello" * 100}


def test_a_bomb_is_refused() -> None:
    with pytest.raises(RemoteProtocolError):
        read_ggep(deflated(bytes(70_000)))
    with pytest.raises(RemoteProtocolError):
        read_ggep(deflated(bytes(5000)), room=4999)


def test_many_small_bombs_are_one_bomb() -> None:
    with pytest.raises(RemoteProtocolError):
        read_ggep(deflated(bytes(40_000)) + deflated(bytes(40_000)))


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"X",
        b"\xc3",
        b"\xc3\x81",  # no name
        b"\xc3\x81X",  # no length
        b"\xc3\x81X\xff",  # last length byte, and another one
        b"\xc3\x81X\x00",  # neither
        b"\xc3\x81X\x80\x80\x80\x40",  # four of them
        b"\xc3\x81X\x42a",  # shorter than it says
        b"\xc3\x80\x40",  # a name of no bytes
        b"\xc3\x81\x00\x40",  # a name that is NUL
        b"\xc3\x91X\x40",  # the reserved bit
        b"\xc3\x01X\x40",  # no last extension
        b"\xc3\xc1X\x42\x00a",  # COBS with a NUL
        b"\xc3\xc1X\x42\x05a",  # COBS that is cut off
        b"\xc3\xa1X\x42ab",  # not deflated
    ],
)
def test_broken_blocks(broken: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        read_ggep(broken)


def test_too_many_extensions() -> None:
    many = b"".join(b"\x02" + bytes([65 + n % 26, 65 + n // 26]) + b"\x40" for n in range(100))
    with pytest.raises(RemoteProtocolError):
        read_ggep(b"\xc3" + many + b"\x81X\x40")
    with pytest.raises(LocalProtocolError):
        write_ggep({str(n): b"" for n in range(MAX_EXTENSIONS + 1)})


@pytest.mark.parametrize("name", ["", "x" * 16, "a\x00b", "\u20ac"])
def test_names_that_cannot_be(name: str) -> None:
    with pytest.raises(LocalProtocolError):
        write_ggep({name: b""})
