"""What a peer said to a magnet, said again to its torrent."""

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.errors import FormatError, RemoteError, RemoteProtocolError
from p2pswarm.formats.bitfield import Bitfield
from p2pswarm.formats.ids import PieceIndex
from p2pswarm.swarm.heard import MOST_FAST, MOST_PIECES, Heard
from p2pswarm.wire.extension.handshake import ExtendedHandshake
from p2pswarm.wire.peer import (
    AllowedFast,
    BitfieldMessage,
    Choke,
    Extended,
    HaveAll,
    HaveNone,
    Haves,
    Interested,
    NotInterested,
    PortMessage,
    Requests,
    Unchoke,
)

SILENCE = [NotInterested(), Choke()]
P = PieceIndex


def again(*messages: object, pieces: int = 20) -> list[object]:
    heard = Heard()
    for message in messages:
        heard.got(message)
    return list(heard.again(pieces))


def test_of_each_kind_the_last_word_counts() -> None:
    said = again(
        Interested(), Unchoke(), PortMessage(1), Choke(), Unchoke(), PortMessage(2), HaveNone()
    )
    assert said == [HaveNone(), Interested(), Unchoke(), PortMessage(2)]
    assert again() == SILENCE


def test_haves_become_a_bitfield_of_the_right_length() -> None:
    assert again(Haves([P(0), P(9)])) == [BitfieldMessage(b"\x80\x40\0"), *SILENCE]
    assert again(BitfieldMessage(b"\x80\0\0"), Haves([P(8)])) == [
        BitfieldMessage(b"\x80\x80\0"),
        *SILENCE,
    ]
    assert again(HaveNone(), Haves([P(3)])) == [HaveNone(), BitfieldMessage(b"\x10\0\0"), *SILENCE]
    assert again(HaveAll(), Haves([P(3)])) == [HaveAll(), Haves([P(3)]), *SILENCE]
    assert again(Haves([P(3)]), HaveAll()) == [HaveAll(), *SILENCE]
    assert again(HaveAll(), BitfieldMessage(b"\0\0\0")) == [BitfieldMessage(b"\0\0\0"), *SILENCE]


def test_extended_handshakes_are_said_as_one() -> None:
    heard = Heard()
    heard.hello = ExtendedHandshake({"a": 1, "b": 2}, reqq=7, port=5)
    (hello, *_) = heard.again(1)
    assert isinstance(hello, Extended)
    assert ExtendedHandshake.decode(hello.payload) == heard.hello


def test_fast_pieces_have_an_end() -> None:
    said = again(*(AllowedFast(P(n)) for n in range(1000)))
    assert sum(isinstance(message, AllowedFast) for message in said) == MOST_FAST


@pytest.mark.parametrize(
    "message",
    [
        Haves([P(1), P(MOST_PIECES)]),
        BitfieldMessage(bytes(MOST_PIECES // 8 + 1)),
        Requests([(P(0), 0, 1)]),
    ],
)
def test_what_no_peer_says_is_refused(message: object) -> None:
    with pytest.raises(RemoteProtocolError):
        again(message)


@pytest.mark.parametrize("data", [b"\0\0", b"\0\0\0\0", b"\0\0\x08"])
def test_a_bitfield_is_checked_when_it_can_be(data: bytes) -> None:
    (said, *_) = again(BitfieldMessage(data).__class__(data), pieces=20)
    assert isinstance(said, BitfieldMessage)
    if len(data) == 2:  # nothing says that it was not haves
        data += b"\0"
        assert Bitfield.from_wire(said.data, 20) == Bitfield(20)
    else:
        with pytest.raises(FormatError):
            Bitfield.from_wire(said.data, 20)


MESSAGES = st.one_of(
    st.binary(max_size=5).map(BitfieldMessage),
    st.lists(st.integers(0, 40).map(P), min_size=1, max_size=5).map(Haves),
    st.sampled_from([HaveAll(), HaveNone(), Unchoke(), Choke(), Interested()]),
)


@settings(max_examples=60)
@given(st.lists(MESSAGES, max_size=12), st.integers(1, 40))
def test_it_comes_to_the_same_as_if_it_had_been_said_then(
    messages: list[object], pieces: int
) -> None:
    """Where the torrent would not have refused it."""

    def have(messages: list[object]) -> Bitfield:
        field = Bitfield(pieces)
        for message in messages:
            match message:
                case HaveAll():
                    field = Bitfield.full(pieces)
                case HaveNone():
                    field = Bitfield(pieces)
                case BitfieldMessage(data=data):
                    field = Bitfield.from_wire(data, pieces)
                case Haves(pieces=several):
                    for piece in several:
                        field[piece] = 1
        return field

    try:
        wanted = have(messages)
    except (RemoteError, IndexError):
        return
    assert have(again(*messages, pieces=pieces)) == wanted
