"""Query keys: who shows one was told it, there and not long ago."""

from random import Random

from hypothesis import given, strategies as st

from p2pswarm.formats.ids import Address
from p2pswarm.overlay.gnutella.udp.keys import EVERY, Keys

ADDRESS = Address("82.0.113.5", 6346)
addresses = st.builds(
    Address, st.ip_addresses(v=4).map(str), st.integers(min_value=1, max_value=65535)
)


def keys(now: float = 0.0) -> Keys:
    return Keys(now, Random(1).randbytes)


@given(addresses, st.binary(max_size=16))
def test_a_key_has_4_to_16_bytes_and_none_that_ends_an_extension(
    address: Address, purpose: bytes
) -> None:
    key = keys().issue(address, 1.0, purpose)
    assert 4 <= len(key) <= 16
    assert not set(key) & {0x00, 0x1C}


@given(addresses, addresses, st.binary(max_size=16), st.binary(max_size=16))
def test_a_key_counts_for_one_address_and_one_purpose(
    address: Address, other: Address, purpose: bytes, another: bytes
) -> None:
    room = keys()
    key = room.issue(address, 1.0, purpose)
    assert room.accepts(key, address, 1.0, purpose)
    assert room.accepts(key, other, 1.0, purpose) == (address == other)
    assert room.accepts(key, address, 1.0, another) == (purpose == another)


def test_another_port_of_the_same_host_is_another_address() -> None:
    room = keys()
    assert not room.accepts(room.issue(ADDRESS, 1.0), Address(ADDRESS.host, 6347), 1.0)


@given(st.binary(max_size=40))
def test_a_guess_does_not_count(forged: bytes) -> None:
    room = keys()
    assert not room.accepts(forged, ADDRESS, 1.0)


def test_the_key_before_the_last_change_still_counts_and_the_one_before_that_does_not() -> None:
    room = keys()
    key = room.issue(ADDRESS, 1.0)
    assert room.accepts(key, ADDRESS, EVERY + 1)
    assert room.issue(ADDRESS, EVERY + 1) != key
    assert not room.accepts(key, ADDRESS, 2 * EVERY + 2)


def test_a_long_silence_makes_all_keys_old() -> None:
    room = keys()
    key = room.issue(ADDRESS, 1.0)
    assert not room.accepts(key, ADDRESS, 10 * EVERY)


def test_two_servents_have_different_keys() -> None:
    other = Keys(0.0, Random(2).randbytes)
    assert not other.accepts(keys().issue(ADDRESS, 1.0), ADDRESS, 1.0)
