"""The jitter buffer: even out of uneven, at no more delay than that takes."""

from random import Random

from hypothesis import given, settings, strategies as st

from p2pswarm.calling.jitter import FAR, FIRST, FRAME, MOST, JitterBuffer, Made, Played
from p2pswarm.wire.calling.media import Voice


def play(arrivals: dict[int, float], until: float) -> tuple[JitterBuffer, list[Played | None]]:
    """Frames that come at these times; what was played in each 20 ms."""
    buffer = JitterBuffer()
    order = sorted(arrivals.items(), key=lambda each: each[1])
    played, now = [], 0.0
    while now < until:
        while order and order[0][1] <= now:
            number, when = order.pop(0)
            buffer.put(Voice(number, b"%d" % number), when)
        played.append(buffer.take(now))
        now = round(now + FRAME, 6)
    return buffer, played


def numbers(played: list[Played | None], made: Made = Made.HEARD) -> list[int]:
    return [each.number for each in played if each is not None and each.made is made]


def test_what_comes_evenly_is_played_evenly() -> None:
    buffer, played = play({n: n * FRAME + 0.1 for n in range(100)}, 2.16)
    assert numbers(played) == list(range(100))
    assert buffer.lost == buffer.late == 0
    assert buffer.jitter < 1e-6
    first = next(i for i, each in enumerate(played) if each is not None)
    assert first * FRAME - 0.1 <= FIRST + FRAME


def test_what_is_missing_is_told_with_the_frame_after_it() -> None:
    arrivals = {n: n * FRAME for n in range(50) if n not in (7, 20, 21)}
    buffer, played = play(arrivals, 1.0)
    made_up = [each for each in played if each is not None and each.made is Made.MISSING]
    assert made_up == [
        Played(7, Made.MISSING, b"8"),
        Played(20, Made.MISSING, None),
        Played(21, Made.MISSING, b"22"),
    ]
    assert buffer.lost == 3


def test_out_of_order_is_no_loss() -> None:
    arrivals = {n: (n ^ 1) * FRAME for n in range(100)}
    buffer, played = play(arrivals, 2.0)
    assert numbers(played) == list(range(97))
    assert buffer.lost == 0


def test_unevenness_makes_the_delay_longer_and_quiet_makes_it_shorter() -> None:
    dice = Random(3)
    uneven = {n: n * FRAME + dice.random() * 0.2 for n in range(500)}
    even = {n: n * FRAME for n in range(500, 1500)}
    buffer, played = play(uneven, 10.0)
    assert 0.15 < buffer.delay < 0.3
    assert 0.02 < buffer.jitter < 0.1
    late = [n for n in numbers(played, Made.MISSING) if n > 100]
    assert len(late) < 12  # of 400
    buffer, played = play(uneven | even, 30.0)
    assert buffer.delay < 0.1


def test_a_stall_is_made_up_for_a_while_and_then_silent() -> None:
    arrivals = {n: n * FRAME for n in range(50)} | {n: n * FRAME for n in range(100, 150)}
    buffer, played = play(arrivals, 3.06)
    assert len(numbers(played, Made.MISSING)) == 10
    assert numbers(played) == [*range(50), *range(100, 150)]
    assert buffer.lost == 50


def test_the_end_of_speech_is_no_loss() -> None:
    buffer, _ = play({n: n * FRAME for n in range(50)}, 5.0)
    assert (buffer.heard, buffer.lost) == (50, 0)


def test_who_jumps_far_begins_anew() -> None:
    arrivals = {n: n * FRAME for n in range(10)}
    arrivals |= {FAR * 10 + n: (10 + n) * FRAME for n in range(10)}
    buffer, played = play(arrivals, 2.0)
    assert numbers(played)[-10:] == [FAR * 10 + n for n in range(10)]
    assert buffer.lost < 10


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 300) | st.integers(0, 0xFFFFFFFF), st.floats(0, 3)), max_size=200
    )
)
def test_whatever_comes_it_stays_small_and_goes_on(frames: list[tuple[int, float]]) -> None:
    buffer, played = play(dict(frames), 4.0)
    assert len(buffer._waiting) <= 50
    assert len(played) == 200
    assert buffer.heard + buffer.late <= len(frames)
    assert buffer.lost >= 0


def test_the_delay_has_an_end() -> None:
    dice = Random(5)
    buffer, _ = play({n: n * FRAME + dice.random() * 3 for n in range(900)}, 18.0)
    assert buffer._wanted() <= MOST


def test_what_comes_by_two_ways_is_played_once_and_is_not_late() -> None:
    buffer = JitterBuffer()
    for n in range(50):
        buffer.put(Voice(n, b"?"), n * FRAME)
        buffer.put(Voice(max(n - 3, 0), b"?"), n * FRAME)
        buffer.take(n * FRAME)
    assert buffer.late == buffer.lost == 0
    assert buffer.jitter < 1e-6
