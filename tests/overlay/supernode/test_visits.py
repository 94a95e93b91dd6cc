from itertools import pairwise

from hypothesis import given, strategies as st

from p2pswarm.formats.ids import Address
from p2pswarm.overlay.supernode.visits import (
    MOST_AT_ONCE,
    MOST_OF_ONE,
    MOST_OF_TELLER,
    MOST_VISITS,
    Visits,
)


def at(number: int, port: int = 46881) -> Address:
    return Address(f"80.{number // 200}.0.{number % 200 + 1}", port)


def plan(known: int, want: int = 100, most: int = MOST_VISITS) -> Visits:
    visits = Visits(want, most=most)
    for number in range(known):
        assert visits.know(at(number))
    return visits


def tour(visits: Visits, *, answers: bool) -> list[float]:
    """When each visit begins; nobody finds anything."""
    now, times = 0.0, []
    while visits.over() is None:
        now = max(now, visits.due)
        address = visits.step(now)
        assert address is not None
        visits.check()
        times.append(now)
        if answers:
            visits.left(address)
        elif len(visits._visiting) == MOST_AT_ONCE or not visits._rows:
            for each in list(visits._visiting):
                visits.left(each)
    return times


def test_each_is_visited_once_in_turn_and_two_hundred_milliseconds_apart() -> None:
    times = tour(plan(10), answers=True)
    pauses = [after - before for before, after in pairwise(times)]
    assert len(times) == 10
    assert all(abs(pause - 0.2) < 1e-9 for pause in pauses)


def test_pauses_shrink_while_nobody_answers() -> None:
    times = tour(plan(9), answers=False)
    pauses = [after - before for before, after in pairwise(times)]
    assert [round(pause, 3) for pause in pauses[:3]] == [1.5, 1.2, 0.96]
    assert all(pause >= 0.2 for pause in pauses)


def test_an_earlier_visit_that_ends_does_not_hurry_the_next() -> None:
    visits = plan(3)
    first = visits.step(0)
    visits.step(1.5)
    assert first is not None
    visits.left(first)
    assert visits.due == 1.5 + 1.2


def test_ends_with_enough_with_the_most_or_with_nobody() -> None:
    visits = plan(3, want=10)
    address = visits.step(0)
    assert address is not None
    assert visits.got(address, 30) == 10
    assert visits.over() == "enough"
    assert visits.step(10) is None
    assert plan(0).over() == "nobody left"
    visits = plan(5, most=2)
    assert len(tour(visits, answers=True)) == 2
    assert visits.over() == "most"


def test_never_more_than_two_hundred_results_or_a_thousand_visits() -> None:
    visits = Visits(10_000, most=10_000)
    assert visits.want == 200
    assert visits.most == 1000


def test_one_super_node_does_not_end_the_search_alone() -> None:
    visits = plan(2, want=200)
    address = visits.step(0)
    assert address is not None
    assert visits.got(address, 1000) == MOST_OF_ONE
    assert visits.got(address, 1000) == 0
    assert visits.over() is None


def test_only_who_is_visited_counts() -> None:
    visits = plan(2)
    assert visits.got(at(0), 5) == 0
    assert not visits.learn(at(50), at(0))
    address = visits.step(0)
    assert address is not None
    visits.left(address)
    assert visits.got(address, 5) == 0


def test_a_liar_steers_a_small_part() -> None:
    """It tells two hundred, and is still one of many whose hosts have their turns."""
    visits = plan(2)
    liar, honest = visits.step(0), visits.step(10)
    assert liar is not None
    assert honest is not None
    assert sum(visits.learn(at(1000 + n), liar) for n in range(200)) == MOST_OF_TELLER
    assert all(visits.learn(at(3000 + n), honest) for n in range(10))
    visited = []
    for step in range(20):
        address = visits.step(20 + 10 * step)
        assert address is not None
        visited.append(address)
        visits.left(address)
    assert sum(at(3000).host.split(".")[1] == each.host.split(".")[1] for each in visited) == 10


def test_few_ports_of_one_host() -> None:
    visits = plan(1)
    teller = visits.step(0)
    assert teller is not None
    assert sum(visits.learn(at(7, 1000 + n), teller) for n in range(20)) == 3


def test_nobody_far_away_sends_us_into_our_network() -> None:
    visits = plan(1)
    teller = visits.step(0)
    assert teller is not None
    assert not visits.learn(Address("192.168.1.1", 80), teller)
    assert not visits.learn(Address("127.0.0.1", 80), teller)
    assert not visits.learn(Address("80.1.1.1", 0), teller)


def test_many_nodes_of_one_machine_tell_each_for_itself() -> None:
    """As in a test on the loopback: near addresses stand for themselves."""
    visits = Visits(10)
    for port in (1, 2):
        visits.know(Address("127.0.0.1", port))
    for now, first in ((0, 100), (10, 200)):
        teller = visits.step(now)
        assert teller is not None
        told = [Address("127.0.0.1", first + n) for n in range(MOST_OF_TELLER)]
        assert all(visits.learn(each, teller) for each in told)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30)), max_size=80))
def test_whatever_happens_nobody_is_visited_twice(events: list[tuple[int, int]]) -> None:
    visits, now, seen = Visits(20), 0.0, set[Address]()
    for what, number in events:
        now += 0.3
        if what == 0:
            visits.know(at(number))
        elif what == 1:
            visits.learn(at(number), at(number // 2))
        elif what == 2:
            visits.got(at(number), 1)
            visits.left(at(number))
        elif (address := visits.step(now)) is not None:
            assert address not in seen
            seen.add(address)
        visits.check()
