"""Every message of the people protocol: there and back in any chunking, junk, and what is too much."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.formats import bencode
from p2pswarm.formats.ids import Address, InfoHash
from p2pswarm.wire.people.dictionary import PeopleMessage
from p2pswarm.wire.people.finding import Fault, Find, Found, Put, Rejected, Stored, Unknown
from p2pswarm.wire.people.frames import MOST, OPENING, PeopleFrame, PeopleFramer, PeopleKind
from p2pswarm.wire.people.hello import Hello, Reason, Refuse, Want
from p2pswarm.wire.people.nodes import WHOLE, SuperNode
from p2pswarm.wire.people.relaying import Meet, Ready, Swarm
from p2pswarm.wire.people.ringing import Prove, Ring, proof
from p2pswarm.wire.supernode.frames import Frame
from tests.support.feeding import chunkings, feed, feed_until_error
from tests.support.people_reading import MESSAGES, read_frame
from tests.support.people_wire import messages

TOKEN, HASH, NODE = b"12345678", b"h" * 32, b"n" * 16
HERE = Address("1.2.3.4", 6881)


def stream(sent: list[PeopleMessage]) -> bytes:
    return OPENING + b"".join(message.encode().encode() for message in sent)


@settings(max_examples=60)
@given(st.lists(messages, max_size=6), chunkings)
def test_every_message_survives_any_chunking(sent: list[PeopleMessage], sizes: list[int]) -> None:
    got = feed(PeopleFramer(), stream(sent), sizes)
    assert [read_frame(frame) for frame in got if isinstance(frame, Frame)] == sent


@settings(max_examples=60)
@given(st.binary(max_size=300) | st.binary(max_size=300).map(OPENING.__add__), chunkings)
def test_any_bytes(data: bytes, sizes: list[int]) -> None:
    got, error = feed_until_error(PeopleFramer(), data, sizes)
    assert error is None or isinstance(error, RemoteProtocolError)
    for frame in got:
        assert isinstance(frame, PeopleFrame)
        with suppress(RemoteProtocolError):
            read_frame(frame)


@settings(max_examples=150)
@given(st.sampled_from(MESSAGES), messages, st.data())
def test_a_body_that_was_tampered_with_is_read_or_the_others_fault(
    reader: type[PeopleMessage], message: PeopleMessage, data: st.DataObject
) -> None:
    body = bytearray(message.encode().body)
    for _ in range(data.draw(st.integers(0, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    with suppress(RemoteProtocolError):
        assert isinstance(reader.read(bytes(body)), reader)


def test_every_kind_has_its_message_and_none_is_the_first_byte_of_stuns_cookie() -> None:
    assert {message.kind for message in MESSAGES} == {*PeopleKind} == MOST.keys()
    assert 0x21 not in [*PeopleKind]


def test_the_bytes_of_a_question() -> None:
    frame = Find(TOKEN, HASH, recursive=True, hops=3).encode()
    assert frame == PeopleFrame(0x30, TOKEN + b"d4:hash32:%b4:hopsi3e2:rdi1ee" % HASH)
    assert PeopleFramer().frame.opening == bytes((len(OPENING) - 1,)) + b"p2pswarm people"


def test_what_is_signed_to_be_at_home() -> None:
    signed = b"p2pswarm home " + b"N" * 32 + b"n" * 16 + b"\x01\x02\x03\x04\x1a\xe1"
    assert proof(b"N" * 32, NODE, HERE) == signed


def test_the_majority_is_more_than_half() -> None:
    assert Stored(TOKEN, 6, 10).majority
    assert not Stored(TOKEN, 5, 10).majority


@pytest.mark.parametrize(
    "make",
    [
        lambda: Find(b"1234567", HASH),
        lambda: Find(TOKEN, HASH[1:]),
        lambda: Find(TOKEN, HASH, hops=9),
        lambda: Found(TOKEN, b"r" * 901, 1),
        lambda: Found(TOKEN, b"", 1),
        lambda: Found(TOKEN, b"r", 72 * 3600 + 1),
        lambda: Put(TOKEN, b"r", -1),
        lambda: Unknown(TOKEN, 61, True, WHOLE),
        lambda: Unknown(TOKEN, 60, True, WHOLE, (SuperNode(NODE, HERE, WHOLE),) * 25),
        lambda: Rejected(TOKEN, Fault.STALE, 1 << 63),
        lambda: Stored(TOKEN, 0, 0),
        lambda: Hello(NODE, Want.HOME, 0),
        lambda: Hello(NODE + b"x", Want.HOME, 1),
        lambda: Prove(b"c" * 1025, HERE, b"s" * 64),
        lambda: Prove(b"c", HERE, b"s" * 63),
        lambda: Ring(b"k" * 32, b"s" * 16, b"o" * 4097),
        lambda: Ready(b"c" * 7, b"pass", 1, HERE),
        lambda: Swarm((InfoHash(b"h" * 20),) * 101, ()),
        lambda: Swarm((), (HERE,) * 17),
        lambda: Meet(InfoHash(b"h" * 20), b"s" * 16, b"k", (HERE,), True),
    ],
)
def test_what_nobody_would_read_is_not_said(make: Callable[[], PeopleMessage]) -> None:
    with pytest.raises(LocalProtocolError):
        make().encode()


def test_the_largest_of_each_fits_into_its_frame() -> None:
    six = Address("2001:db8::1", 65535)
    others = (SuperNode(NODE, six, WHOLE),) * 24
    for message in (
        Refuse(Reason.FULL, "t" * 255, others),
        Unknown(TOKEN, 60, True, WHOLE, others, 8, 1000),
        Found(TOKEN, b"r" * 900, 72 * 3600, True, 8, 1000),
        Ring(b"k" * 32, b"s" * 16, b"o" * 4096),
        Swarm((InfoHash(b"h" * 20),) * 100, (six,) * 16),
        Prove(b"c" * 1024, six, b"s" * 64),
    ):
        assert read_frame(message.encode()) == message
        assert message.encode().encode()


@pytest.mark.parametrize(
    ("reader", "body"),
    [
        (Find, TOKEN),
        (Find, TOKEN + b"de"),
        (Find, TOKEN + b"le"),
        (Find, b"d4:hash32:%b4:hopsi3e2:rdi1ee" % HASH),
        (Swarm, bencode.encode({b"hashes": b"h" * 21, b"addresses": b""})),
        (Swarm, bencode.encode({b"hashes": b"", b"addresses": b"\x06123"})),
        (Swarm, bencode.encode({b"hashes": b"", b"addresses": b"\x05123456"})),
        (Stored, TOKEN + bencode.encode({b"copies": 65, b"of": 64})),
        (Rejected, TOKEN + bencode.encode({b"fault": b"mood", b"seq": 0})),
    ],
)
def test_what_is_not_as_it_must_be_is_the_others_fault(
    reader: type[PeopleMessage], body: bytes
) -> None:
    with pytest.raises(RemoteProtocolError):
        reader.read(body)
