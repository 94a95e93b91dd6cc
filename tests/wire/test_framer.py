import pytest
from hypothesis import given, strategies as st
from typing_extensions import override

from p2pswarm.errors import RemoteProtocolError
from p2pswarm.wire.framer import MOST_KEPT, SCRATCH_SIZE, CuttingFramer, KeepingFramer, Scratch
from p2pswarm.wire.peer import MAX_MESSAGE
from tests.support.feeding import chunkings, feed, feed_interleaved


class LineFramer(CuttingFramer):
    """The smallest protocol: lines."""

    @override
    def _cut(self, view: memoryview, into: list[object]) -> int:
        *lines, rest = view.tobytes().split(b"\n")
        into += lines
        return len(view) - len(rest)


lines = st.lists(st.binary(max_size=50).map(lambda line: line.replace(b"\n", b"")), max_size=10)


def text_of(lines: list[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


@given(lines, st.binary(max_size=9).map(lambda end: end.replace(b"\n", b"")), chunkings)
def test_what_is_incomplete_is_kept(lines: list[bytes], end: bytes, sizes: list[int]) -> None:
    framer = LineFramer()
    assert feed(framer, text_of(lines) + end, sizes) == lines
    assert framer.unread() == end
    assert framer.unread() == b""


@given(st.lists(lines, min_size=2, max_size=4), st.data())
def test_many_framers_share_one_scratch(streams: list[list[bytes]], data: st.DataObject) -> None:
    scratch = Scratch(4096)
    who = st.integers(0, len(streams) - 1)
    turns = data.draw(st.lists(st.tuples(who, st.integers(1, 30)), max_size=60))
    framers = [LineFramer(scratch) for _ in streams]
    assert feed_interleaved(framers, [text_of(lines) for lines in streams], turns) == streams


def test_a_buffer_asked_for_twice_loses_nothing() -> None:
    framer = LineFramer(Scratch(100))
    feed(framer, b"half a l")
    framer.get_buffer()
    assert feed(framer, b"ine\n") == [b"half a line"]


def test_the_buffer_leaves_room_for_what_was_kept() -> None:
    framer = LineFramer(Scratch(100))
    feed(framer, b"x" * 99)
    assert len(framer.get_buffer()) == 1


def test_what_fills_the_whole_buffer_and_means_nothing_is_refused() -> None:
    framer = LineFramer(Scratch(100))
    with pytest.raises(RemoteProtocolError, match="longer than 100 bytes"):
        feed(framer, b"x" * 100)


def test_the_scratch_holds_the_longest_message() -> None:
    assert 4 + MAX_MESSAGE < SCRATCH_SIZE == len(Scratch().view)


def test_a_framer_says_how_it_cuts() -> None:
    with pytest.raises(NotImplementedError):
        feed(CuttingFramer(), b"x")


@given(st.binary(max_size=300), chunkings)
def test_who_only_keeps_leaves_everything(data: bytes, sizes: list[int]) -> None:
    framer = KeepingFramer()
    assert feed(framer, data, sizes) == []
    assert framer.unread() == data


def test_who_only_keeps_keeps_no_more_than_a_message() -> None:
    with pytest.raises(RemoteProtocolError, match="longer than"):
        feed(KeepingFramer(), bytes(MOST_KEPT), [MOST_KEPT // 2])
