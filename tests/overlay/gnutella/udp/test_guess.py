"""The plan of an iterative search, step by step."""

import itertools

from hypothesis import given, strategies as st

from p2pswarm.formats.ids import Address
from p2pswarm.overlay.gnutella.udp.guess import AskKey, Guess, Visit

KEY = b"12345678"


def host(number: int) -> Address:
    return Address(f"80.{number >> 16}.{number >> 8 & 255}.{number & 255}", 6346)


def steps(plan: Guess, now: float) -> list[AskKey | Visit]:
    done = []
    while (step := plan.step(now)) is not None:
        done.append(step)
        plan.check()
    return done


def run(plan: Guess, *, answers: bool = True, results: int = 0) -> tuple[list[float], str, float]:
    """All hosts give keys at once: when each was visited, how and when it ended."""
    now, times = 0.0, []
    while (ended := plan.over(now)) is None:
        for step in steps(plan, now):
            if isinstance(step, AskKey):
                assert plan.got_key(step.address, KEY, now)
            else:
                times.append(now)
                if answers:
                    plan.acknowledged(step.address, now)
                plan.got_results(step.address, results, now) if results else None
        now = max(now, plan.due)
        plan.check()
    return times, ended, now


def test_without_a_word_the_pause_is_1500_ms_and_shrinks_to_200() -> None:
    plan = Guess(100, 0.0)
    for number in range(15):
        plan.learn(host(number), KEY)
    times, ended, now = run(plan, answers=False)
    pauses = [round(after - before, 3) for before, after in itertools.pairwise(times)]
    assert pauses[:3] == [1.5, 1.2, 0.96]
    assert pauses[-1] == 0.2
    assert pauses == sorted(pauses, reverse=True)
    assert (ended, now) == ("nobody left", times[-1] + 2.0)


def test_an_acknowledgement_lets_the_next_come_after_200_ms_and_no_sooner() -> None:
    plan = Guess(100, 0.0)
    for number in range(5):
        plan.learn(host(number), KEY)
    times, _, _ = run(plan)
    assert [round(time, 3) for time in times] == [0.0, 0.2, 0.4, 0.6, 0.8]


def test_it_ends_with_enough_results() -> None:
    plan = Guess(25, 0.0)
    for number in range(100):
        plan.learn(host(number))
    times, ended, _ = run(plan, results=10)
    assert (len(times), ended, plan.results) == (3, "enough", 30)


def test_it_wants_200_results_and_10_000_hosts_at_most() -> None:
    plan = Guess(1_000_000, 0.0, most=1_000_000)
    assert (plan.wanted, plan.most) == (200, 10_000)
    assert sum(plan.learn(host(number)) for number in range(10_100)) == 10_000


def test_it_visits_as_many_as_it_may() -> None:
    plan = Guess(100, 0.0, most=7)
    for number in range(20):
        plan.learn(host(number))
    times, ended, _ = run(plan)
    assert (len(times), ended) == (7, "most")


def test_keys_are_asked_for_a_few_hosts_ahead_and_the_silent_are_left() -> None:
    plan = Guess(100, 0.0)
    for number in range(5):
        plan.learn(host(number))
    assert steps(plan, 0.0) == [AskKey(host(n)) for n in range(3)]
    assert plan.got_key(host(1), KEY, 0.1)
    assert steps(plan, 0.1) == [Visit(host(1), KEY), AskKey(host(3))]
    assert steps(plan, 2.0) == [AskKey(host(4))]
    assert plan.silent == [host(0), host(2)]
    assert not plan.got_key(host(0), KEY, 2.5)


def test_no_host_is_visited_twice_and_one_on_the_internet_has_three_ports() -> None:
    plan = Guess(100, 0.0)
    assert plan.learn(host(1), KEY)
    assert not plan.learn(host(1))
    assert sum(plan.learn(Address("80.0.9.9", port)) for port in range(1, 100)) == 3
    assert sum(plan.learn(Address("127.0.0.1", port)) for port in range(1, 100)) == 99


def test_a_refused_key_is_replaced_once() -> None:
    plan = Guess(100, 0.0)
    plan.learn(host(1), b"old key")
    assert steps(plan, 0.0) == [Visit(host(1), b"old key")]
    assert not plan.got_key(host(1), b"old key", 0.1)
    assert plan.got_key(host(1), b"new key", 0.1)
    assert steps(plan, 0.2) == [Visit(host(1), b"new key")]
    assert not plan.got_key(host(1), b"another", 0.3)


def test_a_key_that_fits_into_no_query_is_none() -> None:
    plan = Guess(100, 0.0)
    plan.learn(host(1))
    steps(plan, 0.0)
    assert not plan.got_key(host(1), bytes(17), 0.1)
    assert not plan.got_key(host(1), b"", 0.1)
    assert plan.got_key(host(1), bytes(16), 0.1)


def test_only_who_was_asked_is_heard_and_no_liar_ends_a_search_alone() -> None:
    plan = Guess(200, 0.0)
    plan.learn(host(1), KEY)
    assert not plan.got_results(host(1), 5, 0.0)
    assert not plan.acknowledged(host(1), 0.0)
    steps(plan, 0.0)
    assert plan.got_results(host(1), 255, 0.1)
    assert plan.got_results(host(1), 255, 0.1)
    assert plan.results == 50


events = st.lists(
    st.tuples(
        st.sampled_from(["learn", "step", "key", "ack", "hits"]),
        st.integers(0, 30),
        st.binary(min_size=4, max_size=5),
        st.floats(0, 3),
    ),
    max_size=150,
)


@given(events, st.integers(1, 300), st.integers(1, 20))
def test_whatever_comes_the_pace_and_the_bounds_hold(
    said: list[tuple[str, int, bytes, float]], wanted: int, most: int
) -> None:
    plan, now, visits = Guess(wanted, 0.0, most=most), 0.0, []
    for what, number, key, passed in said:
        now += passed
        match what:
            case "learn":
                plan.learn(host(number), key if number % 2 else None)
            case "key":
                plan.got_key(host(number), key, now)
            case "ack":
                plan.acknowledged(host(number), now)
            case "hits":
                plan.got_results(host(number), number, now)
        visits += [now for step in steps(plan, now) if isinstance(step, Visit)]
        plan.check()
    assert all(after - before > 0.199 for before, after in itertools.pairwise(visits))
    for _ in range(400):
        if plan.over(now):
            break
        steps(plan, now)
        now = max(now, plan.due)
    assert plan.over(now)
