import pytest
from hypothesis import given, strategies as st

from p2pswarm.wire.peer import HANDSHAKE
from p2pswarm.wire.people.datagrams import pack_datagram
from p2pswarm.wire.people.dictionary import TokenMessage
from p2pswarm.wire.people.frames import OPENING as PEOPLE_OPENING
from p2pswarm.wire.people.marked import Relayed, Sealed
from p2pswarm.wire.sniff import DatagramGuest, Guest, SniffFramer, sniff_datagram
from p2pswarm.wire.supernode.datagrams import MAGIC, UdpPing, UdpPong
from p2pswarm.wire.supernode.frames import OPENING
from tests.support.feeding import chunkings, feed
from tests.support.people_wire import directory_messages

OPENINGS = {
    HANDSHAKE: Guest.PEER_WIRE,
    b"GNUTELLA CONNECT/": Guest.GNUTELLA,
    b"GIV ": Guest.GIV,
    b"GET ": Guest.HTTP,
    b"HEAD ": Guest.HTTP,
    OPENING: Guest.SUPERNODE,
    PEOPLE_OPENING: Guest.PEOPLE,
}
openings = st.sampled_from(list(OPENINGS))


@pytest.mark.parametrize("chunk", [1, 2, 13, 1000])
@pytest.mark.parametrize("opening", OPENINGS, ids=str)
def test_a_guest_is_known_by_its_first_bytes(opening: bytes, chunk: int) -> None:
    framer = SniffFramer()
    assert feed(framer, opening, [chunk]) == [OPENINGS[opening]]
    assert framer.unread() == opening


@given(openings, st.integers(1, len(HANDSHAKE)), chunkings)
def test_a_part_of_it_decides_nothing(opening: bytes, less: int, sizes: list[int]) -> None:
    framer = SniffFramer()
    start = opening[:-less]
    assert feed(framer, start, sizes) == []
    assert framer.unread() == start
    assert framer.heard == bool(start)


@given(openings, st.binary(max_size=300))
def test_every_byte_is_left_for_the_next_framer(opening: bytes, rest: bytes) -> None:
    framer = SniffFramer()
    assert feed(framer, opening + rest) == [OPENINGS[opening]]
    assert framer.unread() == opening + rest


@pytest.mark.parametrize(
    ("good", "wrong"),
    [
        (b"GET", b"\0"),
        (b"GET", b"nick"),  # Napster says so, but only where it was greeted
        (b"", b"get "),
        (b"HEAD", b"/"),
        (b"GIV", b":"),
        (b"GNUTELLA ", b"OK"),
        (b"GNUTELLA CONNECT", b" "),
        (b"", b"POST / HTTP/1.1"),
        (b"", b"\0"),
        (b"\x13BitTorrent ", b"Protocol"),  # the name is written small
        (b"\x12", b"BitTorrent protocol"),
        (b"\x12p2pswarm super", b" node"),
        (b"\x0fp2pswarm peop", b"e"),
        (b"", b"BitTorrent protocol"),
        (b"", b"\x16\x03\x01"),
        (b"", b" GET /"),
    ],
)
def test_whoever_begins_otherwise_says_noise_and_is_believed_after_20_bytes(
    good: bytes, wrong: bytes
) -> None:
    framer = SniffFramer()
    start = (good + wrong)[:19].ljust(19, b"?")
    assert feed(framer, start, [1]) == []
    assert feed(framer, b"?", [1]) == [Guest.OBFUSCATED]
    assert framer.unread() == start + b"?"


@given(st.binary(max_size=200) | st.builds(bytes.__add__, openings, st.binary()), chunkings)
def test_any_bytes_are_a_guest_as_soon_as_they_can_be(data: bytes, sizes: list[int]) -> None:
    framer = SniffFramer()
    messages = feed(framer, data, sizes)
    assert framer.unread() == data
    known = [guest for opening, guest in OPENINGS.items() if data.startswith(opening)]
    if known or len(data) >= 20:
        assert set(messages) == set(known or [Guest.OBFUSCATED])
    else:
        assert messages == []


# Datagrams


def gnutella(guid: bytes = b"\7" * 16, kind: int = 0, payload: bytes = b"") -> bytes:
    return guid + bytes((kind, 1, 0)) + len(payload).to_bytes(4, "little") + payload


