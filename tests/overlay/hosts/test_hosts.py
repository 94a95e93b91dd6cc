import json
import logging
from random import Random

import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from p2pswarm.formats.ids import Address
from p2pswarm.formats.zones import Zone, zone_of
from p2pswarm.overlay.budget import DialBudget
from p2pswarm.overlay.hosts.host import STRANGER_EVERY
from p2pswarm.overlay.hosts.hosts import MOST, SAVE_EVERY, Hosts

NOW = 1.8e9
DICE = Random(5)


def host(n: int, net: int = 20) -> Address:
    return Address(f"{net + n // 65536 % 100}.{n // 256 % 256}.{n % 256}.9", 6346)


def test_who_was_told_is_a_candidate() -> None:
    hosts = Hosts("gnutella")
    assert hosts.tell(host(1), "8.8.8.8", NOW)
    assert host(1) in hosts
    assert hosts.candidates(NOW, DICE, 5) == [host(1)]
    assert hosts.candidates(NOW, DICE, 5, busy=[host(1)]) == []


@pytest.mark.parametrize(
    "address",
    [
        *(Address("8.8.8.8", 0), Address("0.0.0.0", 1), Address("224.0.0.1", 1), Address("a.b", 1)),
        *(Address("127.0.0.1", 1), Address("192.168.0.9", 1), Address("::ffff:10.0.0.1", 1)),
    ],
)
def test_what_a_stranger_may_not_name_is_not_kept(address: Address) -> None:
    hosts = Hosts("gnutella")
    assert not hosts.tell(address, "8.8.8.8", NOW)
    hosts.connected(Address("0.0.0.0", 1), NOW)
    assert len(hosts) == 0


def test_a_neighbour_at_home_may_name_neighbours_at_home() -> None:
    hosts = Hosts("gnutella")
    home, here = Address("192.168.0.9", 1), Address("127.0.0.1", 1)
    assert hosts.tell(home, "192.168.0.1", NOW, zone=Zone.LOCAL_NETWORK)
    assert not hosts.tell(here, "192.168.0.1", NOW, zone=Zone.LOCAL_NETWORK)
    assert hosts.tell(here, "127.0.0.1", NOW, zone=Zone.THIS_MACHINE)


def test_a_stranger_is_dialed_once_in_ten_minutes_and_a_friend_sooner() -> None:
    hosts = Hosts("gnutella")
    hosts.tell(host(1), "a", NOW)
    hosts.tell(host(2), "a", NOW)
    dials: dict[Address, list[int]] = {host(1): [], host(2): []}
    hosts.connected(host(2), NOW)
    for second in range(3600):
        hosts.tell(host(1), "b", NOW + second)  # naming it again does not help
        for address in hosts.candidates(NOW + second, DICE, 2):
            hosts.dialed(address, NOW + second)
            dials[address].append(second)
    assert dials[host(1)] == [0, 600, 1200, 1800, 2400, 3000]
    assert dials[host(2)] == [0, 60, 180, 420, 900, 1860]


def test_who_refuses_us_is_a_friend_and_still_an_hub() -> None:
    hosts = Hosts("gnutella")
    hosts.tell(host(1), "a", NOW, hub=True)
    hosts.tell(host(2), "a", NOW)
    hosts.connected(host(1), NOW)
    hosts.check()
    assert hosts.proven(host(1))
    assert not hosts.proven(host(2))
    assert hosts.candidates(NOW, DICE, 1) == [host(1)]
    hosts.connected(host(1), NOW, hub=False)  # a leaf now
    hosts.connected(host(2), NOW, hub=True)
    assert hosts.candidates(NOW, DICE, 1) == [host(2)]


def test_a_clock_that_is_put_back_makes_nobody_wait_for_ever() -> None:
    hosts = Hosts("gnutella")
    hosts.tell(host(1), "a", NOW)
    hosts.dialed(host(1), NOW)
    assert hosts.candidates(NOW - 10, DICE, 1) == []
    assert hosts.candidates(NOW - 400 * 86400, DICE, 1) == [host(1)]


def test_fresh_and_never_failed_first_and_hubs_before_others() -> None:
    hosts = Hosts("gnutella")
    hosts.tell(host(1), "a", NOW)
    hosts.tell(host(2), "a", NOW, hub=True)
    hosts.tell(host(3), "a", NOW - 7200)
    hosts.tell(host(4), "a", NOW - 90000, hub=True)
    hosts.connected(host(5), NOW - STRANGER_EVERY, hub=True)
    hosts.dialed(host(5), NOW - STRANGER_EVERY)
    order = hosts.candidates(NOW, DICE, 5)
    assert order == [host(2), host(1), host(3), host(4), host(5)]


def test_candidates_are_spread_over_networks() -> None:
    hosts = Hosts("gnutella")
    for n in range(90):
        hosts.tell(Address(f"66.66.1.{n + 1}", 6346), "a", NOW, hub=True)
    for n in range(9):
        hosts.tell(host(256 * n), f"teller {n}", NOW)
    chosen = hosts.candidates(NOW, DICE, 10)
    assert sum(address.host.startswith("66.66.") for address in chosen) == 1


