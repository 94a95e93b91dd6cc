from p2pswarm.discovery.dht.limits import Outlet, Reach, Visitors
from p2pswarm.formats.ids import Address

LOUD, QUIET = Address("8.8.8.8", 6881), Address("8.8.4.4", 6881)


def test_who_asks_more_than_five_times_a_second_is_not_heard_for_five_minutes() -> None:
    visitors = Visitors()
    heard = [visitors.admit(Address(LOUD.host, 1 + n), n / 20) for n in range(100)]
    assert heard == [True] * 50 + [False] * 50, "any port of a host is that host"
    assert visitors.admit(QUIET, 5.0)
    blocked = 50 / 20
    assert not visitors.admit(LOUD, blocked + 299.0)
    assert visitors.admit(LOUD, blocked + 301.0)


def test_five_a_second_are_heard_for_ever() -> None:
    visitors = Visitors()
    assert all(visitors.admit(LOUD, n / 5) for n in range(3000))


def test_ten_thousand_visitors_take_no_more_room_than_the_last_two_thousand() -> None:
    visitors = Visitors()
    for number in range(10_000):
        visitors.admit(Address(f"20.{number >> 8}.{number & 255}.1", 1), 0.0)
    assert len(visitors) == Visitors.MOST


def test_replies_take_eight_thousand_bytes_a_second() -> None:
    outlet = Outlet(0.0)
    sent = 0
    for number in range(1000):  # in ten seconds
        if outlet.is_open(number / 100):
            outlet.replied(1000)
            sent += 1000
    assert 80_000 <= sent <= 80_000 + 24_000 + 1000


def test_our_own_queries_are_never_held_back_but_leave_less_to_replies() -> None:
    outlet = Outlet(0.0)
    outlet.asked(1_000_000)
    assert not outlet.is_open(2.9)
    assert outlet.is_open(3.1), "the debt is three seconds at most"


def internet(n: int) -> list[Address]:
    return [Address(f"20.1.{number}.1", 6881) for number in range(n)]


def test_who_is_never_asked_by_strangers_is_read_only_but_tries_each_hour() -> None:
    reach = Reach(0.0)
    for address in internet(40):
        reach.spoke(address)
        reach.heard(address, 10.0)
    assert not reach.read_only(800.0)
    assert reach.read_only(1000.0)
    assert not reach.read_only(3700.0)
    assert reach.read_only(4600.0)


def test_a_stranger_proves_that_we_are_reached() -> None:
    reach = Reach(0.0)
    for address in internet(40):
        reach.spoke(address)
    reach.heard(Address("21.1.1.1", 6881), 900.0)
    assert not reach.read_only(4000.0)
    assert reach.read_only(4600.0)


def test_in_a_small_or_a_local_network_nobody_is_read_only() -> None:
    small, local = Reach(0.0), Reach(0.0)
    for address in internet(20):
        small.spoke(address)
    for number in range(100):
        local.spoke(Address(f"192.168.1.{number}", 6881))
    assert not small.read_only(1000.0)
    assert not local.read_only(1000.0)