@pytest.mark.parametrize("kind", [0x00, 0x01, 0x02, 0x30, 0x31, 0x32, 0x40, 0x80, 0x81])
@pytest.mark.parametrize("payload", [b"", b"x", bytes(300), b"y" * 65_000])
def test_a_gnutella_descriptor_is_known_by_its_type_and_length(kind: int, payload: bytes) -> None:
    assert sniff_datagram(gnutella(kind=kind, payload=payload)) is DatagramGuest.GNUTELLA


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"G",
        gnutella()[:-1],
        gnutella() + b"x",
        gnutella(payload=b"xy")[:-1],
        gnutella(kind=0x44),  # the DHT of another program
        b"\x51\0" + bytes(18),  # uTP has five types
        b"\x42\0" + bytes(18),  # and one version
        b"\x41\0" + bytes(17),  # and a whole head
    ],
)
def test_nobody_else_is_taken_for_it(data: bytes) -> None:
    assert sniff_datagram(data) is None


@pytest.mark.parametrize(
    "data",
    [
        gnutella(guid=b"\1\1\1\1\x21\x12\xa4\x42" + bytes(8)),
        b"\1\1\0\0\x21\x12\xa4\x42" + bytes(12),  # which would be uTP
    ],
)
def test_stun_is_known_by_its_cookie(data: bytes) -> None:
    assert sniff_datagram(data) is DatagramGuest.STUN


def test_what_is_bencode_in_full_is_not_gnutella() -> None:
    data = gnutella(b"d2:ab13:" + bytes(8), payload=b"e")
    assert sniff_datagram(data) is DatagramGuest.DHT
    assert sniff_datagram(data[:-1] + b"f") is DatagramGuest.GNUTELLA


def test_a_dht_message_is_bencode() -> None:
    ping = b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe"
    assert sniff_datagram(ping, lambda: True) is DatagramGuest.DHT


@pytest.mark.parametrize("data", [bytes(16), b"\x01\0" + bytes(18), gnutella(), MAGIC])
def test_what_a_tracker_was_asked_for_is_its_answer(data: bytes) -> None:
    assert sniff_datagram(data, lambda: True) is DatagramGuest.TRACKER


@pytest.mark.parametrize("kind", range(5))
def test_utp_is_known_by_type_and_version(kind: int) -> None:
    assert sniff_datagram(bytes((kind << 4 | 1,)) + bytes(19)) is DatagramGuest.UTP


def test_a_guid_that_holds_an_address_may_begin_with_a_d() -> None:
    assert sniff_datagram(gnutella(bytes((100, 64, 0, 1)) + bytes(12))) is DatagramGuest.GNUTELLA


def test_a_gnutella_guid_that_holds_an_address_may_begin_as_ours_do() -> None:
    data = gnutella(bytes((80, 50, 83, 78)) + bytes(12), 0x80, b"anything")
    assert data.startswith(b"P2SN")
    assert sniff_datagram(data) is DatagramGuest.GNUTELLA
    assert sniff_datagram(data + b"x") is DatagramGuest.SUPERNODE


@given(st.binary(min_size=8, max_size=8))
def test_ours_are_never_taken_for_gnutella(token: bytes) -> None:
    assert sniff_datagram(UdpPing(token).encode()) is DatagramGuest.SUPERNODE
    pong = UdpPong(token, 100, True, 65535, 65535, 65535)
    assert sniff_datagram(pong.encode()) is DatagramGuest.SUPERNODE


@given(directory_messages, st.booleans())
def test_the_directory_is_never_taken_for_anybody_else(
    message: TokenMessage, request: bool
) -> None:
    data = pack_datagram(message.encode(), request=request)
    assert sniff_datagram(data) is DatagramGuest.PEOPLE


@given(st.binary(min_size=8, max_size=8), st.binary(min_size=4, max_size=4), st.binary())
def test_what_is_carried_is_never_taken_for_anybody_else(
    eight: bytes, four: bytes, carried: bytes
) -> None:
    looks = bytes((0x80, 1, 0)) + len(carried).to_bytes(4, "little") + carried
    for each in (eight, b"\x21\x12\xa4\x42" + four):
        for payload in (carried, looks[1:], looks):
            relayed, sealed = Relayed(each, four, payload), Sealed(each, 7, payload)
            assert sniff_datagram(relayed.encode()) is DatagramGuest.RELAY
            assert sniff_datagram(sealed.encode()) is DatagramGuest.MEDIA


@given(st.binary(max_size=100) | st.binary(max_size=40).map(b"P2SN".__add__))
def test_any_datagram_is_of_somebody_or_nobody(data: bytes) -> None:
    match sniff_datagram(data):
        case DatagramGuest.GNUTELLA:
            assert int.from_bytes(data[19:23], "little") == len(data) - 23
        case DatagramGuest.SUPERNODE:
            assert data.startswith(b"P2SN")
        case DatagramGuest.STUN:
            assert data[4:8] == b"\x21\x12\xa4\x42"
        case None:
            assert not data.startswith(b"P2SN")
