"""Where we are, as others tell."""

import pytest

from p2pswarm.formats.ids import Address
from p2pswarm.net.port import Port
from p2pswarm.overlay.supernode.options import Options
from p2pswarm.overlay.supernode.us import MOST_SEEN, Us

PORT = 46881


def us(host: str = "0.0.0.0") -> Us:
    return Us(b"n" * 16, Port(host, PORT), Options())


def teller(number: int) -> Address:
    return Address(f"81.0.{number // 250}.{number % 250 + 1}", PORT)


def test_who_is_bound_to_an_address_needs_nobody_to_tell_it() -> None:
    one = us("10.0.0.1")
    for number in range(2):
        one.seen(teller(number), "80.1.1.1")
    assert one.address == Address("10.0.0.1", PORT)
    assert one.addresses == {Address("10.0.0.1", PORT), Address("80.1.1.1", PORT)}


def test_where_most_see_us_is_where_we_are() -> None:
    one = us()
    assert one.address is None
    for number, host in enumerate(("80.1.1.1", "80.2.2.2", "80.2.2.2")):
        one.seen(teller(number), host)
    assert one.address == Address("80.2.2.2", PORT)


def test_who_is_seen_from_far_away_is_where_those_see_it() -> None:
    """A router forwards the port: who comes in is seen at the inner address, by us."""
    one = us()
    one.seen(teller(1), "80.1.1.1")
    for _ in range(100):
        one.here("192.168.1.5")
    assert one.address == Address("80.1.1.1", PORT)
    assert one.addresses == {Address("80.1.1.1", PORT), Address("192.168.1.5", PORT)}


def test_what_the_machine_knows_goes_before_what_others_say() -> None:
    one = us()
    one.here("80.1.1.1")
    for number in range(MOST_SEEN):
        one.seen(teller(number), "80.2.2.2")
    assert one.address == Address("80.1.1.1", PORT)


@pytest.mark.parametrize("by", ["10.0.0.9", "127.0.0.1"])
def test_nobody_near_knows_where_we_are_seen_from_far_away(by: str) -> None:
    one = us()
    one.seen(Address(by, PORT), "80.1.1.1")
    assert one.address is None
    one.seen(teller(1), "192.168.1.5")
    assert one.address is None


def test_one_host_has_one_word_and_makes_one_host_ours() -> None:
    """However many nodes it says to be: the hosts of others are not ours for it."""
    one = us()
    for number in range(50):
        one.seen(Address("81.0.0.1", 1000 + number), f"80.1.1.{number + 1}")
    for number in range(2):
        one.seen(teller(100 + number), "80.2.2.2")
    assert one.addresses == {Address("80.2.2.2", PORT)}


def test_few_tellers_are_remembered() -> None:
    one = us()
    for number in range(1000):
        one.seen(teller(number), "80.3.3.3")
    assert len(one._seen) == MOST_SEEN


@pytest.mark.parametrize("host", ["?", "0.0.0.0", "224.0.0.1"])
def test_where_nobody_can_be_is_not_believed(host: str) -> None:
    one = us()
    one.here(host)
    one.seen(teller(1), host)
    assert one.address is None
