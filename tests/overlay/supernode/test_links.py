from collections.abc import Iterable
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.formats.ids import Address
from p2pswarm.overlay.budget import DialBudget
from p2pswarm.overlay.hosts.hosts import Hosts
from p2pswarm.overlay.supernode.known import Known
from p2pswarm.overlay.supernode.links import MOST_DIALS, Linking
from p2pswarm.overlay.supernode.options import Options
from p2pswarm.wire.supernode.hello import Reason

WALL = 1e9


def at(number: int) -> Address:
    return Address(f"80.{number // 200}.0.{number % 200 + 1}", 46881)


def node(number: int) -> bytes:
    return number.to_bytes(16, "big")


def linking(
    told: Iterable[int] = (), *, links: tuple[int, int] = (3, 5), us: int = 5000
) -> Linking[int]:
    hosts, dice = Hosts("supernode"), Random(1)
    for number in told:
        hosts.tell(at(number), f"teller {number}", WALL)
    options = Options(links=links)
    known = Known(hosts, DialBudget(), options, dice, lambda: WALL)
    return Linking(node(us), known, options, dice)


def number_of(address: Address) -> int:
    _, high, _, low = map(int, address.host.split("."))
    return high * 200 + low - 1


def fill(rooms: Linking[int], now: float) -> None:
    """Whoever is dialed takes us, until nobody is dialed any more."""
    for _ in range(100):
        dialed = rooms.step(now)
        rooms.check()
        for address in dialed:
            number = number_of(address)
            rooms.linked(number, node(number), address, now, dialed=True)
        now += 5
    rooms.check()


def test_dials_until_the_lower_bound_and_a_few_at_a_time() -> None:
    rooms = linking(range(100), links=(30, 50))
    assert len(rooms.step(0)) == MOST_DIALS
    assert not rooms.step(10)
    rooms = linking(range(100), links=(30, 50))
    fill(rooms, 0)
    assert len(rooms) == 30


def test_accepts_until_the_upper_bound() -> None:
    rooms = linking()
    for n in range(5):
        assert rooms.refuses(node(n), at(n), 0) is None
        assert rooms.linked(n, node(n), at(n), 0, dialed=False) == []
    assert rooms.refuses(node(9), at(9), 0) is Reason.FULL
    assert rooms.linked(9, node(9), at(9), 0, dialed=False) == [9]
    rooms.unlinked(0)
    assert rooms.refuses(node(9), at(9), 0) is None
    rooms.check()


def test_no_second_link_to_one_node_or_one_address() -> None:
    rooms = linking()
    rooms.linked(1, node(1), at(1), 0, dialed=False)
    assert rooms.refuses(node(1), at(2), 0) is Reason.NOT_WANTED
    assert rooms.refuses(node(2), at(1), 0) is Reason.NOT_WANTED
    assert rooms.linked(2, node(1), at(2), 0, dialed=False) == [2]
    assert rooms.linked(3, node(2), at(1), 0, dialed=False) == [3]
    rooms.check()


def test_never_to_ourselves() -> None:
    rooms = linking([1], us=7)
    assert rooms.refuses(node(7), at(1), 0) is Reason.SELF
    rooms.step(0)
    assert rooms.linked(1, node(7), at(1), 0, dialed=True) == [1]
    assert len(rooms) == 0


@pytest.mark.parametrize("first", ["dialed", "accepted"])
@pytest.mark.parametrize("us", [1, 9])
def test_dials_that_cross_leave_one_link_and_the_same_on_both_sides(us: int, first: str) -> None:
    """Of nodes 1 and 9 the link stays that 1 dialed, in whichever order they come."""
    them = 10 - us
    rooms = linking([them], us=us)
    rooms.step(0)
    kept = "dialed" if us < them else "accepted"
    open_links = set()
    for each in [first, "accepted" if first == "dialed" else "dialed"]:
        if each == "accepted" and rooms.refuses(node(them), at(them), 1) is not None:
            continue
        link = hash(each)
        open_links.add(link)
        closing = rooms.linked(link, node(them), at(them), 1, dialed=each == "dialed")
        open_links -= set(closing)
    assert open_links == {hash(kept)}
    assert len(rooms) == 1


def test_an_old_link_is_not_given_up_for_who_claims_its_name() -> None:
    rooms = linking([9], us=10)
    rooms.step(0)
    rooms.linked(1, node(9), at(9), 0, dialed=True)
    assert rooms.refuses(node(9), at(8), 1) is Reason.NOT_WANTED  # from another host
    assert rooms.refuses(node(9), at(9), 60) is Reason.NOT_WANTED
    assert rooms.refuses(node(9), at(9), 1) is None  # our dials crossed


