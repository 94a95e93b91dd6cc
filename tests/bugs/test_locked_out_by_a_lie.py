"""A super node behind a router believed the first who said where it is, and refused who dialed it there."""

from random import Random
from types import SimpleNamespace

from p2pswarm.formats.ids import Address
from p2pswarm.overlay.people.membership import Membership

HERE, MOVED, LIE = (Address(host, 46881) for host in ("20.0.0.1", "20.0.0.2", "66.6.6.6"))


def teller(number: int) -> Address:
    return Address(f"8.8.{number}.8", 46881)


def test_few_cannot_say_where_we_are() -> None:
    nobody = SimpleNamespace()
    us = Membership(nobody, nobody, lambda: LIE, lambda *_: None, lambda: 0, Random(1))  # type: ignore[arg-type]
    assert us.agreed is None
    for port in range(1, 6):
        us._seen_at(Address("8.8.1.8", port), LIE)  # one host, however many it says to be
    us._seen_at(teller(2), LIE)
    assert us.agreed is None
    for number in range(3, 6):
        us._seen_at(teller(number), HERE)
    assert us.agreed == HERE
    for number in range(3, 6):  # our provider gave us another one
        assert us.agreed in (HERE, None)
        us._seen_at(teller(number), MOVED)
    assert us.agreed == MOVED
