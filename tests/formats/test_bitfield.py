"""Bitfields: first piece in the highest bit, spare bits clear, any bytes give a field or FormatError."""

import pytest
from hypothesis import given, strategies as st

from p2pswarm.errors import FormatError
from p2pswarm.formats.bitfield import Bitfield


@given(st.lists(st.booleans(), max_size=70))
def test_a_field_survives_the_wire(bits: list[bool]) -> None:
    field = Bitfield(len(bits))
    for piece, had in enumerate(bits):
        field[piece] = had
    again = Bitfield.from_wire(field.to_wire(), len(bits))
    assert again == field
    assert list(again.pieces()) == [piece for piece, had in enumerate(bits) if had]


@given(st.binary(max_size=9), st.integers(0, 72))
def test_any_bytes_give_a_field_or_our_error(data: bytes, pieces: int) -> None:
    try:
        field = Bitfield.from_wire(data, pieces)
    except FormatError:
        spare = int.from_bytes(data, "big") & ((1 << (-pieces % 8)) - 1)
        assert len(data) != (pieces + 7) // 8 or spare
        return
    assert len(field) == pieces
    assert field.to_wire() == data


def test_the_first_piece_is_the_highest_bit() -> None:
    field = Bitfield(10)
    assert not field.any()
    field[0] = field[9] = True
    assert field.to_wire() == b"\x80\x40"


def test_spare_bits_must_be_clear() -> None:
    with pytest.raises(FormatError, match="spare bits"):
        Bitfield.from_wire(b"\xff\xe0", 10)
    with pytest.raises(FormatError, match="3 bytes for 10 pieces"):
        Bitfield.from_wire(b"\xff\xc0\x00", 10)


def test_operators_stay_in_the_family() -> None:
    full, none = Bitfield.full(9), Bitfield(9)
    assert full.all()
    assert full.count() == 9
    for field in (~none, full & full, full | none, full.copy(), full[:9]):
        assert isinstance(field, Bitfield)
        assert field == full
        assert field.to_wire() == b"\xff\x80"
