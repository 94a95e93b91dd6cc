"""Two connections joined: all bytes in order, at the pace of the slower end, and one end for both."""

from random import Random

from p2pswarm.net.rate import Limiter
from p2pswarm.net.stream import Stream
from p2pswarm.overlay.people.splice import CHUNK, Splice
from p2pswarm.wire.framer import KeepingFramer, Scratch
from tests.support.clock import Time
from tests.support.transport import Wire

SCRATCH = Scratch()


class Silent:
    """Who talks before they are joined."""

    def got(self, message: object) -> None:
        raise AssertionError(message)

    def caught_up(self) -> None: ...
    def drained(self) -> None: ...
    def closed(self, reason: Exception | None) -> None: ...


class Room:
    """Ann and Bob at a relay."""

    def __init__(self, *limiters: Limiter, room: int = 1 << 30) -> None:
        self.ann, self.bob = Wire(), Wire(room)
        self.streams = [
            wire.carry(Stream(KeepingFramer(SCRATCH), Silent())) for wire in (self.ann, self.bob)
        ]
        self.left, self.ended = 1 << 40, 0
        self.splice = Splice(*self.streams, self.spend, limiters, self.end)
        self.splice.begin(SCRATCH)

    def spend(self, size: int) -> bool:
        self.left -= size
        return self.left >= 0

    def end(self) -> None:
        self.ended += 1

    def say(self, wire: Wire, data: bytes) -> int:
        """As much of it as is read."""
        said = 0
        while said < len(data) and wire.reading and not wire.aborted:
            buffer = wire.stream.get_buffer(-1)  # type: ignore[union-attr]
            n = min(len(buffer), len(data) - said)
            buffer[:n] = data[said : said + n]
            wire.stream.buffer_updated(n)  # type: ignore[union-attr]
            said += n
        return said


def test_what_one_says_the_other_hears() -> None:
    room, data = Room(), Random(1).randbytes(5 * CHUNK + 7)
    assert room.say(room.ann, data) == len(data)
    room.say(room.bob, b"thanks")
    assert room.bob.taken == data
    assert room.ann.taken == b"thanks"


def test_a_slow_end_holds_the_other_back() -> None:
    room, data = Room(room=100), bytes(range(250)) * 1000
    said = room.say(room.ann, data)
    assert said <= CHUNK, "one chunk is read, and no more before it has left"
    while said < len(data):
        room.bob.take(CHUNK)
        said += room.say(room.ann, data[said:])
    room.bob.take(1 << 30)
    assert room.bob.taken == data


def test_a_pair_has_its_rate_and_all_have_theirs() -> None:
    time = Time()
    limiters = [Limiter(rate, time.clock, time.call_later) for rate in (100_000, 50_000)]
    room, data = Room(*limiters), bytes(1_000_000)
    said = 0
    for _ in range(200):
        said += room.say(room.ann, data[said:])
        time.run(0.05)
    assert 50_000 * 9 < len(room.bob.taken) < 50_000 * 10 + 2 * CHUNK
    assert said - len(room.bob.taken) <= CHUNK


def test_last_words_arrive_and_then_both_are_over() -> None:
    room = Room(room=10)
    room.say(room.ann, b"these are the last words")
    room.streams[0].connection_lost(None)
    assert not room.bob.aborted
    assert room.ended == 0
    room.bob.take(100)
    assert room.bob.taken == b"these are the last words"
    assert room.bob.aborted
    assert room.ended == 1


def test_a_quota_that_is_used_up_ends_both() -> None:
    room = Room()
    room.left = 10
    room.say(room.ann, b"more than ten bytes")
    assert room.ann.aborted
    assert room.bob.aborted
    assert room.ended == 1
    room.splice.close()
    assert room.ended == 1


def test_who_waits_for_his_turn_is_forgotten_at_the_end() -> None:
    time = Time()
    limiter = Limiter(1000, time.clock, time.call_later)
    room = Room(limiter)
    room.say(room.ann, bytes(3 * CHUNK))
    room.splice.close()
    assert not limiter._line
    time.run(1000.0)
    assert len(room.bob.taken) <= CHUNK
