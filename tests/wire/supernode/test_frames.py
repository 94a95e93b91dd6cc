"""Frames: any chunking, any bytes, and the opening before them."""

from contextlib import suppress

import pytest
from hypothesis import given, strategies as st

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.wire.framer import Scratch
from p2pswarm.wire.supernode.frames import MOST, OPENING, Frame, FrameFramer, FrameKind
from tests.support.feeding import chunkings, feed, feed_interleaved, feed_until_error
from tests.support.supernode_reading import Message, read_frame
from tests.support.supernode_wire import messages

frames = st.builds(Frame, st.integers(0, 255), st.binary(max_size=100))


def stream(sent: list[Frame]) -> bytes:
    return OPENING + b"".join(frame.encode() for frame in sent)


def test_the_opening_and_a_frame_byte_by_byte() -> None:
    wire = bytes.fromhex("12 7032707377 61726d20 73757065726e6f6465 0002 05 6465")
    assert wire == stream([Frame(FrameKind.PING, b"de")])
    assert feed(FrameFramer(), wire, [1]) == [Frame(FrameKind.PING, b"de")]


@given(st.lists(frames, max_size=8), chunkings)
def test_every_frame_survives_any_chunking(sent: list[Frame], sizes: list[int]) -> None:
    assert feed(FrameFramer(), stream(sent), sizes) == sent


@given(st.lists(messages, max_size=6), chunkings)
def test_every_message_survives_any_chunking(sent: list[Message], sizes: list[int]) -> None:
    got = feed(FrameFramer(), stream([message.encode() for message in sent]), sizes)
    assert [read_frame(frame) for frame in got if isinstance(frame, Frame)] == sent


@given(st.lists(frames, max_size=4), st.lists(frames, max_size=4), st.data())
def test_two_connections_share_a_scratch(
    here: list[Frame], there: list[Frame], data: st.DataObject
) -> None:
    turns = data.draw(st.lists(st.tuples(st.integers(0, 1), st.integers(1, 60)), max_size=20))
    scratch = Scratch()
    framers = [FrameFramer(scratch), FrameFramer(scratch)]
    assert feed_interleaved(framers, [stream(here), stream(there)], turns) == [here, there]


@given(st.binary(max_size=300) | st.binary(max_size=300).map(OPENING.__add__), chunkings)
def test_any_bytes(data: bytes, sizes: list[int]) -> None:
    got, error = feed_until_error(FrameFramer(), data, sizes)
    told = [frame for frame in got if isinstance(frame, Frame)]
    assert error is None or isinstance(error, RemoteProtocolError)
    assert not told or data.startswith(stream(told))
    for frame in told:
        with suppress(RemoteProtocolError):
            read_frame(frame)


@pytest.mark.parametrize("opened", range(len(OPENING)))
def test_whoever_opens_otherwise_is_cut_at_the_first_wrong_byte(opened: int) -> None:
    framer = FrameFramer()
    assert feed(framer, OPENING[:opened]) == []
    assert not framer.opened
    with pytest.raises(RemoteProtocolError, match="no node of ours"):
        feed(framer, b"\xff")


def test_what_is_left_of_a_frame_is_unread() -> None:
    framer = FrameFramer()
    whole = stream([Frame(0x99, b"abc")])
    assert feed(framer, whole[:-1]) == []
    assert framer.opened
    assert framer.unread() == whole[len(OPENING) : -1]


@pytest.mark.parametrize("kind", FrameKind)
def test_a_body_that_is_too_long_is_refused_before_it_comes(kind: FrameKind) -> None:
    most = MOST[kind]
    largest = Frame(kind, bytes(most))
    assert feed(FrameFramer(), stream([largest])) == [largest]
    with pytest.raises(RemoteProtocolError, match=str(most + 1)):
        feed(FrameFramer(), OPENING + (most + 1).to_bytes(2, "big") + bytes((kind,)))
    with pytest.raises(LocalProtocolError):
        Frame(kind, bytes(most + 1)).encode()


def test_a_kind_of_tomorrow_may_be_as_long_as_the_length_can_say() -> None:
    largest = Frame(0xFE, bytes(65535))
    assert feed(FrameFramer(), stream([largest])) == [largest]
    with pytest.raises(LocalProtocolError):
        Frame(0xFE, bytes(65536)).encode()


@pytest.mark.parametrize("kind", [-1, 256])
def test_a_kind_is_a_byte(kind: int) -> None:
    with pytest.raises(LocalProtocolError):
        Frame(kind, b"").encode()


def test_frames_say_what_they_are() -> None:
    assert repr(Frame(FrameKind.QUERY, b"abc")) == "<QUERY of 3 bytes>"
    assert repr(Frame(0x99, b"")) == "<kind 0x99 of 0 bytes>"
