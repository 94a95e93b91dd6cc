from collections import Counter
from collections.abc import Callable, Sequence

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from typing_extensions import override

from p2pswarm.errors import DiskError
from p2pswarm.formats.ids import BLOCK, PieceIndex
from p2pswarm.net.rate import Limiter
from p2pswarm.net.stream import Stream
from p2pswarm.swarm.blocks import BufferPool
from p2pswarm.swarm.upload import HEADS, MOST_IN_RUN, RUN, SHORT_RUN, BlockRange, Upload
from p2pswarm.wire.peer import KeepAlive, PeerFramer, Reject
from tests.support.clock import Time
from tests.support.feeding import feed
from tests.support.singly import Piece, SingleFramer
from tests.support.transport import Wire

PIECE = 8 * BLOCK
SMALL, LARGE = SHORT_RUN + HEADS, RUN + HEADS  # bytes of a buffer
CONTENT = bytes(n * 7 & 255 for n in range(251)) * (1 + 8 * PIECE // 251)


class Place:
    """A torrent as far as serving sees it. Its disk and its loop do only what they are told."""

    piece_length = PIECE

    def __init__(self, rate: float = 0, budget: int = 32 << 20) -> None:
        self.time = Time()
        self.reads = BufferPool(budget)
        self.up = Limiter(rate, self.time.clock, self.time.call_later)
        self.calls: list[Callable[[], None]] = []
        self.pending: list[
            tuple[int, Sequence[memoryview], Callable[[DiskError | None], None]]
        ] = []
        self.lengths: list[int] = []  # of every read so far
        self.failed: list[PieceIndex] = []
        self.at_once = False  # the disk answers before `read` returns

    def soon(self, call: Callable[[], None]) -> None:
        self.calls.append(call)

    def read(
        self, offset: int, into: Sequence[memoryview], done: Callable[[DiskError | None], None]
    ) -> None:
        self.lengths.append(sum(map(len, into)))
        self.pending.append((offset, into, done))
        if self.at_once:
            self.disk_answers()

    def read_failed(self, piece: PieceIndex, error: DiskError) -> None:
        self.failed.append(piece)

    def disk_answers(self, error: DiskError | None = None) -> None:
        offset, into, done = self.pending.pop(0)
        if error is None:
            for part in into:
                part[:] = CONTENT[offset : offset + len(part)]
                offset += len(part)
        done(error)

    def loop_turns(self) -> None:
        calls, self.calls = self.calls, []
        for call in calls:
            call()


class Client:
    """A peer that is served over a wire; it is its own conversation."""

    def __init__(self, place: Place, *, fast: bool = True, room: int = 1 << 40) -> None:
        self.wire = Wire(room)
        self.place = place
        stream = Stream(PeerFramer(lambda *_: None), self)
        self.upload = Upload(stream, place, fast=fast)
        self.stream = self.wire.carry(stream)

    def got(self, message: object) -> None: ...

    def caught_up(self) -> None: ...

    def drained(self) -> None:
        self.upload.drained()

    def closed(self, reason: Exception | None) -> None:
        self.upload.closed()

    def ask(self, *blocks: tuple[int, int]) -> None:
        """piece and number of the block."""
        for piece, n in blocks:
            self.upload.owe([(PieceIndex(piece), n * BLOCK, BLOCK)])

    def answers(self) -> list[object]:
        """What came over the wire, each block compared with what it should be."""
        messages = feed(SingleFramer(), bytes(self.wire.taken))
        for said in messages:
            if isinstance(said, Piece):
                offset = said.piece * PIECE + said.begin
                assert said.data == CONTENT[offset : offset + len(said.data)]
        return messages

    def finish(self) -> None:
        """Disk, kernel, loop and clock do all they can."""
        for _ in range(100):
            while self.place.pending:
                self.place.disk_answers()
            self.wire.take(1 << 30)
            self.place.loop_turns()
            self.place.time.run(1)
            self.upload.serve()


def piece(index: int, n: int) -> Piece:
    start = index * PIECE + n * BLOCK
    return Piece(PieceIndex(index), n * BLOCK, CONTENT[start : start + BLOCK])


def reject(index: int, n: int) -> Reject:
    return Reject(PieceIndex(index), n * BLOCK, BLOCK)


# Runs


def test_neighbours_are_read_in_one_go_and_sent_in_order() -> None:
    place = Place()
    client = Client(place)
    client.ask((1, 0), (1, 1), (2, 5), (2, 6))
    client.upload.serve()
    assert place.lengths == [2 * BLOCK, 2 * BLOCK]
    assert len(client.upload) == 0
    place.disk_answers()
    assert client.answers() == []
    place.disk_answers()
    assert client.answers() == [piece(1, 0), piece(1, 1), piece(2, 5), piece(2, 6)]
    assert client.upload.meter.total == 4 * BLOCK
    assert place.reads.lent == 0


def test_a_run_goes_on_over_the_end_of_a_piece() -> None:
    place = Place()
    client = Client(place)
    client.ask((1, 6), (1, 7), (2, 0))
    client.upload.serve()
    assert place.lengths == [3 * BLOCK]


def test_a_slow_peer_holds_a_small_buffer_and_a_fast_one_a_large() -> None:
    place = Place()
    client = Client(place)
    client.ask(*((p, n) for p in range(6) for n in range(8)))
    client.upload.serve()
    assert place.lengths == [SHORT_RUN]
    assert place.reads.lent == SMALL
    place.disk_answers()
    client.upload.meter.rate = 2 << 20
    place.loop_turns()
    assert place.lengths == [SHORT_RUN, RUN]
    assert place.reads.lent == LARGE


def test_one_run_at_a_time_and_only_into_an_idle_socket() -> None:
    place = Place()
    client = Client(place, room=0)
    client.ask(*((0, n) for n in range(8)))
    client.upload.serve()
    client.upload.serve()
    assert place.lengths == [SHORT_RUN]
    place.disk_answers()
    client.upload.serve()
    client.wire.take(SHORT_RUN)
    assert place.lengths == [SHORT_RUN]
    assert place.reads.lent == SMALL
    client.wire.take(1000)
    assert place.lengths == [SHORT_RUN, SHORT_RUN]


def test_nothing_is_read_while_other_words_wait_to_be_sent() -> None:
    place = Place()
    client = Client(place, room=0)
    client.stream.send(b"words")
    client.ask((0, 0))
    client.upload.serve()
    assert place.lengths == []
    client.wire.take(5)
    assert place.lengths == [BLOCK]


def test_a_socket_that_drains_while_the_disk_reads_does_not_end_the_run() -> None:
    place = Place()
    client = Client(place, room=0)
    client.ask((0, 0))
    client.upload.serve()
    client.stream.send(b"\0\0\0\0")
    client.wire.take(1 << 20)
    assert place.reads.lent == SMALL
    place.disk_answers()
    assert client.answers() == [KeepAlive(), piece(0, 0)]


def test_a_disk_that_answers_at_once_is_not_recursion() -> None:
    place = Place()
    place.at_once = True
    client = Client(place)
    blocks = [(p, n) for p in range(8) for n in range(8)]
    client.ask(*blocks)
    client.upload.serve()
    turns = 1
    while place.calls:
        place.loop_turns()
        turns += 1
    assert client.answers() == [piece(*block) for block in blocks]
    assert turns == 64 * BLOCK // SHORT_RUN


@pytest.mark.parametrize("length", [1, 100, 100_000, 128 << 10])
def test_requests_of_any_length_use_two_sizes_of_buffer(length: int) -> None:
    """Otherwise a peer that asks for another length each time fills the memory with odd ones."""
    place = Place()
    client = Client(place)
    client.upload.owe([(PieceIndex(1), 5, length)])
    client.upload.serve()
    assert place.reads.lent in (SMALL, LARGE)
    assert place.lengths == [length]
    client.finish()
    data = CONTENT[PIECE + 5 : PIECE + 5 + length]
    assert client.answers() == [Piece(PieceIndex(1), 5, data)]


def test_many_tiny_requests_leave_room_for_their_heads() -> None:
    """A head is thirteen times as long as such a block: a run has at most so many."""
    place = Place()
    client = Client(place)
    tiny = [(PieceIndex(n % 8), 2 * n, 1) for n in range(200)]
    for request in tiny:
        client.upload.owe([request])
    client.upload.serve()
    assert len(place.lengths) == MOST_IN_RUN
    client.finish()
    said = [(p.piece, p.begin, len(p.data)) for p in client.answers() if isinstance(p, Piece)]
    assert said == tiny


def test_a_request_asked_twice_while_it_waits_is_answered_once() -> None:
    client = Client(Place())
    client.ask((0, 1), (0, 1))
    client.finish()
    assert client.answers() == [piece(0, 1)]
    client.ask((0, 1))
    client.finish()
    assert client.answers() == [piece(0, 1)] * 2


# Not every request is served


@pytest.mark.parametrize("fast", [True, False])
def test_a_cancelled_request_is_not_served(fast: bool) -> None:
    client = Client(Place(), fast=fast)
    client.ask((0, 0), (0, 1))
    client.upload.cancel((PieceIndex(0), 0, BLOCK))
    client.upload.cancel((PieceIndex(0), 0, BLOCK))
    client.upload.cancel((PieceIndex(7), 0, BLOCK))
    client.finish()
    assert client.answers() == [reject(0, 0), piece(0, 1)][not fast :]


def test_a_cancel_that_comes_too_late_changes_nothing() -> None:
    client = Client(Place())
    client.ask((0, 0))
    client.upload.serve()
    client.upload.cancel((PieceIndex(0), 0, BLOCK))
    client.finish()
    assert client.answers() == [piece(0, 0)]


@pytest.mark.parametrize("fast", [True, False])
def test_a_choke_refuses_what_waits_and_keeps_what_is_under_way(fast: bool) -> None:
    client = Client(Place(), fast=fast)
    client.ask((0, 0))
    client.upload.serve()
    client.ask((0, 1), (0, 2))
    client.upload.refuse_all()
    assert len(client.upload) == 0
    client.finish()
    assert client.answers() == [*[reject(0, 1), reject(0, 2)] * fast, piece(0, 0)]


@pytest.mark.parametrize("fast", [True, False])
def test_what_cannot_be_read_is_refused_and_told(fast: bool) -> None:
    place = Place()
    client = Client(place, fast=fast)
    client.ask((0, 0), (2, 0))
    client.upload.serve()
    place.disk_answers(DiskError("gone"))
    place.disk_answers()
    assert client.answers() == [reject(0, 0), reject(2, 0)] * fast
    assert place.failed == [0, 2]
    assert place.reads.lent == 0
    client.ask((3, 3))
    client.finish()
    assert client.answers()[-1] == piece(3, 3)


# Limits


def test_the_limit_makes_the_run_shorter() -> None:
    place = Place(rate=100_000)
    client = Client(place)
    client.ask(*((0, n) for n in range(8)))
    client.upload.serve()
    assert place.lengths == [BLOCK]  # a quarter of a second's worth, in whole blocks
    rest = 25_000 - BLOCK
    assert place.up.take(1 << 20, 1, client.upload.serve) == rest
    place.up.refund(rest)
    start = place.time.now
    client.finish()
    assert client.answers() == [piece(0, n) for n in range(8)]
    assert place.time.now > start + 1


def test_without_memory_it_waits_and_gives_its_grant_back() -> None:
    place = Place(rate=1_000_000, budget=SMALL)
    held = place.reads.take(SMALL)
    assert held is not None
    client = Client(place)
    client.ask((0, 0))
    for _ in range(1000):
        client.upload.serve()
    assert place.lengths == []
    assert len(client.upload) == 1
    place.reads.give(held)
    client.upload.serve()
    assert place.lengths == [BLOCK]


def test_who_has_gone_is_not_in_the_limiters_line() -> None:
    place = Place(rate=1000)
    client = Client(place)
    place.up.take(BLOCK, BLOCK, client.upload.serve)
    client.ask((0, 0))
    client.upload.serve()
    assert place.up._line
    client.stream.close()
    assert not place.up._line
    place.time.run(100)
    assert place.lengths == []


# The end


def test_a_buffer_that_the_disk_writes_to_goes_back_when_the_disk_is_done() -> None:
    place = Place()
    client = Client(place)
    client.ask((0, 0), (2, 0))
    client.upload.serve()
    client.stream.close()
    assert place.reads.lent == SMALL
    place.disk_answers()
    assert place.reads.lent == SMALL
    place.disk_answers()
    assert place.reads.lent == 0
    assert client.answers() == []
    assert client.upload.meter.total == 0


def test_a_buffer_that_is_being_sent_goes_back_when_the_connection_ends() -> None:
    place = Place()
    client = Client(place, room=0)
    client.ask((0, 0))
    client.upload.serve()
    place.disk_answers()
    assert place.reads.lent == SMALL
    client.ask((1, 0))
    client.stream.connection_lost(ConnectionResetError())
    assert place.reads.lent == 0
    assert len(client.upload) == 0


class ServingMachine(RuleBasedStateMachine):
    """A peer asks, cancels and is choked; disk, kernel, loop and limit do what they want, in any order.

    With the fast extension every request gets exactly one answer, without it no more than one.
    """

    blocks = st.tuples(st.integers(0, 3), st.integers(0, 7))

    @initialize(
        fast=st.booleans(), rate=st.sampled_from([0, 200_000]), room=st.sampled_from([0, 99_999])
    )
    def connect(self, fast: bool, rate: float, room: int) -> None:
        self.place = Place(rate)
        self.client = Client(self.place, fast=fast, room=room)
        self.fast = fast
        self.asked = Counter[BlockRange]()
        self.dropped = Counter[BlockRange]()

    @rule(wanted=st.lists(blocks, max_size=12))
    def ask(self, wanted: list[tuple[int, int]]) -> None:
        for index, n in wanted:
            waiting = len(self.client.upload)
            self.client.ask((index, n))
            if len(self.client.upload) > waiting:  # not the same one again
                self.asked[PieceIndex(index), n * BLOCK, BLOCK] += 1

    @rule(block=blocks)
    def cancel(self, block: tuple[int, int]) -> None:
        request = PieceIndex(block[0]), block[1] * BLOCK, BLOCK
        waiting = len(self.client.upload)
        self.client.upload.cancel(request)
        self.dropped[request] += waiting - len(self.client.upload)

    @rule()
    def choke(self) -> None:
        self.dropped.update(list(self.client.upload._queue))
        self.client.upload.refuse_all()

    @rule()
    def serve(self) -> None:
        self.client.upload.serve()

    @precondition(lambda self: self.place.pending)
    @rule(fails=st.sampled_from([False, False, False, True]))
    def disk(self, fails: bool) -> None:
        if fails:
            self.dropped.update(self.client.upload._run)  # all of the run, whatever else is read
            while self.place.pending:
                self.place.disk_answers(DiskError("gone"))
        else:
            self.place.disk_answers()

    @rule()
    def say_something_else(self) -> None:
        self.client.stream.send(KeepAlive().encode())

    @rule(n=st.sampled_from([1, 20_000, 1 << 20]))
    def kernel(self, n: int) -> None:
        self.client.wire.take(n)

    @rule(seconds=st.sampled_from([0.0, 0.1, 3.0]))
    def time_goes_on(self, seconds: float) -> None:
        self.place.loop_turns()
        self.place.time.run(seconds)
        self.client.upload.meter.tick(self.place.time.now)

    @invariant()
    def one_buffer_at_most(self) -> None:
        assert self.place.reads.lent in (0, SMALL, LARGE)
        assert (self.place.reads.lent > 0) == bool(self.client.upload._run)

    @override
    def teardown(self) -> None:
        if not hasattr(self, "client"):
            return
        self.client.finish()
        answers = Counter[BlockRange]()
        for message in self.client.answers():
            if isinstance(message, Piece):
                answers[message.piece, message.begin, len(message.data)] += 1
            elif isinstance(message, Reject):
                answers[message.piece, message.begin, message.length] += 1
        assert answers == (self.asked if self.fast else self.asked - self.dropped)
        assert self.place.reads.lent == len(self.client.upload) == 0


TestServing = ServingMachine.TestCase
TestServing.settings = settings(max_examples=80, stateful_step_count=30)
