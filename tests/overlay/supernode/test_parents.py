"""Children without a parent, on a clock that the test moves: super nodes live, are dead, are full."""

import heapq
import itertools
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from p2pswarm.formats.ids import Address
from p2pswarm.overlay.budget import DialBudget
from p2pswarm.overlay.hosts.hosts import Hosts
from p2pswarm.overlay.supernode.known import Known
from p2pswarm.overlay.supernode.options import Options
from p2pswarm.overlay.supernode.parents import DIAL_TIME, Seeking
from p2pswarm.wire.supernode.hello import Reason
from p2pswarm.wire.supernode.hosts import Entry

START = 1000.0


def sn(number: int) -> Address:
    return Address(f"80.{number // 250 + 1}.0.{number % 250 + 1}", 46881)


@dataclass
class Super:
    """A super node as a child meets it."""

    alive: bool = True
    refuses_quickly: bool = False  # a dead one whose host says so
    udp: bool = True
    room: int = 100
    reason: Reason = Reason.FULL
    lies: bool = False  # its pongs say that it has room
    load: int = 10
    rtt: float = 0.1
    tells: list[Address] = field(default_factory=list)
    attempts: list[float] = field(default_factory=list)
    children: int = 0


class Child:
    def __init__(
        self, seed: int, told: Iterable[Address] = (), options: Options | None = None
    ) -> None:
        self.dice = Random(seed)
        self.hosts = Hosts("supernode")
        for number, address in enumerate(told):
            self.hosts.tell(address, f"teller {number}", START)
        self.known = Known(self.hosts, DialBudget(), options or Options(), self.dice, lambda: START)
        self.seeking = Seeking(self.known, self.dice)
        self.parent: Address | None = None
        self.found_at = 0.0
        self.pings = 0
        self.dials: list[tuple[float, Address]] = []


class Street:
    """Everybody's time in one heap."""

    def __init__(self, supers: dict[Address, Super]) -> None:
        self.supers = supers
        self.now = START
        self.order = itertools.count()
        self.calls: list[tuple[float, int, Callable[[], None]]] = []
        self.again: dict[Child, float] = {}

    def later(self, delay: float, call: Callable[[], None]) -> None:
        heapq.heappush(self.calls, (self.now + delay, next(self.order), call))

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.calls and self.calls[0][0] <= end:
            self.now, _, call = heapq.heappop(self.calls)
            call()
        self.now = end

    def lost(self, child: Child, parent: Address | None = None) -> None:
        child.parent = None
        child.seeking.lost(self.now, parent)
        self.look(child)

    def look(self, child: Child) -> None:
        moves = child.seeking.step(self.now)
        child.seeking.check()
        child.pings += len(moves.ping)
        for address in moves.ping:
            self.ping(child, address)
        for address in moves.dial:
            self.dial(child, address)
        due = child.seeking.due
        if due < float("inf"):
            assert moves.ping or moves.dial or due > self.now or not child.seeking.seeks
            self.later(max(due - self.now, 0.001), lambda: self.due(child, due))

    def due(self, child: Child, due: float) -> None:
        if child.seeking.due == due:
            self.look(child)

    def ping(self, child: Child, address: Address) -> None:
        one = self.supers.get(address)
        if one is not None and one.alive and one.udp:
            self.later(one.rtt, lambda: self.pong(child, address, one))

    def pong(self, child: Child, address: Address, one: Super) -> None:
        child.seeking.pong(address, one.load, one.room or one.lies, one.rtt, self.now)
        self.look(child)

    def dial(self, child: Child, address: Address) -> None:
        child.dials.append((self.now, address))
        one = self.supers.get(address, Super(alive=False))
        one.attempts.append(self.now)
        delay = 2 * one.rtt if one.alive or one.refuses_quickly else DIAL_TIME
        self.later(delay, lambda: self.dialed(child, address, one))

    def dialed(self, child: Child, address: Address, one: Super) -> None:
        if child.parent is not None:
            return
        if not one.alive:
            child.seeking.failed(address, self.now)
        elif one.room > 0:
            one.room -= 1
            one.children += 1
            child.parent, child.found_at = address, self.now
            child.seeking.found()
        else:
            told = [Entry(each, 0, self.supers.get(each, Super()).load) for each in one.tells]
            child.seeking.refused(address, one.reason, self.now, told)
        self.look(child)


