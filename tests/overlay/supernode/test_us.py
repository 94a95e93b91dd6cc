"""Where we are, as others tell."""

import pytest

from p2pswarm.formats.ids import Address
from p2pswarm.net.port import Port
from p2pswarm.overlay.supernode.options import Options
from p2pswarm.overlay.supernode.us import MOST_SEEN, Us

PORT = 46881


def us(host: str = "0.0.0.0") -> Us:
    return Us(b"n" * 16, Port(host, PORT), Options())


def test_who_is_bound_to_an_address_needs_nobody_to_tell_it() -> None:
    one = us("10.0.0.1")
    for teller in (b"a", b"b"):
        one.seen(teller, "80.1.1.1")
    assert one.address == Address("10.0.0.1", PORT)
    assert one.addresses == {Address("10.0.0.1", PORT), Address("80.1.1.1", PORT)}


def test_where_most_see_us_is_where_we_are() -> None:
    one = us()
    assert one.address is None
    for teller, host in ((b"a", "80.1.1.1"), (b"b", "80.2.2.2"), (b"c", "80.2.2.2")):
        one.seen(teller, host)
    assert one.address == Address("80.2.2.2", PORT)


def test_who_is_seen_from_far_away_is_where_those_see_it() -> None:
    """A router forwards the port: who comes in is seen at the inner address, by us."""
    one = us()
    for number in range(10):
        one.seen(b"child %d" % number, "192.168.1.5")
    one.seen(b"super", "80.1.1.1")
    assert one.address == Address("80.1.1.1", PORT)


def test_one_teller_has_one_word_and_few_are_remembered() -> None:
    one = us()
    for number in range(5):
        one.seen(b"liar", f"80.1.1.{number + 1}")
    one.seen(b"a", "80.2.2.2")
    assert one.addresses == {Address("80.1.1.5", PORT), Address("80.2.2.2", PORT)}
    for number in range(50):
        one.seen(b"%d" % number, f"80.3.3.{number + 1}")
    assert len(one.addresses) == MOST_SEEN


@pytest.mark.parametrize("host", ["?", "0.0.0.0", "224.0.0.1"])
def test_where_nobody_can_be_is_not_believed(host: str) -> None:
    one = us()
    one.seen(b"a", host)
    assert one.address is None
