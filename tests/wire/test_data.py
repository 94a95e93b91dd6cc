"""Bytes without frames: as many as were agreed on."""

from hypothesis import given, strategies as st

from p2pswarm.wire.data import Chunk, DataFramer
from tests.support.feeding import chunkings, feed


@given(st.binary(max_size=300), st.integers(0, 300), chunkings)
def test_data_comes_in_order_and_no_more_than_asked(
    data: bytes, left: int, sizes: list[int]
) -> None:
    framer = DataFramer(left)
    chunks = feed(framer, data, sizes)
    assert b"".join(chunk.data for chunk in chunks if isinstance(chunk, Chunk)) == data[:left]
    assert framer.left == max(left - len(data), 0)
    assert framer.unread() == data[left:]
