"""Frames of a call, its greeting and its media: there and back, in any chunking, and noise."""

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.errors import LocalProtocolError, RemoteError, RemoteProtocolError
from p2pswarm.formats import bencode
from p2pswarm.wire.calling.frames import MOST_BODY, CallFrame, CallFramer, CallHello
from p2pswarm.wire.calling.media import MOST_OPUS, Report, Voice, read_media
from tests.support.feeding import chunkings, feed, feed_until_error

numbers = st.integers(0, 0xFFFFFFFF)
frames = st.builds(
    CallFrame, st.integers(0, 255), numbers, numbers, st.binary(max_size=50)
) | st.builds(CallFrame, body=st.just(bytes(MOST_BODY)), kind=st.just(1))
hellos = st.builds(
    CallHello,
    st.binary(min_size=16, max_size=16),
    st.from_regex(r"[a-z0-9]{1,32}", fullmatch=True),
    st.binary(min_size=32, max_size=32),
)
media = st.builds(Voice, numbers, st.binary(min_size=1, max_size=MOST_OPUS)) | st.builds(
    Report, *[numbers] * 7
)


@settings(max_examples=40, deadline=None)
@given(st.lists(frames, max_size=4), chunkings)
def test_frames_survive_any_chunking(sent: list[CallFrame], sizes: list[int]) -> None:
    assert feed(CallFramer(), b"".join(frame.encode() for frame in sent), sizes) == sent


@settings(max_examples=60)
@given(st.binary(max_size=200), chunkings)
def test_noise_becomes_frames_or_a_fault_of_theirs(noise: bytes, sizes: list[int]) -> None:
    heard, fault = feed_until_error(CallFramer(), noise, sizes)
    assert all(isinstance(each, CallFrame) for each in heard)
    assert fault is None or isinstance(fault, RemoteProtocolError)


def test_no_frame_is_longer_than_others_may_wait() -> None:
    with pytest.raises(LocalProtocolError):
        CallFrame(1, body=bytes(MOST_BODY + 1)).encode()
    with pytest.raises(RemoteProtocolError, match="with 16385 bytes"):
        feed(CallFramer(), b"\x40\x01" + bytes(20))


@given(hellos)
def test_a_greeting_there_and_back(hello: CallHello) -> None:
    assert CallHello.read(hello.encode()) == hello


@settings(max_examples=60)
@given(
    st.binary(max_size=100)
    | st.dictionaries(
        st.sampled_from([b"session", b"want", b"key"]),
        st.binary(max_size=40) | st.integers(0, 9),
    ).map(bencode.encode)
)
def test_any_other_greeting_is_a_fault_of_theirs(noise: bytes) -> None:
    try:
        hello = CallHello.read(noise)
    except RemoteError:
        return
    assert CallHello.read(hello.encode()) == hello


@given(media)
def test_media_there_and_back(message: Voice | Report) -> None:
    assert read_media(message.encode()) == message


@settings(max_examples=60)
@given(st.binary(max_size=40))
def test_media_of_noise(noise: bytes) -> None:
    try:
        message = read_media(noise)
    except RemoteError:
        return
    assert message is None or message.encode() == noise


def test_voice_has_an_end() -> None:
    with pytest.raises(RemoteProtocolError):
        read_media(Voice(1, bytes(MOST_OPUS + 1)).encode())
    with pytest.raises(RemoteProtocolError):
        read_media(Voice(1, b"").encode())
