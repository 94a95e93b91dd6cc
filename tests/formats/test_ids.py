"""Info-hashes, peer ids, addresses and their compact forms."""

import ipaddress
from random import Random

import pytest
from hypothesis import example, given, strategies as st

from p2pswarm.errors import FormatError
from p2pswarm.formats.ids import Address, InfoHash, PeerId, compact, read_compact

PORTS = st.integers(1, 65535)
V4 = st.ip_addresses(v=4).map(str)
V6 = st.ip_addresses(v=6).filter(lambda ip: ip.ipv4_mapped is None).map(str)


@pytest.mark.parametrize("kind", [InfoHash, PeerId])
@pytest.mark.parametrize("size", [0, 19, 21, 32])
def test_an_id_has_twenty_bytes(kind: type[bytes], size: int) -> None:
    with pytest.raises(FormatError, match=f"this has {size}"):
        kind(bytes(size))


def test_an_info_hash_reads_as_hex() -> None:
    info_hash = InfoHash(bytes(range(20)))
    assert str(info_hash) == f"{info_hash}" == "000102030405060708090a0b0c0d0e0f10111213"
    assert repr(info_hash) == f"InfoHash({info_hash})"
    assert info_hash == bytes(range(20))


def test_a_peer_id_of_ours() -> None:
    mine = PeerId.new(Random(1))
    assert mine.client == "p2pswarm 0.1.0.0"
    assert mine == PeerId.new(Random(1)) != PeerId.new(Random(2))
    assert repr(mine) == f"PeerId(p2pswarm 0.1.0.0, {mine[8:].hex()})"


@pytest.mark.parametrize(
    ("head", "client"),
    [
        (b"-qB4630-", "qBittorrent 4.6.3.0"),
        (b"-lt0D80-", "libTorrent (rTorrent) 0.13.8.0"),
        (b"-XY12ab-", "XY 1.2.10.11"),
        (b"M7-9-2--", "unknown"),
        (b"-TR\x1b[3m-", "unknown"),
        (b"-TR4000x", "unknown"),
        (bytes(8), "unknown"),
    ],
)
def test_a_client_is_known_by_its_id(head: bytes, client: str) -> None:
    assert PeerId(head + bytes(12)).client == client


@given(st.binary(min_size=20, max_size=20))
def test_any_peer_id_has_a_printable_client(data: bytes) -> None:
    client = PeerId(data).client
    assert client.isascii()
    assert client.isprintable()


@given(st.text(max_size=30) | st.from_regex(r"\[?[a-f0-9:.]*\]?:[0-9]*", fullmatch=True))
@example("host:٣")
def test_any_text_is_an_address_or_our_error(text: str) -> None:
    try:
        address = Address.parse(text)
    except FormatError:
        return
    assert Address.parse(str(address)) == address
    assert 0 < address.port < 65536


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.0.0.1:6881", Address("10.0.0.1", 6881)),
        (" tracker.example:80 ", Address("tracker.example", 80)),
        ("[2001:db8::1]:6881", Address("2001:db8::1", 6881)),
    ],
)
def test_an_address_is_read(text: str, address: Address) -> None:
    assert Address.parse(text) == address
    assert str(address) == text.strip()


@pytest.mark.parametrize(
    "text",
    ["", ":", ":80", "host", "host:", "host:0", "host:65536", "host:999999", "host:-1", "host:8a",
     "2001:db8::1:80", "[]:80", "a b:80", "a/b:80", "user@host:80", "a\x1b:80", "http://host:80"],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        Address.parse(text)


@given(st.lists(st.tuples(V4, PORTS)))
def test_compact_ipv4_survives(pairs: list[tuple[str, int]]) -> None:
    addresses = [Address(*pair) for pair in pairs]
    data = b"".join(map(compact, addresses))
    assert len(data) == 6 * len(addresses)
    assert list(read_compact(data + b"rest!", 6)) == addresses


@given(st.lists(st.tuples(V6, PORTS)))
def test_compact_ipv6_survives(pairs: list[tuple[str, int]]) -> None:
    addresses = [Address(*pair) for pair in pairs]
    data = b"".join(map(compact, addresses))
    assert len(data) == 18 * len(addresses)
    assert list(read_compact(data + b"an odd rest", 18)) == addresses


@given(st.binary(max_size=80), st.sampled_from([6, 18]))
def test_any_bytes_are_compact_addresses(data: bytes, stride: int) -> None:
    found = list(read_compact(data, stride))
    assert len(found) == len(data) // stride
    assert all(address == address.normal and 0 <= address.port < 65536 for address in found)


def test_a_name_has_no_compact_form() -> None:
    with pytest.raises(FormatError, match=r"tracker\.example:80 has no compact form"):
        compact(Address("tracker.example", 80))


def test_a_mapped_address_is_the_ipv4_one() -> None:
    mapped = Address("::ffff:10.0.0.1", 1)
    assert mapped.normal == Address("10.0.0.1", 1)
    assert mapped.ip == ipaddress.IPv4Address("10.0.0.1")
    assert compact(mapped) == bytes([10, 0, 0, 1, 0, 1])
    assert Address("2001:DB8:0::1", 1).normal == Address("2001:db8::1", 1)
    assert Address("Name", 1).normal == Address("Name", 1)


@pytest.mark.parametrize(
    ("address", "dialable"),
    [
        (Address("10.0.0.1", 1), True),
        (Address("127.0.0.1", 1), True),
        (Address("2001:db8::1", 1), True),
        (Address("10.0.0.1", 0), False),
        (Address("10.0.0.1", 65536), False),
        (Address("0.0.0.0", 1), False),
        (Address("::", 1), False),
        (Address("224.0.0.1", 1), False),
        (Address("255.255.255.255", 1), False),
        (Address("ff02::1", 1), False),
        (Address("::ffff:224.0.0.1", 1), False),
        (Address("a.name", 1), False),
    ],
)
def test_where_a_peer_can_be(address: Address, dialable: bool) -> None:
    assert address.dialable is dialable
