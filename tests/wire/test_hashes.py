import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.wire.hashes import MOST_HASHES, Hashes, HashRange, HashReject, HashRequest
from p2pswarm.wire.peer import PeerFramer
from tests.support.feeding import chunkings, feed, feed_until_error

ROOT = bytes(range(32))
u32 = st.integers(0, 2**32 - 1)
ranges = st.builds(HashRange, st.binary(min_size=32, max_size=32), u32, u32, u32, u32)


def framer() -> PeerFramer:
    return PeerFramer(lambda piece, begin, blocks: None)


@st.composite
def answers(draw: st.DrawFn) -> Hashes:
    length = 1 << draw(st.integers(1, 9))
    first, base = draw(st.integers(0, 99)) * length, draw(st.integers(0, 20))
    asked = HashRange(ROOT, base, first, length, draw(st.integers(0, 40)))
    return Hashes(asked, draw(st.binary(min_size=32, max_size=32)) * (length + asked.uncles))


messages = st.builds(HashRequest, ranges) | st.builds(HashReject, ranges) | answers()


@settings(max_examples=50)
@given(st.lists(messages, max_size=4), chunkings)
def test_what_is_written_is_read_in_any_chunking(
    said: list[HashRequest | HashReject | Hashes], sizes: list[int]
) -> None:
    assert feed(framer(), b"".join(each.encode() for each in said), sizes) == said


@settings(max_examples=100)
@given(st.sampled_from([21, 22, 23]), st.binary(max_size=200), chunkings)
def test_any_body_is_a_message_or_the_peers_fault(
    number: int, body: bytes, sizes: list[int]
) -> None:
    data = (1 + len(body)).to_bytes(4, "big") + bytes((number,)) + body
    read, error = feed_until_error(framer(), data, sizes)
    assert len(read) == (error is None)
    if error is None:
        assert isinstance(read[0], HashRequest | HashReject | Hashes)
        assert read[0].encode() == data


@pytest.mark.parametrize(
    ("length", "proof", "uncles"),
    [
        (2, 0, 0),
        (2, 1, 1),
        (32, 4, 0),
        (16, 4, 1),
        (2, 4, 4),
        (64, 5, 0),
        (64, 10, 5),
        (512, 10, 2),
    ],
)
def test_layers_that_follow_from_the_run_are_counted_and_not_sent(
    length: int, proof: int, uncles: int
) -> None:
    """As libtorrent 2.1.1 answers."""
    asked = HashRange(ROOT, 0, 0, length, proof)
    assert asked.uncles == uncles
    answer = Hashes(asked, b"r" * 32 * length + b"u" * 32 * uncles)
    (read,) = feed(framer(), answer.encode())
    assert isinstance(read, Hashes)
    assert read.run == b"r" * 32 * length
    assert read.uncles == [b"u" * 32] * uncles


@pytest.mark.parametrize(
    ("first", "length", "base", "proof"),
    [
        *((0, length, 0, 0) for length in (0, 1, 3, 2 * MOST_HASHES)),
        *((1, 2, 0, 0), (2, 4, 0, 0), (0, 2, 65, 0), (0, 2, 0, 65)),
    ],
)
def test_what_nobody_may_ask_for(first: int, length: int, base: int, proof: int) -> None:
    asked = HashRange(ROOT, base, first, length, proof)
    assert not asked.well_formed
    with pytest.raises(RemoteProtocolError):
        feed(framer(), Hashes(asked, b"h" * 32 * (length + asked.uncles)).encode())


def test_hashes_of_another_number_than_they_say() -> None:
    asked = HashRange(ROOT, 0, 0, 4, 3)
    for count in (0, 4, 5, 7):
        with pytest.raises(RemoteProtocolError):
            feed(framer(), Hashes(asked, b"h" * 32 * count).encode())
    assert feed(framer(), Hashes(asked, b"h" * 32 * 6).encode())