def at_home(child: Child, address: Address) -> None:
    """As if it had been our parent for a while."""
    child.known.answered(address)


def test_a_parent_is_found_and_it_is_the_one_with_little_load() -> None:
    supers = {sn(0): Super(load=95), sn(1): Super(load=5), sn(2): Super(load=95)}
    for seed in range(20):
        street, child = Street(supers), Child(seed, supers)
        street.lost(child)
        street.run(3)
        assert child.parent == sn(1)
        assert len(child.dials) == 1


def test_the_near_one_of_equals_is_taken() -> None:
    supers = {sn(0): Super(rtt=0.45), sn(1): Super(rtt=0.01)}
    found = Counter[Address]()
    for seed in range(50):
        street, child = Street(supers), Child(seed, supers)
        street.lost(child)
        street.run(3)
        found[child.dials[0][1]] += 1
    assert found[sn(1)] > 45


@pytest.mark.parametrize("dead", [0, 5, 10, 15])
@pytest.mark.parametrize("udp", [True, False])
@pytest.mark.parametrize("quick", [True, False])
def test_within_ten_seconds_though_many_are_dead(dead: int, udp: bool, quick: bool) -> None:
    """Also where no pong comes, if at most the fifteen that come first hang until their timeout."""
    for seed in range(20):
        supers = {sn(n): Super(alive=False, refuses_quickly=quick) for n in range(dead)}
        supers |= {sn(n): Super(udp=udp) for n in range(dead, dead + 1)}
        street, child = Street(supers), Child(seed, supers)
        street.lost(child)
        street.run(5 if quick else 10)
        assert child.parent == sn(dead)


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 1000),
    st.lists(
        st.builds(
            Super,
            alive=st.booleans(),
            refuses_quickly=st.booleans(),
            room=st.integers(0, 1),
            load=st.integers(0, 100),
            rtt=st.floats(0.001, 0.3),
        ),
        min_size=1,
        max_size=12,
    ),
)
def test_with_anybody_live_and_with_room_a_parent_is_there_in_time(
    seed: int, others: list[Super]
) -> None:
    supers = {sn(n): one for n, one in enumerate([*others, Super(room=1)])}
    street, child = Street(supers), Child(seed, supers)
    at_home(child, sn(999))
    street.lost(child, sn(999))
    street.run(10)
    assert child.parent is not None


@pytest.mark.parametrize("udp", [True, False])
def test_referrals_of_a_full_one_lead_to_a_parent(udp: bool) -> None:
    """None of those with room was known, and the full one names dead ones as well."""
    dead = [sn(n) for n in range(100, 104)]
    supers = {sn(0): Super(room=0, udp=udp, tells=[*dead, sn(1)]), sn(1): Super(udp=False)}
    for seed in range(20):
        street, child = Street(supers), Child(seed, [sn(0)])
        street.lost(child)
        street.run(10)
        assert child.parent == sn(1)


def test_of_those_that_a_full_one_names_the_emptiest_come_first() -> None:
    for seed in range(20):
        supers = {sn(n): Super(room=0, udp=False, load=100) for n in range(100)}
        supers[sn(0)].tells = [sn(n) for n in range(1, 101)]
        supers[sn(100)] = Super(udp=False)
        street, child = Street(supers), Child(seed, [sn(0)])
        street.lost(child)
        street.run(5)
        assert child.parent == sn(100)
        assert len(child.dials) < 5


