from collections.abc import Callable

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.net.rate import Bucket, Limiter, Meter
from tests.support.clock import Time

BLOCK = 1 << 14


class Waiter:
    """Takes `want` again and again, `pause` seconds after it was served; notes when it got what."""

    def __init__(
        self, time: Time, limiter: Limiter, want: int, least: int, pause: float | None = 0.0
    ) -> None:
        self.got: list[tuple[float, int]] = []
        self.gone = False
        self._time, self._limiter = time, limiter
        self._want, self._least, self._pause = want, least, pause

    @property
    def total(self) -> int:
        return sum(n for _, n in self.got)

    def again(self) -> None:
        assert not self.gone
        while n := self._limiter.take(self._want, self._least, self.again):
            assert self._least <= n <= self._want
            self.got.append((self._time.now, n))
            if self._pause is not None:
                self._time.call_later(self._pause, self.again)
                return

    def leave(self) -> None:
        self.gone = True
        self._limiter.forget(self.again)


def never() -> None:
    raise AssertionError("nobody promised to call this")


rates = st.floats(1000, 1e8)
sizes = st.integers(1, 1 << 20)


def assert_within(grants: list[tuple[float, float]], rate: float, most: int) -> None:
    """Over every window: no more than the rate allows, a quarter of a second saved up, and one grant."""
    for start, (begin, _) in enumerate(grants):
        total = 0.0
        for end, n in grants[start:]:
            total += n
            assert total <= rate * (end - begin) + rate / 4 + most + 1


# Bucket


@given(rates, st.lists(st.tuples(st.floats(0, 2), sizes, sizes, st.floats(0, 1)), max_size=40))
def test_a_bucket_never_gives_more_than_its_rate(
    rate: float, takes: list[tuple[float, int, int, float]]
) -> None:
    """Refunds are part of it: what counts is what was used."""
    now = 0.0
    bucket = Bucket(rate, now)
    used = []
    for pause, want, least, unused in takes:
        now += pause
        least = min(want, least)
        granted = bucket.take(want, least, now)
        assert granted == 0 or least <= granted <= want
        bucket.refund(int(granted * unused))
        used.append((now, float(granted - int(granted * unused))))
    assert_within(used, rate, 1 << 20)


def test_a_bucket_saves_a_quarter_of_a_second() -> None:
    bucket = Bucket(1000, 0.0)
    assert bucket.take(10_000, 1, 100.0) == 250
    assert bucket.take(10_000, 1, 100.0) == 0
    assert bucket.take(10_000, 1, 100.125) == 125


def test_a_grant_larger_than_the_savings_is_paid_back() -> None:
    bucket = Bucket(1000, 0.0)
    assert bucket.take(BLOCK, BLOCK, 0.0) == BLOCK
    assert bucket.take(1, 1, 1.0) == 0
    left = bucket.wait()
    assert left == pytest.approx((1 + BLOCK - 250) / 1000 - 1.0)
    assert bucket.take(1, 1, 1.0 + left + 0.01) == 1


def test_a_refund_is_not_saved_beyond_the_quarter_second() -> None:
    bucket = Bucket(1000, 0.0)
    bucket.refund(5000)
    assert bucket.take(10_000, 1, 0.0) == 250


def test_the_slowest_rate_still_flows() -> None:
    bucket = Bucket(0.5, 0.0)
    assert bucket.take(BLOCK, BLOCK, 0.0) == BLOCK
    assert bucket.take(BLOCK, BLOCK, BLOCK * 2 + 1) == BLOCK


# Limiter


def test_a_limit_of_zero_is_none() -> None:
    time = Time()
    limiter = Limiter(0, time.clock, time.call_later)
    for _ in range(1000):
        assert limiter.take(1 << 30, 1, never) == 1 << 30
    limiter.refund(1)
    limiter.forget(never)
    time.run(100)
    assert limiter.rate == 0


def test_who_gets_nothing_is_called_when_there_is_something() -> None:
    time = Time()
    limiter = Limiter(100_000, time.clock, time.call_later)
    called: list[float] = []
    assert limiter.take(BLOCK, BLOCK, never) == BLOCK
    assert limiter.take(BLOCK, BLOCK, never) == BLOCK
    assert limiter.take(BLOCK, BLOCK, lambda: called.append(time.now)) == 0
    time.run(60)
    assert called == [pytest.approx(1000 + (2 * BLOCK - 25_000) / 100_000, abs=0.03)]


