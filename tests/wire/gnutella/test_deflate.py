import zlib

import pytest
from hypothesis import given, strategies as st

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.wire.framer import CuttingFramer, Scratch
from p2pswarm.wire.gnutella.deflate import MAX_INFLATED, Deflater, InflatingFramer
from tests.support.feeding import chunkings, feed, feed_until_error


class LineFramer(CuttingFramer):
    """Messages are lines."""

    def _cut(self, view: memoryview, into: list[object]) -> int:
        *lines, rest = view.tobytes().split(b"\n")
        into += lines
        return len(view) - len(rest)


class NoRoom(LineFramer):
    def get_buffer(self, hint: int = -1) -> memoryview:
        return memoryview(bytearray())


def inflating(scratch: Scratch | None = None) -> InflatingFramer:
    scratch = scratch or Scratch(1 << 20)
    return InflatingFramer(LineFramer(scratch), scratch)


batches = st.lists(
    st.lists(st.binary(max_size=300).map(lambda b: b.replace(b"\n", b"")), max_size=5)
)


@given(batches, chunkings)
def test_messages_survive_in_any_chunks(sent: list[list[bytes]], sizes: list[int]) -> None:
    deflater = Deflater()
    data = b"".join(deflater.pack(*[line + b"\n" for line in batch]) for batch in sent)
    assert feed(inflating(), data, sizes) == [line for batch in sent for line in batch]


def test_a_batch_is_out_when_it_is_packed() -> None:
    deflater, framer = Deflater(), inflating()
    assert feed(framer, deflater.pack(b"one\n", bytearray(b"two\nth"))) == [b"one", b"two"]
    assert framer.unread() == b"th"
    assert feed(framer, deflater.pack(memoryview(b"three\n"))) == [b"three"]


def test_nothing_packs_to_nothing() -> None:
    assert Deflater().pack() == Deflater().pack(b"", b"") == b""


def test_messages_longer_than_a_portion() -> None:
    line = bytes(range(11, 256)) * 800
    assert feed(inflating(), zlib.compress(line + b"\n")[:-4], [500]) == [line]


def test_each_message_is_taken_before_the_next_is_inflated() -> None:
    scratch = Scratch(1 << 20)
    framer = inflating(scratch)
    data = Deflater().pack(b"".join(b"%070d\n" % n for n in range(4000)))
    framer.get_buffer()[: len(data)] = data
    taken = iter(framer.received(len(data)))
    first = next(taken)
    scratch.view[:] = bytes(len(scratch.view))  # whoever is answered may use the scratch
    assert first == b"%070d" % 0
    assert list(taken) == [b"%070d" % n for n in range(1, 4000)]


def test_a_bomb_is_refused_before_it_is_inflated() -> None:
    bomb = zlib.compress(b"\n" * 10_000_000)
    messages, error = feed_until_error(inflating(), bomb, [1 << 20])
    assert isinstance(error, RemoteProtocolError)
    assert len(messages) == MAX_INFLATED


def test_a_message_that_is_too_long_stays_too_long() -> None:
    flat = zlib.compress(b"x" * 900_000)
    with pytest.raises(RemoteProtocolError, match="a message longer than"):
        feed(inflating(), flat)


def test_the_end_of_the_stream_is_the_end() -> None:
    messages, error = feed_until_error(inflating(), zlib.compress(b"bye\n") + b"more", [1000])
    assert messages == [b"bye"]
    assert isinstance(error, RemoteProtocolError)


@pytest.mark.parametrize(
    "data", [b"plain text\n", zlib.compress(b"a\n" * 9)[:-1] + b"x", b"\x78\x9c\xff"]
)
def test_what_is_no_zlib_stream_is_refused(data: bytes) -> None:
    _, error = feed_until_error(inflating(), data, [1])
    assert isinstance(error, RemoteProtocolError)


@given(st.binary(max_size=300), chunkings)
def test_junk_is_inflated_or_refused(data: bytes, sizes: list[int]) -> None:
    for start in (b"", b"\x78\x9c"):
        _, error = feed_until_error(inflating(), start + data, sizes)
        assert error is None or isinstance(error, RemoteProtocolError)


def test_a_framer_without_room_is_not_flooded() -> None:
    with pytest.raises(RemoteProtocolError):
        feed(InflatingFramer(NoRoom()), Deflater().pack(b"a\n"))