def test_while_all_are_full_it_asks_again_every_few_seconds() -> None:
    for seed in range(20):
        supers = {sn(n): Super(room=0) for n in range(10)}
        street, child = Street(supers), Child(seed, supers)
        street.lost(child)
        street.run(600)
        supers[sn(3)].room = 1
        street.run(14)
        assert child.parent == sn(3)


def test_a_full_one_is_not_dialed_again_for_a_while() -> None:
    supers = {sn(0): Super(room=0, udp=False)}
    street, child = Street(supers), Child(1, [], Options(connect=(sn(0),)))
    street.lost(child)
    street.run(14)
    assert len(child.dials) == 1
    street.run(100)
    assert 2 <= len(child.dials) <= 6


def test_a_full_one_is_not_dialed_while_others_have_room() -> None:
    for seed in range(20):
        supers = {sn(n): Super(room=n // 7, load=0 if n < 7 else 99) for n in range(8)}
        street, child = Street(supers), Child(seed, supers)
        street.lost(child)
        street.run(5)
        assert child.dials[0][1] == child.parent == sn(7)


def test_a_pong_with_room_ends_that() -> None:
    supers = {sn(0): Super(room=0)}
    street, child = Street(supers), Child(1, [], Options(connect=(sn(0),)))
    street.lost(child)
    street.run(14)
    assert len(child.dials) == 1  # for those that it names
    supers[sn(0)].room = 1
    street.run(30)
    assert child.parent == sn(0)


def test_the_lost_parent_is_asked_when_there_is_no_other() -> None:
    supers = {sn(0): Super()}
    street, child = Street(supers), Child(1, [], Options(connect=(sn(0),)))
    street.lost(child, sn(0))
    street.run(5)
    assert child.parent == sn(0)


def test_the_lost_parent_is_left_out_while_there_are_others() -> None:
    for seed in range(20):
        supers = {sn(0): Super(udp=False), sn(1): Super(udp=False)}
        street, child = Street(supers), Child(seed, [], Options(connect=(sn(0), sn(1))))
        street.lost(child, sn(0))
        street.run(5)
        assert child.parent == sn(1)
        assert not supers[sn(0)].attempts


def test_who_answered_a_moment_ago_is_there_though_the_cache_would_wait() -> None:
    supers = {sn(0): Super(), sn(1): Super()}
    street, child = Street(supers), Child(1, supers)
    street.lost(child)
    street.run(2)
    first = child.parent
    assert first is not None
    supers[first].alive = False
    at_home(child, sn(0))
    at_home(child, sn(1))
    street.lost(child, first)
    street.run(3)
    assert child.parent not in (None, first)


def test_when_all_fail_the_pauses_grow_to_a_minute_and_stay_there() -> None:
    supers = {sn(0): Super(alive=False, refuses_quickly=True, rtt=0.01)}
    street, child = Street(supers), Child(3, [], Options(connect=(sn(0),)))
    street.lost(child)
    street.run(1800)
    times = [at for at, _ in child.dials]
    pauses = [after - before for before, after in itertools.pairwise(times)]
    assert pauses[0] < 2
    assert all(pause < 62 for pause in pauses)
    assert all(pause >= 30 for pause in pauses[8:])
    assert len(set(pauses)) == len(pauses)


def test_nobody_known_costs_nothing_and_a_new_host_is_found() -> None:
    street, child = Street({}), Child(1)
    street.lost(child)
    street.run(300)
    assert not child.pings
    street.supers[sn(0)] = Super()
    child.hosts.tell(sn(0), "somebody", START)
    street.run(70)
    assert child.parent == sn(0)


def test_one_liar_with_a_thousand_dead_hosts_does_not_keep_us() -> None:
    liars = [sn(n) for n in range(100, 300)]
    supers = {sn(0): Super(room=0, lies=True, tells=liars), sn(1): Super(udp=False)}
    for seed in range(20):
        street, child = Street(supers), Child(seed, [sn(0), sn(1)])
        for address in liars:
            child.hosts.tell(address, sn(0).host, START)
        at_home(child, sn(1))
        street.lost(child)
        street.run(10)
        assert child.parent == sn(1)
        assert child.found_at < START + 6


def test_nobody_far_away_sends_us_into_our_network() -> None:
    near = Address("192.168.1.1", 80)
    supers = {sn(0): Super(room=0, udp=False, tells=[near, Address("127.0.0.1", 80)])}
    street, child = Street(supers), Child(1, [sn(0)])
    street.lost(child)
    street.run(20)
    assert {address for _, address in child.dials} == {sn(0)}


def test_who_is_no_super_node_is_not_the_first_to_be_asked_again() -> None:
    supers = {sn(0): Super(room=0, udp=False, reason=Reason.NOT_SUPER)}
    street, child = Street(supers), Child(1, [sn(0)])
    street.lost(child)
    street.run(25)
    assert len(child.dials) == 1
    assert sn(0) not in child.known.candidates(5)


def test_when_it_was_us_nobody_is_dialed_again() -> None:
    supers = {sn(0): Super(room=0, udp=False, reason=Reason.SELF)}
    street, child = Street(supers), Child(1, [], Options(connect=(sn(0),)))
    street.lost(child)
    street.run(600)
    assert len(child.dials) == 1
    assert child.known.nobody


def test_while_dials_hang_there_is_nothing_to_do() -> None:
    supers = {sn(0): Super(alive=False)}
    street, child = Street(supers), Child(1, [], Options(connect=(sn(0),)))
    street.lost(child)
    while not child.dials:
        street.run(0.1)
    street.run(1)
    assert child.seeking.due == child.dials[0][0] + DIAL_TIME


def test_what_becomes_of_other_dials_does_not_count_once_there_is_a_parent() -> None:
    supers = {sn(n): Super(alive=n == 4, udp=False) for n in range(5)}
    street, child = Street(supers), Child(1, supers)
    street.lost(child)
    while len(child.dials) < 2:
        street.run(0.1)
    child.seeking.found()
    for _, address in child.dials:
        child.seeking.failed(address, street.now)
        child.seeking.refused(address, Reason.FULL, street.now)
    assert not child.seeking.seeks
    assert child.seeking.due == float("inf")


def test_the_operators_list_alone_counts() -> None:
    supers = {sn(0): Super(alive=False), sn(1): Super(), sn(2): Super()}
    options = Options(supernodes=(sn(0), sn(2)), connect=(sn(1),))
    street, child = Street(supers), Child(1, [sn(1)], options)
    street.lost(child)
    street.run(10)
    assert child.parent == sn(2)
    child.seeking.lost(street.now)
    told = [Entry(sn(1), 0, 0)]
    street.run(2)
    child.seeking.refused(sn(2), Reason.FULL, street.now, told)
    street.run(10)
    assert not supers[sn(1)].attempts


@pytest.mark.parametrize("spread", [False, True])
def test_a_thousand_children_that_lose_one_parent_spread(spread: bool) -> None:
    """In no second anybody has more than a few times the mean, though some are much emptier than others."""
    count = 20
    supers = {
        sn(n): Super(room=1000, load=5 + 4 * n if spread else 40, rtt=0.02 + 0.01 * n)
        for n in range(count)
    }
    supers[sn(900)] = Super(alive=False)
    street = Street(supers)
    children = [Child(seed, supers) for seed in range(1000)]
    for child in children:
        at_home(child, sn(900))
        street.lost(child, sn(900))
    street.run(10)
    assert all(child.parent is not None for child in children)
    living = [one for address, one in supers.items() if address != sn(900)]
    attempts = [Counter(int(at) for at in one.attempts) for one in living]
    total = Counter[int]()
    for each in attempts:
        total.update(each)
    for second, number in total.items():
        mean = number / count
        most = 4 * mean + 12 if spread else 3 * mean
        assert max(each[second] for each in attempts) <= most
    assert sum(total.values()) < 2000
    moments = Counter(int(10 * at) for one in living for at in one.attempts)
    assert max(moments.values()) < 0.2 * sum(total.values())
