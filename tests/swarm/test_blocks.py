import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from p2pswarm.formats.geometry import Geometry
from p2pswarm.formats.ids import PieceIndex
from p2pswarm.swarm.blocks import Blocks, BufferPool

ONE, TWO = PieceIndex(1), PieceIndex(2)
GEOMETRY = Geometry(90, 30)


class PoolMachine(RuleBasedStateMachine):
    """Somebody borrows and gives back buffers of several sizes, in any order."""

    @initialize(budget=st.integers(0, 200))
    def open(self, budget: int) -> None:
        self.pool = BufferPool(budget)
        self.lent: list[memoryview] = []
        self.promised: list[int] = []

    @rule(size=st.sampled_from([1, 16, 50, 64, 150, 300]))
    def take(self, size: int) -> None:
        fits = self._fits(size)
        buffer = self.pool.take(size)
        assert (buffer is not None) == fits
        if buffer is not None:
            self._has(buffer, size)

    def _fits(self, size: int) -> bool:
        lent = sum(map(len, self.lent)) + sum(self.promised)
        return not lent or lent + size <= self.pool.budget

    def _has(self, buffer: memoryview, size: int) -> None:
        assert len(buffer) == size
        assert all(buffer is not other for other in self.lent)
        self.lent.append(buffer)

    @rule(size=st.sampled_from([1, 50, 64, 300]))
    def promise(self, size: int) -> None:
        fits = self._fits(size)
        assert self.pool.promise(size) == fits
        if fits:
            self.promised.append(size)

    @rule(size=st.sampled_from([16, 300]))
    def promise_the_first(self, size: int) -> None:
        """To a torrent that has none, whatever others hold."""
        assert self.pool.promise(size, first=True)
        self.promised.append(size)

    @precondition(lambda self: self.promised)
    @rule(wanted=st.booleans())
    def redeem(self, wanted: bool) -> None:
        size = self.promised.pop()
        if wanted:
            self._has(self.pool.fetch(size), size)
        else:
            self.pool.release(size)

    @precondition(lambda self: self.lent)
    @rule(data=st.data())
    def give(self, data: st.DataObject) -> None:
        self.pool.give(self.lent.pop(data.draw(st.integers(0, len(self.lent) - 1))))

    @invariant()
    def memory_is_bounded(self) -> None:
        """Lent and idle together: the budget, or the one buffer that is larger than it."""
        assert self.pool.lent == sum(map(len, self.lent)) + sum(self.promised)
        in_hands = sum(map(len, self.lent))
        assert self.pool.memory <= max(self.pool.budget, in_hands)
        idle = sum(size * len(free) for size, free in self.pool._free.items())
        assert self.pool.memory == sum(map(len, self.lent)) + idle


TestPool = PoolMachine.TestCase
TestPool.settings = settings(max_examples=60, stateful_step_count=40)


def test_a_buffer_is_used_again_last_one_first() -> None:
    pool = BufferPool(100)
    first, second = pool.take(10), pool.take(10)
    assert first is not None
    assert second is not None
    pool.give(first)
    pool.give(second)
    assert pool.take(10) is second
    assert pool.take(10) is first


def test_nothing_is_lent_beyond_the_budget() -> None:
    pool = BufferPool(100)
    assert pool.take(60) is not None
    assert pool.take(41) is None
    assert pool.take(40) is not None
    assert pool.take(1) is None


def test_one_buffer_is_lent_however_small_the_budget() -> None:
    pool = BufferPool(0)
    buffer = pool.take(1 << 20)
    assert buffer is not None
    assert pool.take(1) is None
    pool.give(buffer)
    assert pool.take(1) is not None


# Pieces


def test_a_block_has_its_place_in_the_piece() -> None:
    blocks = Blocks(BufferPool(100), GEOMETRY)
    assert blocks.open(ONE)
    for begin in (0, 10, 20):
        blocks.put(ONE, begin, [memoryview(bytes([begin]) * 10)])
    assert blocks.whole(ONE, 30) == bytes(10) + b"\x0a" * 10 + b"\x14" * 10
    assert blocks.whole(ONE, 25) == (bytes(10) + b"\x0a" * 10 + b"\x14" * 10)[:25]


def test_a_piece_that_is_not_being_put_together_has_no_place() -> None:
    blocks = Blocks(BufferPool(100), GEOMETRY)
    with pytest.raises(KeyError):
        blocks.put(ONE, 0, [memoryview(bytes(10))])
    with pytest.raises(KeyError):
        blocks.whole(ONE, 30)


def test_memory_is_promised_before_it_is_fetched() -> None:
    """What is asked for has room; what has not begun to arrive costs nothing yet."""
    pool = BufferPool(60)
    blocks = Blocks(pool, GEOMETRY)
    assert blocks.open(ONE)
    assert blocks.open(TWO)
    assert not blocks.open(PieceIndex(3))
    assert pool.lent == 60
    assert pool.memory == 0
    blocks.put(TWO, 0, [memoryview(b"x")])
    assert pool.memory == 30
    blocks.drop(ONE)
    blocks.drop(TWO)
    assert pool.lent == 0
    assert pool.memory == 30  # kept for the next piece


def test_the_next_piece_gets_the_buffer_that_was_used_last() -> None:
    blocks = Blocks(BufferPool(100), GEOMETRY)
    assert blocks.open(ONE)
    assert blocks.open(TWO)
    blocks.put(ONE, 0, [memoryview(b"warm")])
    blocks.drop(ONE)
    blocks.put(TWO, 10, [memoryview(b"x")])
    assert bytes(blocks.whole(TWO, 4)) == b"warm"


def test_without_memory_a_torrent_opens_one_piece_and_no_more() -> None:
    """Whatever others hold, on a disk that is full perhaps: with one piece it goes on."""
    pool = BufferPool(30)
    blocks, others = Blocks(pool, GEOMETRY), Blocks(pool, GEOMETRY)
    assert blocks.open(ONE)
    assert not blocks.open(TWO)
    assert others.open(ONE)
    assert not others.open(TWO)
    others.drop(ONE)
    assert not others.open(ONE, sparingly=True)


@given(st.lists(st.integers(0, 9), max_size=30))
def test_every_buffer_goes_back(pieces: list[int]) -> None:
    """Opened or dropped in any order; at the end the pool has everything."""
    pool = BufferPool(100)
    blocks = Blocks(pool, GEOMETRY)
    for piece in map(PieceIndex, pieces):
        if piece in blocks:
            blocks.drop(piece)
            assert piece not in blocks
        elif blocks.open(piece):
            assert piece in blocks
        assert pool.lent == 30 * len(blocks)
    blocks.drop_all()
    assert pool.lent == len(blocks) == 0


def test_pads_are_zeros_whatever_came() -> None:
    blocks = Blocks(BufferPool(100), Geometry(90, 30, [(5, 7), (50, 60)]))
    for piece in (PieceIndex(0), ONE):
        blocks.open(piece)
        blocks.put(piece, 0, [memoryview(b"x" * 30)])
    assert blocks.whole(PieceIndex(0), 30) == b"x" * 5 + bytes(2) + b"x" * 23
    assert blocks.whole(ONE, 30) == b"x" * 20 + bytes(10)
