import pytest
from hypothesis import given, strategies as st

from p2pswarm.formats.ids import InfoHash
from p2pswarm.swarm.fast import allowed_fast_set

AA = InfoHash(b"\xaa" * 20)
VECTOR = [1059, 431, 808, 1217, 287, 376, 1188, 353, 508]  # BEP 6


def test_the_vector_of_bep_6() -> None:
    assert allowed_fast_set("80.4.4.200", AA, 1313, 7) == VECTOR[:7]
    assert allowed_fast_set("80.4.4.200", AA, 1313, 9) == VECTOR


def test_a_whole_network_gets_the_same_pieces() -> None:
    assert allowed_fast_set("80.4.4.1", AA, 1313, 9) == VECTOR
    assert allowed_fast_set("80.4.5.200", AA, 1313, 9) != VECTOR


@pytest.mark.parametrize("host", ["::1", "2001:db8::7"])
def test_ipv6_has_no_definition(host: str) -> None:
    assert allowed_fast_set(host, AA, 1313, 9) == []


@given(
    st.ip_addresses(v=4).map(str),
    st.binary(min_size=20, max_size=20).map(InfoHash),
    st.integers(0, 30) | st.integers(0, 100_000),
    st.integers(0, 12),
)
def test_they_are_different_and_exist(host: str, hash_: InfoHash, pieces: int, size: int) -> None:
    chosen = allowed_fast_set(host, hash_, pieces, size)
    assert len(chosen) == len(set(chosen)) == min(size, pieces)
    assert all(0 <= piece < pieces for piece in chosen)
    assert chosen == allowed_fast_set(host, hash_, pieces, size)
