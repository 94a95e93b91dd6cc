from math import log

import pytest
from hypothesis import given, strategies as st

from p2pswarm.overlay.limits import Knocks, QueryBudget, Tokens, fair_share


@given(st.floats(0.1, 50), st.floats(1, 50), st.lists(st.floats(0, 3), max_size=200))
def test_tokens_never_give_more_than_rate_and_burst(
    rate: float, burst: float, gaps: list[float]
) -> None:
    tokens, now, given_out = Tokens(rate, burst, 0.0), 0.0, 0
    for gap in gaps:
        now += gap
        given_out += tokens.take(now)
    assert given_out <= burst + now * rate + 1e-6


def test_a_clock_that_goes_back_gives_nothing_and_takes_nothing() -> None:
    tokens = Tokens(1.0, 2.0, 1000.0)
    assert tokens.take(1000.0)
    assert tokens.take(0.0)
    assert not tokens.take(0.0)
    assert tokens.take(1.0)


def test_a_flood_from_one_neighbour_does_not_crowd_out_the_others() -> None:
    budget: QueryBudget[str] = QueryBudget(100)
    honest = {f"link {n}": 0 for n in range(20)}
    flood = 0
    for tick in range(1000):  # ten seconds; the flood comes first in each
        now = tick / 100
        flood += sum(budget.grant("flood", now) for _ in range(100))
        if tick % 50 == 49:
            for link in honest:
                honest[link] += budget.grant(link, now)
    assert all(got == 20 for got in honest.values())  # two a second each, of 4.76 that are theirs
    assert flood <= 10 * (100 - 40) + 100  # what is left, and the first second


def test_a_single_neighbour_may_use_everything() -> None:
    budget: QueryBudget[str] = QueryBudget(100)
    for second in range(5):
        assert sum(budget.grant("only", second + n / 1000) for n in range(1000)) == 100


def test_a_neighbour_that_left_has_no_share() -> None:
    budget: QueryBudget[str] = QueryBudget(100)
    for link in "abcd":
        budget.grant(link, 0.0, 200)
        budget.forget(link)
    budget.forget("nobody")
    assert sum(budget.grant("a", 0.5) for _ in range(200)) == 100


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(1, 40)), min_size=1, max_size=300),
    st.integers(1, 10),
)
def test_nobody_is_refused_below_an_equal_share(asks: list[tuple[int, int]], rate: int) -> None:
    budget: QueryBudget[int] = QueryBudget(rate * 40)
    for second in range(3):
        got: dict[int, int] = {}
        for link, cost in asks:
            if budget.grant(link, float(second), cost):
                got[link] = got.get(link, 0) + cost
            else:
                assert got[link] + cost > rate * 40 / 6
        total = sum(got.values())
        # In the first second nobody knows how many will come.
        assert total <= rate * 40 * (1 + log(6) if second == 0 else 1) + 6 * 40


@given(st.floats(1, 1000), st.lists(st.floats(0, 500), max_size=20))
def test_shares_are_max_min_fair(total: float, wanted: list[float]) -> None:
    share = fair_share(total, wanted)
    given_out = [min(share, want) for want in wanted]
    assert sum(given_out) <= total * (1 + 1e-9)
    if sum(wanted) > total:
        assert sum(given_out) >= total * (1 - 1e-9)
    else:
        assert given_out == wanted


def test_a_host_may_knock_twenty_times_and_then_every_three_seconds() -> None:
    knocks = Knocks()
    assert sum(knocks.may_enter("8.8.8.8", now / 10) for now in range(600)) in (39, 40)
    assert knocks.may_enter("8.8.4.4", 60.0)


def test_a_laboratory_on_one_machine_may_knock_more() -> None:
    knocks = Knocks()
    assert all(knocks.may_enter("127.0.0.1", 0.0) for _ in range(500))
    assert sum(knocks.may_enter("192.168.1.5", 0.0) for _ in range(1000)) == 600


def test_the_hosts_that_came_last_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Knocks, "MOST_HOSTS", 10)
    knocks = Knocks()
    let_in = 0
    for n in range(100):
        let_in += knocks.may_enter("8.8.8.8", 0.0)
        knocks.may_enter(f"9.9.9.{n}", 0.0)
    assert let_in == 20
    assert len(knocks) == 10
