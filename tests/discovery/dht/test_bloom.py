"""Bloom filters, with the test vector of BEP 33."""

from ipaddress import ip_address

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.discovery.dht.bloom import SIZE, BloomFilter, scraped
from p2pswarm.errors import RemoteProtocolError
from p2pswarm.formats.ids import Address

VECTOR = bytes.fromhex(
    "F6C3F5EAA07FFD91BDE89F777F26FB2BFF37BDB8FB2BBAA2FD3DDDE7BACFFF75EE7CCBAEFE5EEDB1FBFAFF67F6ABFF5E"
    "43DDBCA3FD9B9FFDF4FFD3E9DFF12D1BDF59DB53DBE9FA5B7FF3B8FDFCDE1AFB8BEDD7BE2F3EE71EBBBFE93BCDEEFE14"
    "8246C2BC5DBFF7E7EFDCF24FD8DC7ADFFD8FFFDFDDFFF7A4BBEEDF5CB95CE81FC7FCFF1FF4FFFFDFE5F7FDCBB7FD79B3"
    "FA1FC77BFE07FFF905B7B7FFC7FEFEFFE0B8370BB0CD3F5B7F2BD93FEB4386CFDD6F7FD5BFAF2E9EBFFFFEECD67ADBF7"
    "C67F17EFD5D75EBA6FFEBA7FFF47A91EB1BFBB53E8ABFB5762ABE8FF237279BFEFBFEEF5FFC5FEBFDFE5ADFFADFEE1FB"
    "737FFFFBFD9F6AEFFEEE76B6FD8F72EF"
)
V4 = [ip_address(f"192.0.2.{last}") for last in range(256)]
V6 = [ip_address(f"2001:db8::{last:x}") for last in range(1000)]

addresses = st.lists(st.ip_addresses(), max_size=60)


def test_the_vector_of_the_bep() -> None:
    bloom = BloomFilter([*V4, *V6])
    assert bloom.encode() == VECTOR
    assert bloom.count == pytest.approx(1224.9308, abs=1e-4)


def test_united_filters_count_nobody_twice() -> None:
    bloom = BloomFilter(V4)
    bloom.unite(BloomFilter([*V4[:100], *V6]))
    assert bloom.encode() == VECTOR


def test_an_empty_filter_counts_nobody_and_a_full_one_many() -> None:
    assert BloomFilter().count == 0
    assert 7800 < BloomFilter.decode(b"\xff" * SIZE).count < 7810


@settings(max_examples=30, deadline=None)
@given(addresses)
def test_a_filter_survives_the_wire_and_counts_about_right(ips: list) -> None:
    bloom = BloomFilter(ips)
    assert BloomFilter.decode(bloom.encode()).encode() == bloom.encode()
    assert bloom.count == pytest.approx(len(set(ips)), abs=6)


@pytest.mark.parametrize("size", [0, SIZE - 1, SIZE + 1])
def test_a_filter_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(RemoteProtocolError, match="Bloom"):
        BloomFilter.decode(bytes(size))


def test_seeds_and_others_are_counted_apart() -> None:
    peers = [(Address(str(ip), 1), False) for ip in V4] + [(Address(str(V6[0]), 1), True)]
    seeds, others = map(BloomFilter.decode, scraped(peers))
    assert round(seeds.count) == 1
    assert others.count == pytest.approx(256, abs=6)
