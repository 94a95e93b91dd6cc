"""What the directory says by UDP, and the datagrams that carry others."""

from contextlib import suppress

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.formats.ids import Address
from p2pswarm.wire.people.datagrams import REQUEST_SIZE, pack_datagram, read_datagram
from p2pswarm.wire.people.dictionary import TokenMessage
from p2pswarm.wire.people.finding import MAX_SEQ, Find, Found, Put, Referral
from p2pswarm.wire.people.frames import PeopleFrame
from p2pswarm.wire.people.marked import MEDIA_HEAD, RELAY_HEAD, Relayed, Sealed
from p2pswarm.wire.people.nodes import WHOLE, SuperNode
from p2pswarm.wire.people.slots import (
    HELD_MOST,
    MAX_LIST,
    MAX_PART,
    Differs,
    Digest,
    Gossip,
    Gossiped,
    Held,
    Part,
    Revoked,
    Seat,
)
from tests.support.people_reading import read_frame
from tests.support.people_wire import directory_messages
from tests.wire.people.test_messages import HASH, NODE, TOKEN

SIX = "2001:db8::1"
QUESTIONS = (Find, Put, Seat, Digest, Revoked, Gossip)


@settings(max_examples=60)
@given(directory_messages, st.booleans())
def test_a_message_comes_through_and_is_never_longer_than_a_request(
    message: TokenMessage, request: bool
) -> None:
    request = request or isinstance(message, QUESTIONS)
    data = pack_datagram(message.encode(), request=request)
    assert read_frame(read_datagram(data)) == message
    assert len(data) == REQUEST_SIZE if request else len(data) <= REQUEST_SIZE


@settings(max_examples=60)
@given(st.binary(max_size=60) | st.binary(max_size=60).map(b"P2PD".__add__))
def test_any_datagram(data: bytes) -> None:
    with suppress(RemoteProtocolError):
        read_frame(read_datagram(data))


def test_the_bytes_of_a_request() -> None:
    data = pack_datagram(Find(TOKEN, HASH).encode(), request=True)
    said = b"P2PD\x30" + TOKEN + b"d4:hash32:%b4:hopsi8e2:rdi0ee" % HASH
    assert data == said + bytes(1200 - len(said))


@given(directory_messages)
def test_a_question_that_is_shorter_than_its_answer_may_be_is_not_read(
    message: TokenMessage,
) -> None:
    asks = isinstance(message, QUESTIONS) and not isinstance(message, Gossiped)
    data = pack_datagram(message.encode())
    for size in (len(data), REQUEST_SIZE - 1):
        if asks:
            with pytest.raises(RemoteProtocolError):
                read_datagram(data.ljust(size, b"\0")[: REQUEST_SIZE - 1])
        else:
            assert read_frame(read_datagram(data)) == message


def test_the_longest_answers_fit() -> None:
    full = Referral(TOKEN, (SuperNode(NODE, Address(SIX, 65535), WHOLE),) * 24, WHOLE)
    big = MAX_SEQ
    gossip = Gossip(TOKEN, NODE, WHOLE, 255, Address(SIX, 65535), full.nodes, big, True)
    held = Differs(TOKEN, False, (), (Held(HASH, big),) * HELD_MOST)
    part = Part(TOKEN, big, MAX_LIST, MAX_LIST, bytes(MAX_PART))
    found = Found(TOKEN, b"r" * 900, 72 * 3600, True, 8, 1000)
    for message in (full, gossip, held, part, found):
        assert len(pack_datagram(message.encode())) <= REQUEST_SIZE


def test_a_datagram_that_is_too_long_is_not_sent_and_not_read() -> None:
    with pytest.raises(LocalProtocolError):
        pack_datagram(PeopleFrame(0x30, bytes(1196)))
    data = pack_datagram(Find(TOKEN, HASH).encode(), request=True)
    with pytest.raises(RemoteProtocolError):
        read_datagram(data + b"\0")


@given(st.binary(min_size=8, max_size=8), st.binary(min_size=4, max_size=4), st.binary())
def test_what_carries_others_comes_through(eight: bytes, four: bytes, payload: bytes) -> None:
    relayed = Relayed(eight, four, payload)
    assert Relayed.read(relayed.encode()) == relayed
    assert len(relayed.encode()) == RELAY_HEAD + len(payload)
    sealed = Sealed(eight, int.from_bytes(four, "big"), payload)
    assert Sealed.read(sealed.encode()) == sealed
    assert sealed.encode() == sealed.head + payload
    assert len(sealed.head) == MEDIA_HEAD


@pytest.mark.parametrize("data", [b"", b"P2PR", b"P2PR" + bytes(13), b"P2PM" + bytes(13) + b"x"])
def test_what_has_no_mark_carries_nothing(data: bytes) -> None:
    for reader in (Relayed, Sealed):
        with pytest.raises(RemoteProtocolError):
            reader.read(data)


@pytest.mark.parametrize(
    "wrong",
    [Relayed(b"short", b"pass", b""), Relayed(b"channel-", b"", b""), Sealed(b"session-", -1, b"")],
)
def test_a_head_that_cannot_be_is_ours(wrong: Relayed | Sealed) -> None:
    with pytest.raises(LocalProtocolError):
        wrong.encode()