def test_a_teller_has_a_tenth_and_pushes_out_only_its_own() -> None:
    hosts = Hosts("gnutella")
    for n in range(50):
        hosts.tell(host(n), "honest", NOW)
    for n in range(5000):
        hosts.tell(host(n, 120), "liar", NOW)
    hosts.check()
    assert len(hosts) == 50 + MOST // 10
    assert all(host(n) in hosts for n in range(50))


def test_many_tellers_push_out_neither_friends_nor_who_told_little() -> None:
    hosts = Hosts("gnutella")
    for n in range(200):
        hosts.connected(host(n), NOW)
    hosts.tell(host(300), "honest", NOW)
    for n in range(20_000):
        hosts.tell(host(n, 120), f"liar {n % 200}", NOW)
    hosts.check()
    assert len(hosts) == MOST
    assert all(host(n) in hosts for n in [*range(200), 300])


def test_friends_take_at_most_half() -> None:
    hosts = Hosts("gnutella")
    for n in range(1500):
        hosts.connected(host(n), NOW + n)
    hosts.check()
    assert len(hosts) == MOST // 2
    assert host(1499) in hosts


def test_udp_caches_are_asked_once_in_ten_minutes() -> None:
    hosts = Hosts("gnutella")
    hosts.tell(host(1), "a", NOW, hub=True)
    hosts.tell(host(2), "a", NOW, hub=True)
    hosts.tell(host(3), "a", NOW)
    assert set(hosts.udp_caches(NOW, DICE, 5)) == {host(1), host(2)}
    assert hosts.udp_caches(NOW + 599, DICE, 5) == []
    assert len(hosts.udp_caches(NOW + 600, DICE, 1)) == 1
    assert len(hosts.udp_caches(NOW + 600, DICE, 5)) == 1


def test_not_everybody_asks_the_same_ones_first() -> None:
    def full() -> Hosts:
        hosts = Hosts("gnutella")
        for n in range(50):
            hosts.tell(host(256 * n), "a", NOW, hub=True)
        return hosts

    assert len({full().udp_caches(NOW, Random(seed), 1)[0] for seed in range(20)}) > 5
    assert len({full().candidates(NOW, Random(seed), 1)[0] for seed in range(20)}) > 5


def test_who_is_forgotten_is_gone() -> None:
    hosts = Hosts("gnutella")
    hosts.tell(host(1), "a", NOW)
    hosts.dump(NOW)
    hosts.forget(host(1))
    hosts.forget(host(1))
    assert hosts.candidates(NOW, DICE, 1) == []
    assert hosts.wants_saving(NOW + SAVE_EVERY)


def test_it_is_written_when_there_is_news_and_once_a_minute() -> None:
    hosts = Hosts("gnutella")
    assert not hosts.wants_saving(NOW)
    hosts.tell(host(1), "a", NOW)
    assert hosts.wants_saving(NOW)
    hosts.dump(NOW)
    assert not hosts.wants_saving(NOW + 100)
    hosts.dialed(host(1), NOW + 1)
    hosts.dialed(host(99), NOW + 1)
    assert not hosts.wants_saving(NOW)
    assert not hosts.wants_saving(NOW + SAVE_EVERY - 1)
    assert hosts.wants_saving(NOW + SAVE_EVERY)
    assert hosts.wants_saving(NOW - 4e7)


def test_what_was_written_is_read() -> None:
    hosts = Hosts("gnutella")
    hosts.tell(host(1), "8.8.8.8", NOW, hub=True)
    hosts.tell(Address("2001:db8:1::5", 6346), "8.8.8.8", NOW, zone=Zone.THIS_MACHINE, hub=True)
    hosts.connected(host(3), NOW)
    hosts.dialed(host(1), NOW)
    data = hosts.dump(NOW)
    again = Hosts("gnutella")
    again.load(data)
    again.check()
    assert again.dump(NOW) == data
    assert not again.wants_saving(NOW + 1000)
    assert again.candidates(NOW + 1, Random(1), 9) == hosts.candidates(NOW + 1, Random(1), 9)
    assert repr(again) == "<Hosts 3, 1 proven>"


