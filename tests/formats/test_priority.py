"""BEP 40, by its own vectors and by those of libtorrent's tests for what it shares with the BEP."""

import pytest
from google_crc32c import value as crc32c
from hypothesis import given, settings, strategies as st

from p2pswarm.formats.ids import Address
from p2pswarm.formats.priority import priority

NET = "20010db8000000"  # the first 56 bits of these addresses


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("123.213.32.10", "98.76.54.32", 0xEC2D7224),  # of the BEP
        ("123.213.32.10", "123.213.32.234", 0x99568189),  # of the BEP
        ("206.248.98.111", "142.147.89.224", 0x2B41D456),
    ],
)
def test_the_vectors_of_the_bep(one: str, other: str, expected: int) -> None:
    assert priority(Address(one, 0), Address(other, 0)) == expected


@pytest.mark.parametrize(
    ("one", "other", "hashed"),
    [
        (("230.12.123.3", 0x4D2), ("230.12.123.3", 0x12C), "012c04d2"),
        (("230.12.123.1", 1), ("230.12.123.3", 2), "e60c7b01e60c7b03"),
        (("230.12.23.1", 1), ("230.12.123.3", 2), "e60c1701e60c7b01"),
        (("230.120.23.1", 1), ("230.12.123.3", 2), "e60c5101e6781501"),
        (("2001:db8::ff", 1), ("2002::ff", 2), f"20010db8{'0' * 22}552002{'0' * 26}55"),
        (("2001:db8::ff", 1), ("2001:db8:0:ff::ff", 2), f"{NET}00{'0' * 14}55{NET}ff{'0' * 14}55"),
        (("2001:db8::1", 1), ("2001:db8::3", 2), f"{NET}{'0' * 16}01{NET}{'0' * 16}03"),
    ],
)
def test_what_is_hashed(one: tuple[str, int], other: tuple[str, int], hashed: str) -> None:
    assert priority(Address(*one), Address(*other)) == crc32c(bytes.fromhex(hashed))


ips = st.ip_addresses().map(str)
places = st.builds(Address, ips, st.integers(1, 65535))


@settings(max_examples=60)
@given(places, places)
def test_both_ends_judge_alike(one: Address, other: Address) -> None:
    assert priority(one, other) == priority(other, one)


def test_two_families_have_none() -> None:
    assert priority(Address("1.2.3.4", 1), Address("2001:db8::1", 1)) == 0
    assert priority(Address("host.example", 1), Address("1.2.3.4", 1)) == 0
