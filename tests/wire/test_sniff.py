import pytest
from hypothesis import given, strategies as st

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.wire.peer import HANDSHAKE
from p2pswarm.wire.sniff import Guest, SniffFramer
from tests.support.feeding import chunkings, feed, feed_until_error


@pytest.mark.parametrize("chunk", [1, 2, 13, 1000])
def test_a_peer_is_known_by_its_first_twenty_bytes(chunk: int) -> None:
    framer = SniffFramer()
    assert feed(framer, HANDSHAKE, [chunk]) == [Guest.PEER_WIRE]
    assert framer.unread() == HANDSHAKE


@given(st.integers(0, len(HANDSHAKE) - 1), chunkings)
def test_a_part_of_it_decides_nothing(n: int, sizes: list[int]) -> None:
    framer = SniffFramer()
    assert feed(framer, HANDSHAKE[:n], sizes) == []
    assert framer.unread() == HANDSHAKE[:n]


def test_every_byte_is_left_for_the_next_framer() -> None:
    framer = SniffFramer()
    data = HANDSHAKE + bytes(range(256))
    assert feed(framer, data) == [Guest.PEER_WIRE]
    assert framer.unread() == data


@pytest.mark.parametrize(
    "first",
    [
        b"GET / HTTP/1.1\r\n",
        b"\0",
        b"\x13BitTorrent Protocol",  # the name is written small
        b"\x12BitTorrent protocol",
        b"BitTorrent protocol",
        b"\x16\x03\x01",
    ],
)
def test_whoever_begins_otherwise_is_refused_at_the_first_wrong_byte(first: bytes) -> None:
    wrong = next(n for n in range(1, len(first) + 1) if not HANDSHAKE.startswith(first[:n]))
    framer = SniffFramer()
    assert feed(framer, first[: wrong - 1], [1]) == []
    with pytest.raises(RemoteProtocolError, match="nobody we know"):
        feed(framer, first[wrong - 1 : wrong])


@given(st.binary(max_size=200), chunkings)
def test_any_bytes_are_a_guest_or_a_fault(data: bytes, sizes: list[int]) -> None:
    messages, error = feed_until_error(SniffFramer(), data, sizes)
    assert all(isinstance(message, Guest) for message in messages)
    assert error is None or isinstance(error, RemoteProtocolError)
    assert (error is None) == HANDSHAKE.startswith(data[:20])