large = st.integers(BLOCK, 1 << 20)
waiters = st.lists(
    st.tuples(large, large, st.sampled_from([0.0, 0.001, 0.3, 5.0])), min_size=1, max_size=6
)


@settings(max_examples=50, deadline=None)
@given(st.floats(50_000, 3e6), waiters)
def test_together_they_stay_below_the_rate_and_reach_it(
    rate: float, kinds: list[tuple[int, int, float]]
) -> None:
    time = Time()
    limiter = Limiter(rate, time.clock, time.call_later)
    crowd = [Waiter(time, limiter, max(a, b), min(a, b), pause) for a, b, pause in kinds]
    for waiter in crowd:
        waiter.again()
    time.run(20)
    grants = sorted((when, float(n)) for waiter in crowd for when, n in waiter.got)
    assert_within(grants[:200], rate, 1 << 20)
    assert sum(n for _, n in grants) <= rate * 20.25 + (1 << 20)
    if any(pause == 0 for *_, pause in kinds):
        assert sum(n for _, n in grants) >= rate * 19.5


@given(st.integers(2, 9), st.sampled_from([0.0, None]), st.integers(30_000, 5_000_000))
@settings(max_examples=40, deadline=None)
def test_equals_get_equal_shares(crowd: int, pause: float | None, rate: int) -> None:
    """Whether they ask again later or at once, while they are being served."""
    time = Time()
    limiter = Limiter(rate, time.clock, time.call_later)
    greedy = 1 << 30  # takes all there is: then it is the order that makes it fair
    everyone = [Waiter(time, limiter, greedy, BLOCK, pause) for _ in range(crowd)]
    for waiter in everyone:
        waiter.again()
    time.run(60)
    times = [len(waiter.got) for waiter in everyone]
    totals = [waiter.total for waiter in everyone]
    assert max(times) - min(times) <= 2
    assert max(totals) - min(totals) <= rate / 2 + 2 * BLOCK


def test_they_are_served_in_turn() -> None:
    time = Time()
    limiter = Limiter(1_000_000, time.clock, time.call_later)
    everyone = [Waiter(time, limiter, BLOCK, BLOCK) for _ in range(5)]
    for waiter in everyone:
        waiter.again()
    time.run(20)
    order = sorted((when, n) for n, waiter in enumerate(everyone) for when, _ in waiter.got)
    steady = [n for when, n in order if when > 1001]
    for turn in range(0, len(steady) - 5, 5):
        assert len(set(steady[turn : turn + 5])) == 5


def test_who_comes_later_stands_behind_who_waits() -> None:
    time = Time()
    limiter = Limiter(1_000_000, time.clock, time.call_later)
    limiter.take(250_000, 1, never)
    first = Waiter(time, limiter, BLOCK, BLOCK, pause=1000)
    first.again()
    time.run(0.019)  # there is something again, but the first has not been called yet
    assert limiter.take(1, 1, lambda: None) == 0
    time.run(1)
    assert first.total == BLOCK


def test_who_wants_nothing_any_more_holds_nobody_up() -> None:
    time = Time()
    limiter = Limiter(100_000, time.clock, time.call_later)
    calls: list[str] = []
    limiter.take(1 << 30, 1, never)
    limiter.take(1, 1, lambda: calls.append("content"))
    hungry = Waiter(time, limiter, BLOCK, BLOCK, pause=1000)
    hungry.again()
    time.run(1)
    assert calls == ["content"]
    assert hungry.total == BLOCK


def test_what_is_refunded_goes_to_the_next() -> None:
    time = Time()
    limiter = Limiter(100_000, time.clock, time.call_later)
    assert limiter.take(25_000, 1, never) == 25_000
    limiter.refund(25_000)
    assert limiter.take(25_000, 1, never) == 25_000


def test_who_is_forgotten_is_not_called() -> None:
    time = Time()
    limiter = Limiter(100_000, time.clock, time.call_later)
    limiter.take(1 << 30, 1, never)
    everyone = [Waiter(time, limiter, BLOCK, BLOCK) for _ in range(4)]
    for waiter in everyone:
        waiter.again()
    everyone[1].leave()
    everyone[3].leave()
    time.run(10)
    assert everyone[0].total > 10 * BLOCK
    assert everyone[2].total > 10 * BLOCK