def test_who_failed_waits_longer_each_time() -> None:
    rooms = linking(links=(1, 2))
    rooms._known.answered(at(1))
    now, dials = 0.0, []
    while now < 20_000:
        for address in rooms.step(now):
            dials.append(now)
            rooms.failed(address, now)
            rooms._known.answered(at(1))
        now += 5
    pauses = [after - before for before, after in pairwise(dials)]
    assert 5 <= pauses[0] <= 10
    assert all(after > before for before, after in pairwise(pauses[:6]))
    assert max(pauses) <= 3600 * 1.25 + 5


def test_a_full_one_is_let_alone_for_minutes() -> None:
    rooms = linking([1], links=(2, 2))
    rooms.linked(9, node(9), at(9), 0, dialed=False)
    (address,) = rooms.step(0)
    rooms.failed(address, 0, full=True)
    assert not any(rooms.step(now) for now in range(5, 220, 5))
    assert any(rooms.step(now) for now in range(220, 400, 5))


def test_who_is_alone_asks_a_full_one_sooner_as_it_names_others() -> None:
    rooms = linking([1], links=(1, 2))
    (address,) = rooms.step(0)
    rooms.failed(address, 0, full=True)
    assert not any(rooms.step(now) for now in (5, 10))
    assert any(rooms.step(now) for now in (15, 20))


def test_a_lost_link_is_replaced_at_once() -> None:
    rooms = linking(range(10))
    fill(rooms, 0)
    (lost,) = list(rooms._links)[:1]
    rooms.unlinked(lost)
    assert rooms.due == 0
    assert len(rooms.step(501)) == 1


def test_rewiring_takes_the_new_one_first_and_then_gives_up_an_old_one() -> None:
    rooms = linking(range(40), links=(9, 9))
    fill(rooms, 0)
    before = list(rooms._links)
    chosen = next(moves for now in range(500, 1400, 5) if (moves := rooms.step(now)))
    assert len(chosen) == 1
    assert len(rooms) == 9
    assert rooms.refuses(node(4000), at(4000), 1400) is Reason.FULL
    number = number_of(chosen[0])
    assert number not in before
    closing = rooms.linked(number, node(number), chosen[0], 1400, dialed=True)
    assert len(closing) == 1
    assert closing[0] in before[:4]  # of the oldest third
    assert len(rooms) == 9
    rooms.check()


def test_rewiring_happens_every_ten_minutes() -> None:
    rooms = linking(range(400), links=(9, 12))
    fill(rooms, 0)
    times = []
    for now in range(500, 60_500, 5):
        for address in rooms.step(now):
            number = number_of(address)
            times.append(now)
            assert len(rooms.linked(number, node(number), address, now, dialed=True)) == 1
    assert 90 <= len(times) <= 110


def test_nothing_is_given_up_when_there_is_no_alternative_or_it_fails() -> None:
    rooms = linking(range(3))
    fill(rooms, 0)
    assert not any(rooms.step(now) for now in range(600, 3000, 5))
    rooms._known.hosts.tell(at(7), "x", WALL)
    (address,) = next(moves for now in range(3000, 5000, 5) if (moves := rooms.step(now)))
    rooms.failed(address, 5000)
    assert len(rooms) == 3
    rooms.check()


def test_an_only_link_is_kept() -> None:
    rooms = linking(range(10), links=(1, 1))
    fill(rooms, 0)
    assert not any(rooms.step(now) for now in range(500, 5000, 5))


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 99), st.lists(st.tuples(st.integers(0, 5), st.integers(0, 12)), max_size=60))
def test_whatever_happens_the_bounds_hold(seed: int, events: list[tuple[int, int]]) -> None:
    rooms = linking(range(12), us=6)
    link, now = 0, 0.0
    ends: dict[int, int] = {}
    for what, number in events:
        now += 7
        if what == 0:
            rooms.step(now)
        elif what == 1:
            rooms.failed(at(number), now, full=bool(seed % 2))
        elif what == 2:
            for old in [old for old, end in ends.items() if end == number]:
                rooms.unlinked(old)
                del ends[old]
        elif what == 3 and rooms.refuses(node(number), at(number), now) is not None:
            pass
        else:
            link += 1
            ends[link] = number
            for old in rooms.linked(link, node(number), at(number), now, dialed=what == 4):
                ends.pop(old)
        rooms.check()
        assert set(ends) == set(rooms._links)