def test_a_full_cache_is_small_enough_to_be_read_again() -> None:
    hosts = Hosts("gnutella")
    for n in range(2000):
        hosts.tell(
            Address(f"2001:db8:{n:x}:ffff:ffff:ffff:ffff:ffff", 65535),
            f"{n % 20}" * 20,
            NOW,
            zone=Zone(2),
        )
    again = Hosts("gnutella")
    again.load(hosts.dump(NOW))
    assert len(again) == MOST


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b"9" * 5000),
        *(b'{"version": 1}', b'{"version": 2, "hosts": []}', b'{"version": 1, "hosts": 5}'),
        *(
            b'{"version": 1, "hosts": [5]}',
            b'{"version": 1, "hosts": [{}]}',
            b" " * (1 << 20) + b"{}",
        ),
    ],
)
def test_a_damaged_file_is_none(data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    hosts = Hosts("gnutella")
    with caplog.at_level(logging.WARNING):
        hosts.load(data)
    assert len(hosts) == 0
    assert "starts empty" in caplog.text
    assert "Error(" not in caplog.text  # a person reads it


GOOD = {
    "address": "8.8.8.8:6346",
    "teller": "a",
    "failed": 0,
    "seen": 1.0,
    "tried": 0.0,
    "asked": 0.0,
}


@pytest.mark.parametrize(
    "lie",
    [
        *({"address": "0.0.0.0:5"}, {"address": "8.8.8.8"}, {"address": 5}, {"teller": 7}),
        *({"failed": -1}, {"failed": 1 << 40}, {"failed": True}, {"failed": 0.5}),
        *({"seen": float("nan")}, {"tried": float("inf")}, {"asked": "x"}, {"asked": [1]}),
        *({"seen": 10**400}, {"address": "a" * 5000 + ":1"}),
    ],
)
def test_a_file_that_lies_is_none(lie: dict[str, object]) -> None:
    hosts = Hosts("gnutella")
    hosts.load(json.dumps({"version": 1, "hosts": [GOOD]}).encode())
    assert len(hosts) == 1
    hosts = Hosts("gnutella")
    hosts.load(json.dumps({"version": 1, "hosts": [GOOD | lie]}).encode())
    assert len(hosts) == 0


@given(st.binary(max_size=300))
def test_any_bytes_can_be_loaded(data: bytes) -> None:
    hosts = Hosts("gnutella")
    hosts.load(data)
    hosts.check()


json_value = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9)),
    *(st.just([]), st.just([1]), st.just({})),
)
a_row = st.fixed_dictionaries(
    {key: st.just(value) | json_value for key, value in GOOD.items()},
    optional=dict.fromkeys(("proven", "hub"), json_value),
)


@settings(deadline=None)  # the first rows import what reads addresses
@given(st.lists(a_row, max_size=4))
def test_any_rows_can_be_loaded(rows: list[dict[str, object]]) -> None:
    hosts = Hosts("gnutella")
    hosts.load(json.dumps({"version": 1, "hosts": rows}).encode())
    hosts.check()
    hosts.load(hosts.dump(NOW))
    hosts.check()


def test_with_the_dial_budget_an_address_that_comes_back_still_rests() -> None:
    hosts, budget = Hosts("gnutella"), DialBudget()
    dialed = []
    for second in range(0, 1200, 10):
        hosts.forget(host(1))  # as if pushed out
        hosts.tell(host(1), f"teller {second}", NOW + second)
        for address in hosts.candidates(NOW + second, DICE, 1):
            if budget.may_dial(address, zone_of(address.host), float(second)):
                hosts.dialed(address, NOW + second)
                dialed.append(second)
    assert dialed == [0, 600]


class Gossip(RuleBasedStateMachine):
    """Whatever happens, in whatever order."""

    def __init__(self) -> None:
        super().__init__()
        self.hosts = Hosts("gnutella")
        self.now = NOW
        self.tried: dict[Address, float] = {}
        self.friends: set[Address] = set()

    numbers = st.integers(0, 3000)

    @rule(start=numbers, count=st.integers(1, 300), teller=st.integers(0, 20))
    def tell(self, start: int, count: int, teller: int) -> None:
        for n in range(start, start + count):
            self.hosts.tell(host(n), f"{teller}", self.now, hub=n % 3 == 0)

    @rule(n=st.integers(1, 20), seed=st.integers(0, 9))
    def dial(self, n: int, seed: int) -> None:
        candidates = self.hosts.candidates(self.now, Random(seed), n)
        assert len(set(candidates)) == len(candidates) <= n
        for address in candidates:
            self.hosts.dialed(address, self.now)

    @rule(n=numbers)
    def connect(self, n: int) -> None:
        self.hosts.connected(host(n), self.now)
        assert host(n) in self.hosts

    @rule(n=numbers)
    def forget(self, n: int) -> None:
        self.hosts.forget(host(n))
        assert host(n) not in self.hosts

    @rule(seconds=st.floats(-1e6, 1e6))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def restart(self) -> None:
        known = len(self.hosts)
        data = self.hosts.dump(self.now)
        self.hosts = Hosts("gnutella")
        self.hosts.load(data)
        assert len(self.hosts) == known

    @invariant()
    def right(self) -> None:
        self.hosts.check()


TestGossip = Gossip.TestCase
TestGossip.settings = settings(max_examples=20, stateful_step_count=30, deadline=None)


def test_who_let_us_in_last_time_may_be_dialed_at_once_the_next_time() -> None:
    hosts, again = Hosts("gnutella"), Hosts("gnutella")
    friend, deaf = Address("192.0.2.1", 6346), Address("198.51.100.1", 6346)
    for address in (friend, deaf):
        hosts.tell(address, "192.0.2.9", 0.0)
        hosts.dialed(address, 1.0)
    hosts.connected(friend, 1.0)
    again.load(hosts.dump(1.0))
    assert again.candidates(2.0, Random(1), 9) == [friend]
