"""Descriptors on the wire: any chunking, any bytes, and what the GUIDs say."""

import zlib
from contextlib import suppress
from random import Random

import pytest
from hypothesis import given, strategies as st

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.wire.framer import Scratch
from p2pswarm.wire.gnutella.descriptor import (
    HEADER_SIZE,
    MAX_PAYLOAD,
    Descriptor,
    DescriptorFramer,
    Kind,
    new_guid,
    oob_address,
    oob_guid,
    read_datagram,
)
from tests.support.feeding import chunkings, feed, feed_interleaved, feed_until_error
from tests.support.gnutella_wire import addresses, guids

GUID = bytes(range(16))
BYTE = st.integers(0, 255)
descriptors = st.builds(Descriptor, guids, BYTE, BYTE, BYTE, st.binary(max_size=100))


def test_the_header_as_the_document_has_it() -> None:
    wire = GUID + bytes([0x80, 7, 2, 5, 0, 0, 0]) + b"hello"
    assert Descriptor(GUID, Kind.QUERY, 7, 2, b"hello").encode() == wire
    assert feed(DescriptorFramer(), wire) == [Descriptor(GUID, Kind.QUERY, 7, 2, b"hello")]


@given(st.lists(descriptors, max_size=8), chunkings)
def test_every_descriptor_survives_any_chunking(sent: list[Descriptor], sizes: list[int]) -> None:
    assert feed(DescriptorFramer(), b"".join(one.encode() for one in sent), sizes) == sent


@given(st.lists(descriptors, max_size=4), st.lists(descriptors, max_size=4), st.data())
def test_two_connections_share_a_scratch(
    here: list[Descriptor], there: list[Descriptor], data: st.DataObject
) -> None:
    turns = data.draw(st.lists(st.tuples(st.integers(0, 1), st.integers(1, 60)), max_size=20))
    scratch = Scratch()
    framers = [DescriptorFramer(scratch), DescriptorFramer(scratch)]
    streams = [b"".join(one.encode() for one in sent) for sent in (here, there)]
    assert feed_interleaved(framers, streams, turns) == [here, there]


@given(st.binary(max_size=300), chunkings)
def test_any_bytes(data: bytes, sizes: list[int]) -> None:
    messages, _ = feed_until_error(DescriptorFramer(), data, sizes)
    whole = b"".join(one.encode() for one in messages if isinstance(one, Descriptor))
    assert data.startswith(whole)


def test_the_largest_payload_is_read_and_no_larger_one() -> None:
    largest = Descriptor(GUID, Kind.HIT, 1, 0, bytes(MAX_PAYLOAD))
    assert feed(DescriptorFramer(), largest.encode(), [70_000]) == [largest]
    with pytest.raises(LocalProtocolError):
        Descriptor(GUID, Kind.HIT, 1, 0, bytes(MAX_PAYLOAD + 1)).encode()
    head = GUID + bytes([0x81, 1, 0]) + (MAX_PAYLOAD + 1).to_bytes(4, "little")
    with pytest.raises(RemoteProtocolError):
        feed(DescriptorFramer(), head)


def test_a_hop() -> None:
    one = Descriptor(GUID, Kind.QUERY, 3, 1, b"x")
    assert one.hopped() == Descriptor(GUID, Kind.QUERY, 2, 2, b"x")
    for ttl, hops in ((0, 3), (1, 255)):
        with pytest.raises(LocalProtocolError):
            Descriptor(GUID, Kind.QUERY, ttl, hops, b"").hopped()


@pytest.mark.parametrize(
    "wrong",
    [
        Descriptor(b"short", Kind.PING, 1, 0, b""),
        Descriptor(GUID, 256, 1, 0, b""),
        Descriptor(GUID, Kind.PING, -1, 0, b""),
        Descriptor(GUID, Kind.PING, 1, 256, b""),
    ],
)
def test_what_is_no_descriptor_is_not_sent(wrong: Descriptor) -> None:
    with pytest.raises(LocalProtocolError):
        wrong.encode()


def test_it_shows_itself() -> None:
    shown = repr(Descriptor(GUID, Kind.PONG, 1, 2, b"abc"))
    assert shown == "<PONG 000102030405060708090a0b0c0d0e0f ttl 1 hops 2 of 3 bytes>"
    assert "kind 0x44" in repr(Descriptor(GUID, 0x44, 1, 2, b""))


@given(descriptors)
def test_a_datagram_is_one_descriptor(one: Descriptor) -> None:
    plain = Descriptor(one.guid, one.kind, one.ttl & 0x77, one.hops, one.payload)
    assert read_datagram(plain.encode()) == plain
    for broken in (plain.encode() + b"x", plain.encode()[:-1], plain.encode()[: HEADER_SIZE - 1]):
        with pytest.raises(RemoteProtocolError):
            read_datagram(broken)


@given(st.binary(max_size=200))
def test_any_datagram(data: bytes) -> None:
    with suppress(RemoteProtocolError):
        assert not read_datagram(data).ttl & 0x88


def test_a_datagram_of_gtk_gnutella_that_allows_deflated_answers() -> None:
    assert read_datagram(Descriptor(GUID, Kind.VENDOR, 9, 0, b"x").encode()).ttl == 1


def test_a_deflated_datagram() -> None:
    packed = Descriptor(GUID, Kind.HIT, 0x81, 0, zlib.compress(b"hit" * 100))
    assert read_datagram(packed.encode()) == Descriptor(GUID, Kind.HIT, 1, 0, b"hit" * 100)


@pytest.mark.parametrize("payload", [zlib.compress(bytes(MAX_PAYLOAD + 1)), b"junk", b""])
def test_a_datagram_that_does_not_inflate(payload: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        read_datagram(Descriptor(GUID, Kind.HIT, 0x81, 0, payload).encode())


def test_a_modern_guid() -> None:
    dice = Random(1)
    one, other = new_guid(dice), new_guid(dice)
    assert (len(one), one[8], one[15]) == (16, 0xFF, 0)
    assert one != other


def test_a_guid_that_says_where_hits_go() -> None:
    guid = oob_guid(Address("1.2.3.4", 0x1234), Random(1))
    assert len(guid) == 16
    assert guid[:4] == bytes([1, 2, 3, 4])
    assert guid[8:9] + guid[13:] == b"\xff\x34\x12\x00"


@given(addresses, st.integers())
def test_the_address_in_a_guid(address: Address, seed: int) -> None:
    assert oob_address(oob_guid(address, Random(seed))) == address


@pytest.mark.parametrize("address", [Address("::1", 1), Address("host", 1), Address("1.2.3.4", -1)])
def test_an_address_that_is_not_ipv4(address: Address) -> None:
    with pytest.raises(LocalProtocolError):
        oob_guid(address, Random(1))