def test_somebody_who_is_served_may_send_another_away() -> None:
    """A peer that asks may find that another one has to go; that one is in the same line."""
    time = Time()
    limiter = Limiter(1_000_000, time.clock, time.call_later)
    limiter.take(1 << 30, 1, never)
    limiter.take(1, 1, lambda: limiter.forget(never))
    limiter.take(1, 1, never)
    time.run(1)


def test_one_that_fails_does_not_strand_the_others() -> None:
    time = Time()
    limiter = Limiter(1_000_000, time.clock, time.call_later)
    limiter.take(1 << 30, 1, never)
    limiter.take(1, 1, never)
    patient = Waiter(time, limiter, BLOCK, BLOCK, pause=1000)
    patient.again()
    with pytest.raises(AssertionError, match="nobody promised"):
        time.run(1)
    time.run(1)
    assert patient.total == BLOCK


def test_waiting_costs_few_wakeups() -> None:
    time = Time()
    limiter = Limiter(8_000_000, time.clock, time.call_later)
    waiter = Waiter(time, limiter, BLOCK, BLOCK)
    wakeups: list[float] = []

    def call_later(delay: float, call: Callable[[], None]) -> None:
        wakeups.append(delay)
        time.call_later(delay, call)

    limiter._call_later = call_later
    waiter.again()
    time.run(10)
    assert len(wakeups) <= 10 / 0.02 + 1
    assert min(wakeups) >= 0.02


# Meter


def test_a_meter_knows_no_rate_before_the_second_tick() -> None:
    meter = Meter()
    meter.total += 5000
    meter.tick(100.0)
    assert meter.rate == 0
    meter.total += 500
    meter.tick(101.0)
    assert meter.rate == 500


@given(st.lists(st.integers(0, 10**9), min_size=8, max_size=40), st.integers(1, 10))
def test_a_meter_tells_the_rate_of_its_span(flows: list[int], span: int) -> None:
    meter = Meter(float(span))
    for second, n in enumerate(flows):
        meter.total += n
        meter.tick(float(second))
    last = flows[max(1, len(flows) - span) :]
    assert meter.rate == pytest.approx(sum(last) / len(last))
    assert len(meter._marks or ()) <= span + 2


@given(st.lists(st.integers(0, 10**9), min_size=2, max_size=40))
def test_a_meter_tells_what_came_between_the_last_two_ticks(flows: list[int]) -> None:
    meter = Meter()
    for second, n in enumerate(flows):
        meter.total += n
        meter.tick(float(second))
    assert meter.latest == flows[-1]


def test_a_meter_forgets_a_burst() -> None:
    meter = Meter(5.0)
    meter.tick(0.0)
    meter.total = 10**9
    meter.tick(1.0)
    assert meter.rate == 10**9
    for second in range(2, 8):
        meter.tick(float(second))
    assert meter.rate == 0


def test_a_meter_survives_a_clock_that_stands_still() -> None:
    meter = Meter()
    meter.tick(5.0)
    meter.total = 1
    meter.tick(5.0)
    assert meter.rate == meter.latest == 0


def test_what_cannot_wait_goes_before_who_can_and_both_stay_below_the_rate() -> None:
    time, bulk, urgent, lost = Time(), [0], 0, 0
    limiter = Limiter(100_000, time.clock, time.call_later)

    def send() -> None:
        while granted := limiter.take(16_000, 16_000, send):
            bulk[0] += granted

    send()
    for _ in range(1000):
        time.run(0.02)
        if limiter.take_now(400):
            urgent += 400
        else:
            lost += 1
    assert lost < 50
    assert bulk[0] + urgent <= 100_000 * 20 + 60_000
    assert bulk[0] > 1_400_000


def test_what_cannot_wait_has_the_rate_too() -> None:
    time, passed = Time(), 0
    limiter = Limiter(10_000, time.clock, time.call_later)
    for _ in range(1000):
        time.run(0.01)
        passed += 1000 * limiter.take_now(1000)
    assert 98_000 <= passed <= 106_000
    assert Limiter(0, time.clock, time.call_later).take_now(1 << 30)
